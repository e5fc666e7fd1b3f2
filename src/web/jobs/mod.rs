//! The job list and one job's page.

pub mod one;
pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{finished, id, press};
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::jobs::page::JobsView;
use axum::extract::{Path, Query};
use base::Error;
use base::ids::{GuestId, JobId};
use maud::Markup;
use model::jobs::{Job, JobKind, JobState, LogLine};
use model::software::failure::{FailureClass, classify};
use model::subject::Subject;
use serde::Deserialize;

/// Jobs shown on one page.
const SHOWN: usize = 200;
/// Log lines shown on a job's page, the last ones.
const LINES: usize = 1_000;

const OPEN: [JobState; 4] = [JobState::Queued, JobState::Running, JobState::Waiting, JobState::Undoing];
const DONE: [JobState; 3] = [JobState::Succeeded, JobState::Cancelled, JobState::Discarded];

#[derive(Debug, Deserialize)]
pub struct Which {
    #[serde(default)]
    state: String,
    #[serde(default)]
    q: String,
}

pub async fn list(person: Person, Query(which): Query<Which>) -> Answer<Markup> {
    let states: &[JobState] = match which.state.as_str() {
        "open" => &OPEN,
        "failed" => &[JobState::Failed],
        "done" => &DONE,
        _ => &[],
    };
    let jobs = person.web.app.jobs();
    let found = jobs.page(&person.actor, states, None, SHOWN)?;
    let filter = model::filter::Filter::parse(&which.q);
    let fits = |job: &Job| {
        filter.fits(&[&job.title, &job.asked_by, job.state.name()], |key| match key {
            "state" => vec![job.state.name().to_owned()],
            "by" => vec![job.asked_by.clone()],
            "plugin" => vec![job.plugin.clone()],
            _ => Vec::new(),
        })
    };
    let view = JobsView {
        jobs: found.jobs.into_iter().filter(|j| fits(j)).collect(),
        state: which.state,
        open: jobs.open(&person.actor)?.len(),
        failed: jobs.page(&person.actor, &[JobState::Failed], None, 100)?.jobs.len(),
        more: found.next.is_some(),
    };
    Ok(page::jobs(&person.page(), &view))
}

/// The machine that it works on, if this person may see that.
fn machine_of(person: &Person, job: &Job) -> Option<(GuestId, String)> {
    let snapshot = person.web.app.live().snapshot();
    let guest = snapshot.guest(job.subject.guest()?)?;
    person.actor.guest_right(&guest.row)?;
    Some((guest.row.id, guest.state.name.clone()))
}

pub async fn show(person: Person, Id(job): Id<JobId>) -> Answer<Markup> {
    let jobs = person.web.app.jobs();
    let found = jobs.get(&person.actor, job)?;
    let lines = jobs.log(&person.actor, job, 0, app::jobs::LOG_LINES as usize)?;
    let skip = lines.len().saturating_sub(LINES);
    let view = one::JobView {
        log: lines.iter().skip(skip).map(|(_, line)| line.clone()).collect(),
        machine: machine_of(&person, &found.job),
        can_act: jobs.may_act(&person.actor, &found.job),
        edit: edit(&found.job),
        cause: cause(&found.job, &lines),
        job: found.job,
        steps: found.steps,
    };
    Ok(one::job(&person.page(), &view))
}

/// Where what was asked can be changed and tried again.
fn edit(job: &Job) -> Option<String> {
    match (&job.kind, job.subject) {
        (JobKind::CreateGuest(_), _) => Some(format!("/machines/new?job={}", job.id)),
        (JobKind::Install(_), Subject::Guest(guest)) => Some(format!("/machines/{guest}/software/{}", job.plugin)),
        _ => None,
    }
}

/// The cause of a failed installation: its reason first, then the last lines that the machine wrote.
fn cause(job: &Job, lines: &[(u32, LogLine)]) -> Option<FailureClass> {
    if !job.kind.is_install() || job.state != JobState::Failed {
        return None;
    }
    let told = classify(None, job.error.as_deref().unwrap_or_default());
    let last: Vec<&str> = lines.iter().rev().take(40).map(|(_, l)| l.text.as_str()).collect();
    told.or_else(|| classify(None, &last.join("\n")))
}

pub async fn act(Path((text, action)): Path<(String, String)>, Checked { visit, .. }: Checked) -> Answer {
    let (job, actor) = (id::<JobId>(&text)?, visit.actor()?);
    let jobs = visit.web.app.jobs();
    let (result, said) = match action.as_str() {
        "cancel" => (jobs.cancel(actor, job).await, "The job will stop and undo what it did."),
        "retry" => (jobs.retry(actor, job).await, "The job will be tried again."),
        "discard" => (jobs.discard(actor, job).await, "The job has been discarded."),
        _ => return Err(Error::not_found("There is nothing at this address.").into()),
    };
    let back = format!("/jobs/{job}");
    press(&visit, &back, async { result.map(|()| finished(&visit, &back, said)) }).await
}
