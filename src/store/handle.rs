//! What callers hold of the store: the file for reading, the way to the writer thread.

use super::errors;
use super::meta;
use super::tx::{Counters, ReadTx, WriteTx};
use super::view::CommittedView;
use super::writer::{Job, Task, Writer};
use super::{Seal, database};
use base::{Clock, Error, Result};
use redb::Database;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;
use tokio::sync::watch;

/// What readers and the writer share.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) id: [u8; 16],
    pub(super) bell: watch::Sender<u64>,
    pub(super) commits: AtomicU64,
    /// `None` while the disk fails, and after closing.
    db: RwLock<Option<Database>>,
    closed: AtomicBool,
    pub(super) seal: Arc<dyn Seal>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Shared {
    pub(super) fn new(path: &Path, seal: Arc<dyn Seal>, clock: Arc<dyn Clock>) -> Result<Self> {
        let (db, marker) = database::open(path, &*seal, clock.now())?;
        Ok(Self {
            path: path.to_owned(),
            id: marker.id,
            bell: watch::Sender::new(0),
            commits: AtomicU64::new(0),
            db: RwLock::new(Some(db)),
            closed: AtomicBool::new(false),
            seal,
            clock,
        })
    }

    /// The file, held open while the guard lives.
    pub(super) fn db(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_away(&self) -> bool {
        self.db().is_none()
    }

    pub(super) fn read<T>(&self, f: impl FnOnce(&ReadTx) -> Result<T>) -> Result<T> {
        let db = self.db();
        let db = db.as_ref().ok_or_else(|| self.why_away())?;
        let snapshot = CommittedView::begin(db).map_err(|failure| failure.error())?;
        f(&ReadTx { snapshot, seal: &*self.seal })
    }

    fn why_away(&self) -> Error {
        if self.closed.load(Ordering::SeqCst) { errors::closed() } else { errors::away() }
    }

    /// Puts another database in place of the one there, which is closed first: redb opens a file once only.
    pub(super) fn replace(&self, open: impl FnOnce() -> Option<Database>) {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        drop(db.take());
        *db = open();
    }

    /// Closes the file for good.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.replace(|| None);
    }
}

/// The store's own end of the writer thread.
pub(super) struct Handle {
    shared: Arc<Shared>,
    tasks: Mutex<Option<Sender<Box<dyn Task>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub(super) fn start(path: &Path, seal: Arc<dyn Seal>, clock: Arc<dyn Clock>) -> Result<Self> {
        let shared = Arc::new(Shared::new(path, seal, clock)?);
        let counters: Counters = shared.read(meta::counters)?;
        shared.bell.send_replace(counters.events);
        let (sender, receiver) = channel();
        let writer = Writer::new(shared.clone(), counters);
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run(&receiver));
        let thread = thread.map_err(Error::internal)?;
        Ok(Self { shared, tasks: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn submit<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut WriteTx) -> Result<T> + Send + 'static,
        answer: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Result<()> {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let task = Box::new(Job::new(f, answer));
        tasks.as_ref().and_then(|t| t.send(task).ok()).ok_or_else(errors::closed)
    }

    pub(super) fn close(&self) {
        // Without a sender the thread does what is waiting, closes the file and ends.
        drop(self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread had panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}
