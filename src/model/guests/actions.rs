//! What can be asked for a machine beside its power: one type for pages, the REST API, schedules and tests, so
//! that all of them come the same way.

use super::hardware::{self, NicWish};
use super::snapshots::check_name;
use super::{GuestKind, GuestState, is_dns_label};
use crate::access::GuestRight;
use crate::jobs::Priority;
use crate::profiles::MoreDisk;
use crate::providers::Feature;
use base::ids::ProfileId;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A disk to this size in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskGrowth {
    pub disk: String,
    pub gib: u64,
}

/// One wish. As JSON it is what the provider's job gets, with the machine's number, kind and node beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum GuestAction {
    Snapshot {
        name: String,
        #[serde(default)]
        description: String,
        /// Also what is in memory; only of a running virtual machine.
        #[serde(default)]
        memory: bool,
    },
    Rollback {
        name: String,
        /// Start it afterwards. With memory in the snapshot it runs anyway.
        #[serde(default)]
        start: bool,
    },
    DeleteSnapshot {
        name: String,
    },
    EditSnapshot {
        name: String,
        description: String,
    },
    /// A copy under a new number.
    Clone {
        name: String,
        /// Where the copy goes; `None`: the same node.
        node: Option<String>,
        /// `false`: shares the template's disks.
        full: bool,
        /// Where the copied disks go; `None`: where they are.
        storage: Option<String>,
        /// Of this snapshot, not of the present state.
        snapshot: Option<String>,
        #[serde(default)]
        description: String,
        #[serde(default)]
        start: bool,
    },
    /// Makes a template of it, for good.
    Template,
    /// New values by their keys (see [`hardware::SETTINGS`]); empty takes a value away.
    Change {
        values: BTreeMap<String, String>,
        /// What was looked at when the change was thought out; another one by now is refused.
        digest: Option<String>,
    },
    /// The values of a hardware profile, and its disks when they were asked for.
    Apply {
        profile: ProfileId,
        /// What it is called.
        name: String,
        values: BTreeMap<String, String>,
        digest: Option<String>,
        /// The first disk grows.
        #[serde(default)]
        grow: Option<DiskGrowth>,
        /// Disks that the machine lacks.
        #[serde(default)]
        add: Vec<MoreDisk>,
    },
    /// Takes changes back that wait for a restart.
    Revert {
        keys: Vec<String>,
    },
    AddDisk {
        /// scsi, virtio, sata, ide; `mp` for a container.
        bus: String,
        storage: String,
        /// GiB, 1 to 65536.
        gib: u64,
        /// Where a container sees it.
        #[serde(default)]
        path: Option<String>,
    },
    /// To this size in GiB in all; disks only grow.
    GrowDisk {
        disk: String,
        gib: u64,
    },
    MoveDisk {
        disk: String,
        storage: String,
        /// raw or qcow2, where the storage has the choice.
        #[serde(default)]
        format: Option<String>,
        /// Keep the old one as an unused disk.
        #[serde(default)]
        keep: bool,
    },
    /// Takes it off the machine; its data stays as an unused disk.
    DetachDisk {
        disk: String,
    },
    AttachDisk {
        disk: String,
        bus: String,
        #[serde(default)]
        path: Option<String>,
    },
    /// Deletes an unused disk with all that is on it.
    DeleteDisk {
        disk: String,
    },
    /// Puts an ISO image into a CD drive; `None` takes it out.
    ChangeCd {
        disk: String,
        volid: Option<String>,
    },
    AddNic {
        nic: NicWish,
    },
    ChangeNic {
        key: String,
        nic: NicWish,
    },
    RemoveNic {
        key: String,
    },
    Migrate {
        node: String,
        /// Take disks along that only this node has.
        #[serde(default)]
        disks: bool,
        /// Where they go there; `None`: a storage of the same name.
        #[serde(default)]
        storage: Option<String>,
    },
    /// Memory to disk, then off; a start goes on where it was.
    Hibernate,
}

