//! What an image's file is, by the ending of its name and by how it begins. A node takes what it is given for a raw
//! disk when nothing else fits, so a packed file would become a template that can't start.

/// So many bytes of a file tell what it is.
pub const START: usize = 512;

/// A kind of file of which no template can be made.
struct Kind {
    name: &'static str,
    endings: &'static [&'static str],
    /// Where in the file, and what stands there.
    mark: Option<(usize, &'static [u8])>,
    todo: Todo,
}

enum Todo {
    /// With this command.
    Unpack(&'static str),
    TakeOut,
    Convert,
    Install,
    LookAtAddress,
}

static OTHERS: &[Kind] = &[
    other("an archive", &["tar", "ova", "tgz", "txz", "tbz", "tbz2"], Some((257, b"ustar")), Todo::TakeOut),
    other("a zip archive", &["zip"], Some((0, b"PK\x03\x04")), Todo::TakeOut),
    other("a 7-Zip archive", &["7z"], Some((0, b"7z\xbc\xaf\x27\x1c")), Todo::TakeOut),
    other("packed with xz", &["xz"], Some((0, b"\xfd7zXZ\0")), Todo::Unpack("unxz")),
    other("packed with gzip", &["gz"], Some((0, b"\x1f\x8b")), Todo::Unpack("gunzip")),
    other("packed with Zstandard", &["zst"], Some((0, b"\x28\xb5\x2f\xfd")), Todo::Unpack("unzstd")),
    other("packed with bzip2", &["bz2"], Some((0, b"BZh")), Todo::Unpack("bunzip2")),
    other("packed with LZ4", &["lz4"], Some((0, b"\x04\x22\x4d\x18")), Todo::Unpack("unlz4")),
    other("packed with lzop", &["lzo"], Some((0, b"\x89LZO\0")), Todo::Unpack("lzop -d")),
    other("packed with LZMA", &["lzma"], None, Todo::Unpack("unlzma")),
    other("a VHDX image", &["vhdx"], Some((0, b"vhdxfile")), Todo::Convert),
    other("a VHD image", &["vhd"], Some((0, b"conectix")), Todo::Convert),
    other("a VirtualBox image", &["vdi"], Some((64, b"\x7f\x10\xda\xbe")), Todo::Convert),
    other("an installation image", &["iso"], None, Todo::Install),
    other("a web page", &["html", "htm"], None, Todo::LookAtAddress),
];

const fn other(
    name: &'static str,
    endings: &'static [&'static str],
    mark: Option<(usize, &'static [u8])>,
    todo: Todo,
) -> Kind {
    Kind { name, endings, mark, todo }
}

impl Kind {
    fn sentence(&self) -> String {
        let todo = match self.todo {
            Todo::Unpack(command) => {
                format!("Nodes don't unpack disk images: unpack it on a computer ({command}) and upload the result.")
            }
            Todo::TakeOut => "Take the disk image out of it on a computer and upload that.".to_owned(),
            Todo::Convert => {
                "Convert it on a computer (qemu-img convert -O qcow2 FILE disk.qcow2) and upload the result.".to_owned()
            }
            Todo::Install => "Create a machine from it, and turn that into a template once it is installed.".to_owned(),
            Todo::LookAtAddress => "Look for the address of the image itself.".to_owned(),
        };
        format!("This file is {}. {todo}", self.name)
    }
}

/// Why a file with this name can't be an image; `None` when its name allows it.
pub fn refused_by_name(file: &str) -> Option<String> {
    let ending = file.rsplit_once('.')?.1.to_ascii_lowercase();
    OTHERS.iter().find(|kind| kind.endings.contains(&ending.as_str())).map(Kind::sentence)
}

/// Why a file that begins with these [`START`] bytes is no image of this format.
pub fn refused_by_start(format: &str, start: &[u8]) -> Option<String> {
    let real = if start.starts_with(b"QFI\xfb") {
        "qcow2"
    } else if [&b"KDMV"[..], b"# Disk DescriptorFile", b"COWD"].iter().any(|mark| start.starts_with(mark)) {
        "vmdk"
    } else {
        "raw"
    };
    if real != "raw" {
        return (real != format).then(|| format!("This file is a {real} image: choose {real} as its format."));
    }
    let has = |kind: &&Kind| kind.mark.is_some_and(|(at, mark)| start.get(at..).is_some_and(|s| s.starts_with(mark)));
    let page = OTHERS.iter().find(|kind| kind.endings.contains(&"html")).filter(|_| is_page(start));
    match OTHERS.iter().find(has).or(page) {
        Some(kind) => Some(kind.sentence()),
        None => (format != "raw").then(|| format!("This file is not a {format} image.")),
    }
}

fn is_page(start: &[u8]) -> bool {
    let text = start.trim_ascii_start().to_ascii_lowercase();
    [&b"<!doctype"[..], b"<html", b"<?xml"].iter().any(|mark| text.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_files_and_other_kinds_are_refused_by_their_ending_with_what_to_do() {
        for (file, words) in [
            ("x.raw.xz", "unxz"),
            ("x.qcow2.GZ", "gunzip"),
            ("x.img.zst", "unzstd"),
            ("x.tar", "Take the disk image out"),
            ("x.ova", "Take the disk image out"),
            ("x.vhdx", "qemu-img convert"),
            ("x.iso", "Create a machine"),
        ] {
            assert!(refused_by_name(file).unwrap().contains(words), "{file}");
        }
        for file in ["x.qcow2", "x.raw", "x.img", "x.vmdk", "x", "x.qcow2.SHA256"] {
            assert_eq!(refused_by_name(file), None);
        }
    }

    #[test]
    fn a_file_is_known_by_how_it_begins() {
        let mut disk = vec![0; START];
        disk[510..].copy_from_slice(b"\x55\xaa");
        assert_eq!(refused_by_start("raw", &disk), None);
        assert_eq!(refused_by_start("qcow2", &disk).unwrap(), "This file is not a qcow2 image.");
        assert_eq!(refused_by_start("qcow2", b"QFI\xfb\0\0\0\x03"), None);
        assert!(refused_by_start("raw", b"QFI\xfb").unwrap().contains("choose qcow2"));
        assert!(refused_by_start("qcow2", b"KDMV").unwrap().contains("choose vmdk"));
        assert!(refused_by_start("raw", b"\x1f\x8b\x08\0").unwrap().contains("gunzip"));
        assert!(refused_by_start("qcow2", b"\xfd7zXZ\0\0").unwrap().contains("unxz"));
        assert!(refused_by_start("raw", b"\n<!DOCTYPE html><p>not found").unwrap().contains("web page"));
        disk[257..262].copy_from_slice(b"ustar");
        assert!(refused_by_start("raw", &disk).unwrap().contains("archive"));
    }
}
