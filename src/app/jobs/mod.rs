//! Jobs: asking for them, reading them, and what people do with them. Running them is up to the runner.

mod end;
pub(crate) mod secrets;
mod watch;

pub use watch::{Poll, Watch};

use crate::guests::Guests;
use crate::rights::Standing;
use crate::{Actor, App};
use base::ids::{ConnectionId, GuestId, JobId, UserId};
use base::{Error, Result};
use model::access::GuestRight;
use model::jobs::{Job, JobKind, JobState, LogLine, Priority, Progress, Step, StepState};
use model::plugins::PluginKind;
use model::sessions::Scope;
use model::subject::Subject;
use serde_json::Value;
use std::ops::ControlFlow;
use std::sync::Arc;
use store::{Name, Read, Scan, WriteTx, tables};

/// Log lines kept for one job.
pub const LOG_LINES: u32 = 5_000;

/// A job to make.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub id: JobId,
    pub plugin: String,
    pub kind: JobKind,
    pub title: String,
    pub priority: Priority,
    pub subject: Subject,
    pub connection: Option<ConnectionId>,
    /// Jobs of one lane share its width: a node.
    pub lane: Option<String>,
    /// A second one is not made while the first is open.
    pub dedup: Option<String>,
    pub max_attempts: u32,
}

/// A job with its steps, for its page.
#[derive(Clone, Debug)]
pub struct JobView {
    pub job: Job,
    /// In the order of their first begin.
    pub steps: Vec<Step>,
}

/// A page of the job list, the newest first.
#[derive(Clone, Debug)]
pub struct JobPage {
    pub jobs: Vec<Job>,
    pub next: Option<JobId>,
}

pub struct Jobs<'a>(pub(super) &'a App);

/// Makes a job inside the caller's commit. With a `dedup` key that an open job holds, that job is the answer.
pub(super) fn enqueue(tx: &mut WriteTx, actor: &Actor, new: NewJob) -> Result<Job> {
    enqueue_for(tx, actor.user_id(), actor.label(), new)
}

/// The same for somebody who asked earlier.
pub(super) fn enqueue_for(tx: &mut WriteTx, owner: Option<UserId>, asked_by: &str, new: NewJob) -> Result<Job> {
    let dedup = new.dedup.as_ref().map(|key| Name::new(key.clone()));
    if let Some(key) = &dedup
        && let Some(id) = tx.get(tables::JOB_DEDUP, key)?
        && let Some(job) = tx.get(tables::JOBS, &id)?
        && !job.state.is_over()
    {
        return Ok(job);
    }
    let now = tx.now();
    let job = Job {
        id: new.id,
        plugin: new.plugin,
        kind: new.kind,
        title: new.title,
        owner,
        asked_by: asked_by.to_owned(),
        priority: new.priority,
        state: JobState::Queued,
        created: now,
        started: None,
        finished: None,
        attempts: 0,
        max_attempts: new.max_attempts.max(1),
        not_before: now,
        plugin_hash: None,
        subject: new.subject,
        lane: new.lane,
        dedup: new.dedup,
        progress: Progress::default(),
        wait: None,
        error: None,
        cancel_asked: false,
        again: false,
        result: Value::Null,
        connection: new.connection,
    };
    tx.put(tables::JOBS, &job.id, &job)?;
    tx.put(tables::OPEN_JOBS, &job.id, &())?;
    if let Some(guest) = job.subject.guest() {
        tx.put(tables::GUEST_JOBS, &(guest, job.id), &())?;
    }
    if let Some(key) = dedup {
        tx.put(tables::JOB_DEDUP, &key, &job.id)?;
    }
    tx.event(Subject::Job(job.id), job.owner);
    Ok(job)
}

/// Writes a changed job and tells the pages. Keeps the index of open jobs true.
pub fn put(tx: &mut WriteTx, job: &Job) -> Result<()> {
    tx.put(tables::JOBS, &job.id, job)?;
    if job.state.is_over() {
        tx.delete(tables::OPEN_JOBS, &job.id)?;
        tx.put(tables::ENDED_JOBS, &job.id, &())?;
        secrets::erase(tx, job)?;
        if let Some(key) = &job.dedup {
            let key = Name::new(key.clone());
            if tx.get(tables::JOB_DEDUP, &key)? == Some(job.id) {
                tx.delete(tables::JOB_DEDUP, &key)?;
            }
        }
    } else {
        tx.put(tables::OPEN_JOBS, &job.id, &())?;
    }
    tx.event(Subject::Job(job.id), job.owner);
    Ok(())
}

fn is_theirs(actor: &Actor, job: &Job) -> bool {
    actor.user_id().is_some() && actor.user_id() == job.owner
}

