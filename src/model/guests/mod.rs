//! Guests: Proxmox's word for virtual machines and containers.

pub mod actions;
pub mod addresses;
pub mod create;
pub mod forgotten;
pub mod hardware;
pub mod keys;
pub mod moving;
pub mod settings;
pub mod snapshots;

pub use actions::{ActionKind, GuestAction};
pub use create::{GuestAddress, GuestRequest, GuestSource, GuestSpec};

use crate::lenient;
use base::Timestamp;
use base::ids::{ConnectionId, GuestId, JobId, ProfileId, UserId};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
#[strum(serialize_all = "lowercase")]
pub enum GuestKind {
    /// A virtual machine.
    #[n(0)]
    Vm,
    /// A container.
    #[n(1)]
    Container,
}

impl GuestKind {
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Vm => "VM",
            Self::Container => "Container",
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
    /// Proxmox's number, 100 to 999999999; `None` until a wanted guest has got one.
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
    /// The job that is creating this guest; cleared once it exists.
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
    /// One that is still to be created: without a number and a state.
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

    /// What it is called, when its provider's list says `listed`: nothing for a machine without a name, or one that is
    /// not complete yet. Without any name its number is used.
    pub fn called(&self, listed: &str) -> String {
        let mut names = [listed, &self.name];
        if self.making.is_some() {
            names.reverse();
        }
        match names.into_iter().find(|n| !n.is_empty()) {
            Some(name) => name.to_owned(),
            None => self.vmid.map(|v| format!("Machine {v}")).unwrap_or_default(),
        }
    }
}

/// What a filter of machines can ask for by key, as in `tag:web`.
pub const FILTER_KEYS: [&str; 9] = ["status", "node", "tag", "name", "id", "owner", "pool", "kind", "is"];

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
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub cpu: f64,
    #[n(5)]
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub maxcpu: f64,
    #[n(6)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub mem: u64,
    #[n(7)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub maxmem: u64,
    #[n(8)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub disk: u64,
    #[n(9)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub maxdisk: u64,
    #[n(10)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub netin: u64,
    #[n(11)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub netout: u64,
    #[n(12)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub diskread: u64,
    #[n(13)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub diskwrite: u64,
    /// Seconds since the guest's start.
    #[n(14)]
    #[serde(default, deserialize_with = "lenient::whole")]
    pub uptime: u64,
    #[n(15)]
    #[serde(default)]
    pub tags: Vec<String>,
    /// Proxmox's config lock: backup, clone, create ...
    #[n(16)]
    #[serde(default)]
    pub lock: Option<String>,
    #[n(17)]
    #[serde(default)]
    pub pool: Option<String>,
    /// What high availability wants of it: started, stopped ...; `None` when it does not manage it.
    #[n(18)]
    #[serde(default)]
    pub ha: Option<String>,
}

impl GuestState {
    /// Its provider does not know in which state it is; asked about this one machine it will.
    pub fn is_unknown(&self) -> bool {
        self.status == "unknown"
    }

    /// A list that knows nothing of a machine but that it is there takes nothing from what was known of it.
    pub fn keep(&mut self, last: &Self) {
        if self.is_unknown() && self.name.is_empty() {
            let (name, template) = (last.name.clone(), last.template);
            let amounts = (last.maxcpu, last.maxmem, last.maxdisk);
            (self.name, self.template, (self.maxcpu, self.maxmem, self.maxdisk)) = (name, template, amounts);
        }
    }

    /// It is in this state now; what only a running machine uses is none otherwise.
    pub fn stands(&mut self, status: &str) {
        status.clone_into(&mut self.status);
        if status != "running" {
            (self.cpu, self.mem, self.uptime) = (0.0, 0, 0);
        }
    }
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

/// A machine's name is its host name, with or without its domain (RFC 1123), as Proxmox takes it too. An address is none.
pub fn is_host_name(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label) && text.parse::<std::net::Ipv4Addr>().is_err()
}

/// A name for the `n`th copy of a machine, in its domain.
pub fn copy_name(name: &str, n: u32) -> String {
    let (host, domain) = name.split_at(name.find('.').unwrap_or(name.len()));
    let number = if n > 1 { format!("-{n}") } else { String::new() };
    // 63 letters are the most before a dot.
    let host: String = host.chars().take(54).collect();
    format!("{}-copy{number}{domain}", host.trim_end_matches('-'))
}

pub const HOST_NAME: &str =
    "Use letters, digits and dashes, like web-01 or web-01.example.org: up to 63 between dots, no dash at either end.";

/// A user's name as `adduser` takes it.
pub fn is_unix_user(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

pub(crate) const UNIX_USER: &str =
    "Use 1 to 32 lowercase letters, digits, dashes or underscores, starting with a letter.";
pub(crate) const WINDOWS_USER: &str =
    "Use up to 20 characters, none of \" / \\ [ ] : ; | = , + * ? < > @, and no dot or space at the end.";

/// A local user's name as Windows takes it.
pub fn is_windows_user(text: &str) -> bool {
    let plain = |c: char| !c.is_control() && !"\"/\\[]:;|=,+*?<>@".contains(c);
    (1..=20).contains(&text.encode_utf16().count())
        && text.chars().all(plain)
        && !text.ends_with(['.', ' '])
        && !text.starts_with(' ')
}

pub(crate) fn is_password(text: &str) -> bool {
    (8..=120).contains(&text.chars().count()) && !text.chars().any(char::is_control)
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
            kind: GuestKind::Vm,
            name: "web-01".to_owned(),
            owner: None,
            created: Timestamp::ZERO,
            making: None,
            missing_since: None,
            last: None,
            profile: None,
        }
    }

    #[test]
    fn a_machine_may_be_called_by_its_whole_host_name() {
        let long = format!("{}.{}", "a".repeat(63), "b".repeat(63));
        for good in
            ["web-01", "Web", "web-01.example.org", "3d", "4.pool", long.as_str(), &format!("{long}.{long}")[..253]]
        {
            assert!(is_host_name(good), "{good}");
        }
        let (label, whole) = ("a".repeat(64), format!("{long}.{long}"));
        for bad in
            ["", "-a", "a-", "a..b", ".a", "a.", "a.-b", "a_b", "10.0.0.5", "büro", "a\u{202e}b", "a\0", &label, &whole]
        {
            assert!(!is_host_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_copy_is_in_the_same_domain() {
        assert_eq!((copy_name("web-01", 1), copy_name("web-01", 3)), ("web-01-copy".into(), "web-01-copy-3".into()));
        assert_eq!(copy_name("web-01.example.org", 2), "web-01-copy-2.example.org");
        assert!(
            is_host_name(&copy_name(&"a".repeat(63), 999))
                && is_host_name(&copy_name(&format!("{}-b", "a".repeat(53)), 1))
        );
    }

    #[test]
    fn a_machine_keeps_its_name_until_its_provider_knows_it() {
        let guest = a_guest();
        assert_eq!(guest.called(""), "web-01");
        assert_eq!(guest.called("web-02"), "web-02");
        let nameless = Guest { name: String::new(), ..a_guest() };
        assert_eq!(nameless.called(""), "Machine 100");
        assert_eq!(Guest { making: Some(JobId::new()), ..a_guest() }.called("template"), "web-01");
    }
}
