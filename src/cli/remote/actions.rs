//! What follows when a job was asked for: say so, or stay with it until it is over.

use super::super::say::{complain, say};
use super::client::{Api, part};
use super::{Common, JOB_FAILED, table};
use base::{Error, Kind, Result};
use model::jobs::{JobState, LogLevel, LogLine, Progress};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use web::jobs::rest::{JobView, JobWhole};

/// Whether to stay with the job.
#[derive(Clone, Debug, clap::Args)]
pub struct Wait {
    /// Wait until the job is over, show its log, and end with code 6 if it did not succeed.
    #[arg(long, short)]
    pub wait: bool,
    /// Wait at most this many seconds; the job continues.
    #[arg(long, value_name = "SECONDS", requires = "wait", default_value_t = 3600)]
    timeout: u64,
}

/// Pause between two looks at a job: quick at first, for power actions.
const FIRST: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(1);
/// Steward may restart meanwhile; its jobs go on then.
const AWAY: Duration = Duration::from_secs(120);

/// Says what was asked for, or follows each job to its end.
pub async fn finish(api: &mut Api, common: &Common, wait: &Wait, jobs: Vec<JobView>) -> Result<ExitCode> {
    if !wait.wait {
        if !common.prints(&jobs) {
            for job in &jobs {
                let title = table::plain(&job.title);
                say(&format!("Started: {title}. To watch it: steward jobs watch {}", job.id));
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let until = Instant::now() + Duration::from_secs(wait.timeout);
    let (mut over, mut well) = (Vec::new(), true);
    for job in &jobs {
        let last = follow(api, &job.id.to_string(), until).await?;
        well &= last.job.state == JobState::Succeeded;
        if !common.json() {
            say(&outcome(&last.job));
        }
        over.push(last);
    }
    if common.json() {
        table::json(&over);
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(JOB_FAILED) })
}

/// One line on how it ended.
pub fn outcome(job: &JobView) -> String {
    let (title, state) = (table::plain(&job.title), job.state.name());
    match job.error.as_deref().filter(|_| job.state != JobState::Succeeded) {
        Some(why) => format!("{title}: {state}. {}", table::plain(why)),
        None => format!("{title}: {state}."),
    }
}

/// Shows a job's log and progress on standard error until it is over; gives the job as it is then. `Unavailable` when
/// it is not over in time, or Steward stays away.
pub async fn follow(api: &mut Api, job: &str, until: Instant) -> Result<JobWhole> {
    let (mut line, mut pause, mut heard) = (0, FIRST, Instant::now());
    let mut bar = Bar::new();
    loop {
        match api.get::<JobWhole>(&format!("/jobs/{}?log_from={line}", part(job))).await {
            Ok(now) => {
                heard = Instant::now();
                for entry in &now.log {
                    bar.clear();
                    complain(&log_line(&entry.line));
                    line = entry.number + 1;
                }
                if now.job.state.is_over() {
                    bar.clear();
                    return Ok(now);
                }
                bar.draw(&now.job);
            }
            Err(e) if e.kind() == Kind::Unavailable && heard.elapsed() < AWAY => {}
            Err(e) => return Err(e),
        }
        if Instant::now() >= until {
            bar.clear();
            return Err(Error::unavailable(format!("It is still running. To watch it: steward jobs watch {job}")));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(LATER);
    }
}

/// `14:03:11  cloning the template`
pub fn log_line(line: &LogLine) -> String {
    let clock = line.at.to_utc().with_timezone(&chrono::Local).format("%H:%M:%S");
    let mark = match line.level {
        LogLevel::Info => "",
        LogLevel::Warn => "warning: ",
        LogLevel::Error => "error: ",
    };
    format!("{clock}  {mark}{}", table::plain(&line.text))
}

/// `40 %` of a job's steps; nothing when it has none.
pub fn share(progress: &Progress) -> Option<u32> {
    (100 * progress.done.min(progress.total)).checked_div(progress.total)
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

    fn draw(&mut self, job: &JobView) {
        if !self.terminal {
            return;
        }
        let share = share(&job.progress).map_or_else(String::new, |p| format!("{p:3} %  "));
        let text = format!("{share}{} {}", job.state.name(), table::plain(&job.progress.label));
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

    fn job(state: &str, error: &str) -> JobView {
        let id = "0198f3a0000070008000000000000000";
        serde_json::from_value(json!({
            "id": id, "title": "Start web", "plugin": "proxmox", "hook": "guest_power", "args": {}, "state": state,
            "asked_by": "mira", "guest": null, "created": "2026-01-01T00:00:00Z", "started": null, "finished": null,
            "attempts": 1, "max_attempts": 3, "progress": { "done": 1, "total": 4, "label": "" }, "error": error,
            "cancel_asked": false, "result": {},
        }))
        .unwrap()
    }

    #[test]
    fn the_outcome_says_why_when_it_went_wrong() {
        assert_eq!(outcome(&job("failed", "No memory.\x1b[2J")), "Start web: failed. No memory. [2J");
        assert_eq!(outcome(&job("succeeded", "old")), "Start web: succeeded.");
        assert_eq!(share(&job("running", "").progress), Some(25));
    }
}
