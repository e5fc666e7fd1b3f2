//! What can go wrong, in words for people and kinds for programs; the names are those of the Proxmox client.

use base::{Error, Kind};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SshErrorKind {
    /// No connection, or it broke. What had been started may have happened.
    Unreachable,
    /// The key or password is not accepted.
    Auth,
    /// The other side presents a different host key from the pinned one. No credential was sent.
    HostKey,
    /// A parameter can't be sent (a path with a line break, a key that can't be read).
    Invalid,
    /// The file is not there.
    NotFound,
    /// The other side refuses; `message` has its words.
    Refused,
    /// No end in time. **It may have happened.**
    Timeout,
    /// A fault of ours.
    Internal,
}

/// A failed call. `message` is a sentence for people; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshError {
    pub kind: SshErrorKind,
    pub message: String,
}

impl SshError {
    pub fn new(kind: SshErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(SshErrorKind::Unreachable, message)
    }

    /// The connection broke under a call.
    pub(super) fn broken(place: &str, e: &russh::Error) -> Self {
        let text = match e {
            russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError => {
                "the connection was closed".into()
            }
            russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout | russh::Error::ConnectionTimeout => {
                "it went silent".into()
            }
            other => other.to_string(),
        };
        Self::unreachable(format!("The SSH connection to {place} broke: {text}."))
    }
}

impl fmt::Display for SshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SshError {}

impl From<SshError> for Error {
    /// A refused key is our trouble with the machine, not the person's with Steward.
    fn from(e: SshError) -> Self {
        let kind = match e.kind {
            SshErrorKind::Unreachable | SshErrorKind::Auth | SshErrorKind::HostKey | SshErrorKind::Timeout => {
                Kind::Unavailable
            }
            SshErrorKind::Invalid => Kind::Invalid,
            SshErrorKind::NotFound => Kind::NotFound,
            SshErrorKind::Refused => Kind::Conflict,
            SshErrorKind::Internal => return Self::internal(e),
        };
        Self::new(kind, e.message)
    }
}
