//! Which rows to go through, and in which direction.

use super::Seal;
use super::key::{Key, KeyBuf, LeadingPart};
use std::marker::PhantomData;
use std::ops::Bound;

/// A range of keys: `Scan::all()`, `Scan::prefix(&job)`, then `.from(&key)` or `.after(&key)`, `.rev()`.
#[derive(Clone, Debug)]
pub struct Scan<K> {
    prefix: KeyBuf,
    start: Option<(KeyBuf, bool)>,
    rev: bool,
    key: PhantomData<fn() -> K>,
}

/// The bounds as bytes.
pub(super) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

impl<K: Key> Scan<K> {
    /// All rows, by rising key.
    pub fn all() -> Self {
        Self { prefix: KeyBuf::default(), start: None, rev: false, key: PhantomData }
    }

    /// The rows whose key begins with this part.
    pub fn prefix<P: LeadingPart<K>>(part: &P) -> Self {
        Self { prefix: KeyBuf::of(part), ..Self::all() }
    }

    /// Begins at `key` itself, in the direction of the scan.
    #[must_use]
    pub fn from(mut self, key: &K) -> Self {
        self.start = Some((KeyBuf::of(key), true));
        self
    }

    /// Begins after `key`, in the direction of the scan.
    #[must_use]
    pub fn after(mut self, key: &K) -> Self {
        self.start = Some((KeyBuf::of(key), false));
        self
    }

    /// By falling key.
    #[must_use]
    pub fn rev(mut self) -> Self {
        self.rev = true;
        self
    }

    pub(super) fn is_rev(&self) -> bool {
        self.rev
    }

    /// The range in `table` behind `lead`, or `None` when nothing can be in it.
    pub(super) fn bounds(&self, lead: &[u8], table: &str, seal: &dyn Seal) -> Option<Bounds> {
        let prefix = self.prefix.sealed(lead, table, seal);
        let mut upper = next_prefix(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        let mut lower = Bound::Included(prefix);
        if let Some((start, included)) = &self.start {
            let start = start.sealed(lead, table, seal);
            let bound = if *included { Bound::Included(start.clone()) } else { Bound::Excluded(start.clone()) };
            // A start outside the prefix leaves the prefix' own bound, or nothing at all.
            let edge = if self.rev { &mut upper } else { &mut lower };
            let within = match &*edge {
                Bound::Included(e) | Bound::Excluded(e) if self.rev => start < *e,
                Bound::Included(e) | Bound::Excluded(e) => start >= *e,
                Bound::Unbounded => true,
            };
            if within {
                *edge = bound;
            }
        }
        not_empty(&lower, &upper).then_some((lower, upper))
    }
}

/// The first key behind all keys that begin with `prefix`; `None` when there is none.
fn next_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|b| *b != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// Ranges that run backwards make `BTreeMap::range` panic.
fn not_empty(lower: &Bound<Vec<u8>>, upper: &Bound<Vec<u8>>) -> bool {
    match (lower, upper) {
        (Bound::Included(l), Bound::Included(u)) => l <= u,
        (Bound::Included(l) | Bound::Excluded(l), Bound::Included(u) | Bound::Excluded(u)) => l < u,
        _ => true,
    }
}
