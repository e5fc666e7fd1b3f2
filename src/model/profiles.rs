//! Hardware profiles: named sizes and hardware for new machines, described without any provider's notation. What a
//! profile leaves open stays as the template has it, or as the person chooses.

use crate::guests::GuestSpec;
use crate::guests::hardware::words;
use base::amounts::count;
use base::ids::ProfileId;
use base::{Error, Result, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What kind of value a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A whole number, both ends included.
    Number(u64, u64),
    /// `1` or `0`.
    Switch,
    /// One of these: value and words.
    Choice(&'static [(&'static str, &'static str)]),
    /// At most so many bytes, one line.
    Text(usize),
}

/// What becomes of a field when the profile is applied to a machine that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is changed, at once or with the next restart.
    Change,
    /// Only when disks are asked for too.
    Disks,
    /// It stays; the sentence says why.
    Stays(&'static str),
}

/// One thing that a profile can set.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub key: &'static str,
    pub group: &'static str,
    pub label: &'static str,
    pub unit: &'static str,
    pub hint: &'static str,
    pub kind: FieldKind,
    pub existing: Existing,
}

const fn field(group: &'static str, key: &'static str, label: &'static str, kind: FieldKind) -> Field {
    Field { key, group, label, unit: "", hint: "", kind, existing: Existing::Change }
}

impl Field {
    const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    const fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    const fn existing(self, existing: Existing) -> Self {
        Self { existing, ..self }
    }
}

use Existing::{Disks, Stays};
use FieldKind::{Choice, Number, Switch, Text};

/// The groups of the form, in its order.
pub const GROUPS: [&str; 7] =
    ["Processor", "Memory", "First disk", "Network card", "System", "Identity", "Devices of the node"];

const CACHES: &[(&str, &str)] = &[
    ("none", "none (usual)"),
    ("writeback", "writeback: quick, unsafe without power"),
    ("writethrough", "writethrough: slow, safe"),
    ("directsync", "directsync: slowest"),
    ("unsafe", "unsafe: only for what may be lost"),
];
const MODELS: &[(&str, &str)] = &[
    ("virtio", "virtio (quickest)"),
    ("e1000", "Intel e1000"),
    ("e1000e", "Intel e1000e"),
    ("rtl8139", "Realtek 8139"),
    ("vmxnet3", "VMware vmxnet3"),
];
const SYSTEMS: &[(&str, &str)] = &[
    ("l26", "Linux"),
    ("win11", "Windows 11 or Server 2022, 2025"),
    ("win10", "Windows 10 or Server 2016, 2019"),
    ("win8", "Windows 8 or Server 2012"),
    ("win7", "Windows 7 or Server 2008 R2"),
    ("solaris", "Solaris"),
    ("other", "Another"),
];
const DISPLAYS: &[(&str, &str)] = &[
    ("std", "Standard"),
    ("virtio", "virtio"),
    ("virtio-gl", "virtio with 3D"),
    ("qxl", "SPICE"),
    ("vmware", "VMware"),
    ("cirrus", "Cirrus (very old systems)"),
    ("serial0", "Serial line instead of a screen"),
    ("none", "None"),
];
const CONTROLLERS: &[(&str, &str)] = &[
    ("virtio-scsi-single", "virtio SCSI, one per disk (quickest)"),
    ("virtio-scsi-pci", "virtio SCSI"),
    ("lsi", "LSI 53C895A"),
    ("lsi53c810", "LSI 53C810"),
    ("megasas", "MegaRAID SAS"),
    ("pvscsi", "VMware PVSCSI"),
];
const WAKES: &str = "The system inside would not find its disk or would not start.";
const NEW_ONLY: &str = "Only a new machine gets it.";

