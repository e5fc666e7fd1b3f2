//! What depends on a machine: what a person should know before it is stopped, moved, changed or deleted. Here are
//! the facts and their words; `app/impact` collects them.

mod words;

pub use words::needs_ties;

use crate::access::GuestRight;
use crate::guests::ActionKind;
use base::Timestamp;
use base::ids::{GuestId, JobId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much something matters, worst first.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Weight {
    /// It can't be done while this is the case.
    Blocks,
    /// Gone for good.
    Lost,
    /// Somebody is cut off.
    Cut,
    /// Good to know.
    Known,
}

impl Weight {
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What it means, for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blocks => "in the way",
            Self::Lost => "lost",
            Self::Cut => "cut off",
            Self::Known => "to know",
        }
    }
}

/// What it is about. The order is that of the list among hits of the same weight.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum HitKind {
    /// Steward itself runs there.
    Steward,
    Protection,
    /// Machines whose disks are linked to its own.
    Linked,
    Jobs,
    Lock,
    Devices,
    /// Power and time.
    State,
    Software,
    People,
    Consoles,
    Disks,
    Snapshots,
    /// What was written since a snapshot.
    Since,
    /// High availability and replication.
    Watch,
    /// Machines that were created from it and are independent of it.
    Copies,
    /// The machines of a connection.
    Machines,
}

impl HitKind {
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Only the machine itself is concerned: nothing else depends on it.
    pub fn is_own(self) -> bool {
        matches!(self, Self::State | Self::Disks | Self::Since)
    }
}

/// One of several things in a hit, and where it can be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Item {
    pub text: String,
    pub guest: Option<GuestId>,
    pub job: Option<JobId>,
    /// A page that a program on the machine serves: http or https.
    pub url: Option<String>,
}

impl Item {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn guest(text: impl Into<String>, id: GuestId) -> Self {
        Self { guest: Some(id), ..Self::new(text) }
    }

    pub fn job(text: impl Into<String>, id: JobId) -> Self {
        Self { job: Some(id), ..Self::new(text) }
    }

    pub fn url(text: impl Into<String>, url: String) -> Self {
        Self { url: Some(url), ..Self::new(text) }
    }
}

/// One thing that is hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hit {
    pub kind: HitKind,
    pub weight: Weight,
    /// A sentence.
    pub text: String,
    /// The same in a few words, beside the machine's name in a list of several.
    #[serde(skip)]
    pub brief: String,
    pub items: Vec<Item>,
    /// How many more there are, which the asker may not see, or which are too many to name.
    pub more: usize,
}

/// A snapshot as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFact {
    pub name: String,
    pub taken: Timestamp,
    pub memory: bool,
}

/// A disk that goes with the machine. `bytes` is 0 when unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoingDisk {
    pub key: String,
    pub storage: String,
    pub bytes: u64,
    pub unused: bool,
}

/// A program that was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub title: String,
    /// Title and address of its pages, as far as the address is known.
    pub pages: Vec<(String, String)>,
    /// It is not there yet.
    pub waits: bool,
}

/// What a source found out about one machine. Names that the asker may not see are not in it, only their count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Steward runs on it; not `sure`: only the name is the same.
    Steward {
        sure: bool,
    },
    Protected,
    /// The provider's lock: backup, suspended ...
    Locked(String),
    Linked {
        machines: Vec<(GuestId, String)>,
        more: usize,
    },
    Copies {
        machines: Vec<(GuestId, String)>,
        more: usize,
    },
    /// Jobs that work on it; `overtaken`: a stop does not wait for them.
    Jobs {
        jobs: Vec<(JobId, String)>,
        more: usize,
        overtaken: bool,
    },
    /// Jobs that make machines from it.
    Making {
        jobs: Vec<(JobId, String)>,
        more: usize,
    },
    Devices(Vec<String>),
    State {
        status: String,
        uptime: u64,
    },
    Software(Vec<Program>),
    /// `owner`: another one than the asker. `others`: those whose names the asker may not see.
    People {
        owner: Option<String>,
        shared: Vec<(String, GuestRight)>,
        others: usize,
    },
    /// Open consoles: the asker's own, those of people by name, and those of others.
    Consoles {
        own: usize,
        names: Vec<String>,
        others: usize,
    },
    Disks {
        list: Vec<GoingDisk>,
        bytes: u64,
    },
    Snapshots {
        list: Vec<SnapshotFact>,
        now: Timestamp,
    },
    /// Going back to a snapshot: what came after it.
    Since {
        to: SnapshotFact,
        newer: Vec<SnapshotFact>,
        now: Timestamp,
    },
    HighAvailability(String),
    Replication(Vec<String>),
}

