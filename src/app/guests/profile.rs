//! Applying a hardware profile to a machine that is there, and what the profile of a machine fixes for those who are
//! not admins.

use super::Guests;
use crate::Actor;
use crate::live::GuestLive;
use base::ids::{GuestId, ProfileId};
use base::{Error, Kind, Result};
use model::access::GuestRight;
use model::guests::actions::{AddNic, ApplyProfile, ChangeNic, DiskGrowth, NicSpec, ProfileChange};
use model::guests::hardware::{Hardware, Planned};
use model::guests::settings::MachineSettings;
use model::guests::{ActionKind, GuestAction};
use model::options::{OptionSpec, When};
use model::profiles::{DISKS, MoreDisk, Profile};
use std::collections::BTreeMap;

/// What applying a profile would do.
#[derive(Clone, Debug)]
pub struct ApplyPlan {
    /// What was looked at.
    pub digest: String,
    pub running: bool,
    /// Values that are as requested already are left out.
    pub changes: Vec<Planned>,
    /// The first disk and its GiB before.
    pub grow: Option<(DiskGrowth, u64)>,
    /// Disks that are added.
    pub add: Vec<MoreDisk>,
    /// New disks are there at once.
    pub disks_live: bool,
    /// Settings of the profile that stay as they are: key and why.
    pub stays: Vec<(String, String)>,
}

