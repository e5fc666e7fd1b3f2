//! Templates that Steward made from cloud images: what each was made of, and what is known of newer images.

use crate::amounts;
use crate::images::{Algorithm, Image, common_cpu, qcow2};
use base::Timestamp;
use base::ids::{ConnectionId, JobId};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Where a template is made, and where it is rebuilt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct TemplateTarget {
    #[n(0)]
    pub node: String,
    /// Where the downloaded image is kept; empty: the storage for such images with the most free space.
    #[n(1)]
    #[serde(default)]
    pub images: String,
    /// Where the template's disk goes; empty: the storage with the most free space.
    #[n(2)]
    #[serde(default)]
    pub storage: String,
    #[n(3)]
    pub bridge: String,
    #[n(4)]
    #[serde(default)]
    pub vlan: Option<u16>,
    /// GiB.
    #[n(5)]
    #[serde(deserialize_with = "amounts::gib")]
    pub disk: u64,
}

/// A template with its origin, as stored; the machine itself is a guest like others.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Template {
    #[n(0)]
    pub connection: ConnectionId,
    #[n(1)]
    pub vmid: u32,
    /// Its name when it was made.
    #[n(2)]
    pub name: String,
    /// The image's id in the catalogue, or of its own.
    #[n(3)]
    pub image: String,
    /// `Debian 13 (trixie)`.
    #[n(4)]
    pub title: String,
    /// The image's user.
    #[n(5)]
    pub user: String,
    #[n(6)]
    pub algorithm: String,
    #[n(7)]
    pub digest: String,
    #[n(8)]
    pub built: Timestamp,
    #[n(9)]
    pub job: JobId,
    #[n(10)]
    pub place: TemplateTarget,
    /// The image is from the catalogue, so the template can be rebuilt from a newer one.
    #[n(11)]
    pub of_catalogue: bool,
    #[n(12)]
    #[cbor(default)]
    pub recommended: bool,
}

/// A template to make: of an image of the catalogue, or of one that is described here.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateRequest {
    /// An id of the catalogue.
    pub image: Option<String>,
    pub own: Option<OwnImage>,
    /// The connection's id or name. Left out: the one that has the node.
    pub connection: Option<String>,
    pub node: String,
    /// Left out: the image's id with today's date.
    #[serde(default)]
    pub name: String,
    /// Where its disk goes; left out: the storage with the most room.
    #[serde(default)]
    pub storage: String,
    /// Where the download lies meanwhile; left out: the storage for such images with the most room.
    #[serde(default)]
    pub images: String,
    pub bridge: String,
    pub vlan: Option<u16>,
    /// GiB; left out: what the image needs.
    #[serde(default, deserialize_with = "amounts::gib")]
    pub disk: u64,
}

impl TemplateRequest {
    /// The same again, of the image as it is now.
    pub fn again(made: &Template) -> Self {
        let TemplateTarget { node, images, storage, bridge, vlan, disk } = made.place.clone();
        let (image, connection) = (Some(made.image.clone()), Some(made.connection.to_string()));
        Self { image, own: None, connection, node, name: String::new(), storage, images, bridge, vlan, disk }
    }

    pub fn target(&self) -> TemplateTarget {
        TemplateTarget {
            node: self.node.clone(),
            images: self.images.clone(),
            storage: self.storage.clone(),
            bridge: self.bridge.clone(),
            vlan: self.vlan,
            disk: self.disk,
        }
    }
}

/// An image that is not in the catalogue.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnImage {
    /// Like `Rocky 10`.
    pub name: String,
    /// https, or http, as the checksum is given.
    pub url: String,
    /// Hex.
    pub checksum: String,
    /// sha256 or sha512.
    pub algorithm: Algorithm,
    /// qcow2, raw or vmdk.
    #[serde(default = "qcow2")]
    pub format: String,
    #[serde(default)]
    pub user: String,
    /// The processor type that it needs at least.
    #[serde(default = "common_cpu")]
    pub cpu: String,
}

impl From<OwnImage> for Image {
    fn from(own: OwnImage) -> Self {
        Self {
            id: image_id(&own.name),
            name: own.name,
            version: String::new(),
            arch: "amd64".to_owned(),
            url: own.url,
            checksums: None,
            checksum: Some(own.checksum),
            algorithm: own.algorithm,
            format: own.format,
            user: own.user,
            system: "linux".to_owned(),
            cpu: own.cpu,
            disk: 1,
            memory: 512,
            agent: false,
            recommended: false,
            homepage: String::new(),
            notes: String::new(),
        }
    }
}

/// `Rocky Linux 10` is `rocky-linux-10`.
fn image_id(title: &str) -> String {
    let mut out = String::new();
    for c in title.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let out: String = out.chars().take(40).collect();
    let out = out.trim_end_matches('-');
    if out.is_empty() { "own".to_owned() } else { out.to_owned() }
}

