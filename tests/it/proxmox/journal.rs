//! A job's journal in memory, which can lose what it is told, as a process that dies does.

use super::now;
use base::{Error, Timestamp};
use model::jobs::{LogLevel, Progress, Step, StepState, TaskEnd};
use plugin::Journal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

#[derive(Default)]
struct State {
    steps: BTreeMap<String, Step>,
    lines: Vec<(LogLevel, String)>,
    progress: Vec<Progress>,
    now: Timestamp,
    /// Writes left until one fails.
    dies_after: Option<u32>,
    writes: u32,
}

pub struct MemoryJournal(Mutex<State>);

impl MemoryJournal {
    pub fn new() -> Self {
        Self(Mutex::new(State { now: now(), ..State::default() }))
    }

    /// Lets the process die at the n-th write from now: it is not written.
    pub fn die_at_write(&self, n: u32) {
        self.0.lock().unwrap().dies_after = Some(n);
    }

    /// Whether the death that was asked for came.
    pub fn has_died(&self) -> bool {
        self.0.lock().unwrap().dies_after.is_none()
    }

    pub fn move_to(&self, at: Timestamp) {
        let mut state = self.0.lock().unwrap();
        state.now = state.now.max(at);
    }

    /// What the runner writes when a task is over.
    pub fn task_over(&self, handle: &str, end: &TaskEnd) {
        self.0.lock().unwrap().put(&format!("wait:{handle}"), StepState::Done, Some(json!(end)));
    }

    pub fn names(&self) -> Vec<String> {
        let mut steps: Vec<Step> = self.0.lock().unwrap().steps.values().cloned().collect();
        steps.sort_by_key(|s| s.order);
        steps.into_iter().map(|s| s.name).collect()
    }

    pub fn progress_done(&self) -> Vec<(u32, u32)> {
        self.0.lock().unwrap().progress.iter().map(|p| (p.done, p.total)).collect()
    }

    /// What the page says that is being done.
    pub fn label(&self) -> String {
        self.0.lock().unwrap().progress.last().map(|p| p.label.clone()).unwrap_or_default()
    }

    /// All log lines.
    pub fn text(&self) -> String {
        let state = self.0.lock().unwrap();
        state.lines.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n")
    }

    fn write(&self, name: &str, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = self.0.lock().unwrap();
        state.writes += 1;
        if let Some(left) = state.dies_after.as_mut() {
            *left -= 1;
            if *left == 0 {
                state.dies_after = None;
                return Err(Error::unavailable(format!("died while writing {name}")));
            }
        }
        change(&mut state);
        Ok(())
    }
}

impl State {
    fn put(&mut self, name: &str, step_state: StepState, result: Option<Value>) {
        let order = self.steps.values().map(|s| s.order + 1).max().unwrap_or(0);
        let now = self.now;
        let step = self.steps.entry(name.to_owned()).or_insert_with(|| Step {
            name: name.to_owned(),
            state: step_state,
            began: now,
            ended: None,
            result: Value::Null,
            order,
        });
        step.state = step_state;
        if step_state == StepState::Begun {
            step.began = now;
        } else {
            step.ended = Some(now);
        }
        if let Some(result) = result {
            step.result = result;
        }
    }
}

impl Journal for MemoryJournal {
    fn entries(&self) -> Result<Vec<Step>, Error> {
        Ok(self.0.lock().unwrap().steps.values().cloned().collect())
    }

    fn begin(&self, name: &str) -> Result<(), Error> {
        self.write(name, |s| s.put(name, StepState::Begun, None))
    }

    fn finish(&self, name: &str, result: Value) -> Result<(), Error> {
        self.write(name, |s| s.put(name, StepState::Done, Some(result)))
    }

    fn fail(&self, name: &str) -> Result<(), Error> {
        self.write(name, |s| s.put(name, StepState::Failed, None))
    }

    fn forget(&self, name: &str) -> Result<(), Error> {
        self.write(name, |s| drop(s.steps.remove(name)))
    }

    fn progress(&self, progress: Progress) {
        self.0.lock().unwrap().progress.push(progress);
    }

    fn log(&self, level: LogLevel, text: &str) {
        self.0.lock().unwrap().lines.push((level, text.to_owned()));
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().now
    }
}