impl Guests<'_> {
    /// The profile of a machine, if it has one that is still there.
    pub fn profile_of(&self, guest: &GuestLive) -> Result<Option<Profile>> {
        guest.row.profile.map_or(Ok(None), |id| self.0.hardware_profiles().known(id))
    }

    /// Applying a profile needs the right to manage the machine.
    pub fn may_apply(&self, actor: &Actor, id: GuestId) -> Result<()> {
        self.get_for(actor, id, GuestRight::Manage).map(drop)
    }

    /// What applying a profile would do. Nothing is changed. `disks`: its disks too.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the provider can't, or when an admin's profile forbids it; `Unavailable`.
    pub async fn plan_profile(&self, actor: &Actor, id: GuestId, profile: ProfileId, disks: bool) -> Result<ApplyPlan> {
        let guest = self.get_for(actor, id, GuestRight::Manage)?;
        let profile = self.0.hardware_profiles().get(actor, profile)?;
        if let Some(why) = self.action_refusal(actor, &guest, &ActionKind::Apply.empty()) {
            return Err(if guest.is_stale() { Error::unavailable(why) } else { Error::conflict(why) });
        }
        self.plan_of_profile(actor, &guest, &profile, disks).await.map(|(plan, _)| plan)
    }

    /// What the job for a profile gets: the values that differ, and the disks that the machine lacks.
    pub(super) async fn profile_change(
        &self,
        actor: &Actor,
        guest: &GuestLive,
        apply: ApplyProfile,
    ) -> Result<ProfileChange> {
        let profile = self.0.hardware_profiles().find(actor, &apply.profile)?;
        let (plan, values) = self.plan_of_profile(actor, guest, &profile, apply.disks).await?;
        let refused: Vec<_> = plan.changes.iter().filter_map(|c| Some((&c.key, c.refused.as_ref()?))).collect();
        if let Some((_, first)) = refused.first() {
            let e = Error::new(Kind::Conflict, format!("It can't be applied to this machine. {first}"));
            return Err(refused.into_iter().fold(e, |e, (key, text)| e.with_field(key, text)));
        }
        Ok(ProfileChange {
            profile: profile.id,
            name: profile.name,
            values,
            digest: apply.digest.or(Some(plan.digest)),
            grow: plan.grow.map(|(grow, _)| grow),
            add: plan.add,
        })
    }

    async fn plan_of_profile(
        &self,
        actor: &Actor,
        guest: &GuestLive,
        profile: &Profile,
        disks: bool,
    ) -> Result<(ApplyPlan, BTreeMap<String, String>)> {
        let id = guest.row.id;
        self.check_bound(actor, guest, profile)?;
        self.check_places(guest, profile, disks)?;
        let all = self.hardware(actor, id).await?;
        let settings = self.settings(guest);
        let Changeable { values, refused, mut stays } = changeable(&settings, profile, &all, disks);
        let (grow, add) = if disks { wanted_disks(&settings, profile, &all) } else { (None, Vec::new()) };
        let plan = if values.is_empty() {
            model::guests::hardware::Plan { digest: all.digest.clone(), changes: Vec::new() }
        } else {
            self.plan_change(actor, id, &values).await?
        };
        let order = self.0.hardware_profiles().settings();
        stays.sort_by_key(|(key, _)| order.iter().position(|s| s.key == *key));
        let plan = ApplyPlan {
            digest: plan.digest,
            running: all.running,
            changes: plan.changes.into_iter().chain(refused).collect(),
            grow,
            add,
            disks_live: all.disks_live,
            stays,
        };
        Ok((plan, values))
    }

    /// Another profile than the one that fixes values is for admins.
    fn check_bound(&self, actor: &Actor, guest: &GuestLive, other: &Profile) -> Result<()> {
        let bound = self.profile_of(guest)?.filter(|p| !p.locked.is_empty() && p.id != other.id && !actor.is_admin());
        bound.map_or(Ok(()), |profile| {
            Err(Error::conflict(format!(
                "Its profile “{}” fixes some values, so only an admin can apply “{}”.",
                profile.name, other.name
            )))
        })
    }

    /// Where the profile puts disks and plugs cards must be allowed.
    fn check_places(&self, guest: &GuestLive, profile: &Profile, disks: bool) -> Result<()> {
        let limits = self.0.connections().limits(guest.row.connection)?;
        if let Some(bridge) = profile.value("bridge").filter(|b| !limits.allows_bridge(b)) {
            return Err(Error::conflict(format!("Steward may not connect machines to {bridge}.")));
        }
        let mut more = profile.disks.iter().filter_map(|d| d.storage.as_deref());
        match more.find(|s| disks && !limits.allows_storage(s)) {
            Some(storage) => Err(Error::conflict(format!("Steward may not put disks on {storage}."))),
            None => Ok(()),
        }
    }

    /// Refuses what the machine's profile fixes, unless an admin asks.
    pub(super) fn check_fixed(&self, actor: &Actor, guest: &GuestLive, action: &GuestAction) -> Result<()> {
        if actor.is_admin() {
            return Ok(());
        }
        let Some(profile) = self.profile_of(guest)?.filter(|p| !p.locked.is_empty()) else { return Ok(()) };
        let wrong = match action {
            GuestAction::Change(change) => {
                let mine = change.values.iter().filter(|(k, v)| !is_as_fixed(&profile, k, v));
                mine.map(|(k, _)| k.clone()).collect::<Vec<_>>()
            }
            GuestAction::GrowDisk(_) if profile.locks("disk") || profile.locks("disks") => vec!["gib".to_owned()],
            GuestAction::AddDisk(_) | GuestAction::AttachDisk(_) if profile.locks("disks") => vec!["bus".to_owned()],
            GuestAction::MoveDisk(_) if profile.locks("storage") => vec!["storage".to_owned()],
            GuestAction::AddNic(AddNic { nic }) | GuestAction::ChangeNic(ChangeNic { nic, .. }) => {
                fixed_in_card(&profile, nic)
            }
            _ => Vec::new(),
        };
        if wrong.is_empty() {
            return Ok(());
        }
        let text = format!("The profile “{}” of this machine fixes this. An admin can change it.", profile.name);
        let e = Error::invalid(text.clone());
        Err(wrong.into_iter().fold(e, |e, key| e.with_field(&key, text.clone())))
    }
}

/// Is the value free, or just what the profile has?
fn is_as_fixed(profile: &Profile, key: &str, value: &str) -> bool {
    !profile.locks(key) || profile.value(key) == Some(value)
}

