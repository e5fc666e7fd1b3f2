//! Claims jobs, runs their functions on blocking threads, and writes what became of them.

use super::journal::StoreJournal;
use super::queue::{self, Active};
use super::{outcome, waits};
use app::App;
use base::ids::JobId;
use base::{Error, Kind, Result};
use model::jobs::{Job, JobState, LogLevel, Wait};
use model::plugins::ScriptError;
use plugin::{Failure, Journal, Mode, Outcome, Run};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use store::{Read, Scan, tables};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A slow poll of the rows, as a safety net for the bell.
const NET: Duration = Duration::from_secs(30);

/// Runs jobs until `stop`; running scripts are finished first (each step is short), suspended ones just rest.
pub async fn run(app: App, stop: CancellationToken) {
    if let Err(e) = note_restart(&app).await {
        tracing::warn!(error = e.chain(), "the logs of open jobs could not be told about the restart");
    }
    let mut runner = Runner { app, working: JoinSet::new(), running: HashSet::new(), watching: HashSet::new() };
    loop {
        // Registered before looking, so that no job made meanwhile is missed.
        let app = runner.app.clone();
        let bell = app.job_bell().notified();
        let pause = match runner.start_ready().await {
            Ok(pause) => pause,
            Err(e) => {
                tracing::error!(error = e.chain(), "the job queue can't be read");
                Duration::from_secs(5)
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = bell => {}
            Some(done) = runner.working.join_next() => runner.note(done),
            () = tokio::time::sleep(pause) => {}
        }
    }
    while let Some(done) = runner.working.join_next().await {
        runner.note(done);
    }
}

/// Notes in the log of each job that had begun that it continues, so that its page tells the whole story.
async fn note_restart(app: &App) -> Result<()> {
    let begun: Vec<Job> = app.jobs().all_open()?.into_iter().filter(|j| j.started.is_some()).collect();
    let app = app.clone();
    let told = tokio::task::spawn_blocking(move || {
        for job in begun {
            let journal = StoreJournal::open(&app, job.id, job.owner)?;
            journal.log(LogLevel::Warn, "Steward was restarted. This job continues where it stopped.");
        }
        Ok(())
    });
    told.await.map_err(Error::internal)?
}

/// What a piece of work was, when it is done.
enum Done {
    Ran(JobId),
    Watched(JobId),
}

struct Runner {
    app: App,
    working: JoinSet<Done>,
    running: HashSet<JobId>,
    /// Jobs whose task or command is being polled.
    watching: HashSet<JobId>,
}

impl Runner {
    fn note(&mut self, done: std::result::Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Ran(id)) => _ = self.running.remove(&id),
            Ok(Done::Watched(id)) => _ = self.watching.remove(&id),
            // Panics of scripts are caught further in; this is a bug of ours, and the safety net finds the job again.
            Err(e) => {
                tracing::error!(error = %e, "a worker ended badly");
                self.running.clear();
                self.watching.clear();
            }
        }
    }

    /// Starts all that may start now and says how long to rest at most.
    async fn start_ready(&mut self) -> Result<Duration> {
        let jobs = self.app.jobs().all_open()?;
        self.watch(&jobs);
        let now = self.app.now();
        let idle = |job: &&Job| !self.running.contains(&job.id) && queue::is_ready(job, now);
        let mut ready: Vec<&Job> = jobs.iter().filter(idle).collect();
        let mut active: HashMap<JobId, Active> = jobs
            .iter()
            .filter(|j| self.running.contains(&j.id) || j.started.is_some() && j.state != JobState::Queued)
            .map(|j| (j.id, Active { owner: j.owner, lane: j.lane.clone() }))
            .collect();
        let settings = self.app.settings();
        let (workers, width) = (settings.workers, settings.jobs_per_node);
        while self.running.len() < workers {
            let Some(job) = queue::pick(&ready, &active, width) else { break };
            ready.retain(|j| j.id != job.id);
            active.insert(job.id, Active { owner: job.owner, lane: job.lane.clone() });
            self.running.insert(job.id);
            let (app, id) = (self.app.clone(), job.id);
            self.working.spawn(async move {
                if let Err(e) = run_once(&app, id).await {
                    tracing::error!(job.id = %id, error = e.chain(), "a job's state could not be written");
                    // Without this pause a full disk would be hammered.
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                Done::Ran(id)
            });
        }
        let next = queue::next_time(&jobs, now).map_or(NET, |t| now.until(t).min(NET));
        Ok(next.max(Duration::from_millis(20)))
    }

    fn watch(&mut self, jobs: &[Job]) {
        let waiting = jobs.iter().filter(|j| {
            let watched = matches!(j.wait, Some(Wait::Task { .. } | Wait::Command(_)));
            // One that was cancelled is claimed next.
            watched && (j.state == JobState::Undoing || j.state == JobState::Waiting && !j.cancel_asked)
        });
        for job in waiting {
            if self.running.contains(&job.id) || !self.watching.insert(job.id) {
                continue;
            }
            let (app, job) = (self.app.clone(), job.clone());
            self.working.spawn(async move {
                let id = job.id;
                if let Err(e) = waits::wait(app, job).await {
                    tracing::error!(job.id = %id, error = e.chain(), "waiting for a task failed");
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
                Done::Watched(id)
            });
        }
    }
}

/// One run of a job: claim it, play the script, write the outcome, settle what depends on it.
async fn run_once(app: &App, id: JobId) -> Result<()> {
    let Some(job) = claim(app, id).await? else { return Ok(()) };
    let outcome = within_quota(app, &job).await?;
    let away = is_away(&outcome);
    let job = app
        .store()
        .write(move |tx| {
            let now = tx.now();
            let mut row = tx.get(tables::JOBS, &id)?.ok_or_else(|| Error::not_found("the job is gone"))?;
            let undone = outcome == Outcome::Undone;
            outcome::apply(&mut row, outcome, now, away);
            if undone && row.state == JobState::Queued {
                tx.delete_all(tables::STEPS, Scan::prefix(&id))?;
            }
            app::jobs::put(tx, &row)?;
            Ok(row)
        })
        .await?;
    if job.state.is_over() {
        tracing::info!(job.id = %id, job.title = job.title, state = job.state.name(), "job over");
        app.jobs().over(&job).await?;
    }
    Ok(())
}

/// Marks the job as running (or undoing, when somebody cancelled it) and pins the plugin's version.
async fn claim(app: &App, id: JobId) -> Result<Option<Job>> {
    let plugins = app.plugin_set().clone();
    app.store()
        .write(move |tx| {
            let Some(mut job) = tx.get(tables::JOBS, &id)?.filter(|j| !j.state.is_over()) else { return Ok(None) };
            let now = tx.now();
            if job.cancel_asked && job.state != JobState::Undoing {
                job.state = JobState::Undoing;
                (job.attempts, job.wait) = (0, None);
            } else if job.state != JobState::Undoing {
                job.state = JobState::Running;
            }
            job.started.get_or_insert(now);
            if job.plugin_hash.is_none() {
                job.plugin_hash = plugins.get(&job.plugin).map(|p| p.hash().to_owned());
            }
            app::jobs::put(tx, &job)?;
            Ok(Some(job))
        })
        .await
}

/// Plays the job, if the quota of the machine's owner still allows what it was asked for: an admin may have
/// lowered it since. A machine that was created in the meantime is removed again.
async fn within_quota(app: &App, job: &Job) -> Result<Outcome> {
    let forward = job.state != JobState::Undoing;
    if forward && let Err(e) = app.quotas().recheck(job) {
        return too_much(app, job, &e).await;
    }
    let outcome = play(app, job).await?;
    let makes = job.kind.new_guest().is_some();
    if forward
        && makes
        && matches!(outcome, Outcome::Done(_))
        && let Err(e) = app.quotas().recheck(job)
    {
        return too_much(app, job, &e).await;
    }
    Ok(outcome)
}

async fn too_much(app: &App, job: &Job, e: &Error) -> Result<Outcome> {
    if e.kind() != Kind::Conflict {
        return Err(Error::internal(e.chain()));
    }
    let (app, id, owner, text) = (app.clone(), job.id, job.owner, e.message().to_owned());
    let written = text.clone();
    let log = move || StoreJournal::open(&app, id, owner).map(|journal| journal.log(LogLevel::Error, &written));
    tokio::task::spawn_blocking(log).await.map_err(Error::internal)??;
    Ok(failure(&text, false, false))
}

async fn play(app: &App, job: &Job) -> Result<Outcome> {
    let hash = job.plugin_hash.clone().unwrap_or_default();
    let Some(plugin) = app.plugin_set().by_hash(&hash) else {
        return Ok(plugin_gone(job));
    };
    let mode = if job.state == JobState::Undoing { Mode::Undo } else { Mode::Forward };
    let host = app.plugin_host();
    let (app2, job) = (app.clone(), job.clone());
    let played = tokio::task::spawn_blocking(move || {
        let journal = Arc::new(StoreJournal::open(&app2, job.id, job.owner)?);
        let run = Run {
            plugin: job.plugin.clone(),
            hook: job.kind.hook().to_owned(),
            connection: job.connection,
            job: Some(job.id),
            guest: job.subject.guest(),
            actor: job.asked_by.clone(),
            secrets: app2.jobs().handles(job.id)?,
        };
        let shared: Arc<dyn Journal> = Arc::<StoreJournal>::clone(&journal);
        let outcome = plugin.run_job(&host, shared, job.kind.hook(), job.kind.args(job.id), run, mode);
        if let Outcome::Failed(failure) = &outcome {
            journal.log(LogLevel::Error, &failure.error.message);
        }
        Ok(outcome)
    })
    .await;
    match played {
        Ok(outcome) => outcome,
        Err(e) => {
            tracing::error!(error = %e, "a plugin run panicked");
            Ok(failure(
                "The plugin's run failed because of an error in Steward itself. The service's log says more.",
                true,
                false,
            ))
        }
    }
}

fn plugin_gone(job: &Job) -> Outcome {
    let text = format!(
        "The plugin “{}” was changed or removed since this job began, so it can't go on safely. Retry starts it with the current plugin.",
        job.plugin
    );
    failure(&text, false, true)
}

fn failure(message: &str, retry: bool, mismatch: bool) -> Outcome {
    Outcome::Failed(Failure { error: ScriptError::new("", 0, 0, message), retry, mismatch, unreachable: false })
}

/// Was the failure that the provider could not be reached?
fn is_away(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(f) if f.unreachable)
}
