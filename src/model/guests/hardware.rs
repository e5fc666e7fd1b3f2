//! A machine's hardware and options, described without any provider's notation: what there is, what waits for a
//! restart, and what can be changed.

use super::{are_public_keys, is_cidr, is_dns_label, is_tag, is_unix_user};
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What kind of value a setting has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SettingKind {
    /// At most so many bytes, one line.
    Text(usize),
    /// At most so many bytes, several lines.
    Lines(usize),
    /// A whole number, both ends included.
    Number(u64, u64),
    /// A number with fractions.
    Decimal(f64, f64),
    /// `1` or `0`.
    Switch,
    /// One of what the provider offers.
    Choice,
    /// Words with blanks between.
    Tags,
    /// A machine's name.
    Name,
    /// Public SSH keys, one per line.
    Keys,
    /// Keys of disks and network cards with blanks between, the first one first.
    Order,
    /// Shown, not changed.
    Fixed,
}

/// One value that a machine can have. The provider says which of them it has and how each takes effect.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: &'static str,
    pub group: &'static str,
    pub label: &'static str,
    pub unit: &'static str,
    pub hint: &'static str,
    pub kind: SettingKind,
    /// May be empty, which means: as if it was never set.
    pub optional: bool,
}

const fn setting(key: &'static str, group: &'static str, label: &'static str, kind: SettingKind) -> Setting {
    Setting { key, group, label, unit: "", hint: "", kind, optional: true }
}

impl Setting {
    const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    const fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    const fn required(self) -> Self {
        Self { optional: false, ..self }
    }
}

use SettingKind::{Choice, Decimal, Fixed, Keys, Lines, Name, Number, Order, Switch, Tags, Text};

