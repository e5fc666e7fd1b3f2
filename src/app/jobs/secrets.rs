//! The secrets of jobs. They are sealed in rows of their own, named by the places in the job's arguments where a script
//! finds their handles, and are erased in the commit in which the job is over for good. A job that failed or was
//! cancelled can be tried again, so it keeps them a while longer.

use super::Jobs;
use base::ids::JobId;
use base::{Result, Secrets};
use model::jobs::{Job, JobState};
use plugin::SecretPlaces;
use std::time::Duration;
use store::{Read, Scan, WriteTx, tables};

/// How long a failed or cancelled job can be tried again with its secrets.
const FOR_RETRY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Keeps the secrets of a job that is being made.
pub(crate) fn keep(tx: &mut WriteTx, job: JobId, secrets: &Secrets) -> Result<()> {
    if secrets.is_empty() { Ok(()) } else { tx.put(tables::JOB_SECRETS, &job, secrets) }
}

/// Erases what a job that was just written needs no longer.
pub(super) fn erase(tx: &mut WriteTx, job: &Job) -> Result<()> {
    if matches!(job.state, JobState::Succeeded | JobState::Discarded) {
        tx.delete(tables::JOB_SECRETS, &job.id)?;
    }
    Ok(())
}

impl Jobs<'_> {
    /// The handles that a job's script gets, by their places in its arguments.
    pub fn handles(&self, id: JobId) -> Result<SecretPlaces> {
        self.secrets(id).map(|secrets| plugin::handles(&secrets))
    }

    /// For one call of the job's script.
    pub(crate) fn secrets(&self, id: JobId) -> Result<Secrets> {
        Ok(self.0.store().read(|tx| tx.get(tables::JOB_SECRETS, &id))?.unwrap_or_default())
    }

    /// Forgets the secrets of jobs that ended long ago without success. Their names stay: a retry says what is missing.
    pub async fn forget_old_secrets(&self) -> Result<()> {
        let limit = self.0.now().minus(FOR_RETRY);
        let is_old =
            move |job: Option<Job>| job.is_none_or(|j| j.state.is_over() && j.finished.is_some_and(|at| at < limit));
        self.0
            .store()
            .write(move |tx| {
                for (id, mut secrets) in tx.list(tables::JOB_SECRETS, Scan::all(), usize::MAX)? {
                    if !secrets.is_empty() && is_old(tx.get(tables::JOBS, &id)?) {
                        secrets.forget();
                        tx.put(tables::JOB_SECRETS, &id, &secrets)?;
                    }
                }
                Ok(())
            })
            .await
    }
}
