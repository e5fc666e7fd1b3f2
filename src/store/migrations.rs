//! How a store of an earlier version is brought up to date. Docs on adding one: a number, a sentence, a
//! function, and a maker of the version before in `tests/`, kept for ever.
//!
//! A migration runs in one commit together with the new version number, so it happens whole or not at all.
//! It may write rows, but no events and no audit entries.

use super::tables::{JOBS, OPEN_JOBS};
use super::{Read as _, Scan, WriteTx};
use base::Result;
use std::ops::ControlFlow;

/// The version that this Steward writes.
pub(super) const CURRENT: u32 = 2;

/// One step from the version before.
pub(super) struct Migration {
    pub(super) to: u32,
    pub(super) about: &'static str,
    run: fn(&mut WriteTx) -> Result<()>,
}

/// Version 1 is how the first stores were made.
pub(super) const ALL: [Migration; 1] =
    [Migration { to: 2, about: "the index of the jobs that are not over", run: index_open_jobs }];

/// Runs every migration that a store of version `from` still needs.
pub(super) fn run(from: u32, tx: &mut WriteTx) -> Result<()> {
    for migration in ALL.iter().filter(|m| m.to > from) {
        tracing::info!(version = migration.to, about = migration.about, "bringing the store up to date");
        (migration.run)(tx)?;
    }
    Ok(())
}

/// Version 1 looked through all jobs at start; the index makes that as short as the work left.
fn index_open_jobs(tx: &mut WriteTx) -> Result<()> {
    tx.delete_all(OPEN_JOBS, Scan::all())?;
    let mut open = Vec::new();
    tx.scan(JOBS, Scan::all(), |id, job| {
        if !job.state.is_over() {
            open.push(id);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    open.iter().try_for_each(|id| tx.put(OPEN_JOBS, id, &()))
}
