//! A machine's hardware and options, described without any provider's notation: what there is, what waits for a
//! restart, and what can be changed.

use serde::{Deserialize, Serialize};

/// Six pairs of hex digits, not a group address.
pub(super) fn is_mac(text: &str) -> bool {
    let pairs: Vec<&str> = text.split(':').collect();
    let byte = |p: &&str| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit());
    pairs.len() == 6
        && pairs.iter().all(byte)
        && u8::from_str_radix(pairs[0], 16).is_ok_and(|first| first.is_multiple_of(2))
}

/// One value as the provider's `guest_hardware` hook reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardwareValue {
    /// A key of the provider's settings.
    pub key: String,
    /// What it runs with now.
    pub current: String,
    /// Its value after the next restart, if different.
    #[serde(default)]
    pub pending: Option<String>,
    /// A change now takes effect at once.
    #[serde(default)]
    pub live: bool,
    /// Why not at once, or what to mind, as a sentence.
    #[serde(default)]
    pub why: String,
    /// Why it can't be changed at all.
    #[serde(default)]
    pub refused: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Disk {
    /// scsi0, unused0, rootfs, mp0 ...
    pub key: String,
    /// disk, cd, cloudinit, efi, tpm or unused.
    pub kind: String,
    #[serde(default)]
    pub storage: String,
    #[serde(default)]
    pub volume: String,
    /// Bytes; 0 when unknown.
    #[serde(default)]
    pub size: u64,
    #[serde(default)]
    pub format: String,
    /// What else is set: discard, iothread, ssd; the folder of a container's disk.
    #[serde(default)]
    pub options: String,
    /// It boots from this one.
    #[serde(default)]
    pub boot: bool,
    /// What is waiting for a restart: `new`, `removed`, `changed`.
    #[serde(default)]
    pub pending: Option<String>,
    /// It can be detached from a running machine.
    #[serde(default)]
    pub hot: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Nic {
    pub key: String,
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub mac: String,
    #[serde(default)]
    pub bridge: String,
    #[serde(default)]
    pub vlan: Option<u16>,
    #[serde(default)]
    pub firewall: bool,
    #[serde(default)]
    pub link: bool,
    /// A container's own address.
    #[serde(default)]
    pub address: String,
    #[serde(default)]
    pub pending: Option<String>,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    /// Changes with every change of the machine's configuration.
    pub digest: String,
    #[serde(default)]
    pub running: bool,
    pub values: Vec<HardwareValue>,
    #[serde(default)]
    pub disks: Vec<Disk>,
    #[serde(default)]
    pub nics: Vec<Nic>,
    /// Ways to attach a disk.
    #[serde(default)]
    pub buses: Vec<String>,
    /// The provider's keys that are waiting for a restart, for reverting them.
    #[serde(default)]
    pub waiting: Vec<String>,
    /// Disks come and go while it runs, as far as their bus allows ([`Disk::hot`]).
    #[serde(default)]
    pub disks_live: bool,
    #[serde(default)]
    pub nics_live: bool,
}

/// The answer of the `guest_change_plan` hook: values that are as requested already are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plan {
    /// The digest of the state that was looked at; sent back with the change.
    pub digest: String,
    pub changes: Vec<Planned>,
}

impl HardwareValue {
    /// What it has after the next restart.
    pub fn wanted(&self) -> &str {
        self.pending.as_deref().unwrap_or(&self.current)
    }
}

impl Hardware {
    /// Whether a disk can be detached now, while the machine runs.
    pub fn is_hot(&self, disk: &Disk) -> bool {
        self.disks_live && disk.hot
    }

    pub fn value(&self, key: &str) -> Option<&HardwareValue> {
        self.values.iter().find(|v| v.key == key)
    }
}

/// What one requested value would do, as the provider's `guest_change_plan` hook says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Planned {
    pub key: String,
    pub from: String,
    pub to: String,
    pub live: bool,
    #[serde(default)]
    pub why: String,
    /// Why it can't be done at all.
    #[serde(default)]
    pub refused: Option<String>,
}
