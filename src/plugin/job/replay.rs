//! What the journal already knows, and whether the script still fits it.
//!
//! A job's function is a function of its arguments and its journal alone (reads from outside are
//! only possible in steps), so a new run reaches the same entries in the same order. If it does
//! not, the script has changed, and continuing would be a guess.

use model::jobs::Step;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An entry that the script should have reached first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PassedOver(pub String);

#[derive(Debug, Default)]
pub(super) struct Replay {
    entries: BTreeMap<String, Step>,
    /// Names that this run came to.
    seen: BTreeSet<String>,
}

/// Written by the runner or by the undo phase: not in the order of the script.
fn is_aside(name: &str) -> bool {
    name.starts_with("wait:") || name.starts_with("undo:")
}

impl Replay {
    pub fn new(entries: Vec<Step>) -> Self {
        Self { entries: entries.into_iter().map(|s| (s.name.clone(), s)).collect(), seen: BTreeSet::new() }
    }

    /// An entry that is looked up by name alone (`wait:`, `undo:`).
    pub fn aside(&self, name: &str) -> Option<&Step> {
        self.entries.get(name)
    }

    /// False when this run used the name before.
    pub fn claim(&mut self, name: &str) -> bool {
        self.seen.insert(name.to_owned())
    }

    /// The entry of a name that was just claimed.
    ///
    /// # Errors
    /// When the journal has an entry that must have come before it.
    pub fn visit(&self, name: &str) -> Result<Option<Step>, PassedOver> {
        let entry = self.entries.get(name);
        let before = entry.map_or(u32::MAX, |e| e.order);
        match self.missed().find(|s| s.order < before) {
            Some(missed) => Err(PassedOver(missed.name.clone())),
            None => Ok(entry.cloned()),
        }
    }

    /// At the end of the function: an entry that it did not reach.
    pub fn left_over(&self) -> Option<PassedOver> {
        self.missed().next().map(|s| PassedOver(s.name.clone()))
    }

    /// True when undo has begun: the job can't move forward any more.
    pub fn undo_began(&self) -> bool {
        self.entries.keys().any(|name| name.starts_with("undo:"))
    }

    /// The step (or in undo the undo's call) whose result is this handle, or a map with it.
    pub fn started_task(&self, handle: &str, in_undo: bool) -> Option<String> {
        let is_it = |v: &Value| v.as_str() == Some(handle);
        let has_it = |v: &Value| is_it(v) || v.as_object().is_some_and(|m| m.values().any(is_it));
        self.entries
            .values()
            .filter(|s| s.name.starts_with("undo:") == in_undo)
            .find(|s| has_it(&s.result))
            .map(|s| s.name.clone())
    }

    /// Keeps what this run wrote, so that later look-ups in the run see it.
    pub fn note(&mut self, step: Step) {
        self.entries.insert(step.name.clone(), step);
    }

    fn missed(&self) -> impl Iterator<Item = &Step> {
        let mut missed: Vec<&Step> =
            self.entries.values().filter(|s| !is_aside(&s.name) && !self.seen.contains(&s.name)).collect();
        missed.sort_by_key(|s| s.order);
        missed.into_iter()
    }
}
