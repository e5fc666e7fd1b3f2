//! Wizards that people have begun: each in its person's keyspace, for a while.

use crate::{Actor, App};
use base::ids::DraftId;
use base::{Error, Result};
use model::drafts::Draft;
use std::time::Duration;
use store::{Read, Scan, tables};

/// Kept this long since they were begun.
const KEEP: Duration = Duration::from_secs(14 * 24 * 3600);
/// Kept of one person; the oldest go first.
const MOST: usize = 20;

pub struct Drafts<'a>(pub(super) &'a App);

impl Drafts<'_> {
    /// One of the actor's own.
    ///
    /// # Errors
    /// `NotFound` when it has gone.
    pub fn get(&self, actor: &Actor, id: DraftId) -> Result<Draft> {
        let keyspace = actor.keyspace()?;
        let draft = self.0.store().read(|tx| tx.own(&keyspace).get(tables::DRAFTS, &id))?;
        draft.ok_or_else(|| {
            Error::not_found("This draft is gone: what is begun and not finished is kept for two weeks.")
        })
    }

    /// The actor's own that no job was made of, the newest first.
    pub fn unfinished(&self, actor: &Actor) -> Result<Vec<(DraftId, Draft)>> {
        let keyspace = actor.keyspace()?;
        let all = self.0.store().read(|tx| tx.own(&keyspace).list(tables::DRAFTS, Scan::all().rev(), MOST))?;
        Ok(all.into_iter().filter(|(_, draft)| draft.job.is_none()).collect())
    }

    /// Changes one, which need not be there yet.
    pub async fn change(
        &self,
        actor: &Actor,
        id: DraftId,
        change: impl FnOnce(&mut Draft) + Send + 'static,
    ) -> Result<()> {
        let keyspace = actor.keyspace()?;
        let now = self.0.now();
        self.0
            .store()
            .write(move |tx| {
                let mut own = tx.own(&keyspace);
                let mut draft = own.get(tables::DRAFTS, &id)?.unwrap_or_default();
                change(&mut draft);
                own.put(tables::DRAFTS, &id, &Draft { changed: now, ..draft })?;
                for (old, _) in own.list(tables::DRAFTS, Scan::all().rev(), usize::MAX)?.into_iter().skip(MOST) {
                    own.delete(tables::DRAFTS, &old)?;
                }
                Ok(())
            })
            .await
    }

    pub async fn discard(&self, actor: &Actor, id: DraftId) -> Result<()> {
        let keyspace = actor.keyspace()?;
        self.0.store().write(move |tx| tx.own(&keyspace).delete(tables::DRAFTS, &id).map(drop)).await
    }

    /// Removes everybody's old ones.
    pub async fn sweep(&self) -> Result<()> {
        let limit = self.0.now().minus(KEEP);
        self.0.store().write(move |tx| tx.sweep_owned(tables::DRAFTS, |id| id.made() < limit).map(drop)).await
    }
}