/// Every field there is, in the order of the form.
pub const FIELDS: [Field; 35] = [
    field("Processor", "cores", "Cores", Number(1, 128)).hint("For each socket."),
    field("Processor", "sockets", "Sockets", Number(1, 16)).hint("1 suits nearly all machines."),
    field("Processor", "cpu_type", "Type", Text(120)).hint("host is quickest; x86-64-v2-AES moves between nodes."),
    field("Processor", "numa", "NUMA", Switch).hint("Needed for memory that grows while it runs."),
    field("Memory", "memory", "Memory", Number(16, 8_388_608)).unit("MiB").hint("1024 MiB are 1 GiB."),
    field("Memory", "memory_min", "At least", Number(0, 8_388_608))
        .unit("MiB")
        .hint("A busy node may take memory back down to this. 0: never."),
    field("First disk", "disk", "Size", Number(1, 65_536))
        .unit("GiB")
        .hint("A template's disk grows to this; it never gets smaller.")
        .existing(Disks),
    field("First disk", "storage", "Storage", Text(100))
        .hint("Empty: where the template's disk is.")
        .existing(Stays("Move the disk on the machine's hardware tab.")),
    field("First disk", "disk_cache", "Cache", Choice(CACHES)),
    field("First disk", "disk_discard", "Give deleted room back", Switch).hint("discard"),
    field("First disk", "disk_ssd", "Looks like an SSD", Switch).hint("Not for virtio disks."),
    field("First disk", "disk_iothread", "A thread of its own", Switch).hint("iothread"),
    field("Network card", "bridge", "Bridge", Text(40)).hint("Like vmbr0."),
    field("Network card", "vlan", "VLAN tag", Number(0, 4094)).hint("0: none."),
    field("Network card", "nic_model", "Model", Choice(MODELS)),
    field("Network card", "mac_prefix", "Hardware address", Text(8))
        .hint("Empty: automatic. Or how it begins, like 52:54:00; the rest comes from the machine's number.")
        .existing(Stays("A machine keeps its address.")),
    field("Network card", "nic_firewall", "Proxmox firewall", Switch),
    field("System", "ostype", "System inside", Choice(SYSTEMS)),
    field("System", "machine", "Machine type", Choice(&[("q35", "q35 (newer)"), ("i440fx", "i440fx (older)")]))
        .existing(Stays(WAKES)),
    field("System", "firmware", "Firmware", Choice(&[("seabios", "BIOS (SeaBIOS)"), ("ovmf", "UEFI (OVMF)")]))
        .hint("The template must be able to start with it.")
        .existing(Stays(WAKES)),
    field("System", "secure_boot", "Secure Boot keys", Switch).hint("Only with UEFI.").existing(Stays(NEW_ONLY)),
    field("System", "tpm", "Security chip (TPM 2.0)", Switch).hint("Windows 11 wants one.").existing(Stays(NEW_ONLY)),
    field("System", "display", "Display", Choice(DISPLAYS)),
    field("System", "scsi", "Disk controller", Choice(CONTROLLERS)),
    field("System", "agent", "Guest agent", Switch)
        .hint("A small program inside tells addresses and shuts down cleanly."),
    field("System", "hotplug", "Change while it runs", Text(80))
        .hint("Of network, disk, usb, cpu, memory, cloudinit, with blanks between; 0 for none."),
    field("Identity", "smbios_manufacturer", "Manufacturer", Text(40)).hint("What programs inside are told (SMBIOS)."),
    field("Identity", "smbios_product", "Product", Text(40)),
    field("Identity", "smbios_version", "Version", Text(40)),
    field("Identity", "smbios_serial", "Serial number", Text(40)),
    field("Identity", "smbios_sku", "Article number (SKU)", Text(40)),
    field("Identity", "smbios_family", "Family", Text(40)),
    field("Identity", "smbios_uuid", "UUID", Text(36))
        .hint("Empty: each machine its own. A fixed one is for a machine that takes another's place.")
        .existing(Stays("A machine keeps its UUID.")),
    field("Devices of the node", "pci", "PCI devices", Text(200)).hint(
        "Names of Proxmox' resource mappings (Datacenter, Resource Mappings), with blanks between: a graphics card.",
    ),
    field("Devices of the node", "disks", "Further disks", Text(0)).existing(Disks),
];

/// What every provider's new machines can have.
pub const BASIC: [&str; 6] = ["cores", "memory", "disk", "storage", "bridge", "vlan"];

