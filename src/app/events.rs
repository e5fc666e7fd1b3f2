//! What open pages listen to.

use crate::{Actor, App};
use base::Result;
use base::ids::JobId;
use model::events::Event;
use model::subject::Subject;
use std::collections::HashMap;
use store::{Read, Scan, tables};
use tokio::sync::watch;

impl App {
    /// Rings with the number of the newest event after each commit that holds events. Subscribe before reading.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.store().bell()
    }

    /// Events after `seq` that this actor may see, at most `limit`, and the number up to which was looked.
    /// `None` in place of events when `seq` is older than what is kept: the page must reload.
    pub fn events_after(&self, actor: &Actor, seq: u64, limit: usize) -> Result<(Option<Vec<Event>>, u64)> {
        let rows = self.store().read(|tx| tx.list(tables::EVENTS, Scan::all().after(&seq), limit))?;
        let last = rows.last().map_or(seq, |(n, _)| *n);
        if rows.first().is_some_and(|(n, _)| *n > seq + 1) {
            return Ok((None, last));
        }
        let mut judge = Judge { app: self, actor, jobs: HashMap::new() };
        let mut mine = Vec::new();
        for (_, event) in rows {
            if judge.may_see(&event)? {
                mine.push(event);
            }
        }
        Ok((Some(mine), last))
    }
}

/// Who may be told of an event: anyone who may see its subject at this moment. An event only says where to look, so the
/// person it was meant for learns of it even when it cost them the right: their page looks again and finds
/// nothing.
struct Judge<'a> {
    app: &'a App,
    actor: &'a Actor,
    /// A burst is often about one job.
    jobs: HashMap<JobId, bool>,
}

impl Judge<'_> {
    fn may_see(&mut self, event: &Event) -> Result<bool> {
        let own = event.owner.is_some() && event.owner == self.actor.user_id();
        match event.about {
            _ if own => Ok(true),
            Subject::Job(id) | Subject::JobLog(id) if !self.actor.is_admin() => self.job(id),
            about => Ok(self.app.right_on(self.actor, about).sees()),
        }
    }

    fn job(&mut self, id: JobId) -> Result<bool> {
        if let Some(known) = self.jobs.get(&id) {
            return Ok(*known);
        }
        let job = self.app.store().read(|tx| tx.get(tables::JOBS, &id))?;
        let may = job.is_some_and(|job| self.app.jobs().may_see(self.actor, &job));
        self.jobs.insert(id, may);
        Ok(may)
    }
}
