//! What machines can have, as their provider declares it in its manifest: looked up, checked and told in words.

use super::GuestKind;
use super::addresses::wrong_router;
use crate::options::{OptionSpec, When};
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings of one kind of machine, or those that a hardware profile can hold; each key once, in the order of
/// the pages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineSettings(Vec<OptionSpec>);

/// A hardware profile that a new Steward begins with, as a provider declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartingProfile {
    pub name: String,
    pub note: String,
    pub values: BTreeMap<String, String>,
}

impl MachineSettings {
    /// What a provider declares for this kind of machine.
    pub fn of(declared: &[OptionSpec], kind: GuestKind) -> Self {
        Self(declared.iter().filter(|s| s.machines.contains(&kind)).cloned().collect())
    }

    /// What a hardware profile can hold.
    #[must_use]
    pub fn for_profiles(self) -> Self {
        Self(self.0.into_iter().filter(|s| s.profile).collect())
    }

    /// What any of several providers takes: the widest range and all choices.
    pub fn union(lists: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for spec in lists.into_iter().flat_map(|list| list.0) {
            match all.0.iter_mut().find(|s| s.key == spec.key) {
                Some(known) => known.widen(spec),
                None => all.0.push(spec),
            }
        }
        all
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &OptionSpec> {
        self.0.iter()
    }

    pub fn find(&self, key: &str) -> Option<&OptionSpec> {
        self.0.iter().find(|s| s.key == key)
    }

    /// What people call it.
    pub fn label<'a>(&'a self, key: &'a str) -> &'a str {
        self.find(key).map_or(key, |s| s.label.as_str())
    }

    /// The headings, in the order of the pages.
    pub fn groups(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for spec in &self.0 {
            if !all.contains(&spec.group.as_str()) {
                all.push(&spec.group);
            }
        }
        all
    }

    pub fn in_group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a OptionSpec> {
        self.0.iter().filter(move |s| s.group == group)
    }

    /// The values as the provider gets them, and a sentence for each key that does not fit.
    pub fn read(&self, values: &BTreeMap<String, String>) -> (BTreeMap<String, String>, Vec<(String, String)>) {
        let (mut good, mut wrong) = (BTreeMap::new(), Vec::new());
        for (key, value) in values {
            match self.find(key).map(|spec| spec.read_text(value)) {
                Some(Ok(value)) => _ = good.insert(key.clone(), value),
                Some(Err(text)) => wrong.push((key.clone(), text)),
                None => wrong.push((key.clone(), "There is no such setting.".to_owned())),
            }
        }
        (good, wrong)
    }

    /// The pairs of router and machine's address that new values touch, by their keys.
    pub fn routers<'a>(&'a self, values: &'a BTreeMap<String, String>) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.0.iter().filter(|s| !s.router_of.is_empty()).map(|s| (s.key.as_str(), s.router_of.as_str()));
        pairs.filter(|(router, own)| values.contains_key(*router) || values.contains_key(*own))
    }

    /// What is wrong with routers when these values are set; `now` is what the machine has.
    pub fn wrong_routers(
        &self,
        values: &BTreeMap<String, String>,
        now: impl Fn(&str) -> String,
    ) -> Vec<(String, String)> {
        let get = |key: &str| values.get(key).cloned().unwrap_or_else(|| now(key));
        let wrong = self.routers(values).filter_map(|(router, own)| {
            let (given, address) = (values.contains_key(router), get(own));
            // A router that was not given goes away with its address.
            if !given && matches!(address.as_str(), "" | "dhcp") {
                return None;
            }
            let (name, text) = (get(router), wrong_router(&address, &get(router))?);
            Some(if given { (router.into(), text) } else { (own.into(), format!("Its router is {name}. {text}")) })
        });
        wrong.collect()
    }