/// The field of that key.
pub fn find(key: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|f| f.key == key)
}

/// A disk beside the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoreDisk {
    /// GiB, 1 to 65536.
    #[n(0)]
    pub gib: u64,
    /// `None`: where the first disk is.
    #[n(1)]
    #[serde(default)]
    pub storage: Option<String>,
    /// none, writeback, writethrough, directsync, unsafe.
    #[n(2)]
    #[serde(default)]
    pub cache: Option<String>,
    #[n(3)]
    #[serde(default)]
    pub discard: Option<bool>,
    #[n(4)]
    #[serde(default)]
    pub ssd: Option<bool>,
    #[n(5)]
    #[serde(default)]
    pub iothread: Option<bool>,
}

/// The most further disks of a profile: a SATA controller has room for six in all.
pub const MOST_DISKS: usize = 5;

/// A profile as an admin wishes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileWish {
    pub name: String,
    #[serde(default)]
    pub note: String,
    /// By keys of [`FIELDS`]; what is not here or empty is left open.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Keys that only admins may change.
    #[serde(default)]
    pub locked: BTreeSet<String>,
    #[serde(default)]
    pub disks: Vec<MoreDisk>,
}

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Profile {
    #[n(0)]
    pub id: ProfileId,
    #[n(1)]
    pub name: String,
    /// What it is for, in the admin's words.
    #[n(2)]
    pub note: String,
    #[n(3)]
    pub values: BTreeMap<String, String>,
    #[n(4)]
    pub locked: Vec<String>,
    #[n(5)]
    pub disks: Vec<MoreDisk>,
    #[n(6)]
    pub created: Timestamp,
    #[n(7)]
    pub changed: Timestamp,
    /// Who changed it last.
    #[n(8)]
    pub by: String,
}

impl ProfileWish {
    /// Without empty values and blanks round texts.
    #[must_use]
    pub fn tidy(mut self) -> Self {
        self.name = self.name.trim().to_owned();
        self.note = self.note.trim().to_owned();
        for value in self.values.values_mut() {
            *value = value.trim().to_owned();
        }
        self.values.retain(|_, v| !v.is_empty());
        if let Some(prefix) = self.values.get_mut("mac_prefix") {
            *prefix = prefix.to_uppercase();
        }
        self
    }

