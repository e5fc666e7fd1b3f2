//! `steward plugin check DIR`: a plugin's own tests, without network.

mod journal;

#[cfg(test)]
pub(super) use journal::MemoryJournal;
