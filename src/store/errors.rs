//! The store's sentences, and what redb's errors mean to a person.

use base::{Error, Kind, Result};
use redb::{DatabaseError, Error as RedbError, StorageError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a commit or an access failed. Unlike `Error` it can be given to several callers.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// No room. Nothing was written.
    Full,
    /// The disk failed in another way.
    Disk(String),
    /// The file is not what was written.
    Damaged(String),
}

impl Failure {
    pub(super) fn error(&self) -> Error {
        match self {
            Self::Full => Error::new(
                Kind::Storage,
                "The disk is full. Nothing was changed. Free some space on it; Steward then continues by itself.",
            ),
            Self::Disk(cause) => Error::new(
                Kind::Storage,
                "The disk failed while Steward was writing or reading. The log of the service says how.",
            )
            .with_cause(cause.clone()),
            Self::Damaged(cause) => damaged(cause),
        }
    }
}

impl From<RedbError> for Failure {
    fn from(e: RedbError) -> Self {
        match e {
            RedbError::Io(io) => io_failure(&io),
            // Only logged after a failure that was already reported as such.
            RedbError::PreviousIo | RedbError::DatabaseClosed => Self::Disk(e.to_string()),
            other => Self::Damaged(other.to_string()),
        }
    }
}

fn io_failure(e: &io::Error) -> Failure {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Failure::Full,
        // The file is shorter than its header says.
        io::ErrorKind::UnexpectedEof => Failure::Damaged(e.to_string()),
        _ => Failure::Disk(e.to_string()),
    }
}

/// Runs something of redb's. On a damaged file it may panic instead of returning an error: that becomes one.
pub(super) fn guarded<T>(f: impl FnOnce() -> Result<T, RedbError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => result.map_err(Failure::from),
        Err(panic) => Err(Failure::Damaged(format!("redb panicked: {}", panic_text(&*panic)))),
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}

pub(super) fn damaged(cause: impl Into<String>) -> Error {
    Error::new(
        Kind::Internal,
        "The store file is damaged. Stop Steward, keep the file for a closer look, and restore a backup.",
    )
    .with_cause(cause.into())
}

/// The same for one row: the table is named, the content is not.
pub(super) fn damaged_row(table: &str, key: &[u8]) -> Error {
    damaged(format!("a row of table {table} does not open, key {}", hex::encode(key)))
}

/// A user's row that does not open with the user's key.
pub(super) fn not_with_this_key(table: &str, key: &[u8]) -> Error {
    Error::new(
        Kind::Internal,
        "A record does not open with its owner's key. Either the key was replaced or the store file is damaged.",
    )
    .with_cause(format!("a row of table {table}, key {}", hex::encode(key)))
}

pub(super) fn closed() -> Error {
    Error::unavailable("Steward is stopping.")
}

/// The file could not be opened again after the disk failed; the writer keeps trying.
pub(super) fn away() -> Error {
    Error::new(Kind::Storage, "The store can't be read because the disk failed. Steward keeps trying to open it again.")
}

pub(super) fn cannot_open(path: &std::path::Path, e: DatabaseError) -> Error {
    let path = path.display();
    match e {
        DatabaseError::DatabaseAlreadyOpen => Error::new(
            Kind::Conflict,
            "Another Steward is using this store. Use its commands while it runs, or stop the service first.",
        ),
        DatabaseError::Storage(StorageError::Io(io)) => match io_failure(&io) {
            // What redb says about a file that is not a redb file.
            Failure::Disk(_) if io.kind() == io::ErrorKind::InvalidData => damaged(io.to_string()),
            Failure::Disk(_) => Error::new(
                Kind::Storage,
                format!("The store {path} can't be opened ({io}). It must belong to the user that Steward runs as."),
            )
            .with_cause(io),
            other => other.error(),
        },
        DatabaseError::UpgradeRequired(_) => damaged(e.to_string()),
        other => Failure::from(RedbError::from(other)).error(),
    }
}

pub(super) fn wrong_key(path: &std::path::Path, stored: &[u8], given: &[u8]) -> Error {
    Error::new(
        Kind::Internal,
        format!(
            "The store {} was sealed with another appliance key: it needs the key {}, the one in use is {}. Bring back \
             the key file or the systemd credential steward.key that belongs to this store, from where you keep its backup.",
            path.display(),
            hex::encode(stored),
            hex::encode(given)
        ),
    )
}

pub(super) fn newer(stored: u32, known: u32) -> Error {
    Error::new(
        Kind::Internal,
        format!(
            "This store has version {stored}, and this Steward knows versions up to {known}. Install the newer Steward \
             again, or restore a backup from before the upgrade."
        ),
    )
}
