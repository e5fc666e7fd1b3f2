//! What follows when a job was asked for: say so, or stay with it until it is over.

use super::super::say::{complain, say};
use super::client::{Api, part};
use super::{Common, JOB_FAILED, table};
use base::{Error, Kind, Result};
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Whether to stay with the job.
#[derive(Clone, Debug, clap::Args)]
pub struct Wait {
    /// Stay until the job is over, show its log, and end with code 6 when it did not succeed.
    #[arg(long, short)]
    pub wait: bool,
    /// Stay no longer than so many seconds; the job goes on.
    #[arg(long, value_name = "SECONDS", requires = "wait", default_value_t = 3600)]
    timeout: u64,
}

/// Pause between two looks at a job: quick at first, for power actions.
const FIRST: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(1);
/// Steward may restart meanwhile; its jobs go on then.
const AWAY: Duration = Duration::from_secs(120);

/// Says what was asked for, or follows each job to its end.
///
/// # Errors
/// What the API refuses.
pub async fn finish(api: &mut Api, common: &Common, wait: &Wait, jobs: Vec<Value>) -> Result<ExitCode> {
    if !wait.wait {
        if common.json() {
            table::json(&Value::Array(jobs));
        } else {
            for job in &jobs {
                say(&format!("Started: {}. To watch it: steward jobs watch {}", title(job), id(job)));
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let until = Instant::now() + Duration::from_secs(wait.timeout);
    let (mut over, mut well) = (Vec::new(), true);
    for job in &jobs {
        let last = follow(api, id(job), until).await?;
        well &= last["state"] == "succeeded";
        if !common.json() {
            say(&outcome(&last));
        }
        over.push(last);
    }
    if common.json() {
        table::json(&Value::Array(over));
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(JOB_FAILED) })
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap_or_default()
}

fn title(job: &Value) -> String {
    table::plain(job["title"].as_str().unwrap_or_default())
}

/// One line on how it ended.
pub fn outcome(job: &Value) -> String {
    let state = job["state"].as_str().unwrap_or_default();
    match job["error"].as_str().filter(|_| state != "succeeded") {
        Some(why) => format!("{}: {state}. {}", title(job), table::plain(why)),
        None => format!("{}: {state}.", title(job)),
    }
}

fn is_over(job: &Value) -> bool {
    matches!(job["state"].as_str(), Some("succeeded" | "failed" | "cancelled" | "discarded"))
}

/// Shows a job's log and progress on standard error until it is over; gives the job as it is then.
///
/// # Errors
/// What the API refuses; `Unavailable` when it is not over in time, or Steward stays away.
pub async fn follow(api: &mut Api, job: &str, until: Instant) -> Result<Value> {
    let (mut line, mut pause, mut heard) = (0, FIRST, Instant::now());
    let mut bar = Bar::new();
    loop {
        match api.get(&format!("/jobs/{}?log_from={line}", part(job))).await {
            Ok(now) => {
                heard = Instant::now();
                for entry in now["log"].as_array().into_iter().flatten() {
                    bar.clear();
                    complain(&log_line(entry));
                    line = entry["number"].as_u64().map_or(line, |n| n + 1);
                }
                if is_over(&now) {
                    bar.clear();
                    return Ok(now);
                }
                bar.draw(&now);
            }
            Err(e) if e.kind() == Kind::Unavailable && heard.elapsed() < AWAY => {}
            Err(e) => return Err(e),
        }
        if Instant::now() >= until {
            bar.clear();
            return Err(Error::unavailable(format!("It is not over yet and goes on. steward jobs watch {job}")));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(LATER);
    }
}

/// `14:03:11  cloning the template`
pub fn log_line(entry: &Value) -> String {
    let at = table::time(entry["at"].as_str().unwrap_or_default());
    let clock = at.split(' ').nth(1).unwrap_or_default().to_owned();
    let mark = match entry["level"].as_str() {
        Some("warn") => "warning: ",
        Some("error") => "error: ",
        _ => "",
    };
    format!("{clock}  {mark}{}", table::plain(entry["text"].as_str().unwrap_or_default()))
}

/// The line that is drawn over itself, on a terminal only.
struct Bar {
    shown: bool,
    terminal: bool,
}

impl Bar {
    fn new() -> Self {
        Self { shown: false, terminal: std::io::stderr().is_terminal() }
    }

    fn draw(&mut self, job: &Value) {
        if !self.terminal {
            return;
        }
        let progress = &job["progress"];
        let (done, total) = (progress["done"].as_u64().unwrap_or(0), progress["total"].as_u64().unwrap_or(0));
        let label = table::plain(progress["label"].as_str().unwrap_or_default());
        let share = (100 * done.min(total)).checked_div(total).map_or_else(String::new, |p| format!("{p:3} %  "));
        let text: String = format!("{share}{} {label}", job["state"].as_str().unwrap_or_default());
        let width = terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(w, _)| usize::from(w.0));
        let text: String = text.chars().take(width.saturating_sub(1)).collect();
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "\r\x1b[K{text}");
        let _ = err.flush();
        self.shown = true;
    }

    fn clear(&mut self) {
        if self.shown {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "\r\x1b[K");
            let _ = err.flush();
            self.shown = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_outcome_says_why_when_it_went_wrong() {
        let failed = json!({ "title": "Start web", "state": "failed", "error": "No memory.\x1b[2J" });
        assert_eq!(outcome(&failed), "Start web: failed. No memory. [2J");
        assert_eq!(
            outcome(&json!({ "title": "Start web", "state": "succeeded", "error": "old" })),
            "Start web: succeeded."
        );
    }
}
