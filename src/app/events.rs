//! What open pages listen to.

use crate::app::{Actor, App};
use crate::base::Result;
use crate::model::events::Event;
use crate::store::{Read, Scan, tables};
use tokio::sync::watch;

impl App {
    /// Rings with the number of the newest event after each commit that holds events. Subscribe before reading.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.store().bell()
    }

    /// Events after `seq` that this actor may see, at most `limit`, and the number up to which was looked.
    /// `None` in place of events when `seq` is older than what is kept: the page must load anew.
    ///
    /// # Errors
    /// What the store says.
    pub fn events_after(&self, actor: &Actor, seq: u64, limit: usize) -> Result<(Option<Vec<Event>>, u64)> {
        let rows = self.store().read(|tx| tx.list(tables::EVENTS, Scan::all().after(&seq), limit))?;
        let last = rows.last().map_or(seq, |(n, _)| *n);
        if rows.first().is_some_and(|(n, _)| *n > seq + 1) {
            return Ok((None, last));
        }
        let mine = rows.into_iter().map(|(_, e)| e).filter(|e| may_see(actor, e)).collect();
        Ok((Some(mine), last))
    }
}

fn may_see(actor: &Actor, event: &Event) -> bool {
    actor.is_admin() || (event.owner.is_some() && event.owner == actor.user_id())
}
