//! One run of a script: its budget, why it was stopped, and its way to the host.
//!
//! Kept in a thread-local, because Rhai's progress hook gets no context and a run never leaves its
//! thread. A stop is sticky: once it is asked for, every operation and every host call ends the
//! script again, so that nothing in between (`sort` swallows errors) can go on.

use super::error::Failed;
use super::host::{Call, CallError, CallErrorKind, Host, Run};
use super::job::JobRun;
use super::{limits, memory};
use model::jobs::{LogLevel, Wait};
use rhai::{Dynamic, EvalAltResult, Position};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a native function returns to Rhai.
pub(super) type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Why a run was stopped from outside the script's own flow.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// A limit was reached, or the script misused the API: no `catch` helps.
    Failed(Failed),
    Suspended(Wait),
    Cancelled,
    /// Undo mode reached the first thing that is not done.
    EndOfReplay,
}

pub(super) struct RunState {
    pub run: Run,
    host: Arc<dyn Host>,
    pub job: Option<JobRun>,
    started: Instant,
    outside: Cell<Duration>,
    is_outside: Cell<bool>,
    operations: Cell<u64>,
    calls: Cell<u32>,
    lines: Cell<u32>,
    /// What the thread held when the run began.
    memory: Cell<Option<isize>>,
    stop: RefCell<Option<Stop>>,
    stopped: Cell<bool>,
}

thread_local! {
    static RUNS: RefCell<Vec<Rc<RunState>>> = const { RefCell::new(Vec::new()) };
}

/// Takes the run off the thread again, also when something panics.
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        RUNS.with(|r| r.borrow_mut().pop());
    }
}

/// The run that this thread is in.
pub(super) fn current() -> Answer<Rc<RunState>> {
    RUNS.with(|r| r.borrow().last().cloned()).ok_or_else(|| "no run is going on".into())
}

/// Time in `f` is not that of the script which runs on this thread, if one does.
pub(super) fn outside<T>(f: impl FnOnce() -> T) -> T {
    match current() {
        Ok(run) => run.outside(f),
        Err(_) => f(),
    }
}

/// Rhai's progress hook: `Some` ends the script.
pub(super) fn tick() -> Option<Dynamic> {
    RUNS.with(|r| match r.borrow().last() {
        Some(run) if run.may_go_on() => None,
        _ => Some(Dynamic::UNIT),
    })
}

/// `print` and `debug` of the script.
pub(super) fn print(text: &str) {
    if let Ok(run) = current() {
        run.log(LogLevel::Info, text);
    }
}

impl RunState {
    pub fn new(run: Run, host: Arc<dyn Host>, job: Option<JobRun>) -> Rc<Self> {
        let now = Instant::now();
        Rc::new(Self {
            run,
            host,
            job,
            started: now,
            outside: Cell::new(Duration::ZERO),
            is_outside: Cell::new(false),
            operations: Cell::new(0),
            calls: Cell::new(0),
            lines: Cell::new(0),
            memory: Cell::new(None),
            stop: RefCell::new(None),
            stopped: Cell::new(false),
        })
    }