    /// New values for a machine that is there, as the provider gets them.
    ///
    /// # Errors
    /// `Invalid` with a sentence per key.
    pub fn change(&self, values: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
        let (good, mut wrong) = self.read(values);
        let fixed = |key: &&String| self.find(key).is_some_and(|s| s.when == When::New);
        let fixed = good.keys().filter(fixed).cloned();
        wrong.extend(fixed.map(|key| (key, "This can't be changed on an existing machine.".to_owned())));
        Error::of_fields(wrong).map(|()| good)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    fn declared() -> Vec<OptionSpec> {
        let all = json!([
            { "key": "cores", "label": "Cores", "kind": "number", "min": 1, "max": 512, "group": "Processor", "profile": true },
            { "key": "numa", "label": "NUMA", "kind": "bool", "group": "Processor", "profile": true },
            { "key": "memory", "label": "Memory", "kind": "number", "min": 16, "required": true, "group": "Memory", "profile": true, "for": ["vm", "container"] },
            { "key": "swap", "label": "Swap", "kind": "number", "group": "Memory", "for": ["container"] },
            { "key": "disk", "label": "Size", "kind": "number", "min": 1, "max": 65536, "group": "First disk", "profile": true },
            { "key": "storage", "label": "Storage", "kind": "text", "pattern": "[a-z0-9-]+", "group": "First disk", "profile": true },
            { "key": "disks", "label": "Further disks", "kind": "disks", "group": "First disk", "profile": true },
            { "key": "bridge", "label": "Bridge", "kind": "text", "pattern": "[a-z0-9]+", "required": true, "group": "Network card", "profile": true },
            { "key": "vlan", "label": "VLAN tag", "kind": "number", "min": 0, "max": 4094, "group": "Network card", "profile": true },
            { "key": "firmware", "label": "Firmware", "kind": "choice", "choices": [["seabios", "BIOS"], ["ovmf", "UEFI (OVMF)"]], "when": "new", "group": "System", "profile": true, "notable": true },
            { "key": "tpm", "label": "TPM", "kind": "bool", "when": "new", "group": "System", "profile": true, "notable": true },
            { "key": "address", "label": "Address", "kind": "text", "format": "cidr", "choices": [["dhcp", "dhcp"]], "when": "live" },
            { "key": "router", "label": "Router", "kind": "text", "format": "address", "router_of": "address", "when": "live" },
            { "key": "name", "label": "Name", "kind": "text", "format": "name", "required": true, "when": "live", "group": "Options" },
        ]);
        serde_json::from_value(all).unwrap()
    }

    /// What machines of a small provider can have.
    pub(crate) fn some() -> MachineSettings {
        MachineSettings::of(&declared(), GuestKind::Vm)
    }

    fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn all_faults_of_a_change_are_told_at_once_and_what_only_new_machines_get_stays() {
        let wrong = pairs(&[("cores", "0"), ("memory", ""), ("name", "-x"), ("flying", "1"), ("firmware", "ovmf")]);
        let e = some().change(&wrong).unwrap_err();
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["cores", "firmware", "flying", "memory", "name"]);
        let good = some().change(&pairs(&[("cores", " 4 "), ("numa", "on"), ("vlan", "")])).unwrap();
        assert_eq!(good, pairs(&[("cores", "4"), ("numa", "1"), ("vlan", "")]));
    }

    #[test]
    fn a_router_must_suit_the_address_whichever_of_both_is_new() {
        let wrong = |new: &[(&str, &str)], now: [&str; 2]| {
            let now = pairs(&[("address", now[0]), ("router", now[1])]);
            let wrong = some().wrong_routers(&pairs(new), |key| now[key].clone());
            wrong.into_iter().map(|(key, _)| key).collect::<Vec<_>>().join(" ")
        };
        let has = ["10.0.0.5/24", "10.0.0.1"];
        assert_eq!(wrong(&[("router", "10.0.0.2")], has), "");
        assert_eq!(wrong(&[("router", "fd00::1")], has), "router");
        assert_eq!(wrong(&[("address", "10.1.0.5/24")], has), "address");
        assert_eq!(wrong(&[("address", "10.1.0.5/24"), ("router", "10.1.0.1")], has), "");
        assert_eq!(wrong(&[("address", "dhcp")], has), "", "the router goes with it");
        assert_eq!(wrong(&[("address", "dhcp"), ("router", "10.0.0.1")], has), "router");
        assert_eq!(wrong(&[("router", "10.0.0.1")], ["dhcp", ""]), "router");
        assert_eq!(wrong(&[("router", "")], ["", ""]), "");
        assert_eq!(wrong(&[("cores", "2")], ["10.1.0.5/24", "10.0.0.1"]), "", "not touched");
    }

    #[test]
    fn each_kind_of_machine_and_profiles_have_their_own() {
        let containers = MachineSettings::of(&declared(), GuestKind::Container);
        assert_eq!(containers.iter().map(|s| s.key.as_str()).collect::<Vec<_>>(), ["memory", "swap"]);
        assert!(some().for_profiles().find("name").is_none());
        assert_eq!(some().groups()[..3], ["Processor", "Memory", "First disk"]);
    }

    #[test]
    fn a_profile_holds_what_any_provider_takes() {
        let small = json!([{ "key": "cores", "label": "Threads", "kind": "number", "max": 1024 },
                           { "key": "sound", "label": "Sound", "kind": "bool" }]);
        let small = MachineSettings::of(&serde_json::from_value::<Vec<OptionSpec>>(small).unwrap(), GuestKind::Vm);
        let all = MachineSettings::union([some(), small]);
        let (_, wrong) = all.read(&pairs(&[("cores", "1024"), ("sound", "1"), ("tpm", "0")]));
        assert!(wrong.is_empty() && all.label("cores") == "Cores", "{wrong:?}");
    }
}
