//! Quotas: how much one person's machines may have together. Pure: amounts in, verdict out.

use crate::amounts;
use crate::guests::{GuestSpec, GuestState};
use base::ids::JobId;
use base::{Error, Kind, Result, Timestamp};
use minicbor::{Decode, Encode};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::ops::AddAssign;

/// What machines have or want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Amounts {
    #[n(0)]
    pub machines: u64,
    #[n(1)]
    pub cores: u64,
    /// MiB.
    #[n(2)]
    pub memory: u64,
    /// GiB.
    #[n(3)]
    pub disk: u64,
}

impl Amounts {
    /// What a machine has, as its provider's list tells. A template counts nothing. Broken sizes count as whole ones.
    pub fn of(state: &GuestState) -> Self {
        if state.template {
            return Self::default();
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cores, clamped before")]
        let cores = state.maxcpu.clamp(0.0, 1e6).ceil() as u64;
        Self { machines: 1, cores, memory: state.maxmem.div_ceil(1 << 20), disk: state.maxdisk.div_ceil(1 << 30) }
    }

    /// What a wanted machine will have.
    pub fn wanted(spec: &GuestSpec) -> Self {
        Self { machines: 1, cores: spec.all_cores(), memory: spec.memory, disk: spec.all_disks() }
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            machines: self.machines.max(other.machines),
            cores: self.cores.max(other.cores),
            memory: self.memory.max(other.memory),
            disk: self.disk.max(other.disk),
        }
    }

    pub fn get(self, what: Resource) -> u64 {
        match what {
            Resource::Machines => self.machines,
            Resource::Cores => self.cores,
            Resource::Memory => self.memory,
            Resource::Disk => self.disk,
        }
    }
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.machines = self.machines.saturating_add(other.machines);
        self.cores = self.cores.saturating_add(other.cores);
        self.memory = self.memory.saturating_add(other.memory);
        self.disk = self.disk.saturating_add(other.disk);
    }
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Resource {
    Machines,
    Cores,
    Memory,
    Disk,
}

impl Resource {
    pub const ALL: [Self; 4] = [Self::Machines, Self::Cores, Self::Memory, Self::Disk];

    /// As in forms and JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Machines => "Machines",
            Self::Cores => "Cores",
            Self::Memory => "Memory",
            Self::Disk => "Disk",
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Self::Machines | Self::Cores => "",
            Self::Memory => "MiB",
            Self::Disk => "GiB",
        }
    }

    /// The most that makes sense in a form.
    pub fn most(self) -> u64 {
        match self {
            Self::Machines => 100_000,
            Self::Cores => 1_000_000,
            Self::Memory => 1 << 40,
            Self::Disk => 1 << 30,
        }
    }

    /// An amount in words: `2 GiB`, `4`, `1536 MiB`.
    pub fn words(self, n: u64) -> String {
        match self {
            Self::Machines => format!("{n} {}", if n == 1 { "machine" } else { "machines" }),
            Self::Cores => format!("{n} {}", if n == 1 { "core" } else { "cores" }),
            Self::Memory if n >= 1024 && n.is_multiple_of(1024) => format!("{} GiB memory", n / 1024),
            Self::Memory => format!("{n} MiB memory"),
            Self::Disk => format!("{n} GiB disk"),
        }
    }
}

/// The most that a person's machines may have together; `None` is no limit. Memory in MiB, disk in GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    #[n(0)]
    pub machines: Option<u64>,
    #[n(1)]
    pub cores: Option<u64>,
    #[n(2)]
    #[serde(default, deserialize_with = "amounts::maybe_mib")]
    pub memory: Option<u64>,
    #[n(3)]
    #[serde(default, deserialize_with = "amounts::maybe_gib")]
    pub disk: Option<u64>,
}

impl Quota {
    pub fn get(&self, what: Resource) -> Option<u64> {
        match what {
            Resource::Machines => self.machines,
            Resource::Cores => self.cores,
            Resource::Memory => self.memory,
            Resource::Disk => self.disk,
        }
    }

    pub fn set(&mut self, what: Resource, most: Option<u64>) {
        match what {
            Resource::Machines => self.machines = most,
            Resource::Cores => self.cores = most,
            Resource::Memory => self.memory = most,
            Resource::Disk => self.disk = most,
        }
    }

    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// May the person have `after` in all, when what changes grows from `before` to `to`? Only what grows is
    /// refused: a quota that was lowered takes nothing away, and smaller is always allowed. `who` is whose quota it
    /// is; `None`: that of the person who reads it.
    ///
    /// # Errors
    /// `Conflict` with a sentence beside each field that is too much.
    pub fn check(&self, who: Option<&str>, after: Amounts, before: Amounts, to: Amounts) -> Result<()> {
        let mut wrong = Vec::new();
        let (who, has) = who.map_or(("You", "have"), |who| (who, "has"));
        for what in Resource::ALL {
            let (Some(most), total) = (self.get(what), after.get(what)) else { continue };
            let grows = to.get(what).saturating_sub(before.get(what));
            if grows > 0 && total > most {
                let have = total.saturating_sub(grows);
                let text = format!(
                    "{who} may have {} in all and already {has} {}; this takes {} more.",
                    what.words(most),
                    what.words(have),
                    what.words(grows)
                );
                wrong.push((what, text));
            }
        }
        let Some((_, first)) = wrong.first() else { return Ok(()) };
        let e = Error::new(Kind::Conflict, format!("The quota is too small. {first} An admin can change it."));
        Err(wrong.into_iter().fold(e, |e, (what, text)| e.with_field(what.name(), text)))
    }
}

