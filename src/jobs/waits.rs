//! Waiting for Proxmox tasks on behalf of suspended jobs: one light poll per waiting job, no thread held.

use super::journal::StoreJournal;
use app::App;
use base::{Error, Result};
use model::jobs::{Job, JobState, LogLevel, Wait};
use plugin::Journal as _;
use remote::pve::{PveClient, PveErrorKind};
use serde_json::json;
use std::time::Duration;
use store::{Read, tables};

/// Polls start at this pace and slow down to `SLOWEST`.
const FIRST: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(3);
/// What ids of commands on machines begin with.
const COMMANDS: [&str; 2] = ["SSH:", "AGENT:"];
/// Lines of a failed task's log that the job's log quotes.
const QUOTE: u64 = 20;

/// Waits until the task of `job` is over, writes its end into the journal, and queues the job again. Proxmox
/// being away does not end the wait. Returns early when the job was changed by somebody else.
pub(super) async fn wait_for_task(app: App, job: Job) -> Result<()> {
    if let Some(Wait::Task { upid }) = &job.wait
        && COMMANDS.iter().any(|c| upid.starts_with(c))
    {
        let upid = upid.clone();
        return wait_for_command(app, job, &upid).await;
    }
    let (Some(Wait::Task { upid }), Some(connection)) = (job.wait.clone(), job.connection) else {
        return Err(Error::internal("a job waits for a task without a connection"));
    };
    let client = app.connections().client(connection)?;
    let exit = poll(&app, &job, &client, &upid).await;
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

/// The same for a command that was started on a machine: its lines go to the job's log as they come.
async fn wait_for_command(app: App, job: Job, id: &str) -> Result<()> {
    let place = app.ssh().place_of_job(&job);
    let Some(mut follower) = place.and_then(|place| app.ssh().follower(place, id)) else {
        return finish(&app, &job, id, Vec::new(), "This is no command of this job.".to_owned()).await;
    };
    let (first, slowest) = follower.pace();
    let mut pace = first;
    loop {
        let look = follower.look(&app).await;
        let mut lines: Vec<(LogLevel, String)> = look.lines.into_iter().map(|l| (LogLevel::Info, l)).collect();
        lines.extend(look.away.map(|why| (LogLevel::Warn, format!("{why} The command goes on there; Steward waits."))));
        if let Some(exit) = look.end {
            return finish(&app, &job, id, lines, exit).await;
        }
        pace = if lines.is_empty() { (pace + pace / 4).min(slowest) } else { first };
        write_lines(&app, &job, lines).await?;
        let row = app.store().read(|tx| tx.get(tables::JOBS, &job.id))?;
        match row {
            Some(row) if row.wait == job.wait && !row.cancel_asked => {}
            // Cancelled, or changed by somebody else: nobody waits for the command any more. What becomes of
            // it is settled when the job is over.
            _ => return Ok(()),
        }
        tokio::time::sleep(app.clock().pause(pace)).await;
    }
}

async fn write_lines(app: &App, job: &Job, lines: Vec<(LogLevel, String)>) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let (app, id, owner) = (app.clone(), job.id, job.owner);
    let write = move || StoreJournal::open(&app, id, owner).map(|journal| journal.log_all(&lines));
    tokio::task::spawn_blocking(write).await.map_err(Error::internal)?
}

async fn finish(app: &App, job: &Job, id: &str, lines: Vec<(LogLevel, String)>, exit: String) -> Result<()> {
    let (app2, job2, name) = (app.clone(), job.clone(), format!("wait:{id}"));
    tokio::task::spawn_blocking(move || {
        let journal = StoreJournal::open(&app2, job2.id, job2.owner)?;
        journal.log_all(&lines);
        journal.begin(&name)?;
        journal.finish(&name, json!({ "exitstatus": exit }))
    })
    .await
    .map_err(Error::internal)??;
    wake(app, job).await
}

