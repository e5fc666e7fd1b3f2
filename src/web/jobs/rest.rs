//! Jobs for programs: list, read with steps and log, cancel, retry, discard.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::body::QueryParams;
use crate::rest::openapi::{FoundProblems, ListProblems, WriteProblems};
use crate::rest::{limit, object};
use axum::Json;
use base::ids::{GuestId, JobId};
use base::{Error, Result, Timestamp, excerpt};
use model::jobs::{Job, JobState, LogLine, Progress, Step, StepState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobListParams {
    /// queued, running, waiting, undoing, succeeded, failed, cancelled, discarded, or `open` for the first
    /// four; several with commas between.
    #[serde(default)]
    state: String,
    /// 1 to 1000, 100 when left out.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A job. What it was asked to do is in `args`; nothing in there is secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    pub id: JobId,
    pub title: String,
    pub plugin: String,
    /// The plugin's function: `guest_create`, `guest_power` ...
    pub hook: String,
    #[schema(value_type = Object)]
    pub args: Value,
    /// queued, running, waiting, undoing, succeeded, failed, cancelled, discarded.
    pub state: JobState,
    pub asked_by: String,
    pub guest: Option<GuestId>,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// Attempts that have failed so far, and the most there may be.
    pub attempts: u32,
    pub max_attempts: u32,
    pub progress: Progress,
    /// Why it failed last; lists shorten it.
    pub error: Option<String>,
    pub cancel_asked: bool,
    #[schema(value_type = Object)]
    pub result: Value,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            title: job.title,
            plugin: job.plugin,
            hook: job.kind.hook().to_owned(),
            args: object(&job.kind.args(job.id)),
            state: job.state,
            asked_by: job.asked_by,
            guest: job.subject.guest(),
            created: job.created,
            started: job.started,
            finished: job.finished,
            attempts: job.attempts,
            max_attempts: job.max_attempts,
            progress: job.progress,
            error: job.error,
            cancel_asked: job.cancel_asked,
            result: object(&job.result),
        }
    }
}

impl JobView {
    fn listed(job: Job) -> Self {
        Self { error: job.error.as_deref().map(excerpt::listed), ..Self::from(job) }
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    /// The newest first.
    pub jobs: Vec<JobView>,
    /// Send this as `cursor` to get the next page; `null` at the end.
    pub next: Option<JobId>,
}

/// Jobs that the caller may see, newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobListParams), responses((status = 200, body = JobPage), ListProblems))]
pub async fn list(person: Person, QueryParams(look): QueryParams<JobListParams>) -> Answer<Json<JobPage>> {
    let before = match &look.cursor {
        Some(text) => {
            Some(text.parse::<JobId>().map_err(|_| Error::field("cursor", "This is not a cursor of this list."))?)
        }
        None => None,
    };
    let page = person.web.app.jobs().page(&person.actor, &states(&look.state)?, before, limit(look.limit)?)?;
    Ok(Json(JobPage { jobs: page.jobs.into_iter().map(JobView::listed).collect(), next: page.next }))
}

fn states(text: &str) -> Result<Vec<JobState>> {
    use JobState as S;
    const OPEN: [JobState; 4] = [S::Queued, S::Running, S::Waiting, S::Undoing];
    const ALL: [JobState; 8] =
        [S::Queued, S::Running, S::Waiting, S::Undoing, S::Succeeded, S::Failed, S::Cancelled, S::Discarded];
    let mut out = Vec::new();
    for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        match ALL.into_iter().find(|s| s.name() == word) {
            Some(state) => out.push(state),
            None if word == "open" => out.extend(OPEN),
            None => return Err(Error::field("state", format!("“{word}” is not a job state."))),
        }
    }
    Ok(out)
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    pub name: String,
    /// begun, done or failed.
    pub state: StepState,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
}

impl From<Step> for StepView {
    fn from(step: Step) -> Self {
        Self { name: step.name, state: step.state, began: step.began, ended: step.ended }
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LineView {
    pub number: u32,
    #[serde(flatten)]
    pub line: LogLine,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JobWhole {
    #[serde(flatten)]
    pub job: JobView,
    pub steps: Vec<StepView>,
    pub log: Vec<LineView>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogFrom {
    /// Only log lines from this number on; 0 is the first.
    #[serde(default)]
    log_from: u32,
}

/// One job with its steps and its log.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path), LogFrom),
    responses((status = 200, body = JobWhole), FoundProblems))]
pub async fn show(
    person: Person,
    Id(job): Id<JobId>,
    QueryParams(query): QueryParams<LogFrom>,
) -> Answer<Json<JobWhole>> {
    let jobs = person.web.app.jobs();
    let found = jobs.get(&person.actor, job)?;
    let log = jobs.log(&person.actor, job, query.log_from, app::jobs::LOG_LINES as usize)?;
    Ok(Json(JobWhole {
        job: JobView::from(found.job),
        steps: found.steps.into_iter().map(StepView::from).collect(),
        log: log.into_iter().map(|(number, line)| LineView { number, line }).collect(),
    }))
}

fn now(person: &Person, job: JobId) -> Answer<Json<JobView>> {
    Ok(Json(JobView::from(person.web.app.jobs().get(&person.actor, job)?.job)))
}

/// Asks a job to stop; what it did is undone.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobView), WriteProblems))]
pub async fn cancel(person: Person, Id(job): Id<JobId>) -> Answer<Json<JobView>> {
    person.web.app.jobs().cancel(&person.actor, job).await?;
    now(&person, job)
}

/// Tries a failed or cancelled job again.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobView), WriteProblems))]
pub async fn retry(person: Person, Id(job): Id<JobId>) -> Answer<Json<JobView>> {
    person.web.app.jobs().retry(&person.actor, job).await?;
    now(&person, job)
}

/// Puts a failed job aside.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/discard", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobView), WriteProblems))]
pub async fn discard(person: Person, Id(job): Id<JobId>) -> Answer<Json<JobView>> {
    person.web.app.jobs().discard(&person.actor, job).await?;
    now(&person, job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_words_with_commas() {
        assert_eq!(states("").unwrap(), []);
        assert_eq!(states("open, failed").unwrap().len(), 5);
        assert!(states("happy").unwrap_err().fields().contains_key("state"));
    }
}
