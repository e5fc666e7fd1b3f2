//! The writer thread: closures in, one durable commit for several of them, answers out.

use super::database;
use super::errors::{self, Failure};
use super::handle::Shared;
use super::meta::{self, Row};
use super::table::seal_row;
use super::tables::{META, META_COMMITS};
use super::tx::{Counters, WriteTx};
use super::view::{CommittedView, Overlay};
use base::{Error, Result};
use redb::Database;
use std::fs::{File, remove_file};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// The most closures in one commit, so that nobody waits for a crowd.
const BATCH: usize = 256;
/// How often the file is tried again after the disk failed.
const RETRY: Duration = Duration::from_secs(1);

/// One caller's closure with its way back.
pub(super) trait Task: Send {
    /// Runs the closure; `true` when its changes are to be kept.
    fn run(&mut self, tx: &mut WriteTx) -> bool;
    /// The changes could not be kept after all.
    fn refuse(&mut self, why: Error);
    /// Answers the caller, with `failure` when the commit failed.
    fn answer(self: Box<Self>, failure: Option<&Failure>);
}

pub(super) struct Job<F, T, A> {
    f: Option<F>,
    result: Option<Result<T>>,
    answer: A,
}

impl<F, T, A> Job<F, T, A> {
    pub(super) fn new(f: F, answer: A) -> Self {
        Self { f: Some(f), result: None, answer }
    }
}

