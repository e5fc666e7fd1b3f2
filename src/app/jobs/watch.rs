//! Looking at what a suspended job waits for.

use super::Jobs;
use crate::App;
use crate::commands::CommandWatch;
use base::{Error, Result};
use model::jobs::{Job, LogLevel, TaskEnd, Wait};
use plugin::Run;
use remote::pve::TaskWatch;
use std::time::Duration;

/// What one job waits for, being watched.
pub enum Watch {
    Task(TaskWatch),
    Command(Box<CommandWatch>),
    /// What it waits for is not its own.
    Nothing,
}

/// What one look found.
#[derive(Debug, Default)]
pub struct Poll {
    /// For the job's log.
    pub lines: Vec<(LogLevel, String)>,
    /// How far it is, when that changed.
    pub progress: Option<String>,
    pub end: Option<TaskEnd>,
}

impl Jobs<'_> {
    /// A watch for what the job waits for, other than a point in time.
    ///
    /// # Errors
    /// `NotFound` when its connection is gone.
    pub fn watch(&self, job: &Job) -> Result<Watch> {
        match (&job.wait, job.connection) {
            (Some(Wait::Task { id }), Some(connection)) => {
                Ok(Watch::Task(TaskWatch::new(self.0.connections().client(connection)?, id.clone())))
            }
            (Some(Wait::Command(command)), _) => {
                let run = Run {
                    plugin: job.plugin.clone(),
                    hook: job.kind.hook().to_owned(),
                    connection: job.connection,
                    job: Some(job.id),
                    guest: job.subject.guest(),
                    ..Run::default()
                };
                let target = self.0.ssh().target_of(&run).ok();
                Ok(target.map_or(Watch::Nothing, |target| {
                    Watch::Command(Box::new(CommandWatch::new(target, job.id, command.clone())))
                }))
            }
            _ => Err(Error::internal("a job waits for a task without a connection")),
        }
    }
}

fn level(loud: bool) -> LogLevel {
    if loud { LogLevel::Warn } else { LogLevel::Info }
}

impl Watch {
    pub async fn poll(&mut self, app: &App) -> Poll {
        match self {
            Self::Task(task) => {
                let poll = task.poll().await;
                let silence = poll.silence.map(|why| format!("{why} Steward waits until it answers."));
                Poll {
                    lines: poll.log.into_iter().map(|line| (level(line.loud), line.text)).collect(),
                    progress: silence.or(poll.progress),
                    end: poll.end.map(|end| TaskEnd {
                        ok: end.ok,
                        text: end.text,
                        unreachable: end.unreachable,
                        lasting: end.lasting,
                    }),
                }
            }
            Self::Command(command) => {
                let poll = command.poll(app).await;
                let away = poll.away.map(|why| format!("{why} The command keeps running there; Steward waits."));
                let lines = poll.lines.into_iter().map(|line| (LogLevel::Info, line));
                Poll {
                    lines: lines.chain(away.map(|text| (LogLevel::Warn, text))).collect(),
                    progress: None,
                    end: poll.end,
                }
            }
            Self::Nothing => {
                let end = TaskEnd::failed("This is not a command of this job.");
                Poll { end: Some(end), ..Poll::default() }
            }
        }
    }

    /// How soon the next look is due at first, and at last.
    pub fn pace(&self) -> (Duration, Duration) {
        match self {
            Self::Command(command) => command.pace(),
            Self::Task(_) | Self::Nothing => (Duration::from_millis(500), Duration::from_secs(3)),
        }
    }
}
