//! The audit log's chain: each entry holds the hash of all before it, the head is kept apart.

use super::key::Key as _;
use super::meta::Row;
use super::table::open_row;
use super::tables::{AUDIT, META_AUDIT};
use super::tx::Access as _;
use super::{Read as _, ReadTx, Scan, WriteTx};
use base::{Error, Result};
use minicbor::{Decode, Encode};
use model::audit::{AuditEntry, AuditRecord};
use sha2::{Digest as _, Sha256};
use std::ops::ControlFlow;

/// The state of the chain: how many entries, and the last one's hash (32 zeros before the first).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuditHead {
    #[n(0)]
    pub entries: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub hash: Vec<u8>,
}

impl Default for AuditHead {
    fn default() -> Self {
        Self { entries: 0, hash: vec![0; 32] }
    }
}

/// What going through the log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCheck {
    /// Good entries, from the first one on.
    pub entries: u64,
    /// The hash of the last good one; `None` when there is none.
    pub head: Option<Vec<u8>>,
    /// The first entry that is wrong.
    pub first_bad: Option<u64>,
    /// What is wrong with it, for people.
    pub why: Option<String>,
}

/// SHA-256 over the hash before, the number (8 bytes, big endian) and the record in CBOR.
fn link(before: &[u8], seq: u64, record: &AuditRecord) -> Result<Vec<u8>> {
    let bytes = minicbor::to_vec(record).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Sha256::new().chain_update(before).chain_update(seq.to_be_bytes()).chain_update(bytes).finalize().to_vec())
}

/// Writes `records` behind `head` and returns the new head, which is written too.
pub(super) fn append(tx: &mut WriteTx, head: &AuditHead, records: Vec<AuditRecord>) -> Result<AuditHead> {
    let mut head = head.clone();
    for record in records {
        let seq = head.entries + 1;
        let hash = link(&head.hash, seq, &record)?;
        head = AuditHead { entries: seq, hash: hash.clone() };
        tx.put(AUDIT, &seq, &AuditEntry { seq, record, hash })?;
    }
    tx.put(META_AUDIT, &Row::Audit.key(), &head)?;
    Ok(head)
}

/// Goes through the whole chain; `known` is a head that it must contain.
pub(super) fn verify(tx: &ReadTx, known: Option<&AuditHead>) -> Result<AuditCheck> {
    let mut head = AuditHead::default();
    let mut bad: Option<String> = None;
    let seal = tx.seal();
    if let Some(bounds) = Scan::<u64>::all().bounds(&[], AUDIT.name, seal) {
        tx.view().scan(AUDIT.name, &bounds, false, &mut |key, row| {
            match next(&head, key, open_row(AUDIT.name, key, row, seal), known)? {
                Ok(next) => head = next,
                Err(why) => bad = Some(why),
            }
            Ok(if bad.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
    }
    let bad = match bad {
        Some(why) => Some((head.entries + 1, why)),
        None => wrong_end(tx, &head, known),
    };
    let (first_bad, why) = bad.unzip();
    // When the head is wrong itself, the entry before it is the last good one only by its link.
    let entries = first_bad.map_or(head.entries, |n| head.entries.min(n.saturating_sub(1)));
    Ok(AuditCheck { entries, head: (entries > 0 && entries == head.entries).then_some(head.hash), first_bad, why })
}

/// The head after one more row, or what is wrong with it.
fn next(
    head: &AuditHead,
    key: &[u8],
    entry: Option<AuditEntry>,
    known: Option<&AuditHead>,
) -> Result<Result<AuditHead, String>> {
    let expected = head.entries + 1;
    if u64::read(key) != Some(expected) {
        return Ok(Err(format!("Entry {expected} is missing.")));
    }
    let Some(entry) = entry else {
        return Ok(Err(format!("Entry {expected} does not open: it was changed or put here from elsewhere.")));
    };
    if entry.seq != expected || link(&head.hash, expected, &entry.record)? != entry.hash {
        return Ok(Err(format!("Entry {expected} does not continue the entry before it.")));
    }
    if known.is_some_and(|k| k.entries == expected && k.hash != entry.hash) {
        return Ok(Err(format!("Entry {expected} is not the one that was noted outside.")));
    }
    Ok(Ok(AuditHead { entries: expected, hash: entry.hash }))
}

/// What is wrong behind the last entry, if anything.
fn wrong_end(tx: &ReadTx, head: &AuditHead, known: Option<&AuditHead>) -> Option<(u64, String)> {
    let after = head.entries + 1;
    let recorded = match tx.get(META_AUDIT, &Row::Audit.key()) {
        Ok(recorded) => recorded.unwrap_or_default(),
        Err(_) => return Some((after, "The record of the log's end does not open.".to_owned())),
    };
    let most = known.map_or(0, |k| k.entries).max(recorded.entries);
    if head.entries < most {
        return Some((after, format!("The end was cut off: there were {most} entries, {} are left.", head.entries)));
    }
    if head.entries > recorded.entries {
        return Some((recorded.entries + 1, format!("Only {} entries were written by Steward.", recorded.entries)));
    }
    (head.hash != recorded.hash).then(|| (head.entries, "The last entry is not the one that was written.".to_owned()))
}