impl Jobs<'_> {
    /// Rights on a job are rights on its subject: people who may see a machine see its jobs, and people who lost
    /// that right no longer see even those that they requested themselves. Jobs whose subject has no rights of its own belong
    /// to the person who requested them.
    pub(super) fn may_see(&self, actor: &Actor, job: &Job) -> bool {
        match self.0.right_on(actor, job.subject) {
            Standing::Admin => true,
            Standing::Has(right) => right.is_some(),
            Standing::NoRights => is_theirs(actor, job),
        }
    }

    /// May the actor cancel, retry or discard it? Those who manage the subject may; others only what they asked
    /// for themselves, as long as they might ask for it again.
    pub fn may_act(&self, actor: &Actor, job: &Job) -> bool {
        match self.0.right_on(actor, job.subject) {
            Standing::Admin => true,
            Standing::Has(right) => {
                let least = if is_theirs(actor, job) { job.kind.right() } else { GuestRight::Manage };
                right >= Some(least)
            }
            Standing::NoRights => is_theirs(actor, job),
        }
    }

    /// Jobs before `before` that the actor may see, the newest first; `state` narrows to some states.
    pub fn page(&self, actor: &Actor, state: &[JobState], before: Option<JobId>, limit: usize) -> Result<JobPage> {
        let limit = limit.clamp(1, 500);
        let scan = match before {
            Some(id) => Scan::all().after(&id).rev(),
            None => Scan::all().rev(),
        };
        let (mut jobs, mut more): (Vec<Job>, bool) = (Vec::new(), false);
        self.0.store().read(|tx| {
            tx.scan(tables::JOBS, scan, |_, job: Job| {
                if (!state.is_empty() && !state.contains(&job.state)) || !self.may_see(actor, &job) {
                    return Ok(ControlFlow::Continue(()));
                }
                if jobs.len() == limit {
                    more = true;
                    return Ok(ControlFlow::Break(()));
                }
                jobs.push(job);
                Ok(ControlFlow::Continue(()))
            })
        })?;
        let next = jobs.last().map(|j| j.id).filter(|_| more);
        Ok(JobPage { jobs, next })
    }

    /// Jobs that are not over and that the actor may see, the oldest first.
    pub fn open(&self, actor: &Actor) -> Result<Vec<Job>> {
        Ok(self.all_open()?.into_iter().filter(|j| self.may_see(actor, j)).collect())
    }

    /// All jobs that are not over, for the runner.
    pub fn all_open(&self) -> Result<Vec<Job>> {
        self.0.store().read(|tx| {
            let ids = tx.list(tables::OPEN_JOBS, Scan::all(), usize::MAX)?;
            ids.into_iter().filter_map(|(id, ())| tx.get(tables::JOBS, &id).transpose()).collect()
        })
    }

    pub(super) fn open_on_connection(&self, id: ConnectionId) -> Result<bool> {
        Ok(self.all_open()?.iter().any(|j| j.connection == Some(id)))
    }

    /// The open job of a guest, if there is one.
    pub fn open_of_guest(&self, guest: GuestId) -> Result<Option<Job>> {
        Ok(self.of_guest(guest, 20)?.into_iter().find(|j| !j.state.is_over()))
    }

    /// A guest's jobs, the newest first.
    pub(super) fn of_guest(&self, guest: GuestId, limit: usize) -> Result<Vec<Job>> {
        self.0.store().read(|tx| {
            let ids = tx.list(tables::GUEST_JOBS, Scan::prefix(&guest).rev(), limit)?;
            ids.into_iter().filter_map(|((_, id), ())| tx.get(tables::JOBS, &id).transpose()).collect()
        })
    }

    /// One job with its steps.
    ///
    /// # Errors
    /// `NotFound`, also for a job that the actor may not see.
    pub fn get(&self, actor: &Actor, id: JobId) -> Result<JobView> {
        let job = self.find(actor, id)?;
        let mut steps: Vec<Step> = self.0.store().read(|tx| {
            Ok(tx.list(tables::STEPS, Scan::prefix(&id), usize::MAX)?.into_iter().map(|(_, s)| s).collect())
        })?;
        steps.sort_by_key(|s| s.order);
        Ok(JobView { job, steps })
    }

    fn find(&self, actor: &Actor, id: JobId) -> Result<Job> {
        let job = self.0.store().read(|tx| tx.get(tables::JOBS, &id))?;
        job.filter(|j| self.may_see(actor, j)).ok_or_else(|| Error::not_found("This job does not exist."))
    }

    /// Log lines from number `from` (0 is the first) on, at most `limit`, each with its number.
    pub fn log(&self, actor: &Actor, id: JobId, from: u32, limit: usize) -> Result<Vec<(u32, LogLine)>> {
        self.find(actor, id)?;
        let scan = Scan::prefix(&id).from(&(id, from));
        let rows = self.0.store().read(|tx| tx.list(tables::JOB_LOG, scan, limit))?;
        Ok(rows.into_iter().map(|((_, n), line)| (n, line)).collect())
    }

    /// Asks a job to stop. What it did is undone; a running step is finished first.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` when it is over.
    pub async fn cancel(&self, actor: &Actor, id: JobId) -> Result<()> {
        self.change(actor, id, "job.cancel", |_, job| {
            if job.state.is_over() {
                return Err(Error::conflict(format!("This job is over ({}).", job.state.name())));
            }
            job.cancel_asked = true;
            Ok(())
        })
        .await
    }

    /// Tries a failed or cancelled job again. What could not be undone before is undone first. A provider's job
    /// then starts from nothing, as the world may have changed since, unless nobody knows whether its last step
    /// happened; another job (a recipe) goes on where it stands.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` when it has not failed.
    pub async fn retry(&self, actor: &Actor, id: JobId) -> Result<()> {
        let view = self.get(actor, id)?;
        if let Some(guest) = view.job.subject.guest()
            && let Some(open) = self.open_of_guest(guest)?
        {
            return Err(Error::conflict(format!(
                "“{}” is working on this machine now. Wait until it is done.",
                open.title
            )));
        }
        let plugins = self.0.plugin_set();
        let plugin_gone = view.job.plugin_hash.as_deref().is_some_and(|h| plugins.by_hash(h).is_none());
        let provider = plugins.get(&view.job.plugin).is_some_and(|p| p.manifest().kind == PluginKind::Provider);
        let undos = |s: &&Step| s.name.starts_with("undo:");
        let undone = view.steps.iter().any(|s| undos(&s));
        let open = view.steps.iter().any(|s| s.state == StepState::Begun && !s.name.contains(':'));
        // A job that makes a machine can take all of it back, also what nobody knows of; its number was given away.
        let half = view.steps.iter().filter(undos).any(|s| s.state != StepState::Done)
            || (open && view.job.kind.new_guest().is_some());
        let anew = undone || plugin_gone || (provider && !open);
        let wanted = self
            .change(actor, id, "job.retry", move |tx, job| {
                if !matches!(job.state, JobState::Failed | JobState::Cancelled) {
                    return Err(Error::conflict(format!(
                        "Only a failed or cancelled job can be tried again; this one is {}.",
                        job.state.name()
                    )));
                }
                let hash = job.plugin_hash.clone();
                let progress = job.progress.clone();
                job.start_anew(tx.now());
                if half && !plugin_gone {
                    (job.state, job.again, job.plugin_hash) = (JobState::Undoing, true, hash);
                } else if anew {
                    // It was undone completely, so it starts from nothing, with the current plugin.
                    tx.delete_all(tables::STEPS, Scan::prefix(&id))?;
                } else {
                    (job.plugin_hash, job.progress) = (hash, progress);
                }
                Guests::want_again(tx, job)
            })
            .await?;
        self.0.live().put_rows(wanted.into_iter().collect());
        Ok(())
    }

    /// Puts a failed job aside.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` when it has not failed.
    pub async fn discard(&self, actor: &Actor, id: JobId) -> Result<()> {
        self.change(actor, id, "job.discard", |_, job| {
            if job.state != JobState::Failed {
                return Err(Error::conflict(format!(
                    "Only a failed job can be discarded; this one is {}.",
                    job.state.name()
                )));
            }
            job.state = JobState::Discarded;
            Ok(())
        })
        .await
    }

    async fn change<T: Send + 'static>(
        &self,
        actor: &Actor,
        id: JobId,
        action: &str,
        f: impl FnOnce(&mut WriteTx, &mut Job) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        actor.require_scope(Scope::Operate)?;
        let job = self.find(actor, id)?;
        if !self.may_act(actor, &job) {
            return Err(Error::forbidden("You may view this job, but not change it."));
        }
        let record = actor.record(self.0.now(), action, &job.title, "");
        let result = self
            .0
            .store()
            .write(move |tx| {
                let mut job = tx.get(tables::JOBS, &id)?.ok_or_else(|| Error::not_found("This job is gone."))?;
                let result = f(tx, &mut job)?;
                put(tx, &job)?;
                tx.audit(record);
                Ok(result)
            })
            .await?;
        self.0.job_bell().notify_one();
        Ok(result)
    }

    /// The owner's name for a job, as it is called today.
    pub fn owner_name(&self, job: &Job) -> String {
        let user = job.owner.and_then(|id| self.0.people().get(id));
        user.map_or_else(|| job.asked_by.clone(), |u: Arc<_>| u.login.clone())
    }
}
