//! Errors of the floors below as scripts see them. The floors name the same kinds and know nothing of each other.

use base::{Error, Kind};
use plugin::{CallError, CallErrorKind};
use remote::pve::{PveError, PveErrorKind};
use remote::ssh::{SshError, SshErrorKind};

pub(super) fn call_error(kind: CallErrorKind, message: impl Into<String>) -> CallError {
    CallError { kind, status: 0, message: message.into(), errors: Default::default() }
}

pub(super) fn from_pve(e: PveError) -> CallError {
    CallError { kind: call_kind(e.kind), status: e.status, message: e.message, errors: e.errors }
}

pub(super) fn from_ssh(e: SshError) -> CallError {
    let kind = match e.kind {
        SshErrorKind::Unreachable => CallErrorKind::Unreachable,
        SshErrorKind::Auth | SshErrorKind::HostKey => CallErrorKind::Auth,
        SshErrorKind::Invalid => CallErrorKind::Invalid,
        SshErrorKind::NotFound => CallErrorKind::NotFound,
        SshErrorKind::Refused => CallErrorKind::Refused,
        SshErrorKind::Timeout => CallErrorKind::Timeout,
        SshErrorKind::Internal => CallErrorKind::Internal,
    };
    call_error(kind, e.message)
}

fn call_kind(kind: PveErrorKind) -> CallErrorKind {
    match kind {
        PveErrorKind::Unreachable => CallErrorKind::Unreachable,
        PveErrorKind::Auth => CallErrorKind::Auth,
        PveErrorKind::Forbidden => CallErrorKind::Forbidden,
        PveErrorKind::Invalid => CallErrorKind::Invalid,
        PveErrorKind::Locked => CallErrorKind::Locked,
        PveErrorKind::NotFound => CallErrorKind::NotFound,
        PveErrorKind::Conflict => CallErrorKind::Conflict,
        PveErrorKind::Refused => CallErrorKind::Refused,
        PveErrorKind::Timeout => CallErrorKind::Timeout,
        PveErrorKind::Internal => CallErrorKind::Internal,
    }
}

pub(super) fn from_error(e: Error) -> CallError {
    let kind = match e.kind() {
        Kind::Invalid => CallErrorKind::Invalid,
        Kind::Unauthenticated => CallErrorKind::Auth,
        Kind::Forbidden => CallErrorKind::Forbidden,
        Kind::NotFound => CallErrorKind::NotFound,
        Kind::Conflict => CallErrorKind::Conflict,
        Kind::TooMany | Kind::Unavailable => CallErrorKind::Unreachable,
        Kind::Storage | Kind::Internal => {
            tracing::error!(error = e.chain(), "a host call failed");
            CallErrorKind::Internal
        }
    };
    call_error(kind, e.message())
}
