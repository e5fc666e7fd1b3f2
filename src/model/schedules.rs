//! Cron schedules: they only make jobs.

use base::Timestamp;
use base::ids::{ScheduleId, UserId};
use minicbor::{Decode, Encode};
use serde_json::Value;

#[derive(Clone, Debug, Encode, Decode)]
pub struct Schedule {
    #[n(0)]
    pub id: ScheduleId,
    #[n(1)]
    pub name: String,
    /// Five fields as in crontab(5): minute hour day-of-month month day-of-week.
    #[n(2)]
    pub cron: String,
    #[n(3)]
    pub plugin: String,
    #[n(4)]
    pub hook: String,
    #[cbor(n(5), with = "crate::json", default)]
    pub args: Value,
    #[n(6)]
    pub active: bool,
    /// The last time that it fired.
    #[n(7)]
    pub last: Option<Timestamp>,
    /// Who set it: it may do what this person may. `None`: the host's console.
    #[n(8)]
    pub owner: Option<UserId>,
}
