//! Guests: Proxmox' word for virtual machines and containers.

pub mod actions;
pub mod bulk;
pub mod hardware;
pub mod moving;
pub mod settings;
pub mod snapshots;

pub use actions::GuestAction;

use crate::connections::StoredSecret;
use crate::profiles::MoreDisk;
use crate::software::Wish;
use base::ids::{ConnectionId, GuestId, JobId, ProfileId, UserId};
use base::{Error, Result, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum GuestKind {
    /// A virtual machine.
    #[n(0)]
    Qemu,
    /// A container.
    #[n(1)]
    Lxc,
}

impl GuestKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Qemu => "VM",
            Self::Lxc => "Container",
        }
    }
}

/// What Steward itself knows of a guest and Proxmox does not: identity, owner, the job that makes it.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Guest {
    #[n(0)]
    pub id: GuestId,
    #[n(1)]
    pub connection: ConnectionId,
    /// Proxmox' number, 100 to 999999999; `None` until a wanted guest has got one.
    #[n(2)]
    pub vmid: Option<u32>,
    #[n(3)]
    pub kind: GuestKind,
    /// The last known name; the live one comes from Proxmox.
    #[n(4)]
    pub name: String,
    #[n(5)]
    pub owner: Option<UserId>,
    #[n(6)]
    pub created: Timestamp,
    /// The job that is making this guest; gone once it exists.
    #[n(7)]
    pub making: Option<JobId>,
    /// When Proxmox first no longer listed it.
    #[n(8)]
    pub missing_since: Option<Timestamp>,
    /// The last state that Proxmox told, so a restart without Proxmox has something to show.
    #[n(9)]
    pub last: Option<GuestState>,
    /// The hardware profile that it was made with, or that was applied last. It may be deleted since.
    #[n(10)]
    pub profile: Option<ProfileId>,
}

impl Guest {
    /// One that is to be made: without a number and a state yet.
    pub fn wanted(
        connection: ConnectionId,
        kind: GuestKind,
        name: String,
        owner: Option<UserId>,
        now: Timestamp,
    ) -> Self {
        Self {
            id: GuestId::new(),
            connection,
            vmid: None,
            kind,
            name,
            owner,
            created: now,
            making: None,
            missing_since: None,
            last: None,
            profile: None,
        }
    }

    /// What it is called, when its provider's list says `listed`: Proxmox lists a new machine without a name, and a
    /// copy by its number (`VM 105`, `CT105`), until it is complete and for some seconds more.
    pub fn called<'a>(&'a self, listed: &'a str) -> &'a str {
        let number = listed.strip_prefix("VM ").or_else(|| listed.strip_prefix("CT"));
        let by_number = number.is_some_and(|n| n.parse().ok() == self.vmid && self.vmid.is_some());
        let unsaid = listed.is_empty() || self.making.is_some() || by_number;
        if unsaid && !self.name.is_empty() { &self.name } else { listed }
    }
}

/// A guest's state as the provider plugin's `inventory` hook reports it. Amounts are bytes, `cpu` is the
/// share of `maxcpu` in use (0 to 1), counters count since the guest's start.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct GuestState {
    #[n(0)]
    pub node: String,
    #[n(1)]
    pub name: String,
    /// running, stopped, paused, suspended, io-error, unknown ... as Proxmox says.
    #[n(2)]
    pub status: String,
    #[n(3)]
    #[serde(default)]
    pub template: bool,
    #[n(4)]
    #[serde(default)]
    pub cpu: f64,
    #[n(5)]
    #[serde(default)]
    pub maxcpu: f64,
    #[n(6)]
    #[serde(default)]
    pub mem: u64,
    #[n(7)]
    #[serde(default)]
    pub maxmem: u64,
    #[n(8)]
    #[serde(default)]
    pub disk: u64,
    #[n(9)]
    #[serde(default)]
    pub maxdisk: u64,
    #[n(10)]
    #[serde(default)]
    pub netin: u64,
    #[n(11)]
    #[serde(default)]
    pub netout: u64,
    #[n(12)]
    #[serde(default)]
    pub diskread: u64,
    #[n(13)]
    #[serde(default)]
    pub diskwrite: u64,
    /// Seconds since the guest's start.
    #[n(14)]
    #[serde(default)]
    pub uptime: u64,
    #[n(15)]
    #[serde(default)]
    pub tags: Vec<String>,
    /// Proxmox' config lock: backup, clone, create, migrate ...
    #[n(16)]
    #[serde(default)]
    pub lock: Option<String>,
    #[n(17)]
    #[serde(default)]
    pub pool: Option<String>,
    /// What high availability wants of it: started, stopped ...; `None` when it does not watch over it.
    #[n(18)]
    #[serde(default)]
    pub ha: Option<String>,
}