/// Every setting there is, in the order of the page.
pub const SETTINGS: [Setting; 51] = [
    setting("cores", "Processor", "Cores", Number(1, 512)).hint("For each socket, where it has several."),
    setting("sockets", "Processor", "Sockets", Number(1, 16)).hint("1 suits nearly all machines."),
    setting("cpus", "Processor", "Cores in use", Number(1, 8192)).hint("At most cores × sockets. Empty: all of them."),
    setting("cpu_limit", "Processor", "Limit", Decimal(0.0, 512.0))
        .unit("cores")
        .hint("0: no limit. 1.5 is one and a half cores' worth of time."),
    setting("cpu_share", "Processor", "Weight", Number(1, 262_144))
        .hint("When the node is busy, more weight gets more time. Usually 100."),
    setting("cpu_type", "Processor", "Type", Text(120))
        .hint("host is quickest; x86-64-v2-AES moves between different nodes."),
    setting("numa", "Processor", "NUMA", Switch).hint("Needed for memory that grows while it runs."),
    setting("memory", "Memory", "Memory", Number(16, 8_388_608)).unit("MiB").required(),
    setting("memory_now", "Memory", "Memory in use", Number(16, 8_388_608))
        .unit("MiB")
        .hint("At most its memory; a running machine gives the rest back to its host. Empty: all of it."),
    setting("memory_min", "Memory", "At least", Number(0, 8_388_608))
        .unit("MiB")
        .hint("A busy node may take memory back down to this. 0: never."),
    setting("swap", "Memory", "Swap", Number(0, 8_388_608)).unit("MiB"),
    setting("boot", "Start", "Boot order", Order).hint("Disks and network cards, first to last, with blanks between."),
    setting("start_at_boot", "Start", "Start with the node", Switch),
    setting("start_order", "Start", "Start order", Text(60))
        .hint("order=1,up=30,down=60: place, and seconds to wait after its start and for its shutdown."),
    setting("hotplug", "Start", "Change while it runs", Text(80))
        .hint("Of network, disk, usb, cpu, memory, cloudinit, with blanks between."),
    setting("name", "Options", "Name", Name).required(),
    setting("tags", "Options", "Tags", Tags).hint("Words with blanks between."),
    setting("description", "Options", "Notes", Lines(8192)),
    setting("protection", "Options", "Protected", Switch).hint("Neither the machine nor its disks can be deleted."),
    setting("agent", "Options", "Guest agent", Switch)
        .hint("A small program inside tells addresses and shuts down cleanly."),
    setting("ostype", "Options", "System", Choice),
    setting("display", "Options", "Display", Choice),
    setting("scsi", "Options", "Disk controller", Choice),
    setting("firmware", "Options", "Firmware", Fixed),
    setting("machine", "Options", "Machine type", Fixed),
    setting("unprivileged", "Options", "Unprivileged", Fixed),
    setting("arch", "Options", "Architecture", Fixed),
    setting("ci_user", "First start", "User", Text(32)),
    setting("ci_keys", "First start", "SSH keys", Keys),
    setting("ci_address", "First start", "Address", Text(64))
        .hint("dhcp, or address and prefix length like 192.168.1.44/24."),
    setting("ci_gateway", "First start", "Router", Text(64)),
    setting("ci_dns", "First start", "Name servers", Text(256)),
    setting("ci_domain", "First start", "Search domain", Text(256)),
    setting("ci_upgrade", "First start", "Upgrade packages", Switch).hint("At the first start; it takes minutes."),
    setting("snapshot_storage", "Options", "Storage for memory", Text(100))
        .hint("Where memory goes on snapshots and hibernation. Empty: chosen by Proxmox."),
    setting("pci", "Options", "PCI devices", Text(200))
        .hint("Names of Proxmox' resource mappings with blanks between. Empty: none."),
    setting("smbios_manufacturer", "Identity", "Manufacturer", Text(40))
        .hint("What programs inside are told (SMBIOS)."),
    setting("smbios_product", "Identity", "Product", Text(40)),
    setting("smbios_version", "Identity", "Version", Text(40)),
    setting("smbios_serial", "Identity", "Serial number", Text(40)),
    setting("smbios_sku", "Identity", "Article number (SKU)", Text(40)),
    setting("smbios_family", "Identity", "Family", Text(40)),
    setting("smbios_uuid", "Identity", "UUID", Fixed),
    // Of the disk that it boots from and of its first network card; pages show them with those.
    setting("disk_cache", "First disk", "Cache", Choice),
    setting("disk_discard", "First disk", "Give deleted room back", Switch),
    setting("disk_ssd", "First disk", "Looks like an SSD", Switch),
    setting("disk_iothread", "First disk", "A thread of its own", Switch),
    setting("nic_model", "Network card", "Model", Choice).required(),
    setting("bridge", "Network card", "Bridge", Text(40)).required(),
    setting("vlan", "Network card", "VLAN tag", Number(0, 4094)).hint("0: none."),
    setting("nic_firewall", "Network card", "Proxmox firewall", Switch),
];

/// The setting of that key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.key == key)
}

/// Checks wished values; all wrong ones are named at once.
///
/// # Errors
/// `Invalid` with a sentence per key.
pub fn check(values: &BTreeMap<String, String>) -> Result<()> {
    if values.is_empty() {
        return Err(Error::invalid("Nothing is to be changed."));
    }
    let wrong: Vec<(&String, String)> =
        values.iter().filter_map(|(key, value)| wrong(key, value).map(|text| (key, text))).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let start = Error::invalid("Please correct the marked fields.");
    Err(wrong.into_iter().fold(start, |e, (key, text)| e.with_field(key, text)))
}

