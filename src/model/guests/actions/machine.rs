//! What concerns a machine as a whole: copies, templates, moves, a new owner, deletion.

use super::{Action, ActionSpec, Confirm, Part, check_text};
use crate::access::GuestRight;
use crate::guests::{GuestKind, GuestState, HOST_NAME, is_host_name};
use crate::providers::Feature;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Makes a copy under a new number. It belongs to the person who requests it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneGuest {
    /// A host name, like web-01 or web-01.example.org.
    pub name: String,
    /// Where the copy goes; left out: the same node. Another one only when all disks are on shared storages.
    #[serde(default)]
    pub node: Option<String>,
    /// `false`: shares the template's disks; only of a template.
    #[serde(default = "yes")]
    pub full: bool,
    /// Where the copied disks go; left out: where they are.
    #[serde(default)]
    pub storage: Option<String>,
    /// The machine as it was at this snapshot. A running container can be copied only this way.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// Left out: the notes of the machine.
    #[serde(default)]
    pub description: String,
    /// Start it when it is created.
    #[serde(default)]
    pub start: bool,
}

fn yes() -> bool {
    true
}

impl Default for CloneGuest {
    fn default() -> Self {
        let (name, description) = (String::new(), String::new());
        Self { name, node: None, full: true, storage: None, snapshot: None, description, start: false }
    }
}

impl Action for CloneGuest {
    const SPEC: ActionSpec = ActionSpec::new("Copy", "copy", "guest_clone").feature(Feature::Clone).slow();

    fn title(&self, machine: &str) -> String {
        format!("Copy {machine} to {}", self.name)
    }

    fn describe(&self) -> String {
        let kind = if self.full { "full" } else { "linked" };
        let node = self.node.as_deref().map(|n| format!(" on {n}")).unwrap_or_default();
        format!("{kind} copy {}{node}", self.name)
    }

    fn check(&self) -> Result<()> {
        if !is_host_name(&self.name) {
            return Err(Error::field("name", HOST_NAME));
        }
        if self.storage.is_some() && !self.full {
            return Err(Error::field("storage", "A copy that shares the template's disks stays on their storage."));
        }
        check_text(&self.description)
    }

    fn feature(&self) -> Option<Feature> {
        Some(if self.full { Feature::Clone } else { Feature::LinkedClone })
    }

    fn refusal(&self, kind: GuestKind, state: &GuestState) -> Option<String> {
        if !self.full && !state.template {
            return Some("Only a template can share its disks. Make a full copy.".to_owned());
        }
        (self.snapshot.is_none() && kind == GuestKind::Container && state.status == "running").then(|| {
            "A running container can be copied only from a snapshot. Shut it down, or take one first.".to_owned()
        })
    }

    fn part(&self) -> Option<Part<'_>> {
        self.snapshot.as_deref().map(Part::Snapshot)
    }
}

/// Turns a stopped machine into a template, which can't be undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeTemplate {}

impl Action for MakeTemplate {
    const SPEC: ActionSpec = ActionSpec::new("Make a template", "box", "guest_template")
        .feature(Feature::Template)
        .confirm(Confirm::Required)
        .slow();

    fn title(&self, machine: &str) -> String {
        format!("Turn {machine} into a template")
    }

    fn refusal(&self, _: GuestKind, state: &GuestState) -> Option<String> {
        if state.template {
            return Some("It is a template already.".to_owned());
        }
        let off = state.status == "stopped" || state.is_unknown();
        (!off).then(|| format!("It is {} now. Shut it down first.", state.status))
    }
}

/// Moves it to another node of its cluster. A running virtual machine keeps running; a running container is stopped
/// here and started there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    /// The node to go to.
    pub node: String,
    /// Also move the disks that only its present node has.
    #[serde(default)]
    pub disks: bool,
    /// The storage they go to there; left out: one of the same name.
    #[serde(default)]
    pub storage: Option<String>,
}

impl Action for Migrate {
    const SPEC: ActionSpec = ActionSpec::new("Move", "right", "guest_migrate")
        .feature(Feature::Migrate)
        .confirm(Confirm::WhenHit)
        .bulk()
        .slow();

    fn title(&self, machine: &str) -> String {
        format!("Move {machine} to {}", self.node)
    }

    fn describe(&self) -> String {
        format!("to {}", self.node)
    }

    fn check(&self) -> Result<()> {
        if self.node.is_empty() { Err(Error::field("node", "Choose a node.")) } else { Ok(()) }
    }
}

/// Hands it over to another owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Give {
    /// Login or id of the new owner; `null` for nobody, which only admins may choose.
    // It must be said: without a function of its own, serde takes a missing field for `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required)]
    pub owner: Option<String>,
    /// What the old owner may still do; nothing when left out.
    #[serde(default)]
    pub keep: Option<GuestRight>,
}

impl Action for Give {
    const SPEC: ActionSpec = ActionSpec::new("Hand over", "user", "").bulk();

    fn ignores_lock(&self, _: &str) -> bool {
        true
    }
}

/// Deletes it with its disks. A running one is switched off first, like pulling the plug.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {}

impl Action for Delete {
    const SPEC: ActionSpec = ActionSpec::new("Delete", "trash", "guest_delete").confirm(Confirm::Required).bulk();

    fn ignores_lock(&self, _: &str) -> bool {
        true
    }
}