/// What runs inside a guest, as far as its provider knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    Linux,
    Windows,
    #[default]
    #[serde(other)]
    Unknown,
}

/// What can be done to a guest's power, and taking it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerAction {
    Start,
    Shutdown,
    Stop,
    Reboot,
    Suspend,
    Resume,
}

impl PowerAction {
    pub const ALL: [Self; 6] = [Self::Start, Self::Shutdown, Self::Reboot, Self::Suspend, Self::Resume, Self::Stop];

    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Shutdown => "shutdown",
            Self::Stop => "stop",
            Self::Reboot => "reboot",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    /// The word on the button.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Shutdown => "Shut down",
            Self::Stop => "Stop",
            Self::Reboot => "Reboot",
            Self::Suspend => "Suspend",
            Self::Resume => "Resume",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == text)
    }

    /// Why this makes no sense now, or `None` when it does.
    pub fn refusal(self, kind: GuestKind, state: &GuestState) -> Option<String> {
        if state.template {
            return Some("A template can't be started. Make a machine from it.".to_owned());
        }
        if let Some(lock) = &state.lock
            && !(lock == "suspended" && self == Self::Start)
        {
            return Some(match lock.as_str() {
                "suspended" => "It is hibernated. Start it first.".to_owned(),
                lock => format!("Proxmox has locked it ({lock}). Wait until that is done."),
            });
        }
        if matches!(self, Self::Suspend | Self::Resume) && kind == GuestKind::Lxc {
            return Some("Containers can't be suspended.".to_owned());
        }
        let fits = match self {
            Self::Start => matches!(state.status.as_str(), "stopped" | "suspended" | "unknown"),
            Self::Resume => matches!(state.status.as_str(), "paused" | "suspended"),
            Self::Shutdown | Self::Reboot | Self::Suspend => state.status == "running",
            Self::Stop => !matches!(state.status.as_str(), "stopped" | "suspended"),
        };
        (!fits).then(|| format!("It is {} now.", state.status))
    }
}

/// How a new guest's first disk comes to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum GuestSource {
    /// Cloned from a template; a linked clone is quick and shares the template's disk.
    Template { vmid: u32, full: bool },
    /// Blank disk, started from an ISO image (`local:iso/name.iso`).
    Iso { volid: String, ostype: String },
}

/// How the first network card gets its address (cloud-init; templates only).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum GuestAddress {
    Dhcp,
    /// `cidr` as `192.168.1.44/24`.
    Static {
        cidr: String,
        gateway: String,
    },
}

/// A wanted guest, after the form or the REST body was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSpec {
    pub name: String,
    pub node: String,
    pub source: GuestSource,
    /// 1 to 128.
    pub cores: u32,
    /// MiB, 16 to 8388608.
    pub memory: u64,
    /// GiB, 1 to 65536. A clone's disk only grows.
    pub disk: u64,
    /// Where the disk goes; for a full clone or a blank disk. `None`: where the template's disk is.
    pub storage: Option<String>,
    pub bridge: String,
    /// VLAN tag, 1 to 4094.
    pub vlan: Option<u16>,
    pub address: GuestAddress,
    /// The cloud-init user.
    pub user: Option<String>,
    /// That user's password, for a template of Windows. Kept apart from the job's arguments.
    #[serde(skip)]
    pub password: Option<StoredSecret>,
    /// The template's system is Windows: filled in when it was looked at.
    #[serde(default)]
    pub windows: bool,
    /// Public keys, one per line.
    #[serde(default)]
    pub ssh_keys: String,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub description: String,
    /// Start it when it is made.
    pub start: bool,
    /// What to install on it then. Not part of the job that makes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub software: Vec<Wish>,
    /// The hardware profile that it is made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileId>,
    /// What the profile sets beside the fields above, by its keys. Filled in when it is asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hardware: BTreeMap<String, String>,
    /// The profile's further disks. Filled in when it is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<MoreDisk>,
}

impl GuestSpec {
    /// Checks what depends on the system of the template that it is made from.
    ///
    /// # Errors
    /// `Invalid` on `user` or `password`.
    pub fn check_system(&self, system: System) -> Result<()> {
        let user = self.user.as_deref();
        match (system, user, &self.password) {
            (System::Windows, Some(user), _) if !is_windows_user(user) => Err(Error::field("user", WINDOWS_USER)),
            (System::Windows, Some(_), None) => {
                Err(Error::field("password", "Windows lets nobody in without a password. Give the user one."))
            }
            (System::Windows, None, Some(_)) => {
                Err(Error::field("user", "Whose password is it? Give the user's name."))
            }
            (System::Windows, _, Some(password)) if !is_password(&password.0) => {
                Err(Error::field("password", "Use 8 to 120 characters on one line."))
            }
            (System::Windows, ..) => Ok(()),
            (_, _, Some(_)) => Err(Error::field(
                "password",
                "A password is for Windows only. On other systems people sign in by SSH key.",
            )),
            (_, Some(user), None) if !is_unix_user(user) => Err(Error::field("user", UNIX_USER)),
            _ => Ok(()),
        }
    }

