//! Applying a hardware profile to a machine that is there, and what the profile of a machine fixes for those who are
//! no admins.

use super::Guests;
use crate::Actor;
use crate::live::GuestLive;
use base::ids::{GuestId, ProfileId};
use base::{Error, Kind, Result};
use model::access::GuestRight;
use model::guests::actions::{AddNic, ApplyProfile, ChangeNic, DiskGrowth, NicSpec, ProfileChange};
use model::guests::hardware::{Hardware, Planned};
use model::guests::{ActionKind, GuestAction, GuestKind};
use model::profiles::{Existing, FIELDS, Field, MoreDisk, Profile};
use std::collections::BTreeMap;

/// What applying a profile would do.
#[derive(Clone, Debug)]
pub struct ApplyPlan {
    /// What was looked at.
    pub digest: String,
    pub running: bool,
    /// Values that are as wished already are left out.
    pub changes: Vec<Planned>,
    /// The first disk and its GiB before.
    pub grow: Option<(DiskGrowth, u64)>,
    /// Disks that are added.
    pub add: Vec<MoreDisk>,
    /// New disks are there at once.
    pub disks_live: bool,
    /// Fields of the profile that stay as they are: key and why.
    pub stays: Vec<(&'static str, String)>,
}

/// Fields that a container has too.
const OF_CONTAINERS: [&str; 2] = ["cores", "memory"];

impl Guests<'_> {
    /// The profile of a machine, if it has one that is still there.
    ///
    /// # Errors
    /// What the store says.
    pub fn profile_of(&self, guest: &GuestLive) -> Result<Option<Profile>> {
        guest.row.profile.map_or(Ok(None), |id| self.0.hardware_profiles().known(id))
    }

    /// Whoever applies a profile must manage the machine.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`.
    pub fn may_apply(&self, actor: &Actor, id: GuestId) -> Result<()> {
        self.get_for(actor, id, GuestRight::Manage).map(drop)
    }

