//! What happens when a job is over.

use super::Jobs;
use crate::App;
use base::Result;
use futures_util::future::BoxFuture;
use model::jobs::Job;
use store::{Read, Scan, tables};

type AtEnd = for<'a> fn(&'a App, &'a Job) -> BoxFuture<'a, Result<()>>;

/// All of it, in this order: a machine's row is there before software is put on it. Doing it again does no harm.
const AT_END: [AtEnd; 4] = [
    |app, job| Box::pin(give_numbers_back(app, job)),
    |app, job| Box::pin(async move { app.guests().settle(job).await }),
    |app, job| Box::pin(async move { app.templates().settle(job).await }),
    |app, job| Box::pin(async move { app.software().settle(job).await }),
];

impl Jobs<'_> {
    /// Called by the runner after the job's last commit. What fails here is tried again by [`Jobs::catch_up`].
    ///
    /// # Errors
    /// The first failure; the rest is done all the same.
    pub async fn over(&self, job: &Job) -> Result<()> {
        let mut done = Ok(());
        for at_end in AT_END {
            done = done.and(at_end(self.0, job).await);
        }
        if job.connection.is_some() {
            self.0.inventory().look_soon();
        }
        done?;
        let id = job.id;
        self.0.store().write(move |tx| tx.delete(tables::ENDED_JOBS, &id).map(drop)).await
    }

    /// Works off the ends of jobs after which the process died, or where it failed.
    ///
    /// # Errors
    /// The last failure; the others are worked off all the same.
    pub async fn catch_up(&self) -> Result<()> {
        let ended = self.0.store().read(|tx| tx.list(tables::ENDED_JOBS, Scan::all(), usize::MAX))?;
        let mut done = Ok(());
        for (id, ()) in ended {
            let job = self.0.store().read(|tx| tx.get(tables::JOBS, &id))?;
            let worked_off = match job {
                Some(job) if job.state.is_over() => self.over(&job).await,
                // It was tried again, or swept away.
                _ => self.0.store().write(move |tx| tx.delete(tables::ENDED_JOBS, &id).map(drop)).await,
            };
            done = worked_off.and(done);
        }
        done
    }
}

/// Numbers that the job still holds.
async fn give_numbers_back(app: &App, job: &Job) -> Result<()> {
    let (id, held) = (job.id, job.connection.map(|c| Scan::prefix(&c)));
    let Some(scan) = held else { return Ok(()) };
    app.store()
        .write(move |tx| {
            for (key, holder) in tx.list(tables::VMID_RESERVATIONS, scan, usize::MAX)? {
                if holder == id {
                    tx.delete(tables::VMID_RESERVATIONS, &key)?;
                }
            }
            Ok(())
        })
        .await
}
