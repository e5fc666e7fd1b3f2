//! The state of one run of a job and the rules that hold everywhere in it.

use super::replay::{PassedOver, Replay};
use crate::error::Failed;
use crate::host::{Call, CallError};
use crate::journal::{Journal, Mode, OffTheClock};
use crate::run::{Answer, RunState, Stop, current};
use base::{Error, Timestamp};
use model::jobs::{LogLevel, Progress, Step, StepState};
use rhai::{FnPtr, Position};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The key in a result that says: the step threw this, and the script went on.
const THREW: &str = "$threw";

/// Where the script is. Outside of a closure it may only go through the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScriptPosition {
    Top,
    /// In a step's effect.
    Effect,
    /// In a `settle` or `wait_until` closure: looking only.
    Look,
    /// In the undo of this name.
    Undo(String),
}

/// A failure that the script may have caught; whether it did shows in what it does next.
#[derive(Debug)]
pub(super) enum Open {
    /// The effect of this entry threw this.
    Step { name: String, threw: Value },
    /// The task or command of this handle ended badly.
    Task { handle: String },
    /// This `wait_until` ran out of time.
    Until { name: String, threw: Value },
}

pub(crate) struct JobRun {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) mode: Mode,
    pub(super) replay: RefCell<Replay>,
    pub(super) place: RefCell<ScriptPosition>,
    pub(super) undos: RefCell<Vec<(String, FnPtr)>>,
    pub(super) open: RefCell<Vec<Open>>,
    /// Whether a call in the present effect may have changed something.
    pub(super) touched: Cell<bool>,
    pub(super) sleeps: Cell<u32>,
    clocks: Cell<u32>,
    lines: RefCell<Vec<(LogLevel, String)>>,
    pub(super) progress: RefCell<Option<Progress>>,
    /// How often the current undo made each changing call.
    undo_calls: RefCell<BTreeMap<String, u32>>,
}

/// The job of the present run, for the methods of `job`.
pub(super) struct Now {
    pub run: Rc<RunState>,
    pub position: Position,
}

impl Now {
    pub fn at(position: Position) -> Answer<Self> {
        let run = current()?;
        run.go_on()?;
        if run.job.is_none() {
            return Err("there is no job here".into());
        }
        Ok(Self { run, position })
    }

    #[expect(clippy::unreachable, reason = "checked when it was made, and a run's job never changes")]
    pub fn job(&self) -> &JobRun {
        match &self.run.job {
            Some(job) => job,
            None => unreachable!("a run without a job"),
        }
    }

    /// Ends the run: the script uses the API wrongly.
    pub fn misuse<T>(&self, message: impl Into<String>) -> Answer<T> {
        self.run.stop(Stop::Failed(Failed::misuse(message, self.position)))
    }

    pub fn mismatch<T>(&self, missed: &PassedOver) -> Answer<T> {
        let message = format!(
            "the journal does not match the script any more: \"{}\" was done in an earlier run and is skipped now",
            missed.0
        );
        self.run.stop(Stop::Failed(Failed::mismatch(message, self.position)))
    }

    /// A journal that can't be written or read ends the run; the next try may succeed.
    pub fn journal<T>(&self, result: Result<T, Error>) -> Answer<T> {
        result.or_else(|e| {
            let message = format!("the job's journal: {}", e.message());
            self.run.stop(Stop::Failed(Failed::outside(message, self.position)))
        })
    }

    /// Only at the top level: not in a step, a check or an undo.
    pub fn at_top(&self, what: &str) -> Answer<()> {
        let why = match &*self.job().place.borrow() {
            ScriptPosition::Top => return Ok(()),
            ScriptPosition::Effect => "inside a step",
            ScriptPosition::Look => "inside a settle or wait_until closure",
            ScriptPosition::Undo(_) => "inside an undo",
        };
        self.misuse(format!("{what} can't be used {why}"))
    }

