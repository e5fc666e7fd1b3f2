//! Jobs: one run of a plugin's durable function, its steps and its fate.

mod kind;
mod wait;

pub use kind::{BuildWindows, CopyOf, CreateGuest, GuestJob, GuestTarget, Install, InstallGuest, JobKind, NewGuest};
pub use wait::{Command, CommandVia, TaskEnd, Wait};

use crate::subject::Subject;
use base::Timestamp;
use base::ids::{ConnectionId, JobId, UserId};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a job stands.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
#[strum(serialize_all = "lowercase")]
pub enum JobState {
    /// Waits for a worker, or for `not_before` after a failed try.
    #[n(0)]
    Queued,
    /// A worker runs it now. Found at start-up it means that the process died: it goes on.
    #[n(1)]
    Running,
    /// Suspended by the script: waits for a task, a time or a condition. Holds no thread.
    #[n(2)]
    Waiting,
    /// Gave up and takes its steps back.
    #[n(3)]
    Undoing,
    #[n(4)]
    Succeeded,
    /// Gave up: the dead-letter list. Can be retried or discarded.
    #[n(5)]
    Failed,
    #[n(6)]
    Cancelled,
    /// A failed job that a person put aside.
    #[n(7)]
    Discarded,
}

impl JobState {
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Nothing more will happen by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Discarded)
    }
}

/// Higher runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Priority {
    /// Schedules and clean-up.
    #[n(0)]
    Low,
    #[n(1)]
    Normal,
    /// A person waits for it: power actions.
    #[n(2)]
    High,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    #[n(0)]
    pub done: u32,
    #[n(1)]
    pub total: u32,
    /// What is being done now, for people.
    #[n(2)]
    pub label: String,
}

/// One job as stored. It never holds a secret.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Job {
    #[n(0)]
    pub id: JobId,
    #[n(1)]
    pub plugin: String,
    /// What it does, with its arguments.
    #[n(26)]
    #[cbor(default)]
    pub kind: JobKind,
    /// "Create build-runner".
    #[n(3)]
    pub title: String,
    /// Who asked; `None` for the appliance itself.
    #[n(5)]
    pub owner: Option<UserId>,
    /// Who asked, in words that outlive the user: "mira", "schedule Nightly clean-up".
    #[n(6)]
    pub asked_by: String,
    #[n(7)]
    pub priority: Priority,
    #[n(8)]
    pub state: JobState,
    #[n(9)]
    pub created: Timestamp,
    #[n(10)]
    pub started: Option<Timestamp>,
    #[n(11)]
    pub finished: Option<Timestamp>,
    /// Tries that failed so far.
    #[n(12)]
    pub attempts: u32,
    #[n(13)]
    pub max_attempts: u32,
    #[n(14)]
    pub not_before: Timestamp,
    /// Content hash of the plugin that started it; a changed plugin serves new jobs only.
    #[n(15)]
    pub plugin_hash: Option<String>,
    /// What it works on; rights on the job are rights on that.
    #[n(27)]
    #[cbor(default)]
    pub subject: Subject,
    /// Jobs with the same key run at most `lane_width` at a time (a node, a server).
    #[n(17)]
    pub lane: Option<String>,
    /// A second job with this key is not made while the first is not over.
    #[n(18)]
    pub dedup: Option<String>,
    #[n(19)]
    #[cbor(default)]
    pub progress: Progress,
    #[n(20)]
    pub wait: Option<Wait>,
    /// Why it failed last, for people.
    #[n(21)]
    pub error: Option<String>,
    #[n(22)]
    #[cbor(default)]
    pub cancel_asked: bool,
    #[cbor(n(23), with = "crate::json", default)]
    pub result: Value,
    /// The connection whose provider it drives.
    #[n(24)]
    pub connection: Option<ConnectionId>,
    /// It was tried again before everything was undone: when that is done, it starts from nothing.
    #[n(25)]
    #[cbor(default)]
    pub again: bool,
}

impl Job {
    /// As it was when it was requested, with the current plugin. Its steps must go in the same commit.
    pub fn start_anew(&mut self, now: Timestamp) {
        (self.state, self.attempts, self.cancel_asked, self.again) = (JobState::Queued, 0, false, false);
        (self.not_before, self.error, self.wait) = (now, None, None);
        (self.started, self.finished, self.plugin_hash) = (None, None, None);
        self.progress = Progress::default();
    }

    /// Why its machine is not there, as a sentence, when that is this job's doing.
    pub fn why_gone(&self) -> Option<String> {
        if self.kind.deletes().is_some() && self.state == JobState::Succeeded {
            return Some("This machine has been deleted.".to_owned());
        }
        let name = self.kind.new_guest()?.name;
        match self.state {
            JobState::Failed | JobState::Discarded => {
                let why = self.error.as_deref().unwrap_or("Its job gave up.");
                Some(format!("{name} was not created. {why}"))
            }
            JobState::Cancelled => Some(format!("{name} was not created, because its job was cancelled.")),
            _ => None,
        }
    }
}

/// A step's entry in the journal, keyed by job and name.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Step {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub state: StepState,
    #[n(2)]
    pub began: Timestamp,
    #[n(3)]
    pub ended: Option<Timestamp>,
    #[cbor(n(4), with = "crate::json", default)]
    pub result: Value,
    /// Order of first begin within the job, from 0.
    #[n(5)]
    pub order: u32,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
#[strum(serialize_all = "lowercase")]
pub enum StepState {
    /// The effect may or may not have happened; settled before going on.
    #[n(0)]
    Begun,
    #[n(1)]
    Done,
    /// The effect was refused: nothing happened, it may be tried again.
    #[n(2)]
    Failed,
}

impl StepState {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// One line of a job's log.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    #[n(0)]
    pub at: Timestamp,
    #[n(1)]
    pub level: LogLevel,
    #[n(2)]
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum LogLevel {
    #[n(0)]
    Info,
    #[n(1)]
    Warn,
    #[n(2)]
    Error,
}
