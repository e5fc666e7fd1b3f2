//! A small CD image: some files in its root, by ISO 9660 (level 1 names) and Joliet (the real names). Windows reads
//! Joliet. Sources: ECMA-119, and Microsoft's Joliet specification.

use base::{Error, Result};

/// Bytes of a sector.
const SECTOR: usize = 2048;
/// Descriptors begin behind the system area.
const FIRST: usize = 16;
/// Joliet says that its names are UCS-2, level 3.
const UCS2: &[u8] = b"%/E";

/// One file in the root.
#[derive(Clone, Debug)]
pub struct IsoFile<'a> {
    /// Up to 64 characters of the Basic Multilingual Plane, no `/ \ : ; * ?`.
    pub name: &'a str,
    pub bytes: &'a [u8],
}

/// The image's bytes. `label` has up to 16 characters.
///
/// # Errors
/// `Internal` for names that no image can have, or the same name twice.
pub fn image(label: &str, files: &[IsoFile<'_>]) -> Result<Vec<u8>> {
    let wide: Vec<String> = files.iter().map(|f| f.name.to_owned()).collect();
    for (n, name) in wide.iter().enumerate() {
        let fits = |c: char| u32::from(c) <= 0xffff && !c.is_control() && !"/\\:;*?".contains(c);
        if name.is_empty() || name.chars().count() > 64 || !name.chars().all(fits) || wide[..n].contains(name) {
            return Err(Error::internal(format!("“{name}” is not a name for a file on a CD")));
        }
    }
    let short: Vec<String> = wide.iter().enumerate().map(|(n, name)| short_name(n, name)).collect();
    // 16 primary, 17 Joliet, 18 end, 19 to 22 path tables (little and big end first, for each), 23 and 24 the roots.
    let (roots, data) = ([FIRST + 7, FIRST + 8], FIRST + 9);
    let mut at = data;
    let mut places = Vec::new();
    for file in files {
        places.push((at, file.bytes.len()));
        at += file.bytes.len().div_ceil(SECTOR).max(1);
    }
    let mut out = vec![0; at * SECTOR];
    let sides = [(label_of(label), short), (label.to_owned(), wide)];
    for (side, (label, names)) in sides.iter().enumerate() {
        let joliet = side == 1;
        let root = root(roots[side], names, &places, joliet)?;
        put(&mut out, FIRST + side, &descriptor(joliet, label, at, roots[side], FIRST + 3 + side * 2));
        put(&mut out, FIRST + 3 + side * 2, &path_table(roots[side], false));
        put(&mut out, FIRST + 4 + side * 2, &path_table(roots[side], true));
        put(&mut out, roots[side], &root);
    }
    put(&mut out, FIRST + 2, b"\xffCD001\x01");
    for (file, (at, _)) in files.iter().zip(&places) {
        put(&mut out, *at, file.bytes);
    }
    Ok(out)
}

fn put(out: &mut [u8], sector: usize, bytes: &[u8]) {
    out[sector * SECTOR..][..bytes.len()].copy_from_slice(bytes);
}

/// Letters, digits and underscores in capitals.
fn label_of(label: &str) -> String {
    label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// `FILE0001.XML;1`: eight and three characters, which differ by the number.
fn short_name(n: usize, name: &str) -> String {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let ending: String = ending.chars().filter(char::is_ascii_alphanumeric).take(3).collect();
    format!("FILE{:04}.{};1", n + 1, ending.to_ascii_uppercase())
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn both16(n: u16) -> [u8; 4] {
    let (l, b) = (n.to_le_bytes(), n.to_be_bytes());
    [l[0], l[1], b[0], b[1]]
}

/// A number with the low byte first, then with the high byte first.
fn both32(n: usize) -> [u8; 8] {
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    let mut out = [0; 8];
    out[..4].copy_from_slice(&n.to_le_bytes());
    out[4..].copy_from_slice(&n.to_be_bytes());
    out
}

/// One entry of a directory. The time stays at 1970: images of the same files are the same.
fn record(name: &[u8], sector: usize, length: usize, folder: bool) -> Result<Vec<u8>> {
    let mut out = vec![0, 0];
    out.extend(both32(sector));
    out.extend(both32(length));
    out.extend([70, 1, 1, 0, 0, 0, 0]);
    out.extend([if folder { 2 } else { 0 }, 0, 0]);
    out.extend(both16(1));
    out.push(u8::try_from(name.len()).map_err(Error::internal)?);
    out.extend(name);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out[0] = u8::try_from(out.len()).map_err(Error::internal)?;
    Ok(out)
}

fn root(sector: usize, names: &[String], places: &[(usize, usize)], joliet: bool) -> Result<Vec<u8>> {
    let mut entries: Vec<(Vec<u8>, (usize, usize))> = names
        .iter()
        .zip(places)
        .map(|(name, place)| (if joliet { wide(&format!("{name};1")) } else { name.clone().into_bytes() }, *place))
        .collect();
    entries.sort();
    let mut out = record(&[0], sector, SECTOR, true)?;
    out.extend(record(&[1], sector, SECTOR, true)?);
    for (name, (at, length)) in &entries {
        out.extend(record(name, *at, *length, false)?);
    }
    if out.len() > SECTOR {
        return Err(Error::internal("too many files for one sector of a CD's root"));
    }
    Ok(out)
}

fn path_table(root: usize, big: bool) -> Vec<u8> {
    let at = u32::try_from(root).unwrap_or_default();
    let mut out = vec![1, 0];
    out.extend(if big { at.to_be_bytes() } else { at.to_le_bytes() });
    out.extend(if big { 1_u16.to_be_bytes() } else { 1_u16.to_le_bytes() });
    out.extend([0, 0]);
    out
}

fn descriptor(joliet: bool, label: &str, sectors: usize, root: usize, tables: usize) -> Vec<u8> {
    let mut out = vec![0; SECTOR];
    // Texts are filled up with blanks, in two bytes each on Joliet's side.
    let mut text = |at: usize, length: usize, text: &str| {
        let bytes = if joliet { wide(text) } else { text.as_bytes().to_vec() };
        let blank: Vec<u8> = if joliet { vec![0, b' '] } else { vec![b' '] };
        let filled: Vec<u8> = bytes.into_iter().chain(blank.into_iter().cycle()).take(length).collect();
        out[at..at + length].copy_from_slice(&filled);
    };
    text(8, 32, "");
    text(40, 32, label);
    for (at, length) in [(190, 128), (318, 128), (446, 128), (574, 128), (702, 37), (739, 37), (776, 37)] {
        text(at, length, "");
    }
    out[0] = if joliet { 2 } else { 1 };
    out[1..7].copy_from_slice(b"CD001\x01");
    out[80..88].copy_from_slice(&both32(sectors));
    if joliet {
        out[88..91].copy_from_slice(UCS2);
    }
    out[120..124].copy_from_slice(&both16(1));
    out[124..128].copy_from_slice(&both16(1));
    out[128..132].copy_from_slice(&both16(2048));
    out[132..140].copy_from_slice(&both32(10));
    let table = |n: usize| u32::try_from(n).unwrap_or_default();
    out[140..144].copy_from_slice(&table(tables).to_le_bytes());
    out[148..152].copy_from_slice(&table(tables + 1).to_be_bytes());
    if let Ok(record) = record(&[0], root, SECTOR, true) {
        out[156..156 + record.len()].copy_from_slice(&record);
    }
    // Four dates of 16 digits and a zone: "not given" is zeros as digits.
    for at in [813, 830, 847, 864] {
        out[at..at + 16].copy_from_slice(b"0000000000000000");
    }
    out[881] = 1;
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn files() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("autounattend.xml", b"<?xml version=\"1.0\"?>\n".repeat(400)),
            ("steward-setup.ps1", b"Write-Output 'x'\r\n".to_vec()),
            ("Grün.txt", Vec::new()),
        ]
    }

    fn written() -> (tempfile::TempDir, std::path::PathBuf) {
        let files = files();
        let list: Vec<IsoFile<'_>> = files.iter().map(|(name, bytes)| IsoFile { name, bytes }).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.iso");
        std::fs::write(&path, image("STEWARD", &list).unwrap()).unwrap();
        (folder, path)
    }

    #[test]
    fn a_foreign_program_reads_the_files_with_their_names() {
        let (folder, path) = written();
        let into = folder.path().join("out");
        std::fs::create_dir(&into).unwrap();
        let ran = Command::new("bsdtar").arg("-xf").arg(&path).arg("-C").arg(&into).output();
        let ran = ran.expect("scripts/setup-tests apt brings bsdtar");
        assert!(ran.status.success(), "{ran:?}");
        for (name, bytes) in files() {
            assert_eq!(std::fs::read(into.join(name)).unwrap(), bytes, "{name}");
        }
        assert_eq!(std::fs::read_dir(&into).unwrap().count(), 3);
    }

    #[test]
    fn another_one_reads_both_sides_and_finds_no_fault() {
        let (_folder, path) = written();
        let ask = |words: &[&str]| {
            let ran = Command::new("xorriso").args(["-abort_on", "WARNING", "-indev"]).arg(&path).args(words).output();
            let ran = ran.expect("scripts/setup-tests apt brings xorriso");
            let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
            assert!(ran.status.success(), "{said}");
            said
        };
        let both = ask(&["-pvd_info", "-find", "/", "-type", "f"]);
        assert!(both.contains("STEWARD"), "{both}");
        assert!(both.contains("FILE0001.XML") || both.contains("autounattend.xml"), "{both}");
    }

    #[test]
    fn names_that_no_cd_can_have_are_refused() {
        let one = |name| image("X", &[IsoFile { name, bytes: b"" }]);
        assert!(one("").is_err() && one("a/b").is_err() && one("a*").is_err() && one("\u{1f600}").is_err());
        let twice = IsoFile { name: "a", bytes: b"" };
        assert!(image("X", &[twice.clone(), twice]).is_err());
        assert!(one(&"a".repeat(64)).is_ok());
    }
}
