//! Events: what changed, for open pages. They are kept for a while so a page that lost its
//! connection can catch up; the rows are the truth, an event only says where to look.

use crate::subject::Subject;
use base::Timestamp;
use base::ids::UserId;
use minicbor::{Decode, Encode};
use serde::Serialize;

/// One event as stored under its sequence number (1, 2, 3 ... without gaps).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Event {
    #[n(0)]
    pub seq: u64,
    #[n(1)]
    pub at: Timestamp,
    #[n(2)]
    pub about: Subject,
    /// Who may see it besides those who have a right on its subject.
    #[n(3)]
    pub owner: Option<UserId>,
}