impl GuestAction {
    /// The word for dedup keys and the audit log (`guest.snapshot`).
    pub fn word(&self) -> &'static str {
        match self {
            Self::Snapshot { .. } => "snapshot",
            Self::Rollback { .. } => "rollback",
            Self::DeleteSnapshot { .. } => "snapshot_delete",
            Self::EditSnapshot { .. } => "snapshot_edit",
            Self::Clone { .. } => "clone",
            Self::Template => "template",
            Self::Change { .. } => "change",
            Self::Apply { .. } => "profile",
            Self::Revert { .. } => "revert",
            Self::AddDisk { .. } => "disk_add",
            Self::GrowDisk { .. } => "disk_grow",
            Self::MoveDisk { .. } => "disk_move",
            Self::DetachDisk { .. } => "disk_detach",
            Self::AttachDisk { .. } => "disk_attach",
            Self::DeleteDisk { .. } => "disk_delete",
            Self::ChangeCd { .. } => "cd",
            Self::AddNic { .. } => "nic_add",
            Self::ChangeNic { .. } => "nic_change",
            Self::RemoveNic { .. } => "nic_remove",
            Self::Migrate { .. } => "migrate",
            Self::Hibernate => "hibernate",
        }
    }

    /// The provider's job.
    pub fn hook(&self) -> &'static str {
        match self {
            Self::Snapshot { .. } => "guest_snapshot",
            Self::Rollback { .. } => "guest_rollback",
            Self::DeleteSnapshot { .. } => "guest_snapshot_delete",
            Self::EditSnapshot { .. } => "guest_snapshot_edit",
            Self::Clone { .. } => "guest_clone",
            Self::Template => "guest_template",
            Self::Change { .. } | Self::Apply { .. } | Self::Revert { .. } => "guest_change",
            Self::AddDisk { .. }
            | Self::GrowDisk { .. }
            | Self::MoveDisk { .. }
            | Self::DetachDisk { .. }
            | Self::AttachDisk { .. }
            | Self::DeleteDisk { .. }
            | Self::ChangeCd { .. } => "guest_disk",
            Self::AddNic { .. } | Self::ChangeNic { .. } | Self::RemoveNic { .. } => "guest_nic",
            Self::Migrate { .. } => "guest_migrate",
            Self::Hibernate => "guest_hibernate",
        }
    }

    /// What the provider must have declared for it.
    pub fn feature(&self) -> Feature {
        match self {
            Self::Snapshot { memory: true, .. } => Feature::SnapshotMemory,
            Self::Snapshot { .. } | Self::Rollback { .. } | Self::DeleteSnapshot { .. } | Self::EditSnapshot { .. } => {
                Feature::Snapshots
            }
            Self::Clone { full: false, .. } => Feature::LinkedClone,
            Self::Clone { .. } => Feature::Clone,
            Self::Template => Feature::Template,
            Self::Change { .. } | Self::Revert { .. } => Feature::Hardware,
            Self::Apply { .. } => Feature::Profiles,
            Self::MoveDisk { .. } => Feature::DiskMove,
            Self::AddDisk { .. }
            | Self::GrowDisk { .. }
            | Self::DetachDisk { .. }
            | Self::AttachDisk { .. }
            | Self::DeleteDisk { .. }
            | Self::ChangeCd { .. } => Feature::Disks,
            Self::AddNic { .. } | Self::ChangeNic { .. } | Self::RemoveNic { .. } => Feature::Nics,
            Self::Migrate { .. } => Feature::Migrate,
            Self::Hibernate => Feature::Hibernate,
        }
    }

    /// What the actor must be allowed to do with the machine.
    pub fn right(&self) -> GuestRight {
        if matches!(self, Self::Hibernate) { GuestRight::Use } else { GuestRight::Manage }
    }

    /// A person waits for most of them; copying whole disks may take its time.
    pub fn priority(&self) -> Priority {
        match self {
            Self::Clone { .. } | Self::Migrate { .. } | Self::MoveDisk { .. } | Self::Template => Priority::Normal,
            _ => Priority::High,
        }
    }

    /// The job's title.
    pub fn title(&self, machine: &str) -> String {
        match self {
            Self::Snapshot { name, .. } => format!("Snapshot {name} of {machine}"),
            Self::Rollback { name, .. } => format!("Roll {machine} back to {name}"),
            Self::DeleteSnapshot { name } => format!("Delete snapshot {name} of {machine}"),
            Self::EditSnapshot { name, .. } => format!("Note on snapshot {name} of {machine}"),
            Self::Clone { name, .. } => format!("Copy {machine} to {name}"),
            Self::Template => format!("Make a template of {machine}"),
            Self::Change { .. } => format!("Change {machine}"),
            Self::Apply { name, .. } => format!("Apply profile {name} to {machine}"),
            Self::Revert { .. } => format!("Take back waiting changes of {machine}"),
            Self::AddDisk { .. } => format!("Add a disk to {machine}"),
            Self::GrowDisk { disk, .. } => format!("Enlarge {disk} of {machine}"),
            Self::MoveDisk { disk, .. } => format!("Move {disk} of {machine}"),
            Self::DetachDisk { disk } => format!("Take {disk} off {machine}"),
            Self::AttachDisk { disk, .. } => format!("Attach {disk} to {machine}"),
            Self::DeleteDisk { disk } => format!("Delete {disk} of {machine}"),
            Self::ChangeCd { volid: Some(_), .. } => format!("Put an image into {machine}"),
            Self::ChangeCd { volid: None, .. } => format!("Take the image out of {machine}"),
            Self::AddNic { .. } => format!("Add a network card to {machine}"),
            Self::ChangeNic { key, .. } => format!("Change {key} of {machine}"),
            Self::RemoveNic { key } => format!("Remove {key} from {machine}"),
            Self::Migrate { node, .. } => format!("Move {machine} to {node}"),
            Self::Hibernate => format!("Hibernate {machine}"),
        }
    }

    /// What was asked for, for the audit log.
    pub fn describe(&self) -> String {
        match self {
            Self::Snapshot { name, memory, .. } => format!("{name}{}", if *memory { " with memory" } else { "" }),
            Self::Rollback { name, .. } | Self::DeleteSnapshot { name } | Self::EditSnapshot { name, .. } => {
                name.clone()
            }
            Self::Clone { name, node, full, .. } => {
                let kind = if *full { "full" } else { "linked" };
                let node = node.as_deref().map(|n| format!(" on {n}")).unwrap_or_default();
                format!("{kind} copy {name}{node}")
            }
            Self::Template | Self::Hibernate => String::new(),
            Self::Change { values, .. } => {
                let one = |(key, value): (&String, &String)| match key.as_str() {
                    // Long texts stand in the job.
                    "description" | "ci_keys" => key.clone(),
                    _ => format!("{key}={value}"),
                };
                values.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            Self::Apply { name, values, grow, add, .. } => {
                let values = values.iter().map(|(key, value)| format!("{key}={value}"));
                let grow = grow.iter().map(|g| format!("{} to {} GiB", g.disk, g.gib));
                let add = add.iter().map(|d| format!("a disk of {} GiB", d.gib));
                let all: Vec<String> = values.chain(grow).chain(add).collect();
                format!("{name}: {}", all.join(", "))
            }
            Self::Revert { keys } => keys.join(", "),
            Self::AddDisk { bus, storage, gib, .. } => format!("{gib} GiB {bus} on {storage}"),
            Self::GrowDisk { disk, gib } => format!("{disk} to {gib} GiB"),
            Self::MoveDisk { disk, storage, .. } => format!("{disk} to {storage}"),
            Self::DetachDisk { disk } | Self::DeleteDisk { disk } => disk.clone(),
            Self::AttachDisk { disk, bus, .. } => format!("{disk} as {bus}"),
            Self::ChangeCd { disk, volid } => format!("{disk}: {}", volid.as_deref().unwrap_or("empty")),
            Self::AddNic { nic } => nic.describe(),
            Self::ChangeNic { key, nic } => format!("{key}: {}", nic.describe()),
            Self::RemoveNic { key } => key.clone(),
            Self::Migrate { node, .. } => format!("to {node}"),
        }
    }

    /// Checks what can be checked without asking the provider.
    ///
    /// # Errors
    /// `Invalid` with a sentence per field.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Snapshot { name, description, .. } => {
                check_name(name)?;
                check_text(description)
            }
            Self::EditSnapshot { description, .. } => check_text(description),
            Self::Clone { name, description, .. } => {
                if !is_dns_label(name) {
                    return Err(Error::field("name", "Use 1 to 63 letters, digits and dashes; no dash at either end."));
                }
                check_text(description)
            }
            Self::Change { values, .. } => hardware::check(values),
            Self::Apply { values, .. } if values.is_empty() => Ok(()),
            Self::Apply { values, .. } => hardware::check(values),
            Self::Revert { keys } if keys.is_empty() => Err(Error::field("keys", "Say which changes to take back.")),
            Self::AddDisk { bus, gib, path, .. } => {
                check_bus(bus)?;
                check_path(bus, path.as_deref())?;
                check_gib(*gib)
            }
            Self::AttachDisk { bus, path, .. } => {
                check_bus(bus)?;
                check_path(bus, path.as_deref())
            }
            Self::GrowDisk { gib, .. } => check_gib(*gib),
            Self::MoveDisk { format: Some(f), .. } if !matches!(f.as_str(), "raw" | "qcow2") => {
                Err(Error::field("format", "Choose raw or qcow2."))
            }
            Self::DeleteDisk { disk } if !disk.starts_with("unused") => {
                Err(Error::field("disk", "Only an unused disk can be deleted. Take it off the machine first."))
            }
            Self::AddNic { nic } | Self::ChangeNic { nic, .. } => nic.check(),
            _ => Ok(()),
        }
    }

    /// Why this makes no sense now, or `None` when it does.
    pub fn refusal(&self, kind: GuestKind, state: &GuestState) -> Option<String> {
        if state.lock.as_deref() == Some("suspended") {
            return Some("It is hibernated. Start it first.".to_owned());
        }
        if let Some(lock) = &state.lock {
            return Some(format!("Proxmox has locked it ({lock}). Wait until that is done."));
        }
        let running = state.status == "running";
        match self {
            Self::Snapshot { .. } | Self::Rollback { .. } if state.template => {
                Some("A template can't have snapshots.".to_owned())
            }
            Self::Snapshot { memory: true, .. } if !running => {
                Some(format!("It is {} now: there is no memory to keep.", state.status))
            }
            Self::Template if state.template => Some("It is a template already.".to_owned()),
            Self::Template if state.status != "stopped" => {
                Some(format!("It is {} now. Shut it down first.", state.status))
            }
            Self::Clone { full: false, .. } if !state.template => {
                Some("Only a template can share its disks. Make a full copy.".to_owned())
            }
            Self::Clone { snapshot: None, .. } if kind == GuestKind::Lxc && running => Some(
                "A running container can be copied only from a snapshot. Shut it down, or take one first.".to_owned(),
            ),
            Self::Hibernate if !running => Some(format!("It is {} now.", state.status)),
            _ => None,
        }
    }
}

