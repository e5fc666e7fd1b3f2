//! A machine's network cards.

use super::{Action, ActionSpec, Part};
use crate::guests::addresses::own_address;
use crate::guests::hardware::is_mac;
use crate::providers::Feature;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const fn nic(label: &'static str, icon: &'static str) -> ActionSpec {
    ActionSpec::new(label, icon, "guest_nic").feature(Feature::Nics)
}

/// How a network card should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NicSpec {
    pub bridge: String,
    /// As the provider declares it (the setting `nic_model`); left out: kept, or the provider's choice for a new one.
    #[serde(default)]
    pub model: Option<String>,
    /// 1 to 4094.
    #[serde(default)]
    pub vlan: Option<u16>,
    #[serde(default)]
    pub firewall: bool,
    /// `false`: unplugged.
    #[serde(default = "yes")]
    pub link: bool,
    /// Left out: kept, or made up for a new card.
    #[serde(default)]
    pub mac: Option<String>,
    /// A container's: dhcp, or address and prefix length. Left out: kept.
    #[serde(default)]
    pub address: Option<String>,
}

fn yes() -> bool {
    true
}

impl NicSpec {
    fn check(&self) -> Result<()> {
        let name = |t: &str| {
            !t.is_empty() && t.len() <= 40 && t.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let strange = |text: &Option<String>, fits: &dyn Fn(&str) -> bool| text.as_deref().is_some_and(|t| !fits(t));
        let wrong = [
            (!name(&self.bridge), "bridge", "Choose a bridge."),
            (self.vlan.is_some_and(|v| !(1..=4094).contains(&v)), "vlan", "A VLAN tag is 1 to 4094."),
            (strange(&self.mac, &is_mac), "mac", "Give six pairs like BC:24:11:2A:00:7F; the first one even."),
        ];
        let wrong = wrong.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, field, text)| (field, text.to_owned()));
        let address = self.address.as_deref().filter(|a| !a.is_empty() && *a != "dhcp");
        let address = address.and_then(|a| own_address(a).err());
        Error::of_fields(wrong.chain(address.map(|text| ("address", text))))
    }

    fn describe(&self) -> String {
        let vlan = self.vlan.map(|v| format!(" VLAN {v}")).unwrap_or_default();
        let off = if self.link { "" } else { ", unplugged" };
        format!("{}{vlan}{off}", self.bridge)
    }
}

/// Adds a network card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddNic {
    pub nic: NicSpec,
}

impl Action for AddNic {
    const SPEC: ActionSpec = nic("Add network card", "plus");

    fn title(&self, machine: &str) -> String {
        format!("Add a network card to {machine}")
    }

    fn describe(&self) -> String {
        self.nic.describe()
    }

    fn check(&self) -> Result<()> {
        self.nic.check()
    }
}

/// Changes the settings of a network card. MAC and model stay when they are left out; what else is left out gets its
/// default: no VLAN, no firewall, connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeNic {
    pub key: String,
    pub nic: NicSpec,
}

impl Action for ChangeNic {
    const SPEC: ActionSpec = nic("Change network card", "settings");

    fn title(&self, machine: &str) -> String {
        format!("Change {} of {machine}", self.key)
    }

    fn describe(&self) -> String {
        format!("{}: {}", self.key, self.nic.describe())
    }

    fn check(&self) -> Result<()> {
        self.nic.check()
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Nic(&self.key))
    }
}

/// Removes a network card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveNic {
    pub key: String,
}

impl Action for RemoveNic {
    const SPEC: ActionSpec =
        nic("Remove network card", "trash").asks("Remove {}? The machine is cut off from that network.");

    fn title(&self, machine: &str) -> String {
        format!("Remove {} from {machine}", self.key)
    }

    fn describe(&self) -> String {
        self.key.clone()
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Nic(&self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_card_is_checked() {
        let nic = |bridge: &str, mac: Option<&str>, vlan| NicSpec {
            bridge: bridge.into(),
            mac: mac.map(str::to_owned),
            vlan,
            ..NicSpec::default()
        };
        nic("vmbr0", Some("BC:24:11:2A:00:7F"), Some(20)).check().unwrap();
        let e = nic("vmbr0,tag=1", Some("01:00:00:00:00:00"), Some(5000)).check().unwrap_err();
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["bridge", "mac", "vlan"]);
        let at = |a: &str| NicSpec { address: Some(a.into()), ..nic("vmbr0", None, None) }.check();
        assert!(at("dhcp").is_ok() && at("10.0.0.5/24").is_ok() && at("10.0.0.0/24").is_err());
    }
}
