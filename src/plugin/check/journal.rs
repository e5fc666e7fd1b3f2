//! A journal in memory, with a clock that is moved by hand.

use crate::journal::Journal;
use base::{Error, Timestamp};
use model::jobs::{LogLevel, Progress, Step, StepState, TaskEnd};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct MemoryJournal {
    steps: Mutex<BTreeMap<String, Step>>,
    pub lines: Mutex<Vec<(LogLevel, String)>>,
    pub progress: Mutex<Vec<Progress>>,
    pub cancelled: AtomicBool,
    now: AtomicI64,
}

impl MemoryJournal {
    pub fn at(now: Timestamp) -> Self {
        Self { now: AtomicI64::new(now.0), ..Self::default() }
    }

    pub fn set_now(&self, now: Timestamp) {
        self.now.store(now.0, Ordering::SeqCst);
    }

    /// What the runner writes when a task or command is over.
    pub fn task_over(&self, handle: &str, end: &TaskEnd) {
        self.put(&format!("wait:{handle}"), StepState::Done, Some(serde_json::json!(end)));
    }

    pub fn all(&self) -> Vec<Step> {
        let mut all: Vec<Step> = self.steps().values().cloned().collect();
        all.sort_by_key(|s| s.order);
        all
    }

    fn steps(&self) -> MutexGuard<'_, BTreeMap<String, Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, name: &str, state: StepState, result: Option<Value>) {
        let now = self.now();
        let mut steps = self.steps();
        let order = steps.values().map(|s| s.order + 1).max().unwrap_or(0);
        let step = steps.entry(name.to_owned()).or_insert_with(|| Step {
            name: name.to_owned(),
            state,
            began: now,
            ended: None,
            result: Value::Null,
            order,
        });
        step.state = state;
        match state {
            StepState::Begun => (step.began, step.ended, step.result) = (now, None, Value::Null),
            StepState::Done | StepState::Failed => step.ended = Some(now),
        }
        if let Some(result) = result {
            step.result = result;
        }
    }
}

impl Journal for MemoryJournal {
    fn entries(&self) -> Result<Vec<Step>, Error> {
        Ok(self.all())
    }

    fn begin(&self, name: &str) -> Result<(), Error> {
        self.put(name, StepState::Begun, None);
        Ok(())
    }

    fn finish(&self, name: &str, result: Value) -> Result<(), Error> {
        self.put(name, StepState::Done, Some(result));
        Ok(())
    }

    fn fail(&self, name: &str) -> Result<(), Error> {
        self.put(name, StepState::Failed, None);
        Ok(())
    }

    fn forget(&self, name: &str) -> Result<(), Error> {
        self.steps().remove(name);
        Ok(())
    }

    fn progress(&self, progress: Progress) {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).push(progress);
    }

    fn log(&self, level: LogLevel, text: &str) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push((level, text.to_owned()));
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
}