    /// Claims a name for this run.
    pub fn claim(&self, key: &str, name: &str) -> Answer<()> {
        if name.is_empty() || name.len() > 120 {
            return self.misuse("a name has 1 to 120 bytes");
        }
        let fresh = self.job().replay.borrow_mut().claim(key);
        if fresh { Ok(()) } else { self.misuse(format!("the name \"{name}\" is used twice in this job")) }
    }

    /// What the journal has for a claimed name. Decides over the lines that were held back: the run that
    /// wrote this entry has already written them.
    pub fn visit(&self, key: &str) -> Answer<Option<Step>> {
        let entry = match self.job().replay.borrow().visit(key) {
            Ok(entry) => entry,
            Err(missed) => return self.mismatch(&missed),
        };
        if entry.is_some() {
            self.job().drop_lines();
        }
        Ok(entry)
    }

    /// Before something new happens: may it, and what was held back is written.
    pub fn go_live(&self) -> Answer<()> {
        let job = self.job();
        if job.mode == Mode::Undo {
            return self.run.stop(Stop::EndOfReplay);
        }
        if job.journal.cancelled() {
            return self.run.stop(Stop::Cancelled);
        }
        job.tell();
        self.settle_open()
    }

    /// The script went on after a failure, so it caught it: from now on that is what happened.
    fn settle_open(&self) -> Answer<()> {
        let open: Vec<Open> = self.job().open.borrow_mut().drain(..).collect();
        for failure in open {
            if let Open::Step { name, threw } | Open::Until { name, threw } = failure {
                self.finish(&name, json!({ THREW: threw }))?;
            }
        }
        Ok(())
    }

    pub fn begin(&self, name: &str) -> Answer<()> {
        self.journal(self.job().journal.begin(name))
    }

    pub fn finish(&self, name: &str, result: Value) -> Answer<()> {
        self.journal(self.job().journal.finish(name, result.clone()))?;
        self.job().note(name, result);
        Ok(())
    }
}

/// What a finished entry threw, if it threw.
pub(super) fn threw(result: &Value) -> Option<&Value> {
    result.as_object().filter(|m| m.len() == 1).and_then(|m| m.get(THREW))
}

impl JobRun {
    pub fn new(journal: Arc<dyn Journal>, mode: Mode) -> Result<Self, Error> {
        let journal: Arc<dyn Journal> = Arc::new(OffTheClock(journal));
        let replay = Replay::new(journal.entries()?);
        Ok(Self {
            journal,
            mode,
            replay: RefCell::new(replay),
            place: RefCell::new(ScriptPosition::Top),
            undos: RefCell::default(),
            open: RefCell::default(),
            touched: Cell::new(false),
            sleeps: Cell::new(0),
            clocks: Cell::new(0),
            lines: RefCell::default(),
            progress: RefCell::new(None),
            undo_calls: RefCell::default(),
        })
    }

    fn note(&self, name: &str, result: Value) {
        let now = self.journal.now();
        let order = self.replay.borrow().aside(name).map_or(u32::MAX, |s| s.order);
        self.replay.borrow_mut().note(Step {
            name: name.to_owned(),
            state: StepState::Done,
            began: now,
            ended: Some(now),
            result,
            order,
        });
    }

    /// Runs `f` in a place and comes back, whatever happens in it.
    pub(super) fn within<T>(&self, place: ScriptPosition, f: impl FnOnce() -> T) -> T {
        let before = self.place.replace(place);
        let out = f();
        self.place.replace(before);
        out
    }

    /// A line of the log. At the top it is held back until it is clear that this run is the first to come here.
    pub fn line(&self, level: LogLevel, text: &str) {
        if *self.place.borrow() == ScriptPosition::Top {
            self.lines.borrow_mut().push((level, text.to_owned()));
        } else {
            self.journal.log(level, text);
        }
    }

    /// Lines of something still running; held-back lines come before them.
    pub fn say(&self, lines: &[(LogLevel, String)]) {
        self.tell();
        self.journal.log_all(lines);
    }

