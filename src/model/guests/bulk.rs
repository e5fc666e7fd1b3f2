//! One wish for several machines at once.

use super::actions::GuestAction;
use super::snapshots::check_name;
use super::{GuestState, PowerAction, is_tag};
use crate::access::GuestRight;
use crate::impact::Deed;
use base::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// So many machines in one request.
pub const MOST: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkWish {
    Power(PowerAction),
    Hibernate,
    /// The same name for all.
    Snapshot {
        name: String,
        description: String,
    },
    Tags {
        add: Vec<String>,
        remove: Vec<String>,
    },
    Migrate {
        node: String,
        /// Take disks along that only the present node has.
        disks: bool,
    },
    Delete,
    Give {
        /// Login or id.
        owner: String,
        /// What the old owner may still do.
        keep: Option<GuestRight>,
    },
}

impl BulkWish {
    /// The word that forms and the command line use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Power(action) => action.name(),
            Self::Hibernate => "hibernate",
            Self::Snapshot { .. } => "snapshot",
            Self::Tags { .. } => "tags",
            Self::Migrate { .. } => "migrate",
            Self::Delete => "delete",
            Self::Give { .. } => "give",
        }
    }

    /// A wish of that name, with nothing said yet.
    pub fn blank(name: &str) -> Option<Self> {
        Some(match name {
            "hibernate" => Self::Hibernate,
            "snapshot" => Self::Snapshot { name: String::new(), description: String::new() },
            "tags" => Self::Tags { add: Vec::new(), remove: Vec::new() },
            "migrate" => Self::Migrate { node: String::new(), disks: false },
            "delete" => Self::Delete,
            "give" => Self::Give { owner: String::new(), keep: None },
            other => Self::Power(PowerAction::parse(other)?),
        })
    }

    /// The words on the button, before "5 machines".
    pub fn word(&self) -> &'static str {
        match self {
            Self::Power(action) => action.word(),
            Self::Hibernate => "Hibernate",
            Self::Snapshot { .. } => "Take a snapshot of",
            Self::Tags { .. } => "Change the tags of",
            Self::Migrate { .. } => "Move",
            Self::Delete => "Delete",
            Self::Give { .. } => "Hand over",
        }
    }

    /// What it takes from people; `None` when it takes nothing.
    pub fn deed(&self) -> Option<Deed> {
        match self {
            Self::Power(action) => Deed::of_power(*action),
            Self::Hibernate => Some(Deed::Hibernate),
            Self::Migrate { .. } => Some(Deed::Migrate),
            Self::Delete => Some(Deed::Delete),
            Self::Snapshot { .. } | Self::Tags { .. } | Self::Give { .. } => None,
        }
    }

    /// Checks what can be checked without looking at the machines.
    ///
    /// # Errors
    /// `Invalid` on `name`, `add`, `remove`, `node` or `owner`.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Snapshot { name, .. } => check_name(name),
            Self::Tags { add, remove } => {
                if add.is_empty() && remove.is_empty() {
                    return Err(Error::field("add", "Say which tags to add or take away."));
                }
                for (field, tags) in [("add", add), ("remove", remove)] {
                    if !tags.iter().all(|t| is_tag(t)) {
                        return Err(Error::field(field, "Tags use letters, digits, dash, dot, plus and underscore."));
                    }
                }
                match add.iter().find(|t| remove.contains(t)) {
                    Some(both) => Err(Error::field("remove", format!("“{both}” can't be added and taken away."))),
                    None => Ok(()),
                }
            }
            Self::Migrate { node, .. } if node.is_empty() => Err(Error::field("node", "Choose a node.")),
            Self::Give { owner, .. } if owner.trim().is_empty() => {
                Err(Error::field("owner", "Say who shall have them."))
            }
            _ => Ok(()),
        }
    }

    /// What it is for one machine, where that is an action.
    pub fn action(&self, state: &GuestState) -> Option<GuestAction> {
        match self {
            Self::Hibernate => Some(GuestAction::Hibernate),
            Self::Snapshot { name, description } => {
                // While it is not said yet, any name will do to see what stands in the way.
                let name = if name.is_empty() { "s1".to_owned() } else { name.clone() };
                Some(GuestAction::Snapshot { name, description: description.clone(), memory: false })
            }
            Self::Tags { add, remove } => {
                let tags = tags_after(&state.tags, add, remove);
                let values = BTreeMap::from([("tags".to_owned(), tags.join(" "))]);
                Some(GuestAction::Change { values, digest: None })
            }
            Self::Migrate { node, disks } => {
                Some(GuestAction::Migrate { node: node.clone(), disks: *disks, storage: None })
            }
            Self::Power(_) | Self::Delete | Self::Give { .. } => None,
        }
    }
}

/// The tags of a machine afterwards, by name.
pub fn tags_after(have: &[String], add: &[String], remove: &[String]) -> Vec<String> {
    let small = |t: &String| t.to_lowercase();
    let gone: BTreeSet<String> = remove.iter().map(small).collect();
    let all: BTreeSet<String> = have.iter().chain(add).map(small).filter(|t| !gone.contains(t)).collect();
    all.into_iter().collect()
}

/// Words with blanks or commas between.
pub fn tags_in(text: &str) -> Vec<String> {
    text.split([' ', ',', ';', '\n', '\t']).map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|t| (*t).to_owned()).collect()
    }

    #[test]
    fn tags_are_added_and_taken_away_without_regard_to_case() {
        let after = tags_after(&words(&["web", "old"]), &words(&["Prod", "web"]), &words(&["OLD", "never"]));
        assert_eq!(after, ["prod", "web"]);
        assert_eq!(tags_in(" a, b;c\n d "), ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_is_not_said_or_makes_no_sense_is_named_beside_its_field() {
        let field = |wish: &BulkWish| wish.check().unwrap_err().fields().keys().next().cloned().unwrap();
        let tags = |add: &[&str], remove: &[&str]| BulkWish::Tags { add: words(add), remove: words(remove) };
        assert_eq!(field(&tags(&[], &[])), "add");
        assert_eq!(field(&tags(&["a b"], &[])), "add");
        assert_eq!(field(&tags(&["a"], &["a"])), "remove");
        assert_eq!(field(&BulkWish::blank("snapshot").unwrap()), "name");
        assert_eq!(field(&BulkWish::blank("migrate").unwrap()), "node");
        assert_eq!(field(&BulkWish::blank("give").unwrap()), "owner");
        assert_eq!(BulkWish::blank("explode"), None);
        for name in ["start", "stop", "shutdown", "hibernate", "snapshot", "tags", "migrate", "delete", "give"] {
            assert_eq!(BulkWish::blank(name).unwrap().name(), name);
        }
    }
}
