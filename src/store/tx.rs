//! What a caller's closure gets: typed reading, and for writers changes that only its own commit keeps.

use super::audit::{self, AuditHead};
use super::key::KeyBuf;
use super::owned::{Keyspace, Owned, OwnedMut};
use super::table::{seal_row, typed_row};
use super::tables::{EVENTS, EVENTS_KEPT, OWNED};
use super::view::{CommittedView, Overlay, View};
use super::{Key, OwnedTable, Scan, Seal, Table, Value};
use base::ids::UserId;
use base::{Error, Result, Timestamp};
use model::audit::AuditRecord;
use model::events::Event;
use model::subject::Subject;
use std::ops::{Bound, ControlFlow};

/// How a transaction reaches rows.
pub(super) trait Access {
    fn view(&self) -> View<'_>;
    fn seal(&self) -> &dyn Seal;
}

/// Reading, the same for both kinds of transaction.
#[expect(private_bounds, reason = "only the store's own transactions can read it")]
pub trait Read: Access {
    fn get<K: Key, V: Value>(&self, table: Table<K, V>, key: &K) -> Result<Option<V>> {
        let key = KeyBuf::of(key).sealed(&[], table.name, self.seal());
        match self.view().get(table.name, &key)? {
            Some(row) => typed_row::<K, V>(table.name, &key, &row, self.seal()).map(|(_, value)| Some(value)),
            None => Ok(None),
        }
    }

    /// Is there a row? Does not look whether it opens.
    fn has<K: Key, V: Value>(&self, table: Table<K, V>, key: &K) -> Result<bool> {
        let key = KeyBuf::of(key).sealed(&[], table.name, self.seal());
        self.view().get(table.name, &key).map(|row| row.is_some())
    }

    /// Calls `f` with each row until it breaks.
    fn scan<K: Key, V: Value>(
        &self,
        table: Table<K, V>,
        scan: Scan<K>,
        mut f: impl FnMut(K, V) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let seal = self.seal();
        let Some(bounds) = scan.bounds(&[], table.name, seal) else { return Ok(()) };
        self.view().scan(table.name, &bounds, scan.is_rev(), &mut |key, row| {
            let (key, value) = typed_row(table.name, key, row, seal)?;
            f(key, value)
        })
    }

    /// The first `limit` rows.
    fn list<K: Key, V: Value>(&self, table: Table<K, V>, scan: Scan<K>, limit: usize) -> Result<Vec<(K, V)>> {
        let mut out = Vec::new();
        if limit > 0 {
            self.scan(table, scan, |key, value| {
                out.push((key, value));
                Ok(if out.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
        }
        Ok(out)
    }

    /// The rows of the keyspace's owner.
    fn own<'a>(&'a self, keyspace: &'a Keyspace) -> Owned<'a> {
        Owned::new(self.view(), keyspace)
    }
}

/// A reading transaction.
pub struct ReadTx<'a> {
    pub(super) snapshot: CommittedView,
    pub(super) seal: &'a dyn Seal,
}

impl Access for ReadTx<'_> {
    fn view(&self) -> View<'_> {
        View { snapshot: &self.snapshot, layers: [None, None] }
    }
    fn seal(&self) -> &dyn Seal {
        self.seal
    }
}

impl Read for ReadTx<'_> {}

/// A writing transaction. It sees its own changes and those of the closures before it in the same commit.
pub struct WriteTx<'a> {
    snapshot: &'a CommittedView,
    batch: &'a Overlay,
    pub(super) own: Overlay,
    seal: &'a dyn Seal,
    now: Timestamp,
    events: Vec<(Subject, Option<UserId>)>,
    audits: Vec<AuditRecord>,
}

impl Access for WriteTx<'_> {
    fn view(&self) -> View<'_> {
        View { snapshot: self.snapshot, layers: [Some(self.batch), Some(&self.own)] }
    }
    fn seal(&self) -> &dyn Seal {
        self.seal
    }
}

impl Read for WriteTx<'_> {}

impl<'a> WriteTx<'a> {
    pub(super) fn new(snapshot: &'a CommittedView, batch: &'a Overlay, seal: &'a dyn Seal, now: Timestamp) -> Self {
        Self { snapshot, batch, own: Overlay::default(), seal, now, events: Vec::new(), audits: Vec::new() }
    }

    /// The time of this write.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Writes a row, over what is there.
    ///
    /// # Errors
    /// `Internal` when the value can't be encoded.
    pub fn put<K: Key, V: Value>(&mut self, table: Table<K, V>, key: &K, value: &V) -> Result<()> {
        let key = KeyBuf::of(key).sealed(&[], table.name, self.seal);
        let row = seal_row(table.name, &key, value, self.seal)?;
        self.own.set(table.name, key, Some(row));
        Ok(())
    }

