//! Waiting for Proxmox tasks on behalf of suspended jobs: one light poll per waiting job, no thread held.

use super::journal::StoreJournal;
use crate::app::App;
use crate::base::{Error, Result};
use crate::model::jobs::{Job, JobState, LogLevel, Wait};
use crate::plugin::Journal as _;
use crate::remote::pve::{PveClient, PveErrorKind};
use crate::store::{Read, tables};
use serde_json::json;
use std::time::Duration;

/// Polls start at this pace and slow down to `SLOWEST`.
const FIRST: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(3);
/// Lines of a failed task's log that the job's log quotes.
const QUOTE: u64 = 20;

/// Waits until the task of `job` is over, writes its end into the journal, and queues the job again. Proxmox
/// being away does not end the wait. Returns early when the job was changed by somebody else.
pub(super) async fn wait_for_task(app: App, job: Job) -> Result<()> {
    let (Some(Wait::Task { upid }), Some(connection)) = (job.wait.clone(), job.connection) else {
        return Err(Error::internal("a job waits for a task without a connection"));
    };
    let client = app.connections().client(connection)?;
    let exit = poll(&client, &upid).await;
    let failed = !(exit == "OK" || exit.starts_with("WARNINGS"));
    let lines = if failed { quote(&client, &upid).await } else { Vec::new() };
    let (app2, id, owner) = (app.clone(), job.id, job.owner);
    let name = format!("wait:{upid}");
    tokio::task::spawn_blocking(move || {
        let journal = StoreJournal::open(&app2, id, owner)?;
        for line in lines {
            journal.log(LogLevel::Warn, &format!("Proxmox: {line}"));
        }
        journal.begin(&name)?;
        journal.finish(&name, json!({ "exitstatus": exit }))
    })
    .await
    .map_err(Error::internal)??;
    wake(&app, &job).await
}

/// The task's exit text.
async fn poll(client: &PveClient, upid: &str) -> String {
    let mut pace = FIRST;
    loop {
        match client.task(upid).await {
            Ok(status) if !status.running => {
                return status.exitstatus.unwrap_or_else(|| "unexpected status".to_owned());
            }
            // The node forgot the task (its list is short), or was made anew.
            Err(e) if matches!(e.kind, PveErrorKind::Invalid | PveErrorKind::NotFound) => {
                return format!("Proxmox no longer knows this task: {}", e.message);
            }
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(pace).await;
        pace = (pace + pace / 4).min(SLOWEST);
    }
}

async fn quote(client: &PveClient, upid: &str) -> Vec<String> {
    let log = client.task_log(upid, 0, 500).await.unwrap_or_default();
    let skip = log.len().saturating_sub(usize::try_from(QUOTE).unwrap_or(20));
    log.into_iter().skip(skip).map(|l| l.text).collect()
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
            crate::app::jobs::put(tx, &row)
        })
        .await
}