    /// Checks everything that needs no provider. All wrong fields are named at once: `name`, `note`, keys of values,
    /// `disks.0.gib` and so on.
    ///
    /// # Errors
    /// `Invalid` with a sentence per field.
    pub fn check(&self) -> Result<()> {
        let mut wrong: Vec<(String, String)> = Vec::new();
        if !(1..=60).contains(&self.name.chars().count()) || self.name.chars().any(char::is_control) {
            wrong.push(("name".into(), "Give it a name of 1 to 60 letters.".into()));
        }
        if self.note.len() > 400 || self.note.chars().any(char::is_control) {
            wrong.push(("note".into(), "Use at most 400 bytes in one line.".into()));
        }
        wrong.extend(self.values.iter().filter_map(|(k, v)| Some((k.clone(), wrong_value(k, v)?))));
        wrong.extend(self.wrong_together());
        if self.disks.len() > MOST_DISKS {
            wrong.push(("disks".into(), format!("At most {MOST_DISKS} further disks.")));
        }
        for (n, disk) in self.disks.iter().enumerate() {
            wrong.extend(wrong_disk(disk).map(|(name, text)| (format!("disks.{n}.{name}"), text)));
        }
        for key in &self.locked {
            let set = if key == "disks" { !self.disks.is_empty() } else { self.values.contains_key(key) };
            match find(key) {
                None => wrong.push(("locked".into(), format!("There is no field {key}."))),
                Some(_) if !set => wrong.push((key.clone(), "To fix it for everybody, give it a value.".into())),
                Some(_) => {}
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let start = Error::invalid("Please correct the marked fields.");
        Err(wrong.into_iter().fold(start, |e, (name, text)| e.with_field(&name, text)))
    }

    /// Values that are fine alone and not together.
    fn wrong_together(&self) -> Vec<(String, String)> {
        let value = |key: &str| self.values.get(key).map(String::as_str);
        let number = |key: &str| value(key).and_then(|v| v.parse::<u64>().ok());
        let mut wrong: Vec<(&str, &str)> = Vec::new();
        if let (Some(least), Some(memory)) = (number("memory_min"), number("memory"))
            && least > memory
        {
            wrong.push(("memory_min", "This can't be more than the memory."));
        }
        if value("secure_boot") == Some("1") && value("firmware") != Some("ovmf") {
            wrong.push(("secure_boot", "This needs UEFI as firmware."));
        }
        let moves = value("hotplug").is_some_and(|v| words(v).any(|w| w == "memory"));
        if moves && value("numa") == Some("0") {
            wrong.push(("numa", "Memory that changes while it runs needs this."));
        }
        if number("cores").unwrap_or(1).saturating_mul(number("sockets").unwrap_or(1)) > 512 {
            wrong.push(("sockets", "Cores times sockets can be 512 at most."));
        }
        wrong.into_iter().map(|(k, t)| (k.to_owned(), t.to_owned())).collect()
    }
}

/// A storage's or bridge's name; a comma would end the value in Proxmox' notation.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 100 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn wrong_disk(disk: &MoreDisk) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let size = !(1..=65_536).contains(&disk.gib);
    let storage = disk.storage.as_deref().is_some_and(|s| !is_name(s));
    let cache = disk.cache.as_deref().is_some_and(|c| !CACHES.iter().any(|(known, _)| *known == c));
    let all = [
        (size, "gib", "Choose 1 to 65536 GiB."),
        (storage, "storage", "Use letters, digits, dots and dashes."),
        (cache, "cache", "Choose one from the list."),
    ];
    all.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, name, text)| (name, text.to_owned()))
}

fn wrong_value(key: &str, value: &str) -> Option<String> {
    let Some(field) = find(key).filter(|f| f.key != "disks") else {
        return Some("There is no such field.".to_owned());
    };
    if value.chars().any(char::is_control) {
        return Some("This has characters that can't be shown.".to_owned());
    }
    match field.kind {
        Number(min, max) => {
            let fits = value.parse::<u64>().is_ok_and(|n| (min..=max).contains(&n));
            (!fits).then(|| format!("Give a whole number from {min} to {max}."))
        }
        Switch => (!matches!(value, "0" | "1")).then(|| "Give 0 or 1.".to_owned()),
        Choice(list) => (!list.iter().any(|(v, _)| *v == value)).then(|| {
            let all: Vec<&str> = list.iter().map(|(v, _)| *v).collect();
            format!("Choose one of {}.", all.join(", "))
        }),
        Text(most) if value.len() > most => Some(format!("Use at most {most} bytes.")),
        Text(_) => wrong_text(key, value),
    }
}

fn wrong_text(key: &str, value: &str) -> Option<String> {
    let (fits, text) = match key {
        "storage" | "bridge" => (is_name(value), "Use letters, digits, dots and dashes."),
        "cpu_type" => (
            value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+=;".contains(c)),
            "Use letters, digits and dashes, like x86-64-v2-AES.",
        ),
        "mac_prefix" => (is_mac_prefix(value), "Give three pairs like 52:54:00, the first one even."),
        "smbios_uuid" => (
            value.len() == 36 && value.parse::<ProfileId>().is_ok(),
            "Give a UUID, like 6f1c2a5e-0b1d-4c55-9d38-2c4f6b7a8e90.",
        ),
        "pci" => {
            let id = |w: &str| {
                w.len() > 1
                    && w.starts_with(|c: char| c.is_ascii_alphabetic())
                    && w.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
            };
            let all: Vec<&str> = words(value).collect();
            (
                (1..=16).contains(&all.len()) && all.iter().all(|w| id(w)),
                "Give names of resource mappings, 16 at most: letters, digits, dashes.",
            )
        }
        "hotplug" => {
            const KNOWN: [&str; 7] = ["network", "disk", "usb", "cpu", "memory", "cloudinit", "0"];
            (
                words(value).all(|w| KNOWN.contains(&w)),
                "Name some of network, disk, usb, cpu, memory, cloudinit; 0 for none.",
            )
        }
        _ => (true, ""),
    };
    (!fits).then(|| text.to_owned())
}

