//! A job's journal on the store. Each answer means: it is on disk.

use app::App;
use app::jobs::LOG_LINES;
use base::ids::{JobId, UserId};
use base::{Result, Timestamp};
use model::jobs::{LogLevel, LogLine, Progress, Step, StepState};
use model::subject::Subject;
use plugin::Journal;
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use store::{Name, Read, Scan, WriteTx, tables};

/// One run's view of a job's journal. Used on a blocking thread.
pub(super) struct StoreJournal {
    app: App,
    job: JobId,
    owner: Option<UserId>,
    next_line: AtomicU32,
}

fn step_key(job: JobId, name: &str) -> (JobId, Name) {
    (job, Name::new(name.to_owned()))
}

impl StoreJournal {
    pub(super) fn open(app: &App, job: JobId, owner: Option<UserId>) -> Result<Self> {
        let last = app.store().read(|tx| tx.list(tables::JOB_LOG, Scan::prefix(&job).rev(), 1))?;
        let next = last.first().map_or(0, |((_, n), _)| n + 1);
        Ok(Self { app: app.clone(), job, owner, next_line: AtomicU32::new(next) })
    }

    fn change(&self, name: &str, f: impl FnOnce(&mut Step, Timestamp) + Send + 'static) -> Result<()> {
        let (key, job, owner, name) = (step_key(self.job, name), self.job, self.owner, name.to_owned());
        self.app.store().write_blocking(move |tx| {
            let now = tx.now();
            let mut step = match tx.get(tables::STEPS, &key)? {
                Some(step) => step,
                None => Step {
                    name,
                    state: StepState::Begun,
                    began: now,
                    ended: None,
                    result: Value::Null,
                    order: next_order(tx, job)?,
                },
            };
            f(&mut step, now);
            tx.put(tables::STEPS, &key, &step)?;
            tx.event(Subject::Job(job), owner);
            Ok(())
        })
    }
}

fn next_order(tx: &WriteTx, job: JobId) -> Result<u32> {
    let steps = tx.list(tables::STEPS, Scan::prefix(&job), usize::MAX)?;
    Ok(steps.iter().map(|(_, s)| s.order + 1).max().unwrap_or(0))
}

impl Journal for StoreJournal {
    fn entries(&self) -> Result<Vec<Step>> {
        let rows = self.app.store().read(|tx| tx.list(tables::STEPS, Scan::prefix(&self.job), usize::MAX))?;
        Ok(rows.into_iter().map(|(_, step)| step).collect())
    }

    fn begin(&self, name: &str) -> Result<()> {
        self.change(name, |step, now| {
            (step.state, step.began, step.ended, step.result) = (StepState::Begun, now, None, Value::Null);
        })
    }

    fn finish(&self, name: &str, result: Value) -> Result<()> {
        self.change(name, |step, now| {
            (step.state, step.ended, step.result) = (StepState::Done, Some(now), result);
        })
    }

    fn fail(&self, name: &str) -> Result<()> {
        self.change(name, |step, now| (step.state, step.ended) = (StepState::Failed, Some(now)))
    }

    fn forget(&self, name: &str) -> Result<()> {
        let key = step_key(self.job, name);
        self.app.store().write_blocking(move |tx| tx.delete(tables::STEPS, &key).map(|_| ()))
    }

    fn progress(&self, progress: Progress) {
        let (job, owner) = (self.job, self.owner);
        let written = self.app.store().write_blocking(move |tx| {
            let Some(mut row) = tx.get(tables::JOBS, &job)? else { return Ok(()) };
            if row.progress != progress {
                row.progress = progress;
                tx.put(tables::JOBS, &job, &row)?;
                tx.event(Subject::Job(job), owner);
            }
            Ok(())
        });
        if let Err(e) = written {
            tracing::warn!(job.id = %job, error = e.chain(), "a job's progress could not be written");
        }
    }

    fn log(&self, level: LogLevel, text: &str) {
        self.log_all(&[(level, text.to_owned())]);
    }

    /// All in one commit.
    fn log_all(&self, lines: &[(LogLevel, String)]) {
        let mut fit = Vec::with_capacity(lines.len());
        for (level, text) in lines {
            let n = self.next_line.fetch_add(1, Ordering::SeqCst);
            // A script that logs endlessly fills its own log, not the disk.
            match n {
                n if n > LOG_LINES => break,
                n if n == LOG_LINES => fit.push((n, *level, "The log is full; later lines are left out.".to_owned())),
                _ => fit.push((n, *level, base::excerpt::error(text.as_str()))),
            }
        }
        if fit.is_empty() {
            return;
        }
        let (owner, job) = (self.owner, self.job);
        let written = self.app.store().write_blocking(move |tx| {
            let at = tx.now();
            for (n, level, text) in fit {
                tx.put(tables::JOB_LOG, &(job, n), &LogLine { at, level, text })?;
            }
            tx.event(Subject::JobLog(job), owner);
            Ok(())
        });
        if let Err(e) = written {
            tracing::warn!(job.id = %job, error = e.chain(), "a line of a job's log could not be written");
        }
    }

    fn cancelled(&self) -> bool {
        let row = self.app.store().read(|tx| tx.get(tables::JOBS, &self.job));
        matches!(row, Ok(Some(job)) if job.cancel_asked)
    }

    fn now(&self) -> Timestamp {
        self.app.now()
    }
}