    /// Writes a row that must not be there yet.
    ///
    /// # Errors
    /// `Conflict` when it is.
    pub fn insert_new<K: Key, V: Value>(&mut self, table: Table<K, V>, key: &K, value: &V) -> Result<()> {
        if self.has(table, key)? {
            return Err(Error::conflict("This already exists."));
        }
        self.put(table, key, value)
    }

    /// Takes a row away; `true` when it was there.
    pub fn delete<K: Key, V: Value>(&mut self, table: Table<K, V>, key: &K) -> Result<bool> {
        let key = KeyBuf::of(key).sealed(&[], table.name, self.seal);
        let there = self.view().get(table.name, &key)?.is_some();
        if there {
            self.own.set(table.name, key, None);
        }
        Ok(there)
    }

    /// Removes all rows of a range and returns how many there were. Does not look whether they open.
    pub fn delete_all<K: Key, V: Value>(&mut self, table: Table<K, V>, scan: Scan<K>) -> Result<u64> {
        match scan.bounds(&[], table.name, self.seal) {
            Some(bounds) => self.delete_range(table.name, &bounds),
            None => Ok(0),
        }
    }

    /// Removes every row in a user's keyspace. Needs no key: for a user who is deleted, or whose key is lost.
    pub fn erase_owner(&mut self, user: UserId) -> Result<u64> {
        let mut erased = 0;
        for table in OWNED {
            let bounds = Scan::<()>::all().bounds(user.bytes(), table, self.seal);
            erased += bounds.map_or(Ok(0), |b| self.delete_range(table, &b))?;
        }
        Ok(erased)
    }

    /// Removes everybody's rows whose keys are old. Needs no key.
    pub fn sweep_owned<K: Key, V: Value>(
        &mut self,
        table: OwnedTable<K, V>,
        is_old: impl Fn(&K) -> bool,
    ) -> Result<u64> {
        let old = |key: &[u8]| key.get(UserId::LEN..).and_then(K::read).is_some_and(|key| is_old(&key));
        self.delete_those(table.name, &(Bound::Unbounded, Bound::Unbounded), old)
    }

    fn delete_range(&mut self, table: &'static str, bounds: &(Bound<Vec<u8>>, Bound<Vec<u8>>)) -> Result<u64> {
        self.delete_those(table, bounds, |_| true)
    }

    fn delete_those(
        &mut self,
        table: &'static str,
        bounds: &(Bound<Vec<u8>>, Bound<Vec<u8>>),
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<u64> {
        let mut keys = Vec::new();
        self.view().scan(table, bounds, false, &mut |key, _| {
            if wanted(key) {
                keys.push(key.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let count = keys.len() as u64;
        for key in keys {
            self.own.set(table, key, None);
        }
        Ok(count)
    }

    /// The rows of the keyspace's owner, also for writing.
    pub fn own<'b>(&'b mut self, keyspace: &'b Keyspace) -> OwnedMut<'b, 'a> {
        OwnedMut::new(self, keyspace)
    }

    /// Adds an entry to the audit log. It gets its place in the chain with the commit.
    pub fn audit(&mut self, record: AuditRecord) {
        self.audits.push(record);
    }

    /// Tells open pages that something changed. `owner` is told besides those who have a right on it.
    pub fn event(&mut self, about: Subject, owner: Option<UserId>) {
        self.events.push((about, owner));
    }

    /// Gives events and audit entries their numbers, writes them, and returns all changes of this closure.
    pub(super) fn finish(mut self, counters: &mut Counters) -> Result<Overlay> {
        let mut counted = counters.clone();
        for (about, owner) in std::mem::take(&mut self.events) {
            counted.events += 1;
            let seq = counted.events;
            self.put(EVENTS, &seq, &Event { seq, at: self.now, about, owner })?;
            if let Some(old) = seq.checked_sub(EVENTS_KEPT).filter(|old| *old > 0) {
                self.delete(EVENTS, &old)?;
            }
        }
        if !self.audits.is_empty() {
            let records = std::mem::take(&mut self.audits);
            counted.audit = audit::append(&mut self, &counted.audit, records)?;
        }
        *counters = counted;
        Ok(self.own)
    }
}

impl std::fmt::Debug for ReadTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadTx")
    }
}

impl std::fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WriteTx")
    }
}

/// The numbers given so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    /// Of the last event.
    pub(super) events: u64,
    pub(super) audit: AuditHead,
    /// Of the last commit. Tells after a failure whether a commit is on the disk.
    pub(super) commits: u64,
}
