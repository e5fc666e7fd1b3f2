//! Floor 2: the store. One redb file, opened once; every row sealed; one writer thread.
//!
//! Knows `base` and `model`. It must not know where keys come from (it is handed a [`Seal`]), who may do
//! what, or that there is a network. No write transaction leaves this floor: [`Store::write`] sends a
//! closure to the writer thread, which commits the closures of several callers together and answers only
//! when that commit is on the disk. A read transaction lives as long as its closure, never over an await,
//! because an open one keeps old pages from being used again.
//!
//! Keys are ids, numbers or sealed names, never typed text. A row's seal is bound to its table, its whole
//! key and its format, so a row that was moved to another place does not open.

mod audit;
mod database;
mod errors;
mod handle;
mod key;
mod meta;
mod migrations;
mod owned;
mod scan;
mod table;
pub mod tables;
mod tx;
mod view;
mod writer;

#[cfg(test)]
mod tests;

pub use audit::{AuditCheck, AuditHead};
pub use key::{Key, LeadingPart, Name};
pub use owned::{Keyspace, Owned, OwnedMut};
pub use scan::Scan;
pub use table::{Bytes, Json, OwnedTable, Table, Value};
pub use tx::{Read, ReadTx, WriteTx};

use base::ids::UserId;
use base::{Clock, Result};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Seals rows. Deterministic: equal input gives equal output (AES-SIV), so names can be looked up.
pub trait Seal: Send + Sync {
    /// Seals `plain`, bound to the parts of `ad`. The first 16 bytes must depend on every bit of both.
    fn seal(&self, ad: &[&[u8]], plain: &[u8]) -> Vec<u8>;
    /// Opens what `seal` made with the same key and `ad`; `None` for anything else.
    fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>>;
}

/// A user's own key, open because that user is here.
pub trait OwnedSeal: Seal {
    fn owner(&self) -> UserId;
}

/// The store. Clones share one file and one writer thread; the last one dropped closes them.
#[derive(Clone)]
pub struct Store(Arc<handle::Handle>);

impl Store {
    /// Opens the store at `path`, or makes it, and brings it up to this version. Blocks: for a store that was
    /// not closed well redb goes through the whole file (about 0.7 s a gigabyte).
    ///
    /// # Errors
    /// Each with its own sentence: the store is in use, of a newer version, sealed with another key, damaged,
    /// or the disk fails.
    pub fn open(path: &Path, seal: Arc<dyn Seal>, clock: Arc<dyn Clock>) -> Result<Self> {
        handle::Handle::start(path, seal, clock).map(|h| Self(Arc::new(h)))
    }

    /// Is there a store at `path`? (A new one may get a new key, for an old one the key must be there.)
    pub fn exists(path: &Path) -> bool {
        path.exists()
    }

    /// Runs `f` on one unchanging view of what is committed. Takes microseconds, may be called from async code
    /// when `f` is short. Don't call it inside another `read`.
    ///
    /// # Errors
    /// Those of `f`, and `Internal` or `Storage` when the file is damaged or away.
    pub fn read<T>(&self, f: impl FnOnce(&ReadTx) -> Result<T>) -> Result<T> {
        self.0.shared().read(f)
    }

    /// Runs `f` on the writer thread and answers when its changes are on the disk. When `f` returns an error
    /// or panics, none of its changes are kept; other callers' are. `f` sees its own changes. It must be short
    /// and not write itself: everybody's writing waits for it. Dropping the future does not revert the write.
    ///
    /// # Errors
    /// Those of `f`; `Storage` when the disk is full (nothing was written); `Internal` when `f` panicked.
    pub async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut WriteTx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (tx, rx) = oneshot::channel();
        self.0.submit(f, move |answer| drop(tx.send(answer)))?;
        rx.await.unwrap_or_else(|_| Err(errors::closed()))
    }

    /// [`write`](Self::write) for threads that may block.
    pub fn write_blocking<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut WriteTx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (tx, rx) = std::sync::mpsc::sync_channel(1);
        self.0.submit(f, move |answer| drop(tx.send(answer)))?;
        rx.recv().unwrap_or_else(|_| Err(errors::closed()))
    }

    /// The sequence number of the last committed event; changes after each commit that holds events. It is a
    /// bell, not a message: listeners read the rows.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.0.shared().bell.subscribe()
    }

    /// A random id given when the store was made.
    pub fn id(&self) -> [u8; 16] {
        self.0.shared().id
    }

    /// How many durable commits this process made in this store.
    pub fn commits(&self) -> u64 {
        self.0.shared().commits.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Finishes the writes that were asked for, stops the writer and closes the file, which can then be opened
    /// again. Later calls are refused.
    pub fn close(&self) {
        self.0.close();
    }

    /// Goes through the audit log and names the first entry that is wrong.
    ///
    /// # Errors
    /// Only when the log can't be read at all; what is wrong in it is in the answer.
    pub fn verify_audit(&self) -> Result<AuditCheck> {
        self.read(|tx| audit::verify(tx, None))
    }

    /// The same, and the log must contain `known`: a head that was noted outside (in a report). Only so can
    /// it be seen when somebody put an older store in place.
    pub fn verify_audit_with(&self, known: &AuditHead) -> Result<AuditCheck> {
        self.read(|tx| audit::verify(tx, Some(known)))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.0.shared().path).finish_non_exhaustive()
    }
}
