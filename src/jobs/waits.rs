//! Waiting for tasks and commands on behalf of suspended jobs: one light poll per waiting job, no thread held.

use super::journal::StoreJournal;
use app::App;
use app::jobs::Watch;
use base::{Error, Result};
use model::jobs::{Job, JobState, LogLevel, TaskEnd, Wait};
use plugin::Journal as _;
use serde_json::json;
use store::{Read, tables};

/// Waits until what `job` waits for is over, writes its end into the journal, and queues the job again. A provider or
/// machine that is away does not end the wait. Returns early when nobody waits for the command any more.
pub(super) async fn wait(app: App, job: Job) -> Result<()> {
    let mut watch = app.jobs().watch(&job)?;
    let (first, slowest) = watch.pace();
    let mut pace = first;
    loop {
        let poll = watch.poll(&app).await;
        if let Some(end) = poll.end {
            return finish(&app, &job, poll.lines, end).await;
        }
        pace = if poll.lines.is_empty() { (pace + pace / 4).min(slowest) } else { first };
        write_lines(&app, &job, poll.lines).await?;
        if let Some(progress) = poll.progress {
            show(&app, &job, &progress).await;
        }
        if matches!(watch, Watch::Command(_)) && !is_wanted(&app, &job)? {
            return Ok(());
        }
        tokio::time::sleep(app.clock().pause(pace)).await;
    }
}

/// Was the job cancelled, or changed by somebody else? What becomes of its command is settled when it is over.
fn is_wanted(app: &App, job: &Job) -> Result<bool> {
    let row = app.store().read(|tx| tx.get(tables::JOBS, &job.id))?;
    Ok(row.is_some_and(|row| row.wait == job.wait && !row.cancel_asked))
}

async fn write_lines(app: &App, job: &Job, lines: Vec<(LogLevel, String)>) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let (app, id, owner) = (app.clone(), job.id, job.owner);
    let write = move || StoreJournal::open(&app, id, owner).map(|journal| journal.log_all(&lines));
    tokio::task::spawn_blocking(write).await.map_err(Error::internal)?
}

async fn finish(app: &App, job: &Job, lines: Vec<(LogLevel, String)>, end: TaskEnd) -> Result<()> {
    let handle = match &job.wait {
        Some(Wait::Task { id }) => id.clone(),
        Some(Wait::Command(command)) => command.to_string(),
        Some(Wait::Until { .. }) | None => return Ok(()),
    };
    let (app2, id, owner, name) = (app.clone(), job.id, job.owner, format!("wait:{handle}"));
    tokio::task::spawn_blocking(move || {
        let journal = StoreJournal::open(&app2, id, owner)?;
        journal.log_all(&lines);
        journal.begin(&name)?;
        journal.finish(&name, json!(end))
    })
    .await
    .map_err(Error::internal)??;
    wake(app, job).await
}

/// Tells how far it is, after what the script said that is being done.
async fn show(app: &App, job: &Job, progress: &str) {
    let label = [job.progress.label.as_str(), progress].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>();
    let (id, wait, label) = (job.id, job.wait.clone(), label.join(" · "));
    let told = app.store().write(move |tx| {
        let Some(mut row) = tx.get(tables::JOBS, &id)?.filter(|row| row.wait == wait) else { return Ok(()) };
        row.progress.label = label;
        app::jobs::put(tx, &row)
    });
    if let Err(e) = told.await {
        tracing::debug!(job.id = %job.id, error = e.chain(), "progress was not written");
    }
}

async fn wake(app: &App, job: &Job) -> Result<()> {
    let (id, wait) = (job.id, job.wait.clone());
    app.store()
        .write(move |tx| {
            let Some(mut row) = tx.get(tables::JOBS, &id)?.filter(|row| row.wait == wait) else { return Ok(()) };
            row.wait = None;
            if row.state == JobState::Waiting {
                row.state = JobState::Queued;
                row.not_before = tx.now();
            }
            app::jobs::put(tx, &row)
        })
        .await
}