    /// What applying a profile would do. Nothing is changed. `disks`: its disks too.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the provider can't, or when an admin's profile stands in the way; `Unavailable`.
    pub async fn plan_profile(&self, actor: &Actor, id: GuestId, profile: ProfileId, disks: bool) -> Result<ApplyPlan> {
        let guest = self.get_for(actor, id, GuestRight::Manage)?;
        let profile = self.0.hardware_profiles().get(actor, profile)?;
        if let Some(why) = self.action_refusal(actor, &guest, &ActionKind::Apply.empty()) {
            return Err(if guest.stale { Error::unavailable(why) } else { Error::conflict(why) });
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
        let (values, mut stays) = changeable(guest.row.kind, profile, &all, disks);
        let (grow, add) = if disks { wanted_disks(profile, &all) } else { (None, Vec::new()) };
        let plan = if values.is_empty() {
            model::guests::hardware::Plan { digest: all.digest.clone(), changes: Vec::new() }
        } else {
            self.plan_change(actor, id, &values).await?
        };
        stays.sort_by_key(|(key, _)| FIELDS.iter().position(|f| f.key == *key));
        let plan = ApplyPlan {
            digest: plan.digest,
            running: all.running,
            changes: plan.changes,
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
            return Err(Error::conflict(format!("Steward may not plug machines into {bridge}.")));
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
    // Fewer cores in use, or more of them, is the same matter as cores.
    let lock = if key == "cpus" { "cores" } else { key };
    !profile.locks(lock) || profile.value(key) == Some(value)
}

fn fixed_in_card(profile: &Profile, nic: &NicSpec) -> Vec<String> {
    let same = [
        ("bridge", profile.value("bridge") == Some(nic.bridge.as_str())),
        ("vlan", profile.vlan() == nic.vlan),
        ("nic_model", nic.model.is_none() || nic.model.as_deref() == profile.value("nic_model")),
        ("nic_firewall", profile.value("nic_firewall") == Some(if nic.firewall { "1" } else { "0" })),
        ("mac_prefix", nic.mac.as_deref().is_none_or(|m| m.starts_with(profile.value("mac_prefix").unwrap_or("")))),
    ];
    let wrong = same.into_iter().filter(|(key, same)| profile.locks(key) && !same);
    wrong.map(|(key, _)| key.trim_start_matches("nic_").replace("mac_prefix", "mac")).collect()
}

/// The values to change, and the fields that stay with the reason.
fn changeable(
    kind: GuestKind,
    profile: &Profile,
    all: &Hardware,
    disks: bool,
) -> (BTreeMap<String, String>, Vec<(&'static str, String)>) {
    let (mut values, mut stays) = (BTreeMap::new(), Vec::new());
    for f in FIELDS.iter().filter(|f| profile.sets(f.key)) {
        match (why_it_stays(kind, f, all, disks), profile.value(f.key)) {
            (Some(why), _) => stays.push((f.key, why)),
            (None, Some(value)) if f.existing == Existing::Change => {
                _ = values.insert(f.key.to_owned(), value.to_owned())
            }
            _ => {}
        }
    }
    (values, stays)
}

fn why_it_stays(kind: GuestKind, f: &Field, all: &Hardware, disks: bool) -> Option<String> {
    match f.existing {
        _ if kind == GuestKind::Lxc && !OF_CONTAINERS.contains(&f.key) => {
            Some("A container has no such thing.".to_owned())
        }
        Existing::Stays(why) => Some(why.to_owned()),
        Existing::Disks if !disks => Some("Disks were not asked for.".to_owned()),
        Existing::Change if all.value(f.key).is_none() => Some("This machine has no such thing.".to_owned()),
        _ => None,
    }
}

/// The first disk's growth, and the disks that the machine lacks: it has as many as the profile then.
fn wanted_disks(profile: &Profile, all: &Hardware) -> (Option<(DiskGrowth, u64)>, Vec<MoreDisk>) {
    let mine: Vec<_> =
        all.disks.iter().filter(|d| d.kind == "disk" && d.pending.as_deref() != Some("removed")).collect();
    let first = mine.iter().find(|d| d.boot).or(mine.first());
    let grow = first.zip(profile.number("disk")).and_then(|(d, gib)| {
        let has = d.size.div_ceil(1 << 30);
        (gib > has).then(|| (DiskGrowth { disk: d.key.clone(), gib }, has))
    });
    let beside = mine.len().saturating_sub(1);
    (grow, profile.disks.iter().skip(beside).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Timestamp;
    use model::guests::hardware::{Disk, HardwareValue};
    use model::profiles::starting;

    fn profile(values: &[(&str, &str)], locked: &[&str], disks: &[u64]) -> Profile {
        Profile {
            values: values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            locked: locked.iter().map(|k| (*k).to_owned()).collect(),
            disks: disks.iter().map(|gib| MoreDisk { gib: *gib, ..MoreDisk::default() }).collect(),
            ..starting(Timestamp::ZERO).remove(0)
        }
    }

    fn disk(key: &str, gib: u64, boot: bool) -> Disk {
        Disk { key: key.into(), kind: "disk".into(), size: gib << 30, boot, ..Disk::default() }
    }

    #[test]
    fn disks_never_shrink_and_only_what_lacks_is_added() {
        let all = Hardware { disks: vec![disk("scsi1", 5, false), disk("scsi0", 20, true)], ..Hardware::default() };
        let (grow, add) = wanted_disks(&profile(&[("disk", "10")], &[], &[5]), &all);
        assert!(grow.is_none() && add.is_empty(), "{grow:?} {add:?}");
        let (grow, add) = wanted_disks(&profile(&[("disk", "32")], &[], &[5, 7]), &all);
        assert_eq!(grow, Some((DiskGrowth { disk: "scsi0".into(), gib: 32 }, 20)));
        assert_eq!(add.iter().map(|d| d.gib).collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn what_can_not_change_stays_with_its_reason() {
        let value = |key: &str| HardwareValue { key: key.into(), ..HardwareValue::default() };
        let all = Hardware { values: vec![value("cores"), value("memory")], ..Hardware::default() };
        let p = profile(&[("cores", "2"), ("firmware", "ovmf"), ("disk", "9"), ("display", "std")], &[], &[]);
        let (values, stays) = changeable(GuestKind::Qemu, &p, &all, false);
        assert_eq!(values, BTreeMap::from([("cores".to_owned(), "2".to_owned())]));
        assert_eq!(stays.iter().map(|(k, _)| *k).collect::<Vec<_>>(), ["disk", "firmware", "display"]);
        let (values, _) = changeable(GuestKind::Lxc, &profile(&[("cores", "1"), ("numa", "1")], &[], &[]), &all, true);
        assert_eq!(values.len(), 1);
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
