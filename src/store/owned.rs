//! Keyspaces: the only way to a user's rows. There is no function that takes a bare user id and reads.

use super::key::KeyBuf;
use super::table::{open_row, seal_row};
use super::tx::{Access as _, WriteTx};
use super::view::View;
use super::{Key, OwnedSeal, OwnedTable, Scan, Value, errors};
use base::Result;
use base::ids::UserId;
use std::ops::ControlFlow;
use std::sync::Arc;

/// One user's part of the store, with the key that opens it. Made from an open key only, so somebody who has none
/// can't even ask; a wrong key opens nothing.
#[derive(Clone)]
pub struct Keyspace {
    seal: Arc<dyn OwnedSeal>,
}

impl Keyspace {
    pub fn new(seal: Arc<dyn OwnedSeal>) -> Self {
        Self { seal }
    }

    pub fn owner(&self) -> UserId {
        self.seal.owner()
    }

    /// The key as it stands in the file: the owner first.
    fn key(&self, table: &str, key: &impl Key) -> Vec<u8> {
        KeyBuf::of(key).sealed(self.owner().bytes(), table, &*self.seal)
    }

    fn open<V: Value>(&self, table: &str, key: &[u8], row: &[u8]) -> Result<V> {
        open_row(table, key, row, &*self.seal).ok_or_else(|| errors::not_with_this_key(table, key))
    }
}

impl std::fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyspace").field("owner", &self.owner()).finish_non_exhaustive()
    }
}

/// A user's rows, for reading.
#[derive(Debug)]
pub struct Owned<'a> {
    view: View<'a>,
    keyspace: &'a Keyspace,
}

impl<'a> Owned<'a> {
    pub(super) fn new(view: View<'a>, keyspace: &'a Keyspace) -> Self {
        Self { view, keyspace }
    }

    /// # Errors
    /// `Internal` when the row does not open with this key. So for all of these.
    pub fn get<K: Key, V: Value>(&self, table: OwnedTable<K, V>, key: &K) -> Result<Option<V>> {
        let key = self.keyspace.key(table.name, key);
        let row = self.view.get(table.name, &key)?;
        row.map(|row| self.keyspace.open(table.name, &key, &row)).transpose()
    }

    /// Calls `f` with each of the owner's rows until it breaks.
    pub fn scan<K: Key, V: Value>(
        &self,
        table: OwnedTable<K, V>,
        scan: Scan<K>,
        mut f: impl FnMut(K, V) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let owner = self.keyspace.owner();
        let bounds = scan.bounds(owner.bytes(), table.name, &*self.keyspace.seal);
        let Some(bounds) = bounds else { return Ok(()) };
        self.view.scan(table.name, &bounds, scan.is_rev(), &mut |key, row| {
            let value = self.keyspace.open(table.name, key, row)?;
            let rest = key.get(UserId::LEN..).and_then(K::read);
            f(rest.ok_or_else(|| errors::damaged_row(table.name, key))?, value)
        })
    }

    /// The first `limit` of the owner's rows.
    pub fn list<K: Key, V: Value>(&self, table: OwnedTable<K, V>, scan: Scan<K>, limit: usize) -> Result<Vec<(K, V)>> {
        let mut out = Vec::new();
        if limit > 0 {
            self.scan(table, scan, |key, value| {
                out.push((key, value));
                Ok(if out.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
        }
        Ok(out)
    }
}

/// A user's rows, for reading and writing.
#[derive(Debug)]
pub struct OwnedMut<'b, 'a> {
    tx: &'b mut WriteTx<'a>,
    keyspace: &'b Keyspace,
}

impl<'b, 'a> OwnedMut<'b, 'a> {
    pub(super) fn new(tx: &'b mut WriteTx<'a>, keyspace: &'b Keyspace) -> Self {
        Self { tx, keyspace }
    }

    /// The same rows, for reading only.
    pub fn read(&self) -> Owned<'_> {
        Owned::new(self.tx.view(), self.keyspace)
    }

    pub fn get<K: Key, V: Value>(&self, table: OwnedTable<K, V>, key: &K) -> Result<Option<V>> {
        self.read().get(table, key)
    }

    pub fn list<K: Key, V: Value>(&self, table: OwnedTable<K, V>, scan: Scan<K>, limit: usize) -> Result<Vec<(K, V)>> {
        self.read().list(table, scan, limit)
    }

    /// # Errors
    /// `Internal` when the value can't be encoded.
    pub fn put<K: Key, V: Value>(&mut self, table: OwnedTable<K, V>, key: &K, value: &V) -> Result<()> {
        let key = self.keyspace.key(table.name, key);
        let row = seal_row(table.name, &key, value, &*self.keyspace.seal)?;
        self.tx.own.set(table.name, key, Some(row));
        Ok(())
    }

    /// Takes a row away; `true` when it was there.
    pub fn delete<K: Key, V: Value>(&mut self, table: OwnedTable<K, V>, key: &K) -> Result<bool> {
        let key = self.keyspace.key(table.name, key);
        let there = self.tx.view().get(table.name, &key)?.is_some();
        if there {
            self.tx.own.set(table.name, key, None);
        }
        Ok(there)
    }
}
