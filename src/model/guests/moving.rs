//! Moving a machine to another node: what prevents it, by node, as its provider sees it.

use base::{Error, Result};
use serde::{Deserialize, Serialize};

/// The answer of the provider's `guest_migrate_check` hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MoveCheck {
    /// It runs now.
    pub running: bool,
    /// It can move while it runs; else it is stopped here and started there.
    pub live: bool,
    /// What prevents a move to any node, as sentences.
    #[serde(default)]
    pub problems: Vec<String>,
    /// Disks that only its present node has: they are copied to the other one.
    #[serde(default)]
    pub disks: Vec<LocalDisk>,
    /// Every other node.
    #[serde(default)]
    pub nodes: Vec<MoveNode>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LocalDisk {
    /// `scsi0`, `rootfs` ...
    pub key: String,
    pub storage: String,
    /// 0 when it is not known.
    #[serde(default)]
    pub bytes: u64,
}

/// One node as a place for the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MoveNode {
    pub name: String,
    /// What prevents the move there, as sentences.
    #[serde(default)]
    pub problems: Vec<String>,
    /// What should be known before.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Storages there that take the disks that have to be copied.
    #[serde(default)]
    pub storages: Vec<String>,
    /// There is one of the same name for each of those disks.
    #[serde(default)]
    pub same: bool,
}

impl MoveCheck {
    pub fn node(&self, name: &str) -> Option<&MoveNode> {
        self.nodes.iter().find(|n| n.name == name)
    }

    /// Nodes that it can go to.
    pub fn places(&self) -> impl Iterator<Item = &MoveNode> {
        self.nodes.iter().filter(|n| self.problems.is_empty() && n.problems.is_empty())
    }

    /// Bytes that have to be copied to the other node, beside what is in memory.
    pub fn bytes(&self) -> u64 {
        self.disks.iter().map(|d| d.bytes).sum()
    }

    /// Storages that take the disks on a node that it can go to, each once, by name.
    pub fn storages(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.places().flat_map(|n| n.storages.iter().map(String::as_str)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether this move can be asked for. `disks`: take those along that only the present node has; `storage`:
    /// where they go there, `None` for one of the same name.
    ///
    /// # Errors
    /// `Invalid` on `node`, `disks` or `storage`; `Conflict` with what prevents a move to any node.
    pub fn allows(&self, node: &str, disks: bool, storage: Option<&str>) -> Result<()> {
        if !self.problems.is_empty() {
            return Err(Error::conflict(self.problems.join(" ")));
        }
        let Some(to) = self.node(node) else {
            return Err(Error::field("node", "There is no other node of that name. Choose one from the list."));
        };
        if !to.problems.is_empty() {
            return Err(Error::field("node", to.problems.join(" ")));
        }
        if self.disks.is_empty() {
            return Ok(());
        }
        if !disks {
            let keys: Vec<&str> = self.disks.iter().map(|d| d.key.as_str()).collect();
            let text = format!("Only its node has its disks ({}). Choose to move the disks too.", keys.join(", "));
            return Err(Error::field("disks", text));
        }
        match storage {
            Some(wanted) if !to.storages.iter().any(|s| s == wanted) => {
                Err(Error::field("storage", format!("Node {node} has no storage {wanted} for disks.")))
            }
            None if !to.same => {
                Err(Error::field("storage", format!("Node {node} has no storage of the same name. Choose one.")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> MoveCheck {
        let disk = LocalDisk { key: "scsi0".into(), storage: "local-lvm".into(), bytes: 4 << 30 };
        let node = |name: &str, problem: Option<&str>, same| MoveNode {
            name: name.into(),
            problems: problem.map(str::to_owned).into_iter().collect(),
            storages: vec!["ceph".into()],
            same,
            ..MoveNode::default()
        };
        MoveCheck {
            running: true,
            live: true,
            disks: vec![disk],
            nodes: vec![
                node("pve2", None, false),
                node("pve3", Some("It is not reachable."), true),
                node("pve4", None, true),
            ],
            ..MoveCheck::default()
        }
    }

    fn field(check: &MoveCheck, node: &str, disks: bool, storage: Option<&str>) -> Option<String> {
        check.allows(node, disks, storage).err().map(|e| e.fields().keys().next().cloned().unwrap_or_default())
    }

    #[test]
    fn what_is_wrong_is_said_beside_its_field() {
        let check = check();
        assert_eq!(field(&check, "pve9", true, None).as_deref(), Some("node"));
        assert_eq!(field(&check, "pve3", true, None).as_deref(), Some("node"));
        assert_eq!(field(&check, "pve4", false, None).as_deref(), Some("disks"));
        assert_eq!(field(&check, "pve2", true, None).as_deref(), Some("storage"));
        assert_eq!(field(&check, "pve2", true, Some("tape")).as_deref(), Some("storage"));
        assert_eq!(field(&check, "pve2", true, Some("ceph")), None);
        assert_eq!(field(&check, "pve4", true, None), None);
        assert_eq!((check.storages(), check.bytes()), (vec!["ceph"], 4 << 30));
    }

    #[test]
    fn what_stands_in_the_way_everywhere_leaves_no_place() {
        let check = MoveCheck { problems: vec!["It has a passed-through device.".into()], ..check() };
        assert_eq!(check.places().count(), 0);
        assert_eq!(field(&check, "pve4", true, None).as_deref(), Some(""));
    }
}
