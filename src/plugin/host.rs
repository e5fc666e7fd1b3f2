//! What a script may ask of the appliance, as data. `app` answers.

use super::machine::MachineCall;
use super::secret::{SecretPlaces, SecretText};
use base::ids::{ConnectionId, GuestId, JobId};
use model::jobs::LogLevel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Who runs what: passed to the host with every call, so that it can check targets again.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub plugin: String,
    pub hook: String,
    pub connection: Option<ConnectionId>,
    pub job: Option<JobId>,
    /// The machine that the job works on.
    pub guest: Option<GuestId>,
    /// In words: a login, "schedule Nightly clean-up".
    pub actor: String,
    /// The secrets among the arguments, by their places there (in a hook the first step is the argument's number).
    pub secrets: SecretPlaces,
}

/// Writes lines to the job's log while a call goes on.
pub type Say<'a> = dyn Fn(&[(LogLevel, String)]) + 'a;

/// The appliance, as a script sees it. Called on a blocking thread; each call has its own time-out.
pub trait Host: Send + Sync + 'static {
    fn call(&self, run: &Run, call: Call) -> Result<Value, CallError>;

    /// The same for a call that has something to show while it goes on: `say` writes lines to the job's log.
    fn call_live(&self, run: &Run, call: Call, _say: &Say<'_>) -> Result<Value, CallError> {
        self.call(run, call)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// One thing asked of the host. Keys of `Kv*` belong to the calling plugin (`Run::plugin`) alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A Proxmox call on the run's connection; `path` like `/nodes/pve1/qemu`, returns the content of `data`.
    Pve {
        method: Method,
        path: String,
        params: Value,
        /// What belongs in `params` but only the host knows.
        secrets: SecretPlaces,
    },
    /// Puts a CD image of a few texts on a storage of the run's connection; returns the task's id.
    UploadCd(CdUpload),
    /// Something on the machine behind the run: `app` decides which that is.
    Ssh(MachineCall),
    /// The same through the guest agent of the job's machine.
    Agent(MachineCall),
    /// Returns a free machine number that nobody else gets in the meantime.
    ReserveVmid,
    ReleaseVmid {
        vmid: u32,
    },
    /// Answers null when the key is not there.
    KvGet {
        key: String,
    },
    KvPut {
        key: String,
        value: Value,
    },
    KvDelete {
        key: String,
    },
    Log {
        level: LogLevel,
        text: String,
    },
    /// Answers seconds since 1970.
    Now,
}

/// A CD image to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CdUpload {
    pub node: String,
    pub storage: String,
    pub filename: String,
    pub label: String,
    /// Names and texts.
    pub files: Vec<(String, SecretText)>,
}

impl Call {
    /// Whether it may change something outside the script. Log lines don't count.
    pub(super) fn changes_something(&self) -> bool {
        match self {
            Self::Pve { method, .. } => *method != Method::Get,
            Self::Ssh(call) | Self::Agent(call) => call.changes_something(),
            Self::UploadCd(_)
            | Self::ReserveVmid
            | Self::ReleaseVmid { .. }
            | Self::KvPut { .. }
            | Self::KvDelete { .. } => true,
            Self::KvGet { .. } | Self::Log { .. } | Self::Now => false,
        }
    }
}

/// Why a call failed, coarsely; the script reads the snake_case text as `e.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CallErrorKind {
    /// No answer. The request may or may not have arrived.
    Unreachable,
    /// The credential is not good.
    Auth,
    Forbidden,
    Invalid,
    Locked,
    NotFound,
    Conflict,
    /// Asked and refused for another reason.
    Refused,
    /// Sent, and no answer in time: it may have happened.
    Timeout,
    /// A fault of ours; it may have happened.
    Internal,
}

impl CallErrorKind {
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// True if the call may have taken effect despite the error.
    pub fn may_have_happened(self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Internal)
    }
}

/// Thrown into the script as a map `#{kind, status, message, errors}`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    pub kind: CallErrorKind,
    /// The HTTP status, 0 when there was none.
    pub status: u16,
    pub message: String,
    /// Sentences by parameter, as Proxmox gives them.
    pub errors: BTreeMap<String, String>,
}

impl CallError {
    pub fn new(kind: CallErrorKind, status: u16, message: impl Into<String>) -> Self {
        Self { kind, status, message: message.into(), errors: BTreeMap::new() }
    }
}