    /// Cores in all sockets.
    pub fn all_cores(&self) -> u64 {
        let sockets = self.hardware.get("sockets").and_then(|v| v.parse().ok()).unwrap_or(1);
        u64::from(self.cores).saturating_mul(sockets)
    }

    /// GiB of all disks.
    pub fn all_disks(&self) -> u64 {
        self.disks.iter().fold(self.disk, |sum, d| sum.saturating_add(d.gib))
    }

    /// Checks what can be checked without asking Proxmox. All wrong fields are named at once.
    ///
    /// # Errors
    /// `Invalid` with a sentence per field: name, cores, memory, disk, vlan, cidr, gateway, user, ssh_keys, tags.
    pub fn check(&self) -> Result<()> {
        let mut wrong: Vec<(&str, &str)> = Vec::new();
        if !is_dns_label(&self.name) {
            wrong.push(("name", "Use 1 to 63 letters, digits and dashes; no dash at either end."));
        }
        if !(1..=128).contains(&self.cores) {
            wrong.push(("cores", "Choose 1 to 128 cores."));
        }
        if !(16..=8_388_608).contains(&self.memory) {
            wrong.push(("memory", "Choose 16 MiB to 8 TiB."));
        }
        if !(1..=65_536).contains(&self.disk) {
            wrong.push(("disk", "Choose 1 to 65536 GiB."));
        }
        if self.vlan.is_some_and(|v| !(1..=4094).contains(&v)) {
            wrong.push(("vlan", "A VLAN tag is 1 to 4094."));
        }
        if let GuestAddress::Static { cidr, gateway } = &self.address {
            if !is_cidr(cidr) {
                wrong.push(("cidr", "Give address and prefix length, like 192.168.1.44/24."));
            }
            if !gateway.is_empty() && gateway.parse::<std::net::IpAddr>().is_err() {
                wrong.push(("gateway", "Give the router's address, like 192.168.1.1."));
            }
        }
        if self.user.as_deref().is_some_and(|u| !is_unix_user(u) && !is_windows_user(u)) {
            wrong.push(("user", UNIX_USER));
        }
        if !are_public_keys(&self.ssh_keys) {
            wrong.push(("ssh_keys", "Paste public keys as in authorized_keys, one per line: ssh-ed25519 AAAA..."));
        }
        if !self.tags.iter().all(|t| is_tag(t)) {
            wrong.push(("tags", "Tags use letters, digits, dash, dot, plus and underscore."));
        }
        if self.description.len() > 8000 {
            wrong.push(("description", "Use at most 8000 bytes."));
        }
        if !self.software.is_empty() {
            match &self.source {
                GuestSource::Iso { .. } => {
                    wrong.push(("software", "Software needs a system: choose a template, or install it later."));
                }
                _ if !self.start => {
                    wrong.push(("start", "Software can only be installed when the machine is started."))
                }
                _ => {}
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let start = Error::invalid("Please correct the marked fields.");
        Err(wrong.into_iter().fold(start, |e, (field, text)| e.with_field(field, text)))
    }
}

/// A DNS label as Proxmox wants a VM's name (dns-name allows dots too; one label keeps host names simple).
pub fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

pub fn is_cidr(text: &str) -> bool {
    text.split_once('/').is_some_and(|(ip, len)| match (ip.parse(), len.parse::<u8>()) {
        (Ok(std::net::IpAddr::V4(_)), Ok(n)) => n <= 32,
        (Ok(std::net::IpAddr::V6(_)), Ok(n)) => n <= 128,
        _ => false,
    })
}

/// A user's name as `adduser` takes it.
pub fn is_unix_user(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

const UNIX_USER: &str = "Use 1 to 32 small letters, digits, dashes or underscores, starting with a letter.";
const WINDOWS_USER: &str =
    "Use up to 20 characters, none of \" / \\ [ ] : ; | = , + * ? < > @, and no dot or blank at the end.";

/// A local user's name as Windows takes it.
pub fn is_windows_user(text: &str) -> bool {
    let plain = |c: char| !c.is_control() && !"\"/\\[]:;|=,+*?<>@".contains(c);
    (1..=20).contains(&text.encode_utf16().count())
        && text.chars().all(plain)
        && !text.ends_with(['.', ' '])
        && !text.starts_with(' ')
}

fn is_password(text: &str) -> bool {
    (8..=120).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Lines as in `authorized_keys`, without options; empty lines are fine.
pub fn are_public_keys(text: &str) -> bool {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).all(is_public_key)
}

fn is_public_key(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let kind = words.next().unwrap_or_default();
    let body = words.next().unwrap_or_default();
    (kind.starts_with("ssh-") || kind.starts_with("ecdsa-sha2-") || kind.starts_with("sk-"))
        && body.len() >= 32
        && body.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c))
}

/// A tag as Proxmox takes it: `[A-Za-z0-9_][A-Za-z0-9_.+-]*`.
pub fn is_tag(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn a_guest() -> Guest {
        Guest {
            id: GuestId::new(),
            connection: ConnectionId::new(),
            vmid: Some(100),
            kind: GuestKind::Qemu,
            name: "web-01".to_owned(),
            owner: None,
            created: Timestamp::ZERO,
            making: None,
            missing_since: None,
            last: None,
            profile: None,
        }
    }

    pub(crate) fn a_spec() -> GuestSpec {
        GuestSpec {
            name: "web-01".to_owned(),
            node: "pve1".to_owned(),
            source: GuestSource::Template { vmid: 9000, full: true },
            cores: 2,
            memory: 2048,
            disk: 16,
            storage: Some("local-lvm".to_owned()),
            bridge: "vmbr0".to_owned(),
            vlan: None,
            address: GuestAddress::Dhcp,
            user: Some("mira".to_owned()),
            password: None,
            windows: false,
            ssh_keys: String::new(),
            tags: Vec::new(),
            description: String::new(),
            start: true,
            software: Vec::new(),
            profile: None,
            hardware: BTreeMap::new(),
            disks: Vec::new(),
        }
    }

    #[test]
    fn a_machine_keeps_its_name_until_its_provider_knows_it() {
        let guest = a_guest();
        for listed in ["", "VM 100", "CT100"] {
            assert_eq!(guest.called(listed), "web-01", "{listed:?}");
        }
        assert_eq!(guest.called("web-02"), "web-02");
        assert_eq!(guest.called("VM 101"), "VM 101", "that is a name");
        let nameless = Guest { name: String::new(), ..a_guest() };
        assert_eq!(nameless.called("VM 100"), "VM 100");
        assert_eq!(Guest { making: Some(JobId::new()), ..a_guest() }.called("template"), "web-01");
    }

    #[test]
    fn a_wrong_spec_names_every_wrong_field_at_once() {
        let spec = GuestSpec { name: "-x".into(), cores: 0, vlan: Some(4095), ssh_keys: "no key".into(), ..a_spec() };
        let fields: Vec<_> = spec.check().unwrap_err().fields().keys().cloned().collect();
        assert_eq!(fields, ["cores", "name", "ssh_keys", "vlan"]);
        a_spec().check().unwrap();
    }

    #[test]
    fn who_signs_in_depends_on_the_system() {
        let spec = |user: Option<&str>, password: Option<&str>| GuestSpec {
            user: user.map(str::to_owned),
            password: password.map(|p| StoredSecret(p.to_owned())),
            ..a_spec()
        };
        let field = |system, user, password| {
            let told = spec(user, password).check_system(system).err();
            told.map(|e| e.fields().keys().next().cloned().unwrap())
        };
        let good = Some("Seven kettles 7");
        assert_eq!(field(System::Windows, Some("Jörg Meier"), good), None);
        assert_eq!(field(System::Windows, None, None), None, "as in the template");
        assert_eq!(field(System::Windows, Some("mira"), None).as_deref(), Some("password"));
        assert_eq!(field(System::Windows, Some("mira"), Some("short")).as_deref(), Some("password"));
        assert_eq!(field(System::Windows, Some("a@b"), good).as_deref(), Some("user"));
        assert_eq!(field(System::Linux, Some("mira"), good).as_deref(), Some("password"));
        assert_eq!(field(System::Unknown, Some("Jörg Meier"), None).as_deref(), Some("user"));
        assert!(!serde_json::to_string(&spec(Some("mira"), good)).unwrap().contains("kettles"));
        assert!(!format!("{:?}", spec(Some("mira"), good)).contains("kettles"));
    }

    #[test]
    fn power_actions_are_offered_by_state() {
        let mut state = GuestState { status: "running".into(), ..GuestState::default() };
        assert!(PowerAction::Start.refusal(GuestKind::Qemu, &state).is_some());
        assert!(PowerAction::Shutdown.refusal(GuestKind::Qemu, &state).is_none());
        assert!(PowerAction::Suspend.refusal(GuestKind::Lxc, &state).is_some());
        state.lock = Some("backup".into());
        assert!(PowerAction::Shutdown.refusal(GuestKind::Qemu, &state).unwrap().contains("backup"));
    }
}
