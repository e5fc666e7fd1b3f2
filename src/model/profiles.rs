//! Hardware profiles: named sizes and hardware for new machines, by the settings that providers declare. What a profile
//! leaves open stays as the template has it, or as the person chooses.

use crate::amounts;
use crate::guests::GuestSpec;
use crate::guests::settings::{MachineSettings, StartingProfile};
use crate::options::OptionKind;
use base::Timestamp;
use base::amounts::count;
use base::ids::ProfileId;
use base::text::{is_hidden, is_name};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The key that stands for further disks, which are not a single value.
pub const DISKS: &str = "disks";

/// What a new machine has beside its hardware: the person chooses it in the form.
pub const CHOSEN: [&str; 6] = ["cores", "memory", "disk", "storage", "bridge", "vlan"];

/// A disk beside the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoreDisk {
    /// GiB, 1 to 65536.
    #[n(0)]
    #[serde(deserialize_with = "amounts::gib")]
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

/// A profile as an admin defines it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    pub name: String,
    #[serde(default)]
    pub note: String,
    /// By the settings' keys; what is not here or empty is left open.
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

impl ProfileRequest {
    /// The profile as it is kept, and what is wrong with it: `name`, `note`, keys of values, `disks[0].gib` and so on.
    pub fn read(self, settings: &MachineSettings) -> (Self, Vec<(String, String)>) {
        let given = self.values.iter().filter(|(_, v)| !v.trim().is_empty());
        let given: BTreeMap<String, String> = given.map(|(k, v)| (k.clone(), v.clone())).collect();
        let (values, mut wrong) = settings.read(&given);
        let (name, note) = (self.name.trim().to_owned(), self.note.trim().to_owned());
        let request = Self { name, note, values, ..self };
        let mut say = |field: &str, text: &str| wrong.push((field.to_owned(), text.to_owned()));
        if !is_name(&request.name, 60) {
            say("name", "Give it a name of 1 to 60 characters that can be seen.");
        }
        if request.note.len() > 400 || request.note.contains(is_hidden) {
            say("note", "Use at most 400 bytes in one line.");
        }
        if request.disks.len() > MOST_DISKS {
            say(DISKS, &format!("At most {MOST_DISKS} further disks."));
        }
        for (n, disk) in request.disks.iter().enumerate() {
            for (part, text) in disk.faults(settings) {
                say(&format!("disks[{n}].{part}"), &text);
            }
        }
        for key in &request.locked {
            let set = if key == DISKS { !request.disks.is_empty() } else { given.contains_key(key) };
            match settings.find(key) {
                None => say("locked", &format!("There is no setting {key}.")),
                Some(_) if !set => say(key, "To fix it for everybody, give it a value."),
                Some(_) => {}
            }
        }
        (request, wrong)
    }
}

impl MoreDisk {
    fn faults(&self, settings: &MachineSettings) -> Vec<(&'static str, String)> {
        let gib = self.gib.to_string();
        let parts = [
            ("gib", "disk", Some(&gib)),
            ("storage", "storage", self.storage.as_ref()),
            ("cache", "disk_cache", self.cache.as_ref()),
        ];
        let wrong = parts
            .into_iter()
            .filter_map(|(part, key, value)| Some((part, settings.find(key)?.read_text(value?).err()?)));
        wrong.collect()
    }
}

