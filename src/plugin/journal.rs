//! The journal of a durable job, as this floor needs it. `jobs` implements it on the store.

use crate::run::outside;
use base::{Error, Timestamp};
use model::jobs::{LogLevel, Progress, Step, Wait};
use model::plugins::ScriptError;
use serde_json::Value;
use std::sync::Arc;

/// One job's journal and its link to the people who watch. Every `Ok` of a writing function means: on disk.
///
/// Names are unique within a job. Reserved prefixes: `wait:` (written by the runner when what was
/// waited for is over, result a [`model::jobs::TaskEnd`]), `sleep:`, `until:`, `time:`, `undo:`.
pub trait Journal: Send + Sync {
    /// All entries of the job, in any order; read once when a run starts.
    fn entries(&self) -> Result<Vec<Step>, Error>;
    /// Puts the entry to `Begun` with `began = now`. A new one gets the next `order` of the job; one that
    /// is there already (found begun or failed) keeps its order.
    fn begin(&self, name: &str) -> Result<(), Error>;
    /// Puts an entry (begun or failed) to `Done` with its result.
    fn finish(&self, name: &str, result: Value) -> Result<(), Error>;
    /// Puts an entry (begun or done) to `Failed`: it did not happen and may be tried again.
    fn fail(&self, name: &str) -> Result<(), Error>;
    /// Removes the entry.
    fn forget(&self, name: &str) -> Result<(), Error>;
    fn progress(&self, progress: Progress);
    fn log(&self, level: LogLevel, text: &str);
    /// Many lines at once, which a store can write in one go.
    fn log_all(&self, lines: &[(LogLevel, String)]) {
        for (level, text) in lines {
            self.log(*level, text);
        }
    }
    /// Whether somebody asked to stop; asked before every new effect and wait.
    fn cancelled(&self) -> bool;
    fn now(&self) -> Timestamp;
}

/// A journal whose time is not the script's: its commits may wait for a slow disk.
pub(super) struct OffTheClock(pub Arc<dyn Journal>);

impl Journal for OffTheClock {
    fn entries(&self) -> Result<Vec<Step>, Error> {
        outside(|| self.0.entries())
    }

    fn begin(&self, name: &str) -> Result<(), Error> {
        outside(|| self.0.begin(name))
    }

    fn finish(&self, name: &str, result: Value) -> Result<(), Error> {
        outside(|| self.0.finish(name, result))
    }

    fn fail(&self, name: &str) -> Result<(), Error> {
        outside(|| self.0.fail(name))
    }

    fn forget(&self, name: &str) -> Result<(), Error> {
        outside(|| self.0.forget(name))
    }

    fn progress(&self, progress: Progress) {
        outside(|| self.0.progress(progress));
    }

    fn log(&self, level: LogLevel, text: &str) {
        outside(|| self.0.log(level, text));
    }

    fn log_all(&self, lines: &[(LogLevel, String)]) {
        outside(|| self.0.log_all(lines));
    }

    fn cancelled(&self) -> bool {
        outside(|| self.0.cancelled())
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// Which way a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Forward,
    /// Run again from the top; finished steps answer from the journal; at the first unfinished step stop,
    /// then run the registered undos in reverse, each a journalled step `undo:<name>`.
    Undo,
}

/// How one run of a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The function returned; its result.
    Done(Value),
    /// Suspended. Run it again when the wait is over (for a task or command: after writing its `wait:` entry).
    Wait(Wait),
    /// All undos are done.
    Undone,
    /// Stopped before the next effect because `Journal::cancelled` said so. Nothing is undone yet.
    Cancelled,
    Failed(Failure),
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error: ScriptError,
    /// Another try may help.
    pub retry: bool,
    /// The journal does not match the script: a person has to look.
    pub mismatch: bool,
    /// The provider could not be reached; nothing was done. Waiting helps, using up tries does not.
    pub unreachable: bool,
}
