//! Cloud images: what the catalogue says of one, and what a publisher's list of checksums says.

mod checksums;
mod start;

pub use checksums::find_checksum;
pub use start::{START, refused_by_start};

use base::text::is_name;
use serde::{Deserialize, Serialize};

/// How a publisher's checksums are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    /// As in Proxmox's `checksum-algorithm`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Hex digits of a checksum.
    pub fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The checksum in lowercase letters, when `text` is one.
    pub fn digest(self, text: &str) -> Option<String> {
        let text = text.trim();
        let fits = text.len() == self.digits() && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| text.to_ascii_lowercase())
    }
}

/// One image of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Lowercase letters, digits, dots and dashes. Templates are named after it.
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub version: String,
    #[serde(default = "amd64")]
    pub arch: String,
    pub url: String,
    /// The publisher's list of checksums.
    #[serde(default)]
    pub checksums: Option<String>,
    /// The checksum itself, for a file that never changes.
    #[serde(default)]
    pub checksum: Option<String>,
    pub algorithm: Algorithm,
    /// qcow2, raw or vmdk.
    #[serde(default = "qcow2")]
    pub format: String,
    /// Who may sign in when nobody else is named.
    #[serde(default)]
    pub user: String,
    /// The system in it: linux, windows10, windows11, solaris or other.
    #[serde(default = "linux")]
    pub system: String,
    /// The processor type that it needs at least.
    #[serde(default = "common_cpu")]
    pub cpu: String,
    /// GiB that a machine needs at least.
    #[serde(default = "small_disk")]
    pub disk: u64,
    /// MiB that a machine needs at least.
    #[serde(default = "small_memory")]
    pub memory: u64,
    /// It holds the QEMU guest agent.
    #[serde(default)]
    pub agent: bool,
    #[serde(default)]
    pub recommended: bool,
    #[serde(default)]
    pub homepage: String,
    #[serde(default)]
    pub notes: String,
}

fn amd64() -> String {
    "amd64".to_owned()
}

pub(crate) fn qcow2() -> String {
    "qcow2".to_owned()
}

fn linux() -> String {
    "linux".to_owned()
}

/// What nearly all processors since 2010 have; Proxmox's own page proposes it too.
pub(crate) fn common_cpu() -> String {
    "x86-64-v2-AES".to_owned()
}

fn small_disk() -> u64 {
    4
}

fn small_memory() -> u64 {
    512
}

impl Image {
    /// `Debian 13 (trixie)`.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version).trim().to_owned()
    }

    /// The last part of the URL's path.
    pub fn file(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// What is wrong with the entry: the field's name and a sentence.
    pub fn check(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let mut say = |field, text: &str| wrong.push((field, text.to_owned()));
        let id_fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if self.id.is_empty() || self.id.len() > 40 || !self.id.chars().all(id_fits) || self.id.starts_with(['-', '.'])
        {
            say("id", "Use 1 to 40 lowercase letters, digits, dots and dashes, beginning with a letter or digit.");
        }
        if self.name.trim().is_empty() || !is_name(&self.title(), 60) {
            say("name", "Give a name; together with the version at most 60 characters.");
        }
        // A checksum that was written down guards a plain http download as well as https does.
        let plain = self.url.starts_with("http://") && self.checksum.is_some();
        if !(self.url.starts_with("https://") || plain) || self.file().is_empty() || !is_url(&self.url) {
            say("url", "Give the https address of the image's file. (http is possible with a fixed checksum.)");
        }
        if let Some(why) = start::refused_by_name(self.file()) {
            say("url", &why);
        }
        match (&self.checksums, &self.checksum) {
            (Some(list), None) if list.starts_with("https://") && is_url(list) => {}
            (Some(_), None) => say("checksums", "Give the https address of the publisher's list of checksums."),
            (None, Some(digest)) if self.algorithm.digest(digest).is_some() => {}
            (None, Some(_)) => say(
                "checksum",
                &format!("A {} checksum has {} hex digits.", self.algorithm.name(), self.algorithm.digits()),
            ),
            _ => say("checksums", "Give either checksums (the address of a list) or checksum."),
        }
        if !["qcow2", "raw", "vmdk"].contains(&self.format.as_str()) {
            say("format", "Use qcow2, raw or vmdk.");
        }
        if !self.user.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_') {
            say("user", "Use lowercase letters, digits, - and _.");
        }
        if !["linux", "windows10", "windows11", "solaris", "other"].contains(&self.system.as_str()) {
            say("system", "Use linux, windows10, windows11, solaris or other.");
        }
        if self.cpu.is_empty() || !self.cpu.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            say("cpu", "Give a processor type as Proxmox names it, like x86-64-v2-AES or host.");
        }
        if !(1..=65_536).contains(&self.disk) {
            say("disk", "Use 1 to 65536 GiB.");
        }
        if !(64..=1_048_576).contains(&self.memory) {
            say("memory", "Use 64 to 1048576 MiB.");
        }
        if !(self.homepage.is_empty() || self.homepage.starts_with("https://") || self.homepage.starts_with("http://"))
        {
            say("homepage", "Give a web address.");
        }
        wrong
    }
}

/// Printable, without blanks and without a login in it.
fn is_url(text: &str) -> bool {
    let host = text.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= 500 && !host.is_empty() && !host.contains('@')
}

/// Where an entry of the catalogue comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageOrigin {
    /// Part of Steward.
    BuiltIn,
    /// The admin's file; `replaces` when it stands in the place of a built-in entry.
    File { replaces: bool },
}

/// All images there are, and what is wrong with the admin's file.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub images: Vec<(Image, ImageOrigin)>,
    /// The admin's file, when there is one.
    pub file: Option<String>,
    /// Sentences with file and line.
    pub problems: Vec<String>,
}

impl Catalogue {
    pub fn get(&self, id: &str) -> Option<&Image> {
        self.images.iter().map(|(image, _)| image).find(|i| i.id == id)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn an_image() -> Image {
        Image {
            id: "debian-13".into(),
            name: "Debian".into(),
            version: "13 (trixie)".into(),
            arch: "amd64".into(),
            url: "https://images.example/trixie/debian-13.qcow2".into(),
            checksums: Some("https://images.example/trixie/SHA256SUMS".into()),
            checksum: None,
            algorithm: Algorithm::Sha256,
            format: "qcow2".into(),
            user: "debian".into(),
            system: "linux".into(),
            cpu: "x86-64-v2-AES".into(),
            disk: 4,
            memory: 512,
            agent: false,
            recommended: true,
            homepage: String::new(),
            notes: String::new(),
        }
    }

    #[test]
    fn every_wrong_field_of_an_entry_is_named() {
        assert!(an_image().check().is_empty());
        let wrong = Image {
            id: "Debian 13".into(),
            url: "http://images.example/x.qcow2".into(),
            format: "iso".into(),
            disk: 0,
            checksum: Some("12".into()),
            ..an_image()
        };
        let fields: Vec<_> = wrong.check().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["id", "checksums", "format", "disk"], "http passes as a checksum is given");
        let short = Image { checksums: None, checksum: Some("12".into()), ..an_image() };
        assert_eq!(short.check()[0].0, "checksum");
        assert_eq!(Image { url: "https://user:x@images.example/x".into(), ..an_image() }.check()[0].0, "url");
        let packed = Image { url: "https://images.example/x.raw.xz?mirror=1".into(), ..an_image() }.check();
        assert!(packed[0].0 == "url" && packed[0].1.contains("unxz"), "{packed:?}");
    }
}
