//! What something is about: a job, an event, an entry of the audit log, a right. A new noun is a new variant here.

use crate::guests::Guest;
use base::ids::{ConnectionId, GuestId, JobId};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// One thing, or all things of a kind. As JSON: `{"kind": "guest", "id": ".."}`, `{"kind": "users"}`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum Subject {
    #[n(0)]
    Job(#[n(0)] JobId),
    #[n(1)]
    Guest(#[n(0)] GuestId),
    #[n(2)]
    Connection(#[n(0)] ConnectionId),
    #[n(3)]
    #[default]
    Plugins,
    #[n(4)]
    Users,
    /// What a job wrote into its log.
    #[n(5)]
    JobLog(#[n(0)] JobId),
    #[n(6)]
    Profiles,
}

impl Subject {
    pub fn guest(self) -> Option<GuestId> {
        match self {
            Self::Guest(id) => Some(id),
            _ => None,
        }
    }
}

/// A subject in words that outlive it, for people.
#[derive(Clone, Debug)]
pub struct Named {
    pub words: String,
    pub subject: Option<Subject>,
}

impl From<String> for Named {
    fn from(words: String) -> Self {
        Self { words, subject: None }
    }
}

impl From<&String> for Named {
    fn from(words: &String) -> Self {
        words.clone().into()
    }
}

impl From<&str> for Named {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<&Guest> for Named {
    fn from(guest: &Guest) -> Self {
        let words = match guest.vmid {
            Some(vmid) => format!("{} {vmid} {}", guest.kind.word(), guest.name),
            None => format!("{} {}", guest.kind.word(), guest.name),
        };
        Self { words, subject: Some(Subject::Guest(guest.id)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pages_are_told_kind_and_id() {
        let id = GuestId::new();
        assert_eq!(json!(Subject::Guest(id)), json!({ "kind": "guest", "id": id }));
        assert_eq!(json!(Subject::JobLog(JobId::from_bytes([0; 16])))["kind"], "job-log");
        assert_eq!(json!(Subject::Users), json!({ "kind": "users" }));
    }
}
