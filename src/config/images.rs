//! The catalogue of cloud images: what is built in, and the admin's file that adds and replaces.

use base::text::without_mark;
use model::images::{Catalogue, Image, ImageOrigin};
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

const BUILT_IN: &str = include_str!("../../catalogue/images.toml");
/// A catalogue of thousands of images is a mistake.
const LARGEST: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    image: Vec<Spanned<Image>>,
}

/// Reads the catalogue. A file that can't be read leaves the built-in images and a sentence; an entry that does
/// not fit is left out with a sentence.
pub fn catalogue(file: Option<&Path>) -> Catalogue {
    let mut catalogue = Catalogue::default();
    let built_in = read(BUILT_IN, "the built-in catalogue", &mut catalogue.problems);
    catalogue.images = built_in.into_iter().map(|image| (image, ImageOrigin::BuiltIn)).collect();
    let Some(file) = file else { return catalogue };
    let name = file.display().to_string();
    let text = match text_of(file) {
        Ok(Some(text)) => text,
        Ok(None) => return catalogue,
        Err(why) => {
            catalogue.problems.push(format!("{name} can't be read: {why}"));
            return catalogue;
        }
    };
    for image in read(without_mark(&text), &name, &mut catalogue.problems) {
        let place = catalogue.images.iter().position(|(old, _)| old.id == image.id);
        match place {
            Some(n) => catalogue.images[n] = (image, ImageOrigin::File { replaces: true }),
            None => catalogue.images.push((image, ImageOrigin::File { replaces: false })),
        }
    }
    catalogue.file = Some(name);
    catalogue
}

fn text_of(file: &Path) -> std::io::Result<Option<String>> {
    match std::fs::metadata(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
        Ok(about) if about.len() > LARGEST => Err(std::io::Error::other("it is larger than 1 MiB")),
        Ok(_) => std::fs::read_to_string(file).map(Some),
    }
}

fn read(text: &str, name: &str, problems: &mut Vec<String>) -> Vec<Image> {
    let line = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(e) => {
            let place = e.span().map_or(1, |span| line(span.start));
            problems.push(format!("{name}, line {place}: {} None of its images are used.", sentence(e.message())));
            return Vec::new();
        }
    };
    let mut seen: Vec<Image> = Vec::new();
    for entry in file.image {
        let place = line(entry.span().start);
        let image = entry.into_inner();
        let mut wrong = image.check();
        if seen.iter().any(|other| other.id == image.id) {
            wrong.push(("id", format!("There are two images “{}”.", image.id)));
        }
        if wrong.is_empty() {
            seen.push(image);
            continue;
        }
        let texts: Vec<String> = wrong.into_iter().map(|(field, text)| format!("{field}: {text}")).collect();
        problems.push(format!(
            "{name}, the image that begins in line {place} (“{}”) is left out. {}",
            image.id,
            texts.join(" ")
        ));
    }
    seen
}

/// The parser's words as a sentence.
fn sentence(text: &str) -> String {
    let text = text.trim().replace('\n', "; ");
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn with(text: &str) -> Catalogue {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("images.toml");
        std::fs::write(&file, text).unwrap();
        catalogue(Some(&file))
    }

    #[test]
    fn the_built_in_catalogue_is_right_and_has_what_people_ask_for() {
        let all = catalogue(None);
        assert_eq!(all.problems, [""; 0]);
        let names: BTreeSet<&str> = all.images.iter().map(|(i, _)| i.name.as_str()).collect();
        for wanted in ["Ubuntu", "Debian", "Fedora", "AlmaLinux", "Alpine", "Arch Linux"] {
            assert!(names.contains(wanted), "{wanted}");
        }
        assert!(all.get("ubuntu-24.04").is_some() && all.get("debian-12").is_some() && all.get("debian-13").is_some());
        assert!(all.images[0].0.recommended, "recommended ones come first");
    }

    #[test]
    fn a_file_adds_images_and_replaces_built_in_ones() {
        let digest = "a".repeat(64);
        let all = with(&format!(
            "[[image]]\nid = \"debian-13\"\nname = \"Our Debian\"\nurl = \"https://mirror.example/d.qcow2\"\nchecksum = \"{digest}\"\nalgorithm = \"sha256\"\n\n[[image]]\nid = \"own\"\nname = \"Own\"\nurl = \"http://mirror.example/o.qcow2\"\nchecksum = \"{digest}\"\nalgorithm = \"sha256\"\n"
        ));
        assert_eq!(all.problems, [""; 0]);
        assert_eq!(all.get("debian-13").unwrap().name, "Our Debian");
        let origin = |id: &str| all.images.iter().find(|(i, _)| i.id == id).unwrap().1.clone();
        assert_eq!(origin("debian-13"), ImageOrigin::File { replaces: true });
        assert_eq!(origin("own"), ImageOrigin::File { replaces: false });
        assert_eq!(origin("debian-12"), ImageOrigin::BuiltIn);
    }

    #[test]
    fn a_mistake_names_its_line_and_leaves_the_rest() {
        let all = with("# mine\n\n[[image]]\nid = \"x\"\nname = 5\n");
        assert!(all.problems[0].contains("line 5"), "{:?}", all.problems);
        assert!(all.get("debian-13").is_some());
        let all = with(
            "[[image]]\nid = \"x\"\nname = \"X\"\nurl = \"ftp://x.example/x\"\nchecksums = \"https://x.example/s\"\nalgorithm = \"sha256\"\n",
        );
        assert!(all.problems[0].contains("line 1") && all.problems[0].contains("url: "), "{:?}", all.problems);
        let all = with("[[image]]\nid = \"x\"\ncolour = \"red\"\n");
        assert!(all.problems[0].contains("colour") && all.problems[0].contains("line 3"), "{:?}", all.problems);
    }

    #[test]
    fn no_file_is_no_problem() {
        let all = catalogue(Some(Path::new("/nonexistent/images.toml")));
        assert!(all.problems.is_empty() && all.file.is_none());
    }
}
