//! A publisher's list of checksums: which line is the image's.

use super::{Algorithm, Image};

/// One line of a list.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    digest: String,
    /// Empty when the line is a checksum alone.
    name: String,
}

/// The checksum of `image` in the list at its address. Forms that are understood:
///
/// - `<hex>  file`, `<hex> *file` (coreutils), also with a path before the file's name;
/// - `SHA256 (file) = <hex>` (BSD; Fedora wraps it in a PGP signature), `SHA2-256(file)= <hex>` (openssl);
/// - a file with one checksum alone;
/// - a list of the image's own (`image.qcow2.SHA256`) whose only line has its dated name (`image-20261115.qcow2`).
///
/// Of several files with the same name the one whose path fits the address best is meant. `None` when the list does
/// not name the file, or has two checksums for it: another file's is never taken.
pub fn find_checksum(list: &str, image: &Image) -> Option<String> {
    let entries: Vec<Entry> = list
        .trim_start_matches('\u{feff}')
        .lines()
        .filter_map(|line| read_line(line.trim(), image.algorithm))
        .collect();
    let path = segments(address_path(&image.url));
    let fitting = |entry: &Entry| common_tail(&segments(&entry.name), &path).map(|n| (n, entry.digest.clone()));
    let found: Vec<(usize, String)> = entries.iter().filter_map(fitting).collect();
    if let Some(best) = found.iter().map(|(n, _)| *n).max() {
        return only(found.into_iter().filter(|(n, _)| *n == best).map(|(_, digest)| digest));
    }
    let own_list = || {
        let at = segments(address_path(image.checksums.as_deref()?));
        let of_file = at.last()?.strip_prefix(path.last()?.as_str())?.starts_with('.');
        of_file.then(|| path.last()).flatten()
    };
    let alone = |entry: &Entry| entry.name.is_empty() || own_list().is_some_and(|file| is_dated(&entry.name, file));
    if entries.iter().all(alone) { only(entries.into_iter().map(|e| e.digest)) } else { None }
}

/// What all of them are.
fn only(mut all: impl Iterator<Item = String>) -> Option<String> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

fn read_line(line: &str, algorithm: Algorithm) -> Option<Entry> {
    let (digest, name) = match line.split_once('(').zip(line.rsplit_once(')')) {
        Some(((label, rest), (_, digest))) if digest.trim_start().starts_with('=') => {
            if !is_label(label, algorithm) {
                return None;
            }
            let name = rest.rsplit_once(')').map_or("", |(name, _)| name);
            (digest.trim_start().trim_start_matches('='), name)
        }
        // A backslash before the checksum says that the name is written with escapes.
        _ => line.trim_start_matches('\\').split_once([' ', '\t']).unwrap_or((line, "")),
    };
    let name = name.trim_start();
    let name = name.strip_prefix('*').unwrap_or(name);
    Some(Entry { digest: algorithm.digest(digest)?, name: name.to_owned() })
}

/// `SHA256`, `sha-256`, openssl's `SHA2-256`; not `SHA3-256` and `SHA512/256`, which are as long.
fn is_label(label: &str, algorithm: Algorithm) -> bool {
    let plain: String = label.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let (_, bits) = algorithm.name().split_at(3);
    plain == algorithm.name() || plain == format!("sha2{bits}")
}

/// An address without its server, query and fragment.
fn address_path(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path))
}

