//! A machine's disks and CD drives.

use super::{Action, ActionSpec, Part};
use crate::amounts::{self, NewSize};
use crate::providers::Feature;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const fn disk(label: &'static str, icon: &'static str) -> ActionSpec {
    ActionSpec::new(label, icon, "guest_disk").feature(Feature::Disks)
}

/// Adds an empty disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddDisk {
    /// scsi, virtio, sata or ide; mp for a container.
    pub bus: String,
    pub storage: String,
    /// 1 to 65536.
    #[serde(deserialize_with = "amounts::gib")]
    pub gib: u64,
    /// Where a container sees it.
    #[serde(default)]
    pub path: Option<String>,
}

impl Action for AddDisk {
    const SPEC: ActionSpec = disk("Add disk", "plus");

    fn title(&self, machine: &str) -> String {
        format!("Add a disk to {machine}")
    }

    fn describe(&self) -> String {
        format!("{} GiB {} on {}", self.gib, self.bus, self.storage)
    }

    fn check(&self) -> Result<()> {
        let wrong = wrong_place(&self.bus, self.path.as_deref()).into_iter().chain(wrong_size(self.gib));
        Error::of_fields(wrong)
    }
}

/// Enlarges a disk; disks never get smaller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrowDisk {
    pub disk: String,
    /// Its size afterwards in GiB; a text with a plus, like "+10", adds to what it has.
    #[schema(value_type = u64)]
    pub gib: NewSize,
}

impl Action for GrowDisk {
    const SPEC: ActionSpec = disk("Enlarge disk", "plus");

    fn title(&self, machine: &str) -> String {
        format!("Enlarge {} of {machine}", self.disk)
    }

    fn describe(&self) -> String {
        format!("{} {}", self.disk, self.gib)
    }

    fn check(&self) -> Result<()> {
        let (NewSize::Whole(gib) | NewSize::More(gib)) = self.gib;
        Error::of_fields(wrong_size(gib))
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Disk(&self.disk))
    }
}

/// Moves a disk to another storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveDisk {
    pub disk: String,
    pub storage: String,
    /// raw or qcow2, where the storage has the choice.
    #[serde(default)]
    pub format: Option<String>,
    /// Keep the old one as an unused disk.
    #[serde(default)]
    pub keep: bool,
}

impl Action for MoveDisk {
    const SPEC: ActionSpec = disk("Move disk", "right").feature(Feature::DiskMove).slow();

    fn title(&self, machine: &str) -> String {
        format!("Move {} of {machine}", self.disk)
    }

    fn describe(&self) -> String {
        format!("{} to {}", self.disk, self.storage)
    }

    fn check(&self) -> Result<()> {
        match self.format.as_deref() {
            None | Some("raw" | "qcow2") => Ok(()),
            Some(_) => Err(Error::field("format", "Choose raw or qcow2.")),
        }
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Disk(&self.disk))
    }
}

/// Detaches a disk; its data stays as an unused disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetachDisk {
    pub disk: String,
}

impl Action for DetachDisk {
    const SPEC: ActionSpec = disk("Detach disk", "left")
        .asks("Detach {}? The machine loses it until it is attached again. What is on it stays.");

    fn title(&self, machine: &str) -> String {
        format!("Detach {} from {machine}", self.disk)
    }

    fn describe(&self) -> String {
        self.disk.clone()
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Disk(&self.disk))
    }
}

/// Attaches an unused disk again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachDisk {
    pub disk: String,
    /// scsi, virtio, sata or ide; mp for a container.
    pub bus: String,
    /// Where a container sees it.
    #[serde(default)]
    pub path: Option<String>,
}

impl Action for AttachDisk {
    const SPEC: ActionSpec = disk("Attach disk", "plus");

    fn title(&self, machine: &str) -> String {
        format!("Attach {} to {machine}", self.disk)
    }

    fn describe(&self) -> String {
        format!("{} as {}", self.disk, self.bus)
    }

    fn check(&self) -> Result<()> {
        Error::of_fields(wrong_place(&self.bus, self.path.as_deref()))
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Disk(&self.disk))
    }
}

/// Deletes an unused disk with all that is on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteDisk {
    pub disk: String,
}

impl Action for DeleteDisk {
    const SPEC: ActionSpec = disk("Delete disk", "trash");

    fn title(&self, machine: &str) -> String {
        format!("Delete {} of {machine}", self.disk)
    }

    fn describe(&self) -> String {
        self.disk.clone()
    }

    fn check(&self) -> Result<()> {
        if self.disk.starts_with("unused") {
            return Ok(());
        }
        Err(Error::field("disk", "Only an unused disk can be deleted. Detach it first."))
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Disk(&self.disk))
    }
}

/// Puts an ISO image into a CD drive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeCd {
    pub disk: String,
    /// `null` or left out: the drive is emptied.
    #[serde(default)]
    pub volid: Option<String>,
}

impl Action for ChangeCd {
    const SPEC: ActionSpec = disk("Change image", "box");

    fn title(&self, machine: &str) -> String {
        match self.volid {
            Some(_) => format!("Put an image into {machine}"),
            None => format!("Take the image out of {machine}"),
        }
    }

    fn describe(&self) -> String {
        format!("{}: {}", self.disk, self.volid.as_deref().unwrap_or("empty"))
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Disk(&self.disk))
    }
}

type Wrong = Option<(&'static str, &'static str)>;

fn wrong_size(gib: u64) -> Wrong {
    (!(1..=65_536).contains(&gib)).then_some(("gib", "Choose 1 to 65536 GiB."))
}

/// A container's disk needs a folder; a comma would end the value in Proxmox's notation.
fn wrong_place(bus: &str, path: Option<&str>) -> Wrong {
    let fits = |p: &str| p.starts_with('/') && p.len() > 1 && !p.contains([',', '\n', ' ']) && !p.contains("..");
    match bus {
        "scsi" | "virtio" | "sata" | "ide" => None,
        "mp" if path.is_some_and(fits) => None,
        "mp" => Some(("path", "Give a folder in the container, like /srv/data.")),
        _ => Some(("bus", "Choose scsi, virtio, sata or ide; mp for a container.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unused_disk_is_deleted() {
        assert!(DeleteDisk { disk: "scsi0".into() }.check().is_err());
        DeleteDisk { disk: "unused0".into() }.check().unwrap();
    }

    #[test]
    fn a_containers_disk_needs_a_folder() {
        let mp = |path: Option<&str>| AddDisk {
            bus: "mp".into(),
            storage: "s".into(),
            gib: 1,
            path: path.map(str::to_owned),
        };
        assert!(mp(None).check().is_err() && mp(Some("/a,b")).check().is_err() && mp(Some("/../x")).check().is_err());
        mp(Some("/srv/data")).check().unwrap();
        let both = AddDisk { gib: 0, ..mp(None) }.check().unwrap_err();
        assert_eq!(both.fields().keys().collect::<Vec<_>>(), ["gib", "path"]);
    }
}
