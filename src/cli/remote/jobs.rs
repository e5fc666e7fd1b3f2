//! `steward jobs`.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::{Api, part, query};
use super::table::{self, Cell, state};
use super::{Common, JOB_FAILED, complete};
use base::Result;
use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;
use serde_json::Value;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Jobs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The newest jobs.
    List {
        /// queued, running, waiting, undoing, succeeded, failed, cancelled, discarded, or `open`; several with commas.
        #[arg(long, default_value = "", hide_default_value = true)]
        state: String,
        /// How many, 1 to 1000.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// One job with its steps and its log.
    Show(One),
    /// Stay with a job until it is over; ends with code 6 when it did not succeed.
    Watch(One),
    /// Ask a job to stop; what it did is taken back.
    Cancel(Change),
    /// Try a failed or cancelled job again.
    Retry(Change),
    /// Put a failed job aside.
    Discard(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The job's id.
    #[arg(value_name = "JOB", add = ArgValueCandidates::new(complete::jobs))]
    job: String,
}

#[derive(Debug, clap::Args)]
struct Change {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    wait: Wait,
}

impl Jobs {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            Verb::List { state, limit } => list(&mut api, &common, &state, limit).await,
            Verb::Show(one) => show(&mut api, &common, &one.job).await,
            Verb::Watch(one) => watch(&mut api, &common, &one.job).await,
            Verb::Cancel(c) => change(&mut api, &common, &c, "cancel").await,
            Verb::Retry(c) => change(&mut api, &common, &c, "retry").await,
            Verb::Discard(one) => {
                let job = api.post(&format!("/jobs/{}/discard", part(&one.job)), None).await?;
                if common.json() {
                    table::json(&job)
                } else {
                    say(&actions::outcome(&job))
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

async fn list(api: &mut Api, common: &Common, wanted: &str, limit: u16) -> Result<ExitCode> {
    let pairs = [("state", wanted), ("limit", &limit.to_string())];
    let jobs = api.get(&format!("/jobs{}", query(&pairs))).await?["jobs"].take();
    if common.json() {
        table::json(&jobs);
        return Ok(ExitCode::SUCCESS);
    }
    let row = |j: &Value| {
        let text = |key: &str| j[key].as_str().unwrap_or_default();
        let (done, total) = (j["progress"]["done"].as_u64().unwrap_or(0), j["progress"]["total"].as_u64().unwrap_or(0));
        let share = (100 * done.min(total)).checked_div(total).map_or_else(String::new, |p| format!("{p} %"));
        vec![
            Cell::text(text("id")),
            state(text("state")),
            Cell::number(share),
            Cell::text(text("title")),
            Cell::text(text("asked_by")),
            Cell::text(table::time(text("created"))),
        ]
    };
    let rows: Vec<Vec<Cell>> = jobs.as_array().into_iter().flatten().map(row).collect();
    table::print(&["id", "state", "done", "what", "asked by", "asked"], &rows, "There is no such job.");
    Ok(ExitCode::SUCCESS)
}

async fn show(api: &mut Api, common: &Common, id: &str) -> Result<ExitCode> {
    let job = api.get(&format!("/jobs/{}", part(id))).await?;
    if common.json() {
        table::json(&job);
        return Ok(ExitCode::SUCCESS);
    }
    let text = |key: &str| job[key].as_str().unwrap_or_default();
    let mut facts = vec![
        ("What", Cell::text(text("title"))),
        ("State", state(text("state"))),
        ("Asked by", Cell::text(text("asked_by"))),
        ("Asked", Cell::text(table::time(text("created")))),
        ("Over", Cell::text(table::time(text("finished")))),
        ("Tries", Cell::text(format!("{} of {} failed", job["attempts"], job["max_attempts"]))),
        ("Trouble", Cell::text(text("error")).tone(table::Tone::Bad)),
    ];
    facts.retain(|(word, _)| match *word {
        "Over" => !text("finished").is_empty(),
        "Trouble" => !text("error").is_empty(),
        _ => true,
    });
    table::facts(&facts);
    let step = |s: &Value| {
        let text = |key: &str| s[key].as_str().unwrap_or_default();
        vec![Cell::text(text("name")), state(text("state")), Cell::text(table::time(text("began")))]
    };
    let steps: Vec<Vec<Cell>> = job["steps"].as_array().into_iter().flatten().map(step).collect();
    if !steps.is_empty() {
        say("");
        table::print(&["step", "state", "began"], &steps, "");
    }
    let log: Vec<String> = job["log"].as_array().into_iter().flatten().map(actions::log_line).collect();
    if !log.is_empty() {
        say("");
        say(&log.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn watch(api: &mut Api, common: &Common, id: &str) -> Result<ExitCode> {
    // A person ends this with Ctrl-C; the job goes on.
    let last = actions::follow(api, id, Instant::now() + Duration::from_secs(7 * 86_400)).await?;
    if common.json() {
        table::json(&last)
    } else {
        say(&actions::outcome(&last))
    }
    Ok(if last["state"] == "succeeded" { ExitCode::SUCCESS } else { ExitCode::from(JOB_FAILED) })
}

async fn change(api: &mut Api, common: &Common, change: &Change, verb: &str) -> Result<ExitCode> {
    let job = api.post(&format!("/jobs/{}/{verb}", part(&change.one.job)), None).await?;
    if verb == "cancel" && change.wait.wait {
        let last = actions::follow(api, &change.one.job, Instant::now() + Duration::from_secs(3600)).await?;
        if common.json() {
            table::json(&last)
        } else {
            say(&actions::outcome(&last))
        }
        // Cancelled is what was wanted here.
        return Ok(if last["state"] == "cancelled" { ExitCode::SUCCESS } else { ExitCode::from(JOB_FAILED) });
    }
    actions::finish(api, common, &change.wait, vec![job]).await
}