/// The parts of a path as they are meant: `%2B` is a plus, `./` is nothing.
fn segments(path: &str) -> Vec<String> {
    path.split(['/', '\\']).filter(|s| !s.is_empty() && *s != ".").map(decoded).collect()
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|pair| hex::decode(pair).ok());
        match code.as_deref() {
            Some([byte]) => {
                out.push(*byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How many parts are equal from the end on, when none differs before one of the two is over: `arm64/disk.qcow2` is
/// another file than `amd64/disk.qcow2`.
fn common_tail(name: &[String], path: &[String]) -> Option<usize> {
    let both = name.len().min(path.len());
    (both > 0 && name.iter().rev().zip(path.iter().rev()).all(|(a, b)| a == b)).then_some(both)
}

/// `image-20261115.1.qcow2` for `image.qcow2`.
fn is_dated(name: &str, file: &str) -> bool {
    let name = segments(name).pop().unwrap_or_default();
    let Some((stem, ending)) = file.rsplit_once('.') else { return false };
    let date = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(ending)?.strip_suffix('.'));
    date.is_some_and(|d| d.len() > 8 && d.chars().all(|c| c.is_ascii_digit() || ".-_".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::tests::an_image;
    use proptest::prelude::*;

    fn hex(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    fn find_at(url: &str, list: &str) -> Option<String> {
        find_checksum(list, &Image { url: url.into(), checksums: None, ..an_image() })
    }

    fn find(list: &str) -> Option<String> {
        find_at("https://images.example/x/b.qcow2", list)
    }

    #[test]
    fn a_checksum_is_found_in_every_form_that_publishers_use() {
        let (a, b) = (hex('a'), hex('B'));
        for list in [
            format!("{a}  a.qcow2\n{b}  b.qcow2\n"),
            format!("{a} *a.qcow2\r\n{b} *b.qcow2\r\n"),
            format!("{a}\ta.qcow2\n\\{b}\t./x/b.qcow2\n"),
            format!("{a} *./x/a.qcow2\n{b} *./x/b.qcow2\n"),
            format!("\u{feff}{b}  b.qcow2\n{a}  a.qcow2\n"),
            format!("SHA256(a.qcow2)= {a}\nSHA256(b.qcow2)= {b}\n"),
            format!("SHA2-256(a.qcow2)= {a}\nSHA2-256(./b.qcow2)= {b}\n"),
            b.clone(),
            format!(
                "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# b.qcow2: 5 bytes\nSHA256 (a.qcow2) = {a}\nSHA256 (b.qcow2) = {b}\n-----BEGIN PGP SIGNATURE-----\n"
            ),
        ] {
            assert_eq!(find(&list), Some(hex('b')), "{list}");
        }
        let spaced = format!("{a}  b (1).qcow2\n{b}  b%2B%281%29.qcow2\n");
        assert_eq!(find_at("https://x.example/b+(1).qcow2", &spaced), Some(hex('b')), "percent-encoded in the list");
        let plain = format!("SHA256 (b (1).qcow2) = {b}\n");
        assert_eq!(find_at("https://x.example/b%20%281%29.qcow2?mirror=1", &plain), Some(hex('b')), "in the address");
    }

    #[test]
    fn of_files_with_the_same_name_the_one_with_the_addresss_path_is_meant() {
        let amd = "https://images.example/13/amd64/disk.qcow2";
        let list = format!("{}  arm64/disk.qcow2\n{}  amd64/disk.qcow2\n", hex('a'), hex('b'));
        assert_eq!(find_at(amd, &list), Some(hex('b')));
        assert_eq!(
            find_at(amd, &format!("{}  disk.qcow2\n{}  13/amd64/disk.qcow2\n", hex('a'), hex('b'))),
            Some(hex('b'))
        );
        assert_eq!(find_at(amd, &format!("{}  arm64/disk.qcow2\n", hex('a'))), None, "another machine's");
        assert_eq!(find_at(amd, &format!("{}  disk.qcow2\n{}  disk.qcow2\n", hex('a'), hex('b'))), None, "which one?");
    }

    #[test]
    fn another_files_checksum_is_never_taken() {
        assert_eq!(find(&format!("{}  a.qcow2\n{}  c.qcow2\n", hex('a'), hex('c'))), None);
        assert_eq!(find(&format!("{}  a.qcow2\n", hex('a'))), None, "the only one, of another file");
        assert_eq!(find(&format!("{}\n{}  a.qcow2\n", hex('b'), hex('a'))), None, "one without a name beside others");
        assert_eq!(find(&format!("SHA3-256 (b.qcow2) = {}\n", hex('a'))), None);
        assert_eq!(
            find(&format!("SHA512/256 (b.qcow2) = {}\nSHA256 (b.qcow2) = {}\n", hex('a'), hex('b'))),
            Some(hex('b'))
        );
        assert_eq!(find(&hex('a').repeat(2)), None, "of the wrong length");
        assert_eq!(find("<html>not found</html>"), None);
    }

    #[test]
    fn a_list_of_the_images_own_may_name_it_by_its_date() {
        let own = |name: &str, at: &str| {
            let url = "https://images.example/latest/linux-cloudimg.qcow2".to_owned();
            let checksums = Some(format!("https://images.example/latest/{at}"));
            find_checksum(&format!("{}  {name}", hex('b')), &Image { url, checksums, ..an_image() })
        };
        assert_eq!(own("linux-cloudimg-20261115.460286.qcow2", "linux-cloudimg.qcow2.SHA256"), Some(hex('b')));
        assert_eq!(own("linux-cloudimg-20261115.460286.qcow2", "SHA256SUMS"), None);
        assert_eq!(own("linux-cloudimg-arm.qcow2", "linux-cloudimg.qcow2.SHA256"), None);
        assert_eq!(own("other.qcow2", "linux-cloudimg.qcow2.SHA256"), None);
    }

    proptest! {
        #[test]
        fn no_list_makes_it_stumble_and_only_a_digest_of_the_list_comes_out(list in "[ -~\u{feff}\n%*()=/\\\\a-f]{0,300}") {
            if let Some(found) = find(&list) {
                prop_assert!(list.to_ascii_lowercase().contains(&found));
            }
        }
    }
}
