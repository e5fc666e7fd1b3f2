//! New values for a machine's hardware and options.

use super::{Action, ActionSpec};
use crate::guests::is_tag;
use crate::profiles::MoreDisk;
use crate::providers::Feature;
use base::ids::ProfileId;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Changes settings. Values that the machine can't take while it runs wait for a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSettings {
    /// New values by their keys; an empty text removes a value.
    pub values: BTreeMap<String, String>,
    /// The digest of the state that the change was based on; if it differs by now, nothing is changed.
    #[serde(default)]
    pub digest: Option<String>,
}

impl Action for ChangeSettings {
    const SPEC: ActionSpec = ActionSpec::new("Change", "settings", "guest_change").feature(Feature::Hardware);

    fn describe(&self) -> String {
        let one = |(key, value): (&String, &String)| match key.as_str() {
            // Long texts are in the job.
            "description" | "ci_keys" => key.clone(),
            _ => format!("{key}={value}"),
        };
        self.values.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn check(&self) -> Result<()> {
        // The values are checked by what the provider declares.
        if self.values.is_empty() { Err(Error::invalid("There is nothing to change.")) } else { Ok(()) }
    }
}

/// Reverts changes that are waiting for a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevertSettings {
    /// Left out: all of them.
    #[serde(default)]
    pub keys: Vec<String>,
}

impl Action for RevertSettings {
    const SPEC: ActionSpec = ActionSpec::new("Revert", "settings", "guest_change")
        .feature(Feature::Hardware)
        .asks("Revert these changes? The machine keeps the values that it has now.");

    fn title(&self, machine: &str) -> String {
        format!("Revert pending changes of {machine}")
    }

    fn describe(&self) -> String {
        self.keys.join(", ")
    }
}

/// Gives it the hardware of a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyProfile {
    /// The profile's id or name.
    pub profile: String,
    /// Also enlarge the first disk and add missing further disks. Disks never get smaller.
    #[serde(default)]
    pub disks: bool,
    /// The digest of the state that was looked at; if it differs by now, nothing is changed.
    #[serde(default)]
    pub digest: Option<String>,
}

impl Action for ApplyProfile {
    const SPEC: ActionSpec = ActionSpec::new("Apply a profile", "settings", "guest_change").feature(Feature::Hardware);

    fn title(&self, machine: &str) -> String {
        format!("Apply profile {} to {machine}", self.profile)
    }
}

/// A disk to this size in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskGrowth {
    pub disk: String,
    pub gib: u64,
}

/// What the provider's job gets for [`ApplyProfile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename = "apply")]
pub struct ProfileChange {
    pub profile: ProfileId,
    /// What it is called.
    pub name: String,
    pub values: BTreeMap<String, String>,
    pub digest: Option<String>,
    /// The first disk grows.
    pub grow: Option<DiskGrowth>,
    /// Disks that the machine lacks.
    pub add: Vec<MoreDisk>,
}

impl ProfileChange {
    /// For the audit log.
    pub fn describe(&self) -> String {
        let values = self.values.iter().map(|(key, value)| format!("{key}={value}"));
        let grow = self.grow.iter().map(|g| format!("{} to {} GiB", g.disk, g.gib));
        let add = self.add.iter().map(|d| format!("a disk of {} GiB", d.gib));
        let all: Vec<String> = values.chain(grow).chain(add).collect();
        format!("{}: {}", self.name, all.join(", "))
    }
}

/// Adds tags and takes tags away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTags {
    #[serde(default)]
    pub add: Vec<String>,
    #[serde(default)]
    pub remove: Vec<String>,
}

impl Action for ChangeTags {
    const SPEC: ActionSpec = ActionSpec::new("Tag", "plus", "guest_change").feature(Feature::Tags).bulk();

    fn check(&self) -> Result<()> {
        let Self { add, remove } = self;
        if add.is_empty() && remove.is_empty() {
            return Err(Error::field("add", "Choose tags to add or remove."));
        }
        for (field, tags) in [("add", add), ("remove", remove)] {
            if !tags.iter().all(|t| is_tag(t)) {
                return Err(Error::field(field, "Tags use letters, digits, dash, dot, plus and underscore."));
            }
        }
        match add.iter().find(|t| remove.contains(t)) {
            Some(both) => Err(Error::field("remove", format!("“{both}” can't be both added and removed."))),
            None => Ok(()),
        }
    }
}

impl ChangeTags {
    /// What it is for a machine that has these tags.
    pub fn change(&self, have: &[String]) -> ChangeSettings {
        let tags = tags_after(have, &self.add, &self.remove);
        ChangeSettings { values: BTreeMap::from([("tags".to_owned(), tags.join(" "))]), digest: None }
    }

    /// Some tag was given, but a machine with these tags would stay as it is.
    pub fn changes_nothing(&self, have: &[String]) -> bool {
        let said = !self.add.is_empty() || !self.remove.is_empty();
        said && tags_after(have, &self.add, &self.remove) == tags_after(have, &[], &[])
    }
}

/// The tags of a machine afterwards, by name. Case does not matter.
fn tags_after(have: &[String], add: &[String], remove: &[String]) -> Vec<String> {
    let small = |t: &String| t.to_lowercase();
    let gone: BTreeSet<String> = remove.iter().map(small).collect();
    let all: BTreeSet<String> = have.iter().chain(add).map(small).filter(|t| !gone.contains(t)).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_added_and_taken_away_without_regard_to_case() {
        let words = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let have = words(&["web", "old"]);
        assert_eq!(tags_after(&have, &words(&["Prod", "web"]), &words(&["OLD", "never"])), ["prod", "web"]);
        let tags = |add: &[&str], remove: &[&str]| ChangeTags { add: words(add), remove: words(remove) };
        assert!(tags(&["Web"], &["never"]).changes_nothing(&have) && !tags(&[], &["old"]).changes_nothing(&have));
        assert!(!ChangeTags::default().changes_nothing(&have), "nothing was said yet");
    }
}