    /// Forgets what was held back: an earlier run wrote it.
    pub(super) fn drop_lines(&self) {
        self.lines.borrow_mut().clear();
    }

    /// Writes what was held back.
    pub(super) fn tell(&self) {
        for (level, text) in self.lines.borrow_mut().drain(..) {
            self.journal.log(level, &text);
        }
        if let Some(progress) = self.progress.borrow_mut().take() {
            self.journal.progress(progress);
        }
    }

    /// A host call in a job: only where its answer can't change the path through the script.
    pub fn call(&self, run: &RunState, call: Call, position: Position) -> Answer<Result<Value, CallError>> {
        let place = self.place.borrow().clone();
        let misuse = |message: &str| run.stop(Stop::Failed(Failed::misuse(message, position)));
        match (place, call) {
            (ScriptPosition::Top, Call::Now) => self.clock(run, position),
            (_, Call::Now) => Ok(Ok(self.journal.now().as_secs().into())),
            (ScriptPosition::Top, _) => misuse(
                "in a job the host is asked inside job.step, job.repeatable, job.wait_until or job.undo, so that the \
                 answer is the same when the job goes on",
            ),
            (ScriptPosition::Look, call) if call.changes_something() => {
                misuse("settle and wait_until closures only read")
            }
            (ScriptPosition::Undo(name), call) if call.changes_something() => {
                self.undo_call(run, &name, call, position)
            }
            (_, call) => {
                let changes = call.changes_something();
                let answer = run.ask_host(call);
                if changes && answer.as_ref().map_or_else(|e| e.kind.may_have_happened(), |_| true) {
                    self.touched.set(true);
                }
                Ok(answer)
            }
        }
    }

    /// The clock at the top is a small step of its own, so that later runs see the same time.
    fn clock(&self, run: &RunState, position: Position) -> Answer<Result<Value, CallError>> {
        let now = Now { run: current()?, position };
        let n = self.clocks.get() + 1;
        self.clocks.set(n);
        let key = format!("time:{n}");
        now.claim(&key, &key)?;
        if let Some(Step { state: StepState::Done, result, .. }) = now.visit(&key)? {
            return Ok(Ok(result));
        }
        now.go_live()?;
        run.go_on()?;
        let seconds = self.journal.now().as_secs();
        now.begin(&key)?;
        now.finish(&key, seconds.into())?;
        Ok(Ok(seconds.into()))
    }

    /// A changing call of an undo is kept under its method and path, so that the undo, when it runs again after
    /// waiting for the task that it started, does not start another one.
    fn undo_call(
        &self,
        run: &RunState,
        undo: &str,
        call: Call,
        position: Position,
    ) -> Answer<Result<Value, CallError>> {
        let what = match &call {
            Call::Pve { method, path, .. } => format!("{} {path}", method.name()),
            Call::UploadCd(cd) => format!("CD {}/{}/{}", cd.node, cd.storage, cd.filename),
            _ => return Ok(run.ask_host(call)),
        };
        let n = {
            let mut calls = self.undo_calls.borrow_mut();
            let n = calls.entry(what.clone()).or_insert(0);
            *n += 1;
            *n
        };
        let key = format!("undo:{undo}/{what}#{n}");
        let done = self.replay.borrow().aside(&key).filter(|s| s.state == StepState::Done).cloned();
        if let Some(step) = done {
            return Ok(Ok(step.result));
        }
        let now = Now { run: current()?, position };
        now.begin(&key)?;
        let answer = run.ask_host(call);
        match &answer {
            Ok(value) if value.to_string().len() <= crate::limits::RESULT_BYTES => {
                now.finish(&key, value.clone())?;
            }
            _ => now.journal(self.journal.forget(&key))?,
        }
        Ok(answer)
    }

    pub(super) fn begin_undo(&self) {
        self.undo_calls.borrow_mut().clear();
    }

    pub(super) fn now(&self) -> Timestamp {
        self.journal.now()
    }
}