fn wrong(key: &str, value: &str) -> Option<String> {
    let Some(setting) = find(key) else { return Some("There is no such setting.".to_owned()) };
    if value.is_empty() {
        return (!setting.optional).then(|| "This can't be empty.".to_owned());
    }
    // Line breaks would end a value in most notations.
    let lines = matches!(setting.kind, Lines(_) | Keys);
    if value.contains(|c: char| c.is_control() && !(lines && matches!(c, '\n' | '\t'))) {
        return Some("This has characters that can't be shown.".to_owned());
    }
    let whole = |min: u64, max: u64| {
        let fits = value.parse::<u64>().is_ok_and(|n| (min..=max).contains(&n));
        (!fits).then(|| format!("Give a whole number from {min} to {max}."))
    };
    match setting.kind {
        Number(min, max) => whole(min, max),
        Decimal(min, max) => {
            let fits = value.parse::<f64>().is_ok_and(|n| n >= min && n <= max);
            (!fits).then(|| format!("Give a number from {min} to {max}."))
        }
        Text(most) | Lines(most) if value.len() > most => Some(format!("Use at most {most} bytes.")),
        Switch => (!matches!(value, "0" | "1")).then(|| "Give 0 or 1.".to_owned()),
        Name => {
            (!is_dns_label(value)).then(|| "Use 1 to 63 letters, digits and dashes; no dash at either end.".to_owned())
        }
        Tags => {
            (!words(value).all(is_tag)).then(|| "Tags use letters, digits, dash, dot, plus and underscore.".to_owned())
        }
        Keys => (!are_public_keys(value))
            .then(|| "Paste public keys as in authorized_keys, one per line: ssh-ed25519 AAAA...".to_owned()),
        Order => {
            let plain = |w: &str| w.chars().all(|c| c.is_ascii_alphanumeric());
            (!words(value).all(plain)).then(|| "Name disks and network cards, like: scsi0 net0".to_owned())
        }
        Fixed => Some("This can't be changed on an existing machine.".to_owned()),
        Choice => {
            let plain = value.len() <= 60 && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+=".contains(c));
            (!plain).then(|| "Choose one from the list.".to_owned())
        }
        Text(_) | Lines(_) => by_key(key, value),
    }
}

/// What single texts must look like.
fn by_key(key: &str, value: &str) -> Option<String> {
    let addresses = |v: &str| words(v).all(|w| w.parse::<std::net::IpAddr>().is_ok());
    match key {
        "ci_user" => (!is_unix_user(value))
            .then(|| "Use 1 to 32 small letters, digits, dashes or underscores, starting with a letter.".to_owned()),
        "ci_address" => (value != "dhcp" && !is_cidr(value))
            .then(|| "Give dhcp, or address and prefix length, like 192.168.1.44/24.".to_owned()),
        "ci_gateway" => value
            .parse::<std::net::IpAddr>()
            .is_err()
            .then(|| "Give the router's address, like 192.168.1.1.".to_owned()),
        "ci_dns" => (!addresses(value)).then(|| "Give addresses with blanks between, like 192.168.1.1.".to_owned()),
        "start_order" => {
            let part = |p: &str| {
                let (name, n) = p.split_once('=').unwrap_or(("order", p));
                matches!(name, "order" | "up" | "down") && n.parse::<u32>().is_ok()
            };
            (!value.split(',').all(part)).then(|| "Write it like order=1,up=30,down=60.".to_owned())
        }
        "hotplug" => {
            const KNOWN: [&str; 7] = ["network", "disk", "usb", "cpu", "memory", "cloudinit", "0"];
            (!words(value).all(|w| KNOWN.contains(&w)))
                .then(|| "Name some of network, disk, usb, cpu, memory, cloudinit; 0 for none.".to_owned())
        }
        "pci" => {
            let id = |w: &str| {
                w.len() > 1
                    && w.starts_with(|c: char| c.is_ascii_alphabetic())
                    && w.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
            };
            (words(value).count() > 16 || !words(value).all(id))
                .then(|| "Give names of resource mappings, 16 at most: letters, digits, dashes.".to_owned())
        }
        "bridge" => (!value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)))
            .then(|| "Use letters, digits, dots and dashes.".to_owned()),
        "cpu_type" => {
            (!is_cpu_type(value)).then(|| "Write it like host, or x86-64-v2-AES,flags=+aes;-pcid.".to_owned())
        }
        "snapshot_storage" => {
            let plain = value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            (!plain).then(|| "Use letters, digits and dashes.".to_owned())
        }
        _ => None,
    }
}

