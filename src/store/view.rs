//! One unchanging view of the rows: the last commit, and changes that are not committed yet on top of it.

use super::errors::{Failure, guarded};
use super::scan::Bounds;
use base::Result;
use redb::{ReadableDatabase as _, TableDefinition, TableError};
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};

/// How every table is known to redb.
pub(super) fn definition(table: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(table)
}

/// The last commit.
pub(super) struct CommittedView(redb::ReadTransaction);

type RawTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;
type RawRange = redb::Range<'static, &'static [u8], &'static [u8]>;

impl std::fmt::Debug for CommittedView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl CommittedView {
    pub(super) fn begin(db: &redb::Database) -> Result<Self, Failure> {
        guarded(|| Ok(Self(db.begin_read()?)))
    }

    /// `None` when nothing was ever written to it.
    fn table(&self, table: &str) -> Result<Option<RawTable>, redb::Error> {
        match self.0.open_table(definition(table)) {
            Ok(t) => Ok(Some(t)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        guarded(|| match self.table(table)? {
            Some(t) => Ok(t.get(key)?.map(|row| row.value().to_vec())),
            None => Ok(None),
        })
    }

    fn range(&self, table: &str, bounds: &Bounds) -> Result<Option<RawRange>, Failure> {
        let (lower, upper) = (as_slice(&bounds.0), as_slice(&bounds.1));
        guarded(|| match self.table(table)? {
            Some(t) => Ok(Some(t.range::<&[u8]>((lower, upper))?)),
            None => Ok(None),
        })
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// Changes that are not committed: by table and key the sealed row, or `None` for "deleted".
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay(BTreeMap<&'static str, BTreeMap<Vec<u8>, Option<Vec<u8>>>>);

impl Overlay {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn set(&mut self, table: &'static str, key: Vec<u8>, row: Option<Vec<u8>>) {
        self.0.entry(table).or_default().insert(key, row);
    }

    /// Puts the changes of `newer` over these.
    pub(super) fn merge(&mut self, newer: Self) {
        for (table, rows) in newer.0 {
            self.0.entry(table).or_default().extend(rows);
        }
    }

    /// About how many bytes this writes.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.0.values().flatten();
        rows.map(|(key, row)| key.len() + row.as_ref().map_or(0, Vec::len)).sum()
    }

    /// Writes the changes to redb.
    pub(super) fn apply(&self, tx: &redb::WriteTransaction) -> Result<(), redb::Error> {
        for (table, rows) in &self.0 {
            let mut table = tx.open_table(definition(table))?;
            for (key, row) in rows {
                match row {
                    Some(row) => drop(table.insert(key.as_slice(), row.as_slice())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
        }
        Ok(())
    }
}

/// What a scan does with each key and row.
pub(super) type EachRow<'f> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'f;

/// A snapshot with up to two layers of changes over it, the newest last.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) snapshot: &'a CommittedView,
    pub(super) layers: [Option<&'a Overlay>; 2],
}

impl View<'_> {
    pub(super) fn get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        for layer in self.layers.iter().rev().flatten() {
            if let Some(row) = layer.0.get(table).and_then(|rows| rows.get(key)) {
                return Ok(row.clone());
            }
        }
        self.snapshot.get(table, key).map_err(|f| f.error())
    }

    /// Calls `f` with each row in the range, in order, until it breaks.
    pub(super) fn scan(&self, table: &str, bounds: &Bounds, rev: bool, f: &mut EachRow<'_>) -> Result<()> {
        let mut changed: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for rows in self.layers.iter().flatten().filter_map(|layer| layer.0.get(table)) {
            let range = rows.range::<[u8], _>((as_slice(&bounds.0), as_slice(&bounds.1)));
            changed.extend(range.map(|(key, row)| (key.as_slice(), row.as_deref())));
        }
        let changed: Box<dyn Iterator<Item = _>> =
            if rev { Box::new(changed.into_iter().rev()) } else { Box::new(changed.into_iter()) };
        let stored = Stored { range: self.snapshot.range(table, bounds).map_err(|f| f.error())?, rev };
        merge(stored.peekable(), changed.peekable(), rev, f)
    }
}

/// The rows of the snapshot, in the direction of the scan.
struct Stored {
    range: Option<RawRange>,
    rev: bool,
}

impl Iterator for Stored {
    type Item = Result<(Vec<u8>, Vec<u8>), Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = self.range.as_mut()?;
        let rev = self.rev;
        let next = guarded(|| {
            let row = if rev { range.next_back() } else { range.next() };
            Ok(row.transpose()?.map(|(key, row)| (key.value().to_vec(), row.value().to_vec())))
        });
        if next.is_err() {
            self.range = None;
        }
        next.transpose()
    }
}

/// Joins stored and changed rows; where both have a key, the change counts.
fn merge<'a>(
    mut stored: Peekable<Stored>,
    mut changed: Peekable<impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>>,
    rev: bool,
    f: &mut EachRow<'_>,
) -> Result<()> {
    loop {
        let take_changed = match (stored.peek(), changed.peek()) {
            (None, None) => return Ok(()),
            (None, Some(_)) => true,
            (Some(Ok((stored_key, _))), Some((changed_key, _))) => {
                let order = changed_key.cmp(&stored_key.as_slice());
                if order.is_eq() {
                    stored.next();
                }
                order.is_eq() || order.is_lt() != rev
            }
            _ => false,
        };
        let flow = if take_changed {
            match changed.next() {
                Some((key, Some(row))) => f(key, row)?,
                _ => ControlFlow::Continue(()),
            }
        } else {
            match stored.next() {
                Some(row) => row.map_err(|f| f.error()).and_then(|(key, row)| f(&key, &row))?,
                None => ControlFlow::Continue(()),
            }
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}