/// The answer of the provider's `guest_ties` hook: what ties a machine to others and to its node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ties {
    /// Devices of the node that are passed through, as their keys and what they are.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Nodes to which it is replicated.
    #[serde(default)]
    pub replication: Vec<String>,
    /// Numbers of the machines whose disks are linked to its own.
    #[serde(default)]
    pub linked: Vec<u32>,
}

/// What depends on it, worst first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Impact {
    pub hits: Vec<Hit>,
    /// What could not be determined, as sentences.
    pub unknown: Vec<String>,
}

/// Names in one hit; the others are counted.
const NAMED: usize = 30;

impl Impact {
    pub fn of(action: ActionKind, facts: Vec<Fact>, unknown: Vec<String>) -> Self {
        let hits = facts.iter().filter_map(|fact| fact.hit(action)).collect();
        Self { hits, unknown }.sorted()
    }

    /// The same for several machines: one hit for each kind, which names the machines.
    pub fn of_many(action: ActionKind, each: Vec<(GuestId, String, Vec<Fact>)>) -> Self {
        let mut kinds: BTreeMap<HitKind, Vec<(GuestId, String, Hit)>> = BTreeMap::new();
        let mut bytes = 0_u64;
        for (id, name, facts) in each {
            for fact in &facts {
                if let Fact::Disks { bytes: own, .. } = fact {
                    bytes += own;
                }
                if let Some(hit) = fact.hit(action) {
                    kinds.entry(hit.kind).or_default().push((id, name.clone(), hit));
                }
            }
        }
        let hits = kinds.into_iter().filter_map(|(kind, all)| {
            let weight = all.iter().map(|(_, _, hit)| hit.weight).min()?;
            let mut machines: Vec<GuestId> = all.iter().map(|(id, _, _)| *id).collect();
            machines.dedup();
            let text = words::of_many(kind, action, machines.len(), bytes);
            let item = |(id, name, hit): (GuestId, String, Hit)| Item::guest(format!("{name}: {}", hit.brief), id);
            Some(Hit { kind, weight, text, brief: String::new(), items: all.into_iter().map(item).collect(), more: 0 })
        });
        Self { hits: hits.collect(), unknown: Vec::new() }.sorted()
    }

    fn sorted(mut self) -> Self {
        for hit in &mut self.hits {
            hit.more += hit.items.len().saturating_sub(NAMED);
            hit.items.truncate(NAMED);
        }
        self.hits.sort_by_key(|hit| (hit.weight, hit.kind));
        self
    }

    /// Forgetting a connection: its machines, and who has how many of them.
    pub fn of_connection(machines: Vec<(GuestId, String)>, owners: &[(String, usize)]) -> Self {
        Self { hits: words::of_connection(machines, owners), unknown: Vec::new() }.sorted()
    }

    /// A person should read it before they confirm.
    pub fn asks(&self) -> bool {
        self.hits.iter().any(|hit| hit.weight < Weight::Known && !hit.kind.is_own())
    }

    /// It can't be done as it is.
    pub fn blocks(&self) -> bool {
        self.hits.iter().any(|hit| hit.weight == Weight::Blocks)
    }

    /// Nothing but the machine itself is hit.
    pub fn is_alone(&self) -> bool {
        self.hits.iter().all(|hit| hit.kind.is_own())
    }
}

#[cfg(test)]
mod tests;
