//! What a provider can do: declared in a plugin's manifest, so that pages, the REST API and the command line
//! offer only that.

use crate::guests::GuestKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strum::{IntoStaticStr, VariantArray};

/// One thing that a provider can do with a machine. In `plugin.toml` by its name in lowercase letters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Feature {
    Snapshots,
    SnapshotMemory,
    Clone,
    CloneRunning,
    LinkedClone,
    Template,
    Migrate,
    MigrateLive,
    Hibernate,
    Hardware,
    Disks,
    DiskMove,
    Nics,
    Vlan,
    Firewall,
    BootOrder,
    Cloudinit,
    Notes,
    Tags,
    Protection,
    ConsoleVnc,
    ConsoleSerial,
    Agent,
    History,
}

impl Feature {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// As in `plugin.toml`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What a plugin that declares it must have.
    pub fn about(self) -> &'static str {
        match self {
            Self::Snapshots => {
                "hooks `guest_snapshots`, `guest_snapshot`, `guest_rollback`, `guest_snapshot_delete`, `guest_snapshot_edit`"
            }
            Self::SnapshotMemory => "`guest_snapshot` takes `memory`: what is in memory is kept too",
            Self::Clone => "hook `guest_clone`: a copy of a machine that is off",
            Self::CloneRunning => "`guest_clone` copies a machine that runs, too",
            Self::LinkedClone => "`guest_clone` takes templates, and `full: false` for them",
            Self::Template => "hook `guest_template`",
            Self::Migrate => "hooks `guest_migrate_check`, `guest_migrate`",
            Self::MigrateLive => "`guest_migrate` moves a running machine without a stop",
            Self::Hibernate => "hook `guest_hibernate`: memory to disk, then off",
            Self::Hardware => "hooks `guest_hardware`, `guest_change_plan`, `guest_change`",
            Self::Disks => "hook `guest_disk`: add, grow, detach, attach, delete",
            Self::DiskMove => "`guest_disk` moves a disk to another storage",
            Self::Nics => "hook `guest_nic`: add, change, remove a network card",
            Self::Vlan => "`guest_nic` takes `vlan`: a tag for each network card",
            Self::Firewall => "`guest_nic` takes `firewall`: the provider's own, for each network card",
            Self::BootOrder => "`guest_change` takes `boot`",
            Self::Cloudinit => "`guest_change` takes the `ci_` values",
            Self::Notes => "`guest_change` takes `description`",
            Self::Tags => "`guest_change` takes `tags`",
            Self::Protection => "`guest_change` takes `protection`",
            Self::ConsoleVnc => "hook `console` knows the kind `vnc`",
            Self::ConsoleSerial => "hook `console` knows the kind `serial`",
            Self::Agent => "hooks `guest_agent`, `guest_exec`, `guest_exec_status`, `guest_file_write`",
            Self::History => "hook `history` has figures of the past, for charts",
        }
    }
}

/// `[features]` of a manifest: what there is for each kind of machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Features(BTreeMap<GuestKind, Vec<Feature>>);

impl Features {
    pub fn of(&self, kind: GuestKind) -> &[Feature] {
        self.0.get(&kind).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn has(&self, kind: GuestKind, feature: Feature) -> bool {
        self.of(kind).contains(&feature)
    }

    pub fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_written_by_its_name() {
        for feature in Feature::ALL.iter().copied() {
            assert_eq!(serde_json::to_value(feature).unwrap(), feature.name());
        }
        assert!(toml::from_str::<Features>("vm = [\"flying\"]").is_err());
        assert!(toml::from_str::<Features>("docker = []").is_err());
    }
}