/// One limit of one person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Allowance {
    /// The one for everybody.
    #[n(0)]
    #[default]
    Usual,
    #[n(1)]
    #[serde(rename = "unlimited")]
    NoLimit,
    #[n(2)]
    #[serde(untagged)]
    AtMost(#[n(0)] u64),
}

impl utoipa::PartialSchema for Allowance {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, OneOfBuilder, Type};
        let number = ObjectBuilder::new().schema_type(Type::Integer);
        let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["usual", "unlimited"]));
        OneOfBuilder::new().item(number).item(word).into()
    }
}

impl utoipa::ToSchema for Allowance {}

impl<'de> Deserialize<'de> for Allowance {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Limit;
        impl Visitor<'_> for Limit {
            type Value = Allowance;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("give a whole number, 0 or more, or “usual” or “unlimited”")
            }

            /// Stands for one that was told as wrong already.
            fn visit_unit<E>(self) -> Result<Allowance, E> {
                Ok(Allowance::Usual)
            }

            fn visit_u64<E>(self, n: u64) -> Result<Allowance, E> {
                Ok(Allowance::AtMost(n))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Allowance, E> {
                match text {
                    "usual" => Ok(Allowance::Usual),
                    "unlimited" => Ok(Allowance::NoLimit),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        d.deserialize_any(Limit)
    }
}

impl Allowance {
    pub fn over(self, usual: Option<u64>) -> Option<u64> {
        match self {
            Self::Usual => usual,
            Self::NoLimit => None,
            Self::AtMost(n) => Some(n),
        }
    }
}

/// What an admin set for one person. What is not named is as for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UserQuota {
    #[n(0)]
    pub machines: Allowance,
    #[n(1)]
    pub cores: Allowance,
    #[n(2)]
    pub memory: Allowance,
    #[n(3)]
    pub disk: Allowance,
}

impl UserQuota {
    pub fn get(&self, what: Resource) -> Allowance {
        match what {
            Resource::Machines => self.machines,
            Resource::Cores => self.cores,
            Resource::Memory => self.memory,
            Resource::Disk => self.disk,
        }
    }

    pub fn set(&mut self, what: Resource, allowance: Allowance) {
        match what {
            Resource::Machines => self.machines = allowance,
            Resource::Cores => self.cores = allowance,
            Resource::Memory => self.memory = allowance,
            Resource::Disk => self.disk = allowance,
        }
    }

    pub fn over(&self, usual: &Quota) -> Quota {
        let mut quota = Quota::default();
        for what in Resource::ALL {
            quota.set(what, self.get(what).over(usual.get(what)));
        }
        quota
    }
}

/// What a job will have made of a machine. Kept from the request until the provider's list shows it, so that
/// nothing is given twice meanwhile. Disks stay: the list tells only the first disk of a virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Claim {
    #[n(0)]
    pub job: JobId,
    /// What counted for the machine when it was asked for.
    #[n(1)]
    pub before: Amounts,
    #[n(2)]
    pub to: Amounts,
    /// When the job was done.
    #[n(3)]
    pub over: Option<Timestamp>,
}

impl Claim {
    /// What counts for a machine that has `now`. While the job is open the larger of old and new counts; after it
    /// too, as a change may wait for a restart. What was just made has what was wanted: a fresh copy is listed with
    /// its template's sizes for a while.
    pub fn counted(&self, now: Amounts) -> Amounts {
        let made = self.before.machines == 0 && self.to.machines > 0;
        match self.over {
            None => now.max(self.to).max(self.before),
            Some(_) if made => Amounts { disk: now.disk.max(self.to.disk), ..self.to },
            Some(_) => now.max(self.to),
        }
    }

    /// The claim after its job is over; `None` when nothing of it is left.
    #[must_use]
    pub fn settled(self, succeeded: bool, at: Timestamp) -> Option<Self> {
        let left = if succeeded { self.to } else { Amounts { machines: 0, cores: 0, memory: 0, ..self.before } };
        (left != Amounts::default()).then_some(Self { to: left, over: Some(at), ..self })
    }

    /// What is left when the provider's list of after its end was read: more disk than that list tells.
    #[must_use]
    pub fn seen(self, now: Amounts) -> Option<Self> {
        let disk = Amounts { disk: self.to.disk, ..Amounts::default() };
        (self.to.disk > now.disk).then_some(Self { to: disk, before: disk, ..self })
    }
}