/// An uploaded image that a template is to be made of.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadRequest {
    /// Like `Rocky 10`.
    pub title: String,
    /// The connection's id or name. Left out: the one that has the node.
    pub connection: Option<String>,
    pub node: String,
    pub bridge: String,
    /// qcow2 (when left out), raw or vmdk.
    #[serde(default = "qcow2")]
    pub format: String,
    /// SHA-256 or SHA-512, hex: another file is refused.
    #[serde(default)]
    pub checksum: String,
    #[serde(default)]
    pub user: String,
    /// The processor type that it needs at least.
    #[serde(default = "common_cpu")]
    pub cpu: String,
    /// Left out: the title with today's date.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub storage: String,
    #[serde(default)]
    pub images: String,
    /// GiB.
    #[serde(default = "eight", deserialize_with = "amounts::gib")]
    pub disk: u64,
}

fn eight() -> u64 {
    8
}

impl From<UploadRequest> for TemplateRequest {
    fn from(up: UploadRequest) -> Self {
        let own = OwnImage {
            name: up.title,
            url: String::new(),
            checksum: up.checksum,
            algorithm: Algorithm::Sha256,
            format: up.format,
            user: up.user,
            cpu: up.cpu,
        };
        Self {
            own: Some(own),
            connection: up.connection,
            node: up.node,
            name: up.name,
            storage: up.storage,
            images: up.images,
            bridge: up.bridge,
            disk: up.disk,
            ..Self::default()
        }
    }
}

/// Arguments of the job `template_build`. What the provider's plugin reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildArgs {
    pub image: String,
    pub title: String,
    pub url: String,
    /// The file's name on the storage; it names image and checksum.
    pub file: String,
    pub algorithm: Algorithm,
    pub digest: String,
    pub format: String,
    pub user: String,
    pub system: String,
    pub cpu: String,
    pub memory: u64,
    pub name: String,
    pub place: TemplateTarget,
    /// Notes of the template.
    pub notes: String,
    /// The task that puts an image in its place that was uploaded through Steward.
    #[serde(default)]
    pub upload: Option<String>,
    pub mark: String,
    #[serde(default)]
    pub of_catalogue: bool,
    #[serde(default)]
    pub recommended: bool,
}

impl BuildArgs {
    /// The image's name on the storage: the same image has the same name, so a download that
    /// is there already is known again, and a newer image never overwrites one in use.
    pub fn file_name(image: &Image, digest: &str) -> String {
        let part: String = digest.chars().take(12).collect();
        format!("steward-{}-{part}.{}", image.id, image.format)
    }
}

/// What is done when a newer image is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenNewer {
    /// The page says so.
    #[default]
    Tell,
    /// A new template is made; the old one stays.
    Rebuild,
    /// A new template is made, and the old one goes as soon as no machine depends on it.
    Replace,
}

/// When images are looked at by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Look at all.
    pub look: bool,
    /// Five cron fields.
    pub cron: String,
    pub when_newer: WhenNewer,
}

impl Default for Policy {
    fn default() -> Self {
        Self { look: true, cron: "30 4 * * *".to_owned(), when_newer: WhenNewer::Tell }
    }
}

/// What the last look at one image's list of checksums found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// Milliseconds since 1970.
    pub at: i64,
    /// The newest image's checksum; the last one known when `error` is set.
    #[serde(default)]
    pub digest: Option<String>,
    /// Why it could not be determined this time.
    #[serde(default)]
    pub error: Option<String>,
}

/// What a node offers for templates (the provider's `template_choices` hook).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TemplateChoices {
    pub bridges: Vec<String>,
    /// Storages that take disk images.
    pub storages: Vec<String>,
    /// Storages that take downloaded images.
    pub images: Vec<String>,
    /// Commands that let a storage take downloaded images; given when none does.
    #[serde(default)]
    pub commands: Vec<String>,
}

/// A template's name that is free: the image's id with the day, and a number when that is taken.
pub fn free_name(image: &str, day: &str, taken: impl Fn(&str) -> bool) -> String {
    // Dots would make it a name with a domain.
    let base = format!("{}-{day}", image.replace('.', "-"));
    let numbered = (2..1000).map(|n| format!("{base}-{n}"));
    std::iter::once(base.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::tests::an_image;

    #[test]
    fn a_second_template_of_the_same_day_gets_a_number() {
        assert_eq!(free_name("ubuntu-24.04", "20261121", |_| false), "ubuntu-24-04-20261121");
        let taken = ["debian-13-20261121", "debian-13-20261121-2"];
        assert_eq!(free_name("debian-13", "20261121", |n| taken.contains(&n)), "debian-13-20261121-3");
    }

    #[test]
    fn an_own_image_is_named_after_its_title() {
        assert_eq!(image_id("Rocky Linux 10 (Red)"), "rocky-linux-10-red");
        assert_eq!(image_id("  Üb "), "b");
        assert_eq!(image_id("???"), "own");
    }

    #[test]
    fn the_file_is_named_after_image_and_checksum() {
        assert_eq!(BuildArgs::file_name(&an_image(), &"ab".repeat(32)), "steward-debian-13-abababababab.qcow2");
    }
}
