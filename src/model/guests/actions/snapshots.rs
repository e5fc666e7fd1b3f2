//! Taking snapshots, going back to them, their notes, deleting them.

use super::{Action, ActionSpec, Confirm, Part, check_text};
use crate::guests::snapshots::check_name;
use crate::guests::{GuestKind, GuestState};
use crate::providers::Feature;
use base::Result;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Takes a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeSnapshot {
    /// 2 to 40 letters, digits, dashes and underscores, beginning with a letter.
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// Include memory; only of a running virtual machine.
    #[serde(default)]
    pub memory: bool,
}

impl Action for TakeSnapshot {
    const SPEC: ActionSpec = ActionSpec::new("Snapshot", "clock", "guest_snapshot").feature(Feature::Snapshots).bulk();

    fn title(&self, machine: &str) -> String {
        format!("Snapshot {} of {machine}", self.name)
    }

    fn describe(&self) -> String {
        format!("{}{}", self.name, if self.memory { " with memory" } else { "" })
    }

    fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        check_text(&self.description)
    }

    fn feature(&self) -> Option<Feature> {
        Some(if self.memory { Feature::SnapshotMemory } else { Feature::Snapshots })
    }

    fn refusal(&self, _: GuestKind, state: &GuestState) -> Option<String> {
        if state.template {
            return Some("A template can't have snapshots.".to_owned());
        }
        (self.memory && state.status != "running" && !state.is_unknown())
            .then(|| format!("It is {} now: there is no memory to keep.", state.status))
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::NewSnapshot(&self.name))
    }
}

/// Rolls back to a snapshot: what came after it is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    pub name: String,
    /// Start it afterwards. With memory in the snapshot it runs anyway.
    #[serde(default)]
    pub start: bool,
}

impl Action for Rollback {
    const SPEC: ActionSpec = ActionSpec::new("Roll back", "clock", "guest_rollback")
        .feature(Feature::Snapshots)
        .confirm(Confirm::Required)
        .asks("Go back to {}? What was written since then is lost for good.");

    fn title(&self, machine: &str) -> String {
        format!("Roll {machine} back to {}", self.name)
    }

    fn describe(&self) -> String {
        self.name.clone()
    }

    fn refusal(&self, _: GuestKind, state: &GuestState) -> Option<String> {
        state.template.then(|| "A template can't have snapshots.".to_owned())
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Snapshot(&self.name))
    }
}

/// Deletes a snapshot; the machine stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteSnapshot {
    pub name: String,
}

impl Action for DeleteSnapshot {
    const SPEC: ActionSpec = ActionSpec::new("Delete snapshot", "trash", "guest_snapshot_delete")
        .feature(Feature::Snapshots)
        .asks("Delete {}? The machine stays as it is, but can't go back to this snapshot any more.");

    fn title(&self, machine: &str) -> String {
        format!("Delete snapshot {} of {machine}", self.name)
    }

    fn describe(&self) -> String {
        self.name.clone()
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Snapshot(&self.name))
    }
}

/// Changes the note of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditSnapshot {
    pub name: String,
    pub description: String,
}

impl Action for EditSnapshot {
    const SPEC: ActionSpec =
        ActionSpec::new("Edit snapshot", "clock", "guest_snapshot_edit").feature(Feature::Snapshots);

    fn title(&self, machine: &str) -> String {
        format!("Note on snapshot {} of {machine}", self.name)
    }

    fn describe(&self) -> String {
        self.name.clone()
    }

    fn check(&self) -> Result<()> {
        check_text(&self.description)
    }

    fn part(&self) -> Option<Part<'_>> {
        Some(Part::Snapshot(&self.name))
    }
}