/// The task's exit text. Meanwhile the job tells how far the task says that it is.
async fn poll(app: &App, job: &Job, client: &PveClient, upid: &str) -> String {
    let mut pace = FIRST;
    let mut seen = Amounts::default();
    loop {
        match client.task(upid).await {
            Ok(status) if !status.running => {
                return status.exitstatus.unwrap_or_else(|| "unexpected status".to_owned());
            }
            // The node forgot the task (its list is short), or was made anew.
            Err(e) if matches!(e.kind, PveErrorKind::Invalid | PveErrorKind::NotFound) => {
                return format!("Proxmox no longer knows this task: {}", e.message);
            }
            // Short tasks are over before anybody could read how far they are.
            Ok(_) if pace > FIRST * 2 || seen.silent => seen.show(app, job, client, upid).await,
            Ok(_) => {}
            Err(e) => seen.show_silence(app, job, &e.message).await,
        }
        tokio::time::sleep(app.clock().pause(pace)).await;
        pace = (pace + pace / 4).min(SLOWEST);
    }
}

/// How far a task is, by its own log: clones, imports and downloads say so.
#[derive(Default)]
struct Amounts {
    /// Lines of the log that were read.
    lines: u64,
    shown: String,
    /// Proxmox did not answer last time.
    silent: bool,
}

impl Amounts {
    async fn show(&mut self, app: &App, job: &Job, client: &PveClient, upid: &str) {
        let new = client.task_log(upid, self.lines, 500).await.unwrap_or_default();
        self.lines = new.last().map_or(self.lines, |line| line.n.max(self.lines));
        let amount = new.iter().rev().find_map(|line| amount(&line.text)).filter(|a| *a != self.shown);
        if amount.is_none() && !std::mem::take(&mut self.silent) {
            return;
        }
        self.silent = false;
        self.shown = amount.unwrap_or_else(|| std::mem::take(&mut self.shown));
        self.tell(app, job, &self.shown).await;
    }

    /// The task goes on or not, nobody knows; the person should know at least that.
    async fn show_silence(&mut self, app: &App, job: &Job, why: &str) {
        if !std::mem::replace(&mut self.silent, true) {
            self.tell(app, job, &format!("{why} Steward waits until it answers.")).await;
        }
    }

    async fn tell(&self, app: &App, job: &Job, more: &str) {
        let label = [job.progress.label.as_str(), more].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>();
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
}

/// `transferred 1.2 GiB of 3.0 GiB (41.02%)` is `1.2 GiB of 3.0 GiB (41 %)`; wget's `  32768K .......... 10%
/// 112M 3s` is `32 MiB (10 %)`.
fn amount(line: &str) -> Option<String> {
    let before = &line[..line.find('%')?];
    let start = before.rfind(|c: char| !c.is_ascii_digit() && c != '.').map_or(0, |i| i + 1);
    let percent = before.get(start..)?.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p))?;
    let head = before.get(..start)?.trim().trim_end_matches(['(', '.', ' ']);
    let first = head.split_whitespace().next().unwrap_or_default();
    let wget = first.strip_suffix('K').and_then(|kib| kib.parse::<u64>().ok());
    let bytes = match wget {
        Some(kib) => format!("{} MiB", kib / 1024),
        None => head.strip_prefix("transferred ").unwrap_or_default().chars().take(40).collect(),
    };
    Some(if bytes.is_empty() { format!("{percent:.0} %") } else { format!("{bytes} ({percent:.0} %)") })
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
            app::jobs::put(tx, &row)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_task_is_stands_in_its_log() {
        let is = |line: &str| amount(line);
        assert_eq!(is("transferred 1.2 GiB of 3.0 GiB (41.02%)").as_deref(), Some("1.2 GiB of 3.0 GiB (41 %)"));
        assert_eq!(is("   32768K ........ ........ ........ 10%  112M 3s").as_deref(), Some("32 MiB (10 %)"));
        assert_eq!(is("drive-scsi0: transferred 5%").as_deref(), Some("5 %"));
        for line in ["downloading https://x.example/a%20b.qcow2", "TASK OK", "", "999%"] {
            assert_eq!(is(line), None, "{line}");
        }
    }
}
