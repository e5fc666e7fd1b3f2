//! What the store knows of itself: version, key, marker, counts.

use super::errors;
use super::tables::{EVENTS, META, META_AUDIT, META_COMMITS};
use super::tx::Counters;
use super::view::{CommittedView, Overlay, View};
use super::{Key as _, Read as _, ReadTx, Scan, Seal};
use base::{Error, Result, Timestamp, random};
use minicbor::{Decode, Encode};
use std::path::Path;

/// The rows of the table `meta`. Numbers never change their meaning, whatever the version.
#[derive(Clone, Copy)]
pub(super) enum Row {
    /// The version: 4 bytes, big endian, in clear.
    Schema = 1,
    /// The fingerprint of the appliance key, in clear.
    Fingerprint = 2,
    /// The marker, sealed and bound to the version.
    Marker = 3,
    /// The head of the audit log.
    Audit = 4,
    /// The number of the last commit.
    Commits = 5,
}

impl Row {
    pub(super) fn key(self) -> u8 {
        self as u8
    }
}

/// Opens with the right key only.
#[derive(Clone, Debug, Encode, Decode)]
pub(super) struct Marker {
    /// The store's own random id.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) id: [u8; 16],
    #[n(1)]
    pub(super) made: Timestamp,
}

/// Tells keys apart without revealing one: the first bytes of a seal over a fixed text.
pub(super) fn fingerprint(seal: &dyn Seal) -> Vec<u8> {
    seal.seal(&[b"steward", b"key fingerprint"], b"")[..4].to_vec()
}

fn seal_marker(marker: &Marker, schema: u32, seal: &dyn Seal) -> Result<Vec<u8>> {
    let plain = minicbor::to_vec(marker).map_err(|e| Error::internal(e.to_string()))?;
    Ok(seal.seal(&[META.as_bytes(), b"marker", &schema.to_be_bytes()], &plain))
}

fn open_marker(sealed: &[u8], schema: u32, seal: &dyn Seal) -> Option<Marker> {
    let plain = seal.open(&[META.as_bytes(), b"marker", &schema.to_be_bytes()], sealed)?;
    minicbor::decode(&plain).ok()
}

/// A new store's marker.
pub(super) fn new_marker(now: Timestamp) -> Marker {
    Marker { id: random::bytes(), made: now }
}

/// Writes version, fingerprint and marker.
pub(super) fn write(out: &mut Overlay, schema: u32, marker: &Marker, seal: &dyn Seal) -> Result<()> {
    out.set(META, vec![Row::Schema.key()], Some(schema.to_be_bytes().to_vec()));
    out.set(META, vec![Row::Fingerprint.key()], Some(fingerprint(seal)));
    out.set(META, vec![Row::Marker.key()], Some(seal_marker(marker, schema, seal)?));
    Ok(())
}

/// The version and the marker of the store at `path`; `None` for a new file.
pub(super) fn read(snapshot: &CommittedView, path: &Path, seal: &dyn Seal) -> Result<Option<(u32, Marker)>> {
    let view = View { snapshot, layers: [None, None] };
    let get = |row: Row| view.get(META, &[row.key()]);
    let (schema, key, marker) = (get(Row::Schema)?, get(Row::Fingerprint)?, get(Row::Marker)?);
    if schema.is_none() && key.is_none() && marker.is_none() {
        return Ok(None);
    }
    let broken = || errors::damaged("the store's own rows are incomplete");
    let (Some(schema), Some(key), Some(sealed)) = (schema, key, marker) else { return Err(broken()) };
    let schema = u32::read(&schema).ok_or_else(broken)?;
    match open_marker(&sealed, schema, seal) {
        Some(marker) => Ok(Some((schema, marker))),
        None if key != fingerprint(seal) => Err(errors::wrong_key(path, &key, &fingerprint(seal))),
        None => Err(errors::damaged("the marker does not open with its key")),
    }
}

/// The numbers given so far, from the rows.
pub(super) fn counters(tx: &ReadTx) -> Result<Counters> {
    let last_event = tx.list(EVENTS, Scan::all().rev(), 1)?;
    Ok(Counters {
        events: last_event.first().map_or(0, |(seq, _)| *seq),
        audit: tx.get(META_AUDIT, &Row::Audit.key())?.unwrap_or_default(),
        commits: tx.get(META_COMMITS, &Row::Commits.key())?.unwrap_or(0),
    })
}
