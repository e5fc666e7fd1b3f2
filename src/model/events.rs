//! Events: what changed, for open pages. They are kept for a while so a page that lost its
//! connection can catch up; the rows are the truth, an event only says where to look.

use base::Timestamp;
use base::ids::{GuestId, JobId, UserId};
use minicbor::{Decode, Encode};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EventKind {
    #[n(0)]
    Job {
        #[n(0)]
        id: JobId,
    },
    #[n(1)]
    Guest {
        #[n(0)]
        id: GuestId,
    },
    #[n(2)]
    Connection,
    #[n(3)]
    Plugins,
    #[n(4)]
    Users,
    #[n(5)]
    JobLog {
        #[n(0)]
        id: JobId,
    },
    #[n(6)]
    Profiles,
}

/// One event as stored under its sequence number (1, 2, 3 ... without gaps).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Event {
    #[n(0)]
    pub seq: u64,
    #[n(1)]
    pub at: Timestamp,
    #[n(2)]
    pub kind: EventKind,
    /// Who may see it besides admins; `None`: admins only.
    #[n(3)]
    pub owner: Option<UserId>,
}