fn fixed_in_card(profile: &Profile, nic: &NicSpec) -> Vec<String> {
    let begins = |mac: &str, with: &str| mac.to_uppercase().starts_with(&with.to_uppercase());
    let same = [
        ("bridge", profile.value("bridge") == Some(nic.bridge.as_str())),
        ("vlan", profile.vlan() == nic.vlan),
        ("nic_model", nic.model.is_none() || nic.model.as_deref() == profile.value("nic_model")),
        ("nic_firewall", profile.value("nic_firewall") == Some(if nic.firewall { "1" } else { "0" })),
        ("mac_prefix", nic.mac.as_deref().is_none_or(|m| begins(m, profile.value("mac_prefix").unwrap_or("")))),
    ];
    let wrong = same.into_iter().filter(|(key, same)| profile.locks(key) && !same);
    wrong.map(|(key, _)| key.trim_start_matches("nic_").replace("mac_prefix", "mac")).collect()
}

/// What becomes of a profile's values on a machine that is there.
struct Changeable {
    values: BTreeMap<String, String>,
    /// Values that the provider does not accept.
    refused: Vec<Planned>,
    /// Keys that stay, with the reason.
    stays: Vec<(String, String)>,
}

fn changeable(settings: &MachineSettings, profile: &Profile, all: &Hardware, disks: bool) -> Changeable {
    let mut out = Changeable { values: BTreeMap::new(), refused: Vec::new(), stays: Vec::new() };
    for (key, value) in &profile.values {
        let spec = settings.find(key).filter(|s| s.profile);
        if let Some(why) = why_it_stays(spec, key, all, disks) {
            out.stays.push((key.clone(), why));
        } else if key != "disk" {
            match spec.map(|s| s.read_text(value)) {
                Some(Err(text)) => out.refused.push(Planned {
                    key: key.clone(),
                    from: all.value(key).map(|v| v.wanted().to_owned()).unwrap_or_default(),
                    to: value.clone(),
                    refused: Some(text),
                    ..Planned::default()
                }),
                _ => _ = out.values.insert(key.clone(), value.clone()),
            }
        }
    }
    if profile.sets(DISKS)
        && let Some(why) = why_it_stays(settings.find(DISKS), DISKS, all, disks)
    {
        out.stays.push((DISKS.to_owned(), why));
    }
    out
}

fn why_it_stays(spec: Option<&OptionSpec>, key: &str, all: &Hardware, disks: bool) -> Option<String> {
    let none = "This machine has no such setting.";
    let why = match spec {
        None => none,
        Some(s) if s.when == When::New && s.stays.is_empty() => "This applies to new machines only.",
        Some(s) if s.when == When::New => s.stays.as_str(),
        Some(_) if key == "disk" || key == DISKS => {
            return (!disks).then(|| "Disks were not included.".to_owned());
        }
        Some(_) if all.value(key).is_none() => none,
        Some(_) => return None,
    };
    Some(why.to_owned())
}

