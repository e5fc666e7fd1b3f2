//! Floor 1: the nouns and their rules. Pure: no I/O, no async, no clock of its own.
//!
//! What is stored derives `minicbor` with explicit field numbers: a field's number never changes and
//! is never used again, new fields are `Option` or `#[cbor(default)]`, so an older row still reads.
//! What lists and the REST API show is a separate view type without secret fields.

pub mod access;
pub mod amounts;
pub mod audit;
pub mod backoff;
pub mod connections;
pub mod consoles;
pub mod drafts;
pub mod events;
pub mod filter;
pub mod guests;
pub mod images;
pub mod impact;
pub mod jobs;
pub mod json;
pub mod lenient;
pub mod lockout;
pub mod nodes;
pub mod options;
mod pattern;
pub mod plugins;
pub mod prefs;
pub mod profiles;
pub mod providers;
pub mod quotas;
pub mod schedules;
pub mod sessions;
pub mod software;
pub mod subject;
pub mod templates;
pub mod users;
pub mod windows;