fn check_text(text: &str) -> Result<()> {
    if text.len() > 8192 {
        return Err(Error::field("description", "Use at most 8192 bytes."));
    }
    Ok(())
}

fn check_gib(gib: u64) -> Result<()> {
    if (1..=65_536).contains(&gib) { Ok(()) } else { Err(Error::field("gib", "Choose 1 to 65536 GiB.")) }
}

fn check_bus(bus: &str) -> Result<()> {
    if matches!(bus, "scsi" | "virtio" | "sata" | "ide" | "mp") {
        Ok(())
    } else {
        Err(Error::field("bus", "Choose scsi, virtio, sata or ide; mp for a container."))
    }
}

/// A container's disk needs a place; a comma would end the value in Proxmox' notation.
fn check_path(bus: &str, path: Option<&str>) -> Result<()> {
    let fits = |p: &str| p.starts_with('/') && p.len() > 1 && !p.contains([',', '\n', ' ']) && !p.contains("..");
    if bus == "mp" && !path.is_some_and(fits) {
        return Err(Error::field("path", "Give a folder in the container, like /srv/data."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: &str) -> GuestState {
        GuestState { status: status.into(), ..GuestState::default() }
    }

    #[test]
    fn an_action_is_read_from_json_and_unknown_fields_are_refused() {
        let read = |text: &str| serde_json::from_str::<GuestAction>(text);
        let memory = GuestAction::Snapshot { name: "a1".into(), description: String::new(), memory: true };
        assert_eq!(read(r#"{"action":"snapshot","name":"a1","memory":true}"#).unwrap(), memory);
        assert!(read(r#"{"action":"snapshot","name":"a1","memroy":true}"#).is_err());
        assert_eq!(read(r#"{"action":"hibernate"}"#).unwrap(), GuestAction::Hibernate);
    }

    #[test]
    fn what_makes_no_sense_now_is_said() {
        let memory = GuestAction::Snapshot { name: "a1".into(), description: String::new(), memory: true };
        assert!(memory.refusal(GuestKind::Qemu, &state("stopped")).unwrap().contains("no memory"));
        assert_eq!(memory.refusal(GuestKind::Qemu, &state("running")), None);
        let locked = GuestState { lock: Some("backup".into()), ..state("running") };
        assert!(memory.refusal(GuestKind::Qemu, &locked).unwrap().contains("backup"));
        assert!(GuestAction::Template.refusal(GuestKind::Qemu, &state("running")).is_some());
        let template = GuestState { template: true, ..state("stopped") };
        assert!(GuestAction::Template.refusal(GuestKind::Qemu, &template).is_some());
        let linked = GuestAction::Clone {
            name: "x".into(),
            node: None,
            full: false,
            storage: None,
            snapshot: None,
            description: String::new(),
            start: false,
        };
        assert!(linked.refusal(GuestKind::Qemu, &state("stopped")).is_some());
        assert_eq!(linked.refusal(GuestKind::Qemu, &template), None);
    }

    #[test]
    fn only_an_unused_disk_is_deleted() {
        assert!(GuestAction::DeleteDisk { disk: "scsi0".into() }.check().is_err());
        GuestAction::DeleteDisk { disk: "unused0".into() }.check().unwrap();
        let mp = |path: Option<&str>| GuestAction::AddDisk {
            bus: "mp".into(),
            storage: "s".into(),
            gib: 1,
            path: path.map(str::to_owned),
        };
        assert!(mp(None).check().is_err() && mp(Some("/a,b")).check().is_err() && mp(Some("/../x")).check().is_err());
        mp(Some("/srv/data")).check().unwrap();
    }
}
