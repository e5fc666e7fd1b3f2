//! Snapshots of a machine: the list that a provider gives, as a tree.

use base::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// One snapshot as the provider's `guest_snapshots` hook reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Snapshot {
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(deserialize_with = "base::time::from_seconds_or_text")]
    pub time: Timestamp,
    /// It holds what was in memory too: going back to it goes on running.
    #[serde(default)]
    pub memory: bool,
    /// The snapshot that it was made after; `None` for a first one.
    #[serde(default)]
    pub parent: Option<String>,
    /// It broke off while it was made or deleted.
    #[serde(default)]
    pub broken: bool,
}

/// All snapshots of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Snapshots {
    pub snapshots: Vec<Snapshot>,
    /// The one that the current state is based on.
    #[serde(default)]
    pub parent: Option<String>,
    /// Why none can be taken, as a sentence.
    #[serde(default)]
    pub refusal: Option<String>,
}

/// A line of the tree: how deep, and the snapshot; `None` is the present state.
pub type Branch<'a> = (usize, Option<&'a Snapshot>);

impl Snapshots {
    pub fn get(&self, name: &str) -> Option<&Snapshot> {
        self.snapshots.iter().find(|s| s.name == name)
    }

    /// The tree from its roots, older branches first, with the present state in its place. A snapshot whose
    /// parent is not in the list (or that is its own ancestor) is a root: nothing is left out.
    pub fn tree(&self) -> Vec<Branch<'_>> {
        let mut sorted: Vec<&Snapshot> = self.snapshots.iter().collect();
        sorted.sort_by(|a, b| (a.time, &a.name).cmp(&(b.time, &b.name)));
        let mut lines = Vec::with_capacity(sorted.len() + 1);
        let mut seen: HashSet<&str> = HashSet::new();
        let known = |s: &&&Snapshot| s.parent.as_deref().is_none_or(|p| self.get(p).is_none());
        let roots: Vec<&Snapshot> = sorted.iter().filter(known).copied().collect();
        // What hangs in a circle has no root: each of those that were not reached becomes one.
        for root in roots.into_iter().chain(sorted.iter().copied()) {
            self.grow(root, &sorted, &mut seen, &mut lines);
        }
        if self.parent.as_deref().is_none_or(|p| self.get(p).is_none()) {
            lines.push((0, None));
        }
        lines
    }

    fn grow<'a>(
        &'a self,
        root: &'a Snapshot,
        sorted: &[&'a Snapshot],
        seen: &mut HashSet<&'a str>,
        lines: &mut Vec<Branch<'a>>,
    ) {
        let mut stack = vec![(0, Some(root))];
        while let Some((depth, item)) = stack.pop() {
            let Some(snapshot) = item else {
                lines.push((depth, None));
                continue;
            };
            if !seen.insert(&snapshot.name) {
                continue;
            }
            lines.push((depth, Some(snapshot)));
            if self.parent.as_deref() == Some(snapshot.name.as_str()) {
                stack.push((depth + 1, None));
            }
            let children = sorted.iter().rev().filter(|s| s.parent.as_deref() == Some(snapshot.name.as_str()));
            stack.extend(children.map(|s| (depth + 1, Some(*s))));
        }
    }

    /// A free name for the next one: `s-20261121`, `s-20261121-2` ...
    pub fn suggestion(&self, now: Timestamp) -> String {
        let day = now.to_utc().format("s-%Y%m%d").to_string();
        let mut names = std::iter::once(day.clone()).chain((2..1_000).map(|n| format!("{day}-{n}")));
        names.find(|n| self.get(n).is_none()).unwrap_or(day)
    }
}

/// 2 to 40 letters, digits, dashes and underscores, beginning with a letter; not `current` or `pending`, which
/// have a meaning of their own.
///
/// # Errors
/// `Invalid` on `name`.
pub fn check_name(name: &str) -> Result<()> {
    let fits = (2..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !fits {
        return Err(Error::field(
            "name",
            "Use 2 to 40 letters, digits, dashes and underscores, beginning with a letter.",
        ));
    }
    if matches!(name, "current" | "pending") {
        return Err(Error::field("name", "This word is reserved. Choose another name."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, time: i64, parent: Option<&str>) -> Snapshot {
        Snapshot {
            name: name.into(),
            time: Timestamp::from_secs(time),
            parent: parent.map(str::to_owned),
            ..Snapshot::default()
        }
    }

    fn drawn(all: &Snapshots) -> Vec<String> {
        all.tree().iter().map(|(d, s)| format!("{}{}", ".".repeat(*d), s.map_or("NOW", |s| &s.name))).collect()
    }

    #[test]
    fn now_stands_where_it_grew_from() {
        let snapshots = vec![one("c", 3, Some("a")), one("a", 1, None), one("b", 2, Some("a"))];
        let mut all = Snapshots { snapshots, parent: Some("b".into()), refusal: None };
        assert_eq!(drawn(&all), ["a", ".b", "..NOW", ".c"]);
        all.parent = None;
        assert_eq!(drawn(&all), ["a", ".b", ".c", "NOW"]);
    }

    #[test]
    fn nothing_is_left_out_of_a_broken_list() {
        let snapshots = vec![one("x", 1, Some("y")), one("y", 2, Some("x")), one("lost", 3, Some("gone"))];
        let all = Snapshots { snapshots, parent: Some("nowhere".into()), refusal: None };
        assert_eq!(drawn(&all), ["lost", "x", ".y", "NOW"]);
    }

    #[test]
    fn a_free_name_is_suggested() {
        let mut all = Snapshots::default();
        let day = Timestamp::from_secs(1_795_000_000);
        let first = all.suggestion(day);
        check_name(&first).unwrap();
        all.snapshots.push(one(&first, 1, None));
        assert_eq!(all.suggestion(day), format!("{first}-2"));
    }

    #[test]
    fn names_are_those_that_proxmox_takes() {
        for bad in ["", "a", "1st", "with space", "current", "pending", &"a".repeat(41), "übung"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        check_name("before_upgrade-2").unwrap();
    }
}