/// Three pairs of hex digits, not a group address.
fn is_mac_prefix(text: &str) -> bool {
    let pairs: Vec<&str> = text.split(':').collect();
    pairs.len() == 3
        && pairs.iter().all(|p| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit()))
        && u8::from_str_radix(pairs[0], 16).is_ok_and(|first| first.is_multiple_of(2))
}

impl Profile {
    /// The value of a field, `None` when it is left open.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.value(key).and_then(|v| v.parse().ok())
    }

    /// May only admins change it?
    pub fn locks(&self, key: &str) -> bool {
        self.locked.iter().any(|k| k == key)
    }

    /// The tag that is wished; a profile's 0 is none.
    pub fn vlan(&self) -> Option<u16> {
        self.value("vlan").and_then(|v| v.parse().ok()).filter(|v| *v > 0)
    }

    /// Labels of what only some providers can set.
    pub fn beyond_basics(&self) -> Vec<&'static str> {
        let set = FIELDS.iter().filter(|f| !BASIC.contains(&f.key) && self.sets(f.key));
        set.map(|f| f.label).collect()
    }

    pub fn sets(&self, key: &str) -> bool {
        if key == "disks" { !self.disks.is_empty() } else { self.values.contains_key(key) }
    }

    /// What the plugin's job sets beside what everybody can choose.
    pub fn hardware(&self) -> BTreeMap<String, String> {
        let mine = self.values.iter().filter(|(k, _)| !BASIC.contains(&k.as_str()));
        mine.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// GiB of the first disk of a machine whose template's disk has `least`: it never gets smaller.
    pub fn disk_for(&self, least: u64) -> Option<u64> {
        self.number("disk").map(|n| n.max(least))
    }

    /// What it is, in one line: `2 cores, 4 GiB memory, 32 GiB disk, UEFI, TPM`.
    pub fn summary(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let sockets = self.number("sockets").unwrap_or(1);
        match self.number("cores") {
            Some(1) if sockets == 1 => parts.push("1 core".into()),
            Some(n) if sockets == 1 => parts.push(format!("{n} cores")),
            Some(n) => parts.push(format!("{sockets} × {n} cores")),
            None if sockets > 1 => parts.push(format!("{sockets} sockets")),
            None => {}
        }
        if let Some(n) = self.number("memory") {
            let text = if n.is_multiple_of(1024) { format!("{} GiB", n / 1024) } else { format!("{n} MiB") };
            parts.push(format!("{text} memory"));
        }
        if let Some(n) = self.number("disk") {
            parts.push(format!("{n} GiB disk"));
        }
        match self.disks.iter().map(|d| d.gib).sum::<u64>() {
            0 => {}
            all => parts.push(format!("{all} GiB on {} more", count(self.disks.len(), "disk", "disks"))),
        }
        if let Some(bridge) = self.value("bridge") {
            parts.push(format!("on {bridge}"));
        }
        parts.extend(self.vlan().map(|v| format!("VLAN {v}")));
        parts.extend(self.value("machine").map(str::to_owned));
        if self.value("firmware") == Some("ovmf") {
            parts.push("UEFI".into());
        }
        if self.value("tpm") == Some("1") {
            parts.push("TPM".into());
        }
        if let Some(pci) = self.value("pci") {
            parts.push(count(words(pci).count(), "device", "devices") + " of the node");
        }
        let shown =
            ["cores", "sockets", "memory", "disk", "bridge", "vlan", "machine", "firmware", "tpm", "pci", "disks"];
        let rest = FIELDS.iter().filter(|f| !shown.contains(&f.key) && self.sets(f.key)).count();
        match (parts.is_empty(), rest) {
            (true, 0) => "all as the template has it".to_owned(),
            (true, n) => count(n, "setting", "settings"),
            (false, 0) => parts.join(", "),
            (false, n) => format!("{}, {n} more", parts.join(", ")),
        }
    }

    /// What a person may not choose differently: a sentence beside each field of the wanted machine. `least` is the
    /// GiB of the template's disk.
    pub fn overstepped(&self, spec: &GuestSpec, least: u64) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let mut check = |key: &'static str, same: bool, value: String| {
            if self.locks(key) && !same {
                wrong.push((key, format!("The profile “{}” fixes this: {value}.", self.name)));
            }
        };
        let text = |key: &str| self.value(key).unwrap_or_default().to_owned();
        check("cores", self.number("cores") == Some(u64::from(spec.cores)), text("cores"));
        check("memory", self.number("memory") == Some(spec.memory), format!("{} MiB", text("memory")));
        check("disk", self.disk_for(least) == Some(spec.disk), format!("{} GiB", self.disk_for(least).unwrap_or(0)));
        check("storage", self.value("storage") == spec.storage.as_deref(), text("storage"));
        check("bridge", self.value("bridge") == Some(spec.bridge.as_str()), text("bridge"));
        let vlan = self.vlan().map_or_else(|| "none".to_owned(), |v| v.to_string());
        check("vlan", self.vlan() == spec.vlan, vlan);
        wrong
    }
}