/// What a change makes of a machine: new values where given, disk as what is added (or taken away).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    pub cores: Option<u64>,
    /// MiB.
    pub memory: Option<u64>,
    /// GiB more than now; below zero for less.
    pub disk: i64,
}

impl Growth {
    pub fn of(&self, before: Amounts) -> Amounts {
        Amounts {
            machines: before.machines,
            cores: self.cores.unwrap_or(before.cores),
            memory: self.memory.unwrap_or(before.memory),
            disk: before.disk.saturating_add_signed(self.disk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn amounts(machines: u64, cores: u64, memory: u64, disk: u64) -> Amounts {
        Amounts { machines, cores, memory, disk }
    }

    #[test]
    fn only_what_grows_is_refused_and_each_field_is_named() {
        let quota = Quota { machines: Some(3), cores: Some(4), memory: Some(4096), disk: None };
        let (none, one) = (Amounts::default(), amounts(1, 2, 2048, 500));
        quota.check(Some("mira"), amounts(3, 4, 4096, 900), none, one).unwrap();
        let e = quota.check(Some("mira"), amounts(4, 5, 4096, 900), none, one).unwrap_err();
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["cores", "machines"]);
        assert!(e.message().contains("3 machines in all and already has 3 machines"), "{}", e.message());
        // Over the quota since it was lowered: less cores are fine, more memory too as long as that fits.
        quota.check(Some("mira"), amounts(9, 8, 4096, 0), amounts(1, 4, 1024, 0), amounts(1, 2, 2048, 0)).unwrap();
        assert!(Quota::default().is_open() && !quota.is_open());
    }

    #[test]
    fn a_persons_own_limit_goes_before_the_usual_one() {
        let usual = Quota { machines: Some(2), cores: Some(4), ..Quota::default() };
        let own = UserQuota { machines: Allowance::AtMost(5), cores: Allowance::NoLimit, ..UserQuota::default() };
        let quota = own.over(&usual);
        assert_eq!(quota, Quota { machines: Some(5), ..Quota::default() });
        assert_eq!(UserQuota::default().over(&usual), usual);
    }

    #[test]
    fn a_claim_counts_from_the_request_until_the_list_shows_it() {
        let (before, to) = (amounts(1, 2, 2048, 16), amounts(1, 4, 1024, 48));
        let claim = Claim { job: JobId::new(), before, to, over: None };
        assert_eq!(claim.counted(before), amounts(1, 4, 2048, 48));
        let done = claim.settled(true, Timestamp::ZERO).unwrap();
        assert_eq!(done.counted(before), amounts(1, 4, 2048, 48), "the list is still the old one");
        // The list shows cores and memory, but only the first of two disks.
        let now = amounts(1, 4, 1024, 16);
        let seen = done.seen(now).unwrap();
        assert_eq!(seen.counted(now), amounts(1, 4, 1024, 48));
        assert_eq!(seen.counted(amounts(1, 2, 512, 16)), amounts(1, 2, 512, 48));
        assert_eq!(done.seen(amounts(1, 4, 1024, 48)), None);
        let failed = claim.settled(false, Timestamp::ZERO).unwrap();
        assert_eq!(failed.counted(before), before);
        let new = Claim { before: Amounts::default(), ..claim };
        assert_eq!(new.settled(false, Timestamp::ZERO), None, "nothing was made");
        let made = new.settled(true, Timestamp::ZERO).unwrap();
        assert_eq!(made.counted(amounts(1, 8, 4096, 16)), to, "the list shows the template's sizes");
    }

    #[test]
    fn a_machine_counts_as_the_list_tells_and_a_template_not_at_all() {
        let state = GuestState { maxcpu: 1.5, maxmem: (1 << 31) + 1, maxdisk: 1 << 34, ..GuestState::default() };
        assert_eq!(Amounts::of(&state), amounts(1, 2, 2049, 16));
        assert_eq!(Amounts::of(&GuestState { template: true, ..state }), Amounts::default());
        assert_eq!(
            Growth { cores: Some(8), memory: None, disk: -4 }.of(amounts(1, 2, 512, 16)),
            amounts(1, 8, 512, 12)
        );
    }

    proptest! {
        /// Requests that pass one after the other never bring a person over their quota.
        #[test]
        fn what_passes_stays_within(
            most in (1_u64..6, 1_u64..40, 1_u64..9000, 1_u64..500),
            asked in proptest::collection::vec((1_u64..20, 1_u64..5000, 1_u64..200), 0..20),
        ) {
            let quota = Quota { machines: Some(most.0), cores: Some(most.1), memory: Some(most.2), disk: Some(most.3) };
            let mut has = Amounts::default();
            for (cores, memory, disk) in asked {
                let want = amounts(1, cores, memory, disk);
                let mut after = has;
                after += want;
                if quota.check(None, after, Amounts::default(), want).is_ok() {
                    has = after;
                }
            }
            for what in Resource::ALL {
                prop_assert!(has.get(what) <= quota.get(what).unwrap());
            }
        }
    }
}