impl<F, T, A> Task for Job<F, T, A>
where
    F: FnOnce(&mut WriteTx) -> Result<T> + Send,
    T: Send,
    A: FnOnce(Result<T>) + Send,
{
    fn run(&mut self, tx: &mut WriteTx) -> bool {
        let Some(f) = self.f.take() else { return false };
        let result = catch_unwind(AssertUnwindSafe(|| f(tx))).unwrap_or_else(|panic| {
            Err(Error::internal(format!("a write to the store panicked: {}", errors::panic_text(&*panic))))
        });
        self.result.insert(result).is_ok()
    }

    fn refuse(&mut self, why: Error) {
        self.result = Some(Err(why));
    }

    fn answer(self: Box<Self>, failure: Option<&Failure>) {
        let answer = match (self.result, failure) {
            (Some(Err(own)), _) => Err(own),
            (_, Some(failure)) => Err(failure.error()),
            (Some(ok), None) => ok,
            (None, None) => Err(errors::closed()),
        };
        (self.answer)(answer);
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    counters: Counters,
    /// After "disk full": how many bytes there must be room for before redb is asked again.
    full: Option<usize>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, counters: Counters) -> Self {
        Self { shared, counters, full: None }
    }

    pub(super) fn run(mut self, tasks: &Receiver<Box<dyn Task>>) {
        loop {
            match tasks.recv_timeout(if self.shared.is_away() { RETRY } else { Duration::MAX }) {
                Ok(first) => {
                    let mut batch = vec![first];
                    batch.extend(tasks.try_iter().take(BATCH - 1));
                    self.write_and_answer(batch);
                }
                Err(RecvTimeoutError::Timeout) => self.reopen(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.shared.close();
    }

    /// Nobody hears an answer before the commit is on the disk, a refusal neither: it may rest on what another
    /// closure of the same commit did.
    fn write_and_answer(&mut self, mut batch: Vec<Box<dyn Task>>) {
        let failure = self.write(&mut batch).err();
        for task in batch {
            task.answer(failure.as_ref());
        }
    }

    fn write(&mut self, batch: &mut [Box<dyn Task>]) -> Result<(), Failure> {
        if let Some(bytes) = self.full {
            if !has_room(&self.shared.path, bytes) {
                return Err(Failure::Full);
            }
            self.full = None;
        }
        if self.shared.is_away() {
            self.reopen();
        }
        let shared = self.shared.clone();
        let guard = shared.db();
        let db = guard.as_ref().ok_or_else(|| Failure::Disk("the store is away".to_owned()))?;
        let (changes, counters) = match self.collect(db, batch) {
            Ok(collected) => collected,
            Err(failure) => {
                drop(guard);
                return self.recover(failure, None, 0);
            }
        };
        if changes.is_empty() {
            return Ok(());
        }
        match database::commit(db, &changes) {
            Ok(()) => {
                self.committed(counters);
                Ok(())
            }
            Err(failure) => {
                drop(guard);
                self.recover(failure, Some(counters), changes.bytes())
            }
        }
    }

    /// Runs the closures, each over the changes of those before it that succeeded.
    fn collect(&self, db: &Database, batch: &mut [Box<dyn Task>]) -> Result<(Overlay, Counters), Failure> {
        let seal = &*self.shared.seal;
        let snapshot = CommittedView::begin(db)?;
        let mut counters = self.counters.clone();
        let mut changes = Overlay::default();
        for task in batch {
            let mut tx = WriteTx::new(&snapshot, &changes, seal, self.shared.clock.now());
            if !task.run(&mut tx) {
                continue;
            }
            match tx.finish(&mut counters) {
                Ok(own) => changes.merge(own),
                Err(why) => task.refuse(why),
            }
        }
        if !changes.is_empty() {
            counters.commits += 1;
            let key = vec![Row::Commits.key()];
            let row = seal_row(META_COMMITS.name, &key, &counters.commits, seal);
            changes.set(META, key, Some(row.map_err(|e| Failure::Disk(e.chain()))?));
        }
        Ok((changes, counters))
    }

    fn committed(&mut self, counters: Counters) {
        let events = counters.events;
        self.counters = counters;
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.bell.send_if_modified(|last| std::mem::replace(last, events) != events);
    }

    /// After a failed commit redb takes no more: opens the file again and looks whether the commit is in it.
    fn recover(&mut self, failure: Failure, wanted: Option<Counters>, bytes: usize) -> Result<(), Failure> {
        tracing::error!(failure = ?failure, "the store could not be written");
        match failure {
            // Opening again would make redb go back to an older commit.
            Failure::Damaged(_) => return Err(failure),
            Failure::Full => self.full = Some(bytes),
            Failure::Disk(_) => {}
        }
        self.reopen();
        match wanted {
            Some(wanted) if !self.shared.is_away() && self.counters.commits == wanted.commits => {
                self.committed(wanted);
                Ok(())
            }
            _ => Err(failure),
        }
    }

    /// Readers wait meanwhile.
    fn reopen(&mut self) {
        let shared = &self.shared;
        shared.replace(|| match database::reopen(&shared.path, &*shared.seal, shared.id) {
            Ok(db) => Some(db),
            Err(e) => {
                tracing::error!(error = %e.chain(), "the store could not be opened again");
                None
            }
        });
        if self.shared.is_away() {
            return;
        }
        match self.shared.read(meta::counters) {
            Ok(counters) => self.counters = counters,
            Err(e) => {
                // Without the numbers nothing may be written; the next try reads them again.
                tracing::error!(error = %e.chain(), "the store could not be read after it was opened again");
                self.shared.replace(|| None);
            }
        }
    }
}

/// Is there room for some times `bytes` beside the store? Asked only after the disk was full: trying it with redb
/// means to repair the whole file after each failure.
fn has_room(store: &Path, bytes: usize) -> bool {
    let probe = store.with_extension("room");
    let written = File::create(&probe).and_then(|mut file| {
        file.write_all(&vec![0x5a; bytes * 4 + (256 << 10)])?;
        file.sync_all()
    });
    remove_file(&probe).is_ok() && written.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::maker::Quick;
    use base::time::ManualClock;

    fn writer(path: &Path) -> Writer {
        let clock = ManualClock::at(base::Timestamp::ZERO);
        let shared = Shared::new(path, Arc::new(Quick), Arc::new(clock)).unwrap();
        Writer::new(Arc::new(shared), Counters::default())
    }

    /// One write's changes with the numbers they bring.
    fn collected(writer: &Writer) -> (Overlay, Counters) {
        let write = |tx: &mut WriteTx| {
            tx.event(model::subject::Subject::Users, None);
            Ok(())
        };
        let mut batch: Vec<Box<dyn Task>> = vec![Box::new(Job::new(write, drop))];
        let db = writer.shared.db();
        writer.collect(db.as_ref().unwrap(), &mut batch).unwrap()
    }

    #[test]
    fn a_commit_that_failed_but_is_on_the_disk_counts_as_done() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(&dir.path().join("steward.redb"));
        let (changes, counters) = collected(&writer);
        database::commit(writer.shared.db().as_ref().unwrap(), &changes).unwrap();
        let bell = writer.shared.bell.subscribe();
        writer.recover(Failure::Disk("too late".to_owned()), Some(counters), 0).unwrap();
        assert_eq!((writer.counters.commits, writer.counters.events, *bell.borrow()), (1, 1, 1));
    }

    #[test]
    fn a_commit_that_failed_and_is_not_on_the_disk_gives_no_number_away() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(&dir.path().join("steward.redb"));
        let (_, counters) = collected(&writer);
        assert!(writer.recover(Failure::Disk("broken".to_owned()), Some(counters), 0).is_err());
        assert_eq!((writer.counters.commits, writer.counters.events), (0, 0));
        let (changes, counters) = collected(&writer);
        assert_eq!((changes.is_empty(), counters.events), (false, 1));
    }

    #[test]
    fn a_store_that_could_not_be_opened_again_comes_back_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steward.redb");
        let mut writer = writer(&path);
        let hidden = dir.path().join("hidden");
        std::fs::rename(&path, &hidden).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(writer.recover(Failure::Disk("gone".to_owned()), None, 0).is_err());
        let away = writer.shared.read(|_| Ok(())).unwrap_err();
        assert!(away.message().contains("Steward keeps trying"), "{away}");
        std::fs::remove_dir(&path).unwrap();
        writer.reopen();
        assert!(writer.shared.is_away() && !path.exists(), "no new store is made in its place");
        drop(database::open(&path, &Quick, base::Timestamp::ZERO).unwrap());
        writer.reopen();
        assert!(writer.shared.is_away(), "another store is not taken for it");
        remove_file(&path).unwrap();
        std::fs::rename(&hidden, &path).unwrap();
        writer.reopen();
        assert!(writer.shared.read(|_| Ok(())).is_ok());
    }
}