/// Keys with their values.
type Values = &'static [(&'static str, &'static str)];

/// The profiles that a new Steward begins with; ordinary rows that an admin changes or deletes.
pub fn starting(now: Timestamp) -> Vec<Profile> {
    let small: [(&str, &str, Values); 4] = [
        (
            "Small",
            "For one small service: a name server, a chat bot, a small website.",
            &[("cores", "1"), ("memory", "1024"), ("disk", "10")],
        ),
        ("Medium", "For most things.", &[("cores", "2"), ("memory", "4096"), ("disk", "32")]),
        ("Large", "For databases, media servers and builds.", &[("cores", "4"), ("memory", "8192"), ("disk", "64")]),
        (
            "Windows desktop",
            "For Windows 11. When you install it from an ISO image, load the virtio drivers in the installer.",
            &[
                ("cores", "4"),
                ("cpu_type", "x86-64-v2-AES"),
                ("memory", "8192"),
                ("disk", "64"),
                ("disk_discard", "1"),
                ("disk_ssd", "1"),
                ("nic_model", "virtio"),
                ("ostype", "win11"),
                ("machine", "q35"),
                ("firmware", "ovmf"),
                ("secure_boot", "1"),
                ("tpm", "1"),
                ("scsi", "virtio-scsi-single"),
                ("agent", "1"),
            ],
        ),
    ];
    small
        .into_iter()
        .map(|(name, note, values)| Profile {
            id: ProfileId::new(),
            name: name.to_owned(),
            note: note.to_owned(),
            values: values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            locked: Vec::new(),
            disks: Vec::new(),
            created: now,
            changed: now,
            by: "steward".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::create::tests::a_spec;

    fn wish(values: &[(&str, &str)]) -> ProfileWish {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ProfileWish { name: "Web".into(), values, ..ProfileWish::default() }
    }

    fn wrong(wish: &ProfileWish) -> Vec<String> {
        wish.check().err().map(|e| e.fields().keys().cloned().collect()).unwrap_or_default()
    }

    fn profile(values: &[(&str, &str)], locked: &[&str]) -> Profile {
        Profile {
            values: wish(values).values,
            locked: locked.iter().map(|k| (*k).to_owned()).collect(),
            ..starting(Timestamp::ZERO).remove(0)
        }
    }

    #[test]
    fn the_profiles_of_the_start_are_good_and_say_what_they_are() {
        for p in starting(Timestamp::ZERO) {
            let wish = ProfileWish { name: p.name.clone(), note: p.note, values: p.values, ..ProfileWish::default() };
            wish.check().unwrap_or_else(|e| panic!("{}: {:?}", p.name, e.fields()));
        }
        let all: Vec<String> = starting(Timestamp::ZERO).iter().map(Profile::summary).collect();
        assert_eq!(all[1], "2 cores, 4 GiB memory, 32 GiB disk");
        assert_eq!(all[3], "4 cores, 8 GiB memory, 64 GiB disk, q35, UEFI, TPM, 8 more");
        assert_eq!(profile(&[], &[]).summary(), "all as the template has it");
    }

    #[test]
    fn every_wrong_value_is_named_at_once() {
        let mut bad = wish(&[
            ("cores", "0"),
            ("machine", "pc-9"),
            ("mac_prefix", "01:54:00"),
            ("pci", "0000:01:00.0"),
            ("smbios_uuid", "x"),
            ("secure_boot", "1"),
            ("bridge", "vmbr0,tag=1"),
            ("flying", "1"),
        ]);
        bad.locked = ["memory".to_owned()].into();
        bad.disks = vec![MoreDisk { gib: 0, storage: Some("a:b".into()), ..MoreDisk::default() }];
        let expected = [
            "bridge",
            "cores",
            "disks.0.gib",
            "disks.0.storage",
            "flying",
            "mac_prefix",
            "machine",
            "memory",
            "pci",
            "secure_boot",
            "smbios_uuid",
        ];
        assert_eq!(wrong(&bad), expected);
        let good = wish(&[("cores", "4"), ("mac_prefix", "52:54:00"), ("pci", "gpu1 gpu2"), ("vlan", "0")]);
        assert!(wrong(&good).is_empty(), "{:?}", wrong(&good));
        assert_eq!(wrong(&wish(&[("smbios_serial", "a\nargs: x")])), ["smbios_serial"]);
    }

    #[test]
    fn what_is_fixed_is_named_beside_its_field_and_the_rest_is_free() {
        let p =
            profile(&[("cores", "2"), ("memory", "1024"), ("disk", "8"), ("vlan", "0")], &["memory", "disk", "vlan"]);
        let spec = GuestSpec { cores: 64, memory: 1024, disk: 16, vlan: None, ..a_spec() };
        assert_eq!(p.overstepped(&spec, 16), [], "cores are free, and the template's disk is larger");
        let names: Vec<_> = p.overstepped(&spec, 4).into_iter().map(|(k, _)| k).collect();
        assert_eq!(names, ["disk"]);
        let spec = GuestSpec { memory: 2048, vlan: Some(5), ..spec };
        let told = p.overstepped(&spec, 16);
        assert_eq!(told.iter().map(|(k, _)| *k).collect::<Vec<_>>(), ["memory", "vlan"]);
        assert!(told[0].1.contains("“Small”") && told[0].1.contains("1024 MiB"), "{told:?}");
    }

    #[test]
    fn identity_texts_fit_into_what_proxmox_keeps() {
        // smbios1 has 512 bytes at most; texts are stored as base64.
        let texts = FIELDS.iter().filter(|f| f.key.starts_with("smbios_") && f.key != "smbios_uuid");
        let longest: usize = texts
            .map(|f| match f.kind {
                Text(most) => f.key.len() - "smbios_".len() + 2 + most.div_ceil(3) * 4,
                _ => 0,
            })
            .sum();
        assert!(longest + "uuid=".len() + 36 + ",base64=1".len() <= 512, "{longest}");
    }

    #[test]
    fn no_key_is_there_twice_and_every_group_is_known() {
        let keys: BTreeSet<_> = FIELDS.iter().map(|f| f.key).collect();
        assert_eq!(keys.len(), FIELDS.len());
        assert!(FIELDS.iter().all(|f| GROUPS.contains(&f.group)));
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let p = Profile {
            disks: vec![MoreDisk { gib: 5, ssd: Some(true), ..MoreDisk::default() }],
            ..profile(&[("cores", "2")], &["cores"])
        };
        let bytes = minicbor::to_vec(&p).unwrap();
        assert_eq!(minicbor::decode::<Profile>(&bytes).unwrap(), p);
    }
}
