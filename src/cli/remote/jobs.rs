//! `steward jobs`.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::{Api, part, query};
use super::table::{self, Cell, Row, state};
use super::{Common, JOB_FAILED, complete};
use base::Result;
use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;
use model::jobs::JobState;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use web::jobs::rest::{JobPage, JobView, JobWhole, StepView};

#[derive(Debug, clap::Args)]
pub struct Jobs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: JobsCommand,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// The newest jobs.
    List {
        /// queued, running, waiting, undoing, succeeded, failed, cancelled, discarded, or `open`; several separated by commas.
        #[arg(long, default_value = "", hide_default_value = true)]
        state: String,
        /// How many, 1 to 1000.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// One job with its steps and its log.
    Show(JobArg),
    /// Wait for a job to finish; ends with code 6 if it did not succeed.
    Watch(JobArg),
    /// Ask a job to stop; what it did is undone.
    Cancel(Change),
    /// Try a failed or cancelled job again.
    Retry(Change),
    /// Put a failed job aside.
    Discard(JobArg),
}

#[derive(Debug, clap::Args)]
struct JobArg {
    /// The job's id.
    #[arg(value_name = "JOB", add = ArgValueCandidates::new(complete::jobs))]
    job: String,
}

#[derive(Debug, clap::Args)]
struct Change {
    #[command(flatten)]
    one: JobArg,
    #[command(flatten)]
    wait: Wait,
}

impl Jobs {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            JobsCommand::List { state, limit } => list(&mut api, &common, &state, limit).await,
            JobsCommand::Show(one) => show(&mut api, &common, &one.job).await,
            JobsCommand::Watch(one) => watch(&mut api, &common, &one.job).await,
            JobsCommand::Cancel(c) => change(&mut api, &common, &c, "cancel").await,
            JobsCommand::Retry(c) => change(&mut api, &common, &c, "retry").await,
            JobsCommand::Discard(one) => {
                let job: JobView = api.post(&format!("/jobs/{}/discard", part(&one.job)), &()).await?;
                if !common.prints(&job) {
                    say(&actions::outcome(&job));
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Row for JobView {
    const HEADS: &'static [&'static str] = &["id", "state", "done", "what", "asked by", "asked"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(self.id),
            state(self.state.name()),
            Cell::maybe(actions::share(&self.progress).map(|p| format!("{p} %"))).right(),
            Cell::text(&self.title),
            Cell::text(&self.asked_by),
            Cell::text(table::time(self.created)),
        ]
    }
}

impl Row for StepView {
    const HEADS: &'static [&'static str] = &["step", "state", "began"];

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::text(&self.name), state(self.state.name()), Cell::text(table::time(self.began))]
    }
}

async fn list(api: &mut Api, common: &Common, wanted: &str, limit: u16) -> Result<ExitCode> {
    let pairs = [("state", wanted), ("limit", &limit.to_string())];
    let page: JobPage = api.get(&format!("/jobs{}", query(&pairs))).await?;
    table::list(common, &page.jobs, "There is no such job.");
    Ok(ExitCode::SUCCESS)
}

async fn show(api: &mut Api, common: &Common, id: &str) -> Result<ExitCode> {
    let whole: JobWhole = api.get(&format!("/jobs/{}", part(id))).await?;
    if common.prints(&whole) {
        return Ok(ExitCode::SUCCESS);
    }
    let JobWhole { job, steps, log } = whole;
    let mut facts = vec![
        ("What", Cell::text(&job.title)),
        ("State", state(job.state.name())),
        ("Requested by", Cell::text(&job.asked_by)),
        ("Asked", Cell::text(table::time(job.created))),
        ("Over", Cell::maybe(job.finished.map(table::time))),
        ("Tries", Cell::text(format!("{} of {} failed", job.attempts, job.max_attempts))),
        ("Trouble", Cell::maybe(job.error.as_ref()).tone(table::Tone::Bad)),
    ];
    facts.retain(|(_, cell)| !cell.is_empty());
    table::facts(&facts);
    if !steps.is_empty() {
        say("");
        table::rows(&steps, "");
    }
    if !log.is_empty() {
        say("");
        say(&log.iter().map(|entry| actions::log_line(&entry.line)).collect::<Vec<_>>().join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn watch(api: &mut Api, common: &Common, id: &str) -> Result<ExitCode> {
    // A person ends this with Ctrl-C; the job continues.
    ended(api, common, id, 7 * 86_400, JobState::Succeeded).await
}

/// Follows a job to its end, which is well when it is the wanted one.
async fn ended(api: &mut Api, common: &Common, id: &str, seconds: u64, wanted: JobState) -> Result<ExitCode> {
    let last = actions::follow(api, id, Instant::now() + Duration::from_secs(seconds)).await?;
    if !common.prints(&last) {
        say(&actions::outcome(&last.job));
    }
    Ok(if last.job.state == wanted { ExitCode::SUCCESS } else { ExitCode::from(JOB_FAILED) })
}

async fn change(api: &mut Api, common: &Common, change: &Change, verb: &str) -> Result<ExitCode> {
    let job = api.post(&format!("/jobs/{}/{verb}", part(&change.one.job)), &()).await?;
    if verb == "cancel" && change.wait.wait {
        return ended(api, common, &change.one.job, 3600, JobState::Cancelled).await;
    }
    actions::finish(api, common, &change.wait, vec![job]).await
}