/// The first disk's growth, and the disks that the machine lacks: it has as many as the profile then.
fn wanted_disks(
    settings: &MachineSettings,
    profile: &Profile,
    all: &Hardware,
) -> (Option<(DiskGrowth, u64)>, Vec<MoreDisk>) {
    let mine: Vec<_> =
        all.disks.iter().filter(|d| d.kind == "disk" && d.pending.as_deref() != Some("removed")).collect();
    let first = mine.iter().find(|d| d.boot).or(mine.first());
    let size = profile.number("disk").filter(|_| settings.find("disk").is_some());
    let grow = first.zip(size).and_then(|(d, gib)| {
        let has = d.size.div_ceil(1 << 30);
        (gib > has).then(|| (DiskGrowth { disk: d.key.clone(), gib }, has))
    });
    let beside = mine.len().saturating_sub(1);
    let add = profile.disks.iter().skip(beside).filter(|_| settings.find(DISKS).is_some());
    (grow, add.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Timestamp;
    use model::guests::GuestKind;
    use model::guests::hardware::{Disk, HardwareValue};
    use model::profiles::starting;
    use serde_json::json;

    fn declared() -> MachineSettings {
        let all = json!([
            { "key": "cores", "label": "Cores", "kind": "number", "min": 1, "max": 8, "profile": true },
            { "key": "disk", "label": "Size", "kind": "number", "profile": true },
            { "key": "disks", "label": "Further disks", "kind": "disks", "profile": true },
            { "key": "firmware", "label": "Firmware", "kind": "text", "profile": true, "when": "new", "stays": "It would not start." },
            { "key": "display", "label": "Display", "kind": "text", "profile": true },
        ]);
        MachineSettings::of(&serde_json::from_value::<Vec<OptionSpec>>(all).unwrap(), GuestKind::Vm)
    }

    fn profile(values: &[(&str, &str)], locked: &[&str], disks: &[u64]) -> Profile {
        Profile {
            values: values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            locked: locked.iter().map(|k| (*k).to_owned()).collect(),
            disks: disks.iter().map(|gib| MoreDisk { gib: *gib, ..MoreDisk::default() }).collect(),
            ..starting(Timestamp::ZERO, []).remove(0)
        }
    }

    fn disk(key: &str, gib: u64, boot: bool) -> Disk {
        Disk { key: key.into(), kind: "disk".into(), size: gib << 30, boot, ..Disk::default() }
    }

    #[test]
    fn disks_never_shrink_and_only_what_lacks_is_added() {
        let all = Hardware { disks: vec![disk("scsi1", 5, false), disk("scsi0", 20, true)], ..Hardware::default() };
        let (grow, add) = wanted_disks(&declared(), &profile(&[("disk", "10")], &[], &[5]), &all);
        assert!(grow.is_none() && add.is_empty(), "{grow:?} {add:?}");
        let (grow, add) = wanted_disks(&declared(), &profile(&[("disk", "32")], &[], &[5, 7]), &all);
        assert_eq!(grow, Some((DiskGrowth { disk: "scsi0".into(), gib: 32 }, 20)));
        assert_eq!(add.iter().map(|d| d.gib).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn what_can_not_change_stays_with_its_reason() {
        let value = |key: &str| HardwareValue { key: key.into(), ..HardwareValue::default() };
        let all = Hardware { values: vec![value("cores"), value("memory")], ..Hardware::default() };
        let p = profile(
            &[("cores", "2"), ("firmware", "ovmf"), ("disk", "9"), ("display", "std"), ("numa", "1")],
            &[],
            &[],
        );
        let Changeable { values, refused, stays } = changeable(&declared(), &p, &all, false);
        assert_eq!(values, BTreeMap::from([("cores".to_owned(), "2".to_owned())]));
        let stays: Vec<_> = stays.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!((stays.as_slice(), refused.len()), (["disk", "display", "firmware", "numa"].as_slice(), 0));
        let changed = changeable(&declared(), &profile(&[("cores", "9")], &[], &[]), &all, true);
        assert_eq!((changed.values.len(), changed.refused[0].key.as_str()), (0, "cores"), "the provider takes 8");
    }

    #[test]
    fn a_card_keeps_to_what_is_fixed() {
        let p = profile(&[("bridge", "vmbr1"), ("vlan", "20"), ("nic_model", "virtio")], &["bridge", "vlan"], &[]);
        let nic = |bridge: &str, vlan| NicSpec { bridge: bridge.into(), vlan, ..NicSpec::default() };
        assert_eq!(fixed_in_card(&p, &nic("vmbr0", None)), ["bridge", "vlan"]);
        assert!(fixed_in_card(&p, &NicSpec { model: Some("e1000".into()), ..nic("vmbr1", Some(20)) }).is_empty());
    }

    #[test]
    fn cores_in_use_are_fixed_with_the_cores() {
        let p = profile(&[("cores", "2")], &["cores"], &[]);
        assert!(is_as_fixed(&p, "cores", "2") && !is_as_fixed(&p, "cores", "4") && !is_as_fixed(&p, "cpus", "1"));
        assert!(is_as_fixed(&p, "memory", "9999"));
    }
}
