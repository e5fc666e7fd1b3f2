//! What can go wrong with a call, in words for people and kinds for programs.

use base::{Error, Kind};
use std::collections::BTreeMap;
use std::fmt;

/// What went wrong, coarsely enough to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PveErrorKind {
    /// No connection, or the node behind the answering one is away. Nothing was done.
    Unreachable,
    /// The token, ticket or password is not accepted.
    Auth,
    /// Accepted, but the right is missing.
    Forbidden,
    /// A parameter does not fit; `errors` says which.
    Invalid,
    /// Another operation holds the machine (backup, clone, a running shutdown).
    Locked,
    /// The machine, node, task or storage is not there.
    NotFound,
    /// It already exists, or was changed in the meantime.
    Conflict,
    /// Proxmox refuses for another reason; `message` has its words.
    Refused,
    /// No answer in time. **A write may have been done or not.**
    Timeout,
    /// A fault of ours: a call that can't be put into Proxmox's form.
    Internal,
}

impl PveErrorKind {
    /// The name that scripts see.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A failed call. `message` is a sentence for people; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PveError {
    pub kind: PveErrorKind,
    /// The HTTP status, 0 when there was no answer.
    pub status: u16,
    pub message: String,
    /// Proxmox's sentences by parameter. Two names of our own: `certificate` (the SHA-256, hex, of a
    /// certificate that is not the accepted one) and `otp` (a second factor is needed).
    pub errors: BTreeMap<String, String>,
}

impl PveError {
    pub fn new(kind: PveErrorKind, message: impl Into<String>) -> Self {
        Self { kind, status: 0, message: message.into(), errors: BTreeMap::new() }
    }

    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(PveErrorKind::Unreachable, message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(PveErrorKind::Internal, message)
    }

    #[must_use]
    pub(super) fn with_error(mut self, name: &str, text: impl Into<String>) -> Self {
        self.errors.insert(name.to_owned(), text.into());
        self
    }
}

impl fmt::Display for PveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PveError {}

impl From<PveError> for Error {
    /// A refused token is *our* trouble with Proxmox, not the person's with Steward, so it is
    /// `Unavailable` and never `Unauthenticated`.
    fn from(e: PveError) -> Self {
        let kind = match e.kind {
            PveErrorKind::Unreachable | PveErrorKind::Auth | PveErrorKind::Forbidden | PveErrorKind::Timeout => {
                Kind::Unavailable
            }
            PveErrorKind::Invalid => Kind::Invalid,
            PveErrorKind::NotFound => Kind::NotFound,
            PveErrorKind::Locked | PveErrorKind::Conflict | PveErrorKind::Refused => Kind::Conflict,
            PveErrorKind::Internal => return Self::internal(e),
        };
        Self::new(kind, e.message)
    }
}