/// A CPU type, and what Proxmox' schema of `cpu` knows beside it.
fn is_cpu_type(value: &str) -> bool {
    let mut parts = value.split(',');
    let plain = |t: &str, more: &str| {
        !t.is_empty() && t.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || more.contains(c))
    };
    let known = ["flags", "hidden", "hv-vendor-id", "phys-bits", "reported-model"];
    parts.next().is_some_and(|name| plain(name.strip_prefix("cputype=").unwrap_or(name), "."))
        && parts.all(|p| p.split_once('=').is_some_and(|(key, v)| known.contains(&key) && plain(v, "+;")))
}

/// Words between blanks, commas or semicolons.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',', ';']).filter(|w| !w.is_empty())
}

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
    /// A key of [`SETTINGS`].
    pub key: String,
    /// What it runs with now.
    pub current: String,
    /// What it has after the next restart, when that is something else.
    #[serde(default)]
    pub pending: Option<String>,
    /// A change now takes effect at once.
    #[serde(default)]
    pub live: bool,
    /// Why not at once, or what to mind, as a sentence.
    #[serde(default)]
    pub why: String,
    /// What can be chosen, where that is a list.
    #[serde(default)]
    pub options: Vec<String>,
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
    /// What waits for a restart: `new`, `removed`, `changed`.
    #[serde(default)]
    pub pending: Option<String>,
    /// Whether it can be taken off a running machine; `None`: as its key says, `scsi` and `virtio` can.
    #[serde(default)]
    pub hot: Option<bool>,
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
    /// The provider's keys that wait for a restart, for taking them back.
    #[serde(default)]
    pub waiting: Vec<String>,
    /// Disks on buses that can be plugged (scsi, virtio) come and go while it runs; see also [`Disk::hot`].
    #[serde(default)]
    pub disks_live: bool,
    #[serde(default)]
    pub nics_live: bool,
}

/// The answer of the `guest_change_plan` hook: values that are as wished already are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plan {
    /// What was looked at; sent back with the change.
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
    /// Whether a disk can be taken off now, while the machine runs.
    pub fn is_hot(&self, disk: &Disk) -> bool {
        let by_key = disk.key.starts_with("scsi") || disk.key.starts_with("virtio");
        self.disks_live && disk.hot.unwrap_or(by_key)
    }

    pub fn value(&self, key: &str) -> Option<&HardwareValue> {
        self.values.iter().find(|v| v.key == key)
    }
}

/// What one wished value would do, as the provider's `guest_change_plan` hook says.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_keys(pairs: &[(&str, &str)]) -> Vec<String> {
        let values = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        check(&values).err().map(|e| e.fields().keys().cloned().collect()).unwrap_or_default()
    }

    #[test]
    fn every_wrong_value_is_named_at_once() {
        let bad =
            [("cores", "0"), ("memory", ""), ("name", "-x"), ("tags", "a b;ü"), ("cpu_limit", "many"), ("flying", "1")];
        assert_eq!(wrong_keys(&bad), ["cores", "cpu_limit", "flying", "memory", "name", "tags"]);
        let good = [
            ("cores", "4"),
            ("cpu_limit", "1.5"),
            ("tags", "a b"),
            ("start_order", "order=1,up=30"),
            ("protection", "1"),
        ];
        assert!(wrong_keys(&good).is_empty(), "{:?}", wrong_keys(&good));
    }

    #[test]
    fn a_value_can_not_carry_another_one() {
        assert_eq!(wrong_keys(&[("cpu_type", "host\nargs: -x")]), ["cpu_type"]);
        assert_eq!(wrong_keys(&[("firmware", "ovmf")]), ["firmware"]);
        assert!(wrong_keys(&[("description", "two\nlines")]).is_empty());
    }

    #[test]
    fn no_key_is_there_twice() {
        let keys: std::collections::BTreeSet<_> = SETTINGS.iter().map(|s| s.key).collect();
        assert_eq!(keys.len(), SETTINGS.len());
    }
}