    /// Runs `f` with this as the thread's run; a panic in it becomes an error.
    pub fn enter<T>(self: &Rc<Self>, f: impl FnOnce() -> Answer<T>) -> Answer<T> {
        if self.memory.get().is_none() {
            self.memory.set(Some(memory::held()));
        }
        RUNS.with(|r| r.borrow_mut().push(self.clone()));
        let _entered = Entered;
        catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err("the script made the engine panic".into()))
    }

    fn may_go_on(&self) -> bool {
        let n = self.operations.get() + 1;
        self.operations.set(n);
        if n > limits::OPERATIONS {
            let message = format!("the script used more than {} operations", limits::OPERATIONS);
            self.limit(message, false);
        } else if n.is_multiple_of(64) {
            self.look();
        }
        !self.stopped.get()
    }

    /// Clock and memory, every 64 operations.
    fn look(&self) {
        let now = Instant::now();
        let script = now.duration_since(self.started).saturating_sub(self.outside.get());
        if script > limits::SCRIPT_TIME {
            self.limit(format!("the script ran longer than {} s", limits::SCRIPT_TIME.as_secs()), true);
        } else if now.duration_since(self.started) > limits::WALL_TIME {
            self.limit(format!("the run took longer than {} s", limits::WALL_TIME.as_secs()), true);
        } else if self.memory.get().is_some_and(|before| memory::held() - before > limits::MEMORY) {
            self.limit(format!("the script's memory grew by more than {} MiB", limits::MEMORY >> 20), false);
        }
    }

    fn limit(&self, message: String, retry: bool) {
        let why = Failed { message, position: Position::NONE, retry, mismatch: false, unreachable: false };
        drop(self.stop::<()>(Stop::Failed(why)));
    }

    /// Asks for the end of the run; the first reason stays. The answer ends the script at once.
    pub fn stop<T>(&self, why: Stop) -> Answer<T> {
        self.stop.borrow_mut().get_or_insert(why);
        self.stopped.set(true);
        self.go_on()?;
        Err(terminated())
    }

    /// Ends the script when a stop was asked for.
    pub fn go_on(&self) -> Answer<()> {
        if self.stopped.get() { Err(terminated()) } else { Ok(()) }
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Why it was stopped, if it was; the run may go on afterwards (undo after a replay).
    pub fn take_stop(&self) -> Option<Stop> {
        self.stopped.set(false);
        self.stop.borrow_mut().take()
    }

    /// The last look at the clock, for what ran long in one native function.
    pub fn look_again(&self) {
        self.look();
    }

    /// Time spent in `f` is not the script's. What it answers is; what it frees of other threads is no credit.
    pub fn outside<T>(&self, f: impl FnOnce() -> T) -> T {
        if self.is_outside.replace(true) {
            return f();
        }
        let (began, held) = (Instant::now(), memory::held());
        let out = f();
        self.is_outside.set(false);
        let freed = (held - memory::held()).max(0);
        self.memory.set(self.memory.get().map(|before| before - freed));
        self.outside.set(self.outside.get() + began.elapsed());
        out
    }

    /// A call to the host, within the run's limits. In a job the rules of the current place apply.
    pub fn call(&self, call: Call, position: Position) -> Answer<Result<Value, CallError>> {
        self.go_on()?;
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() > limits::HOST_CALLS {
            self.limit(format!("the script made more than {} calls to the host", limits::HOST_CALLS), false);
            return Err(terminated());
        }
        match &self.job {
            Some(job) => job.call(self, call, position),
            None => Ok(self.ask_host(call)),
        }
    }

    /// Straight to the host; a panic there becomes an internal error.
    pub fn ask_host(&self, call: Call) -> Result<Value, CallError> {
        let say = |lines: &[(LogLevel, String)]| {
            if let Some(job) = &self.job {
                job.say(lines);
            }
        };
        let asked = || catch_unwind(AssertUnwindSafe(|| self.host.call_live(&self.run, call, &say)));
        self.outside(asked).unwrap_or_else(|_| {
            Err(CallError::new(CallErrorKind::Internal, 0, "a host function failed inside Steward"))
        })
    }

    /// A line for people, limited in number and length.
    pub fn log(&self, level: LogLevel, text: &str) {
        let n = self.lines.get() + 1;
        self.lines.set(n);
        let (level, text) = match n {
            n if n <= limits::LOG_LINES => (level, cut(text, limits::LOG_LINE_BYTES)),
            n if n == limits::LOG_LINES + 1 => (LogLevel::Warn, "More lines were dropped."),
            _ => return,
        };
        match &self.job {
            Some(job) => job.line(level, text),
            None => drop(self.ask_host(Call::Log { level, text: text.to_owned() })),
        }
    }
}

/// Ends the script through any depth; no script can catch or make it.
pub(super) fn terminated() -> Box<EvalAltResult> {
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