impl Profile {
    /// The value of a field, `None` when it is left open.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.value(key).and_then(|v| v.parse().ok())
    }

    /// May only admins change it? Fewer cores in use, or more of them, is the same matter as cores.
    pub fn locks(&self, key: &str) -> bool {
        let key = if key == "cpus" { "cores" } else { key };
        self.locked.iter().any(|k| k == key)
    }

    /// The wanted tag; a profile's 0 means none.
    pub fn vlan(&self) -> Option<u16> {
        self.value("vlan").and_then(|v| v.parse().ok()).filter(|v| *v > 0)
    }

    pub fn sets(&self, key: &str) -> bool {
        if key == DISKS { !self.disks.is_empty() } else { self.values.contains_key(key) }
    }

    /// What the plugin's job sets beside what everybody can choose.
    pub fn hardware(&self) -> BTreeMap<String, String> {
        let mine = self.values.iter().filter(|(k, _)| !CHOSEN.contains(&k.as_str()));
        mine.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// GiB of the first disk of a machine whose template's disk has `least`: it never gets smaller.
    pub fn disk_for(&self, least: u64) -> Option<u64> {
        self.number("disk").map(|n| n.max(least))
    }

    /// What it is, in one line: `2 cores, 4 GiB memory, 32 GiB disk, UEFI, TPM 2.0`.
    pub fn summary(&self, settings: &MachineSettings) -> String {
        let mut parts: Vec<String> = Vec::new();
        let sockets = self.number("sockets").unwrap_or(1);
        match self.number("cores") {
            Some(1) if sockets == 1 => parts.push("1 core".to_owned()),
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
        let told = ["cores", "sockets", "memory", "disk", "bridge", "vlan", DISKS];
        let mut rest = 0;
        for (spec, value) in settings.iter().filter_map(|s| Some((s, self.value(&s.key)?))) {
            match spec.kind {
                _ if told.contains(&spec.key.as_str()) => {}
                OptionKind::Bool if spec.notable && value == "1" => parts.push(spec.label.clone()),
                OptionKind::Choice if spec.notable => parts.push(spec.words_of(value)),
                _ if spec.notable && spec.kind != OptionKind::Bool => {
                    parts.push(format!("{} {}", spec.label, spec.words_of(value)))
                }
                _ => rest += 1,
            }
        }
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

/// The profiles that a new Steward begins with, ordinary rows that an admin changes or deletes: three sizes, and what
/// the providers declare.
pub fn starting(now: Timestamp, declared: impl IntoIterator<Item = StartingProfile>) -> Vec<Profile> {
    let small = "For one small service: a name server, a chat bot, a small website.";
    let large = "For databases, media servers and builds.";
    let sizes = [
        ("Small", small, ["1", "1024", "10"]),
        ("Medium", "For most things.", ["2", "4096", "32"]),
        ("Large", large, ["4", "8192", "64"]),
    ];
    let sizes = sizes.into_iter().map(|(name, note, values)| StartingProfile {
        name: name.to_owned(),
        note: note.to_owned(),
        values: ["cores", "memory", "disk"].map(str::to_owned).into_iter().zip(values.map(str::to_owned)).collect(),
    });
    sizes
        .chain(declared)
        .map(|p| Profile {
            id: ProfileId::new(),
            name: p.name,
            note: p.note,
            values: p.values,
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
    use crate::guests::settings::tests::some;

    fn request(values: &[(&str, &str)]) -> ProfileRequest {
        let values = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ProfileRequest { name: " Web ".into(), values, ..ProfileRequest::default() }
    }

    fn wrong(request: ProfileRequest) -> Vec<String> {
        let mut wrong: Vec<String> = request.read(&some()).1.into_iter().map(|(field, _)| field).collect();
        wrong.sort();
        wrong
    }

    fn profile(values: &[(&str, &str)], locked: &[&str]) -> Profile {
        Profile {
            values: request(values).values,
            locked: locked.iter().map(|k| (*k).to_owned()).collect(),
            ..starting(Timestamp::ZERO, []).remove(0)
        }
    }

    #[test]
    fn the_profiles_of_the_start_are_good_and_say_what_they_are() {
        let values = [("cores", "4"), ("memory", "8192"), ("firmware", "ovmf"), ("tpm", "1"), ("numa", "1")];
        let declared = StartingProfile { name: "Desk".into(), note: String::new(), values: request(&values).values };
        let all = starting(Timestamp::ZERO, [declared]);
        for p in &all {
            let request =
                ProfileRequest { name: p.name.clone(), values: p.values.clone(), ..ProfileRequest::default() };
            assert_eq!(wrong(request), Vec::<String>::new(), "{}", p.name);
        }
        let all: Vec<String> = all.iter().map(|p| p.summary(&some())).collect();
        assert_eq!(all[1], "2 cores, 4 GiB memory, 32 GiB disk");
        assert_eq!(all[3], "4 cores, 8 GiB memory, UEFI, TPM, 1 more");
        assert_eq!(profile(&[], &[]).summary(&some()), "all as the template has it");
    }

    #[test]
    fn every_wrong_value_is_named_at_once() {
        let mut bad =
            request(&[("cores", "0"), ("firmware", "x"), ("bridge", "vmbr0,tag=1"), ("flying", "1"), ("memory", " ")]);
        bad.locked = ["memory".to_owned(), "wings".to_owned()].into();
        bad.disks = vec![MoreDisk { gib: 0, storage: Some("a:b".into()), ..MoreDisk::default() }];
        let expected =
            ["bridge", "cores", "disks[0].gib", "disks[0].storage", "firmware", "flying", "locked", "memory"];
        assert_eq!(wrong(bad), expected);
        let (kept, wrong) = request(&[("cores", " 4 "), ("memory", ""), ("vlan", "0")]).read(&some());
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!((kept.name.as_str(), kept.values), ("Web", request(&[("cores", "4"), ("vlan", "0")]).values));
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
    fn a_row_is_read_as_it_was_written() {
        let p = Profile {
            disks: vec![MoreDisk { gib: 5, ssd: Some(true), ..MoreDisk::default() }],
            ..profile(&[("cores", "2")], &["cores"])
        };
        let bytes = minicbor::to_vec(&p).unwrap();
        assert_eq!(minicbor::decode::<Profile>(&bytes).unwrap(), p);
    }
}
