//! `job.undo` and the phase in which the registered undos run.

use super::state::{JobRun, Now, Open, ScriptPosition};
use crate::error::Failed;
use crate::journal::Mode;
use crate::run::{Answer, RunState, Stop};
use crate::script::Plugin;
use base::Error;
use model::jobs::StepState;
use rhai::{Dynamic, FnPtr, NativeCallContext, Position};
use serde_json::Value;

pub(super) fn register(ctx: &NativeCallContext<'_>, name: &str, closure: FnPtr) -> Answer<()> {
    let now = Now::at(ctx.call_position())?;
    now.at_top("job.undo")?;
    now.claim(&format!("undo:{name}"), name)?;
    now.job().undos.borrow_mut().push((name.to_owned(), closure));
    Ok(())
}

/// Runs the undos in reverse. `Err` says why it stopped; `Ok` means that all are done.
pub(super) fn run_all(plugin: &Plugin, run: &RunState, job: &JobRun) -> Result<(), Stop> {
    let mut undos = job.undos.take();
    while let Some((name, closure)) = undos.pop() {
        let key = format!("undo:{name}");
        let done = job.replay.borrow().aside(&key).is_some_and(|s| s.state == StepState::Done);
        if !done {
            run_one(plugin, run, job, &name, &closure)?;
        }
    }
    Ok(())
}

fn run_one(plugin: &Plugin, run: &RunState, job: &JobRun, name: &str, closure: &FnPtr) -> Result<(), Stop> {
    let key = &format!("undo:{name}");
    job.journal.begin(key).map_err(away)?;
    job.begin_undo();
    job.open.borrow_mut().clear();
    let done = job
        .within(ScriptPosition::Undo(name.to_owned()), || closure.call::<Dynamic>(plugin.durable(), plugin.ast(), ()));
    job.tell();
    if let Some(stop) = run.take_stop() {
        return Err(stop);
    }
    match done {
        Ok(_) => job.journal.finish(key, Value::Null).map_err(away),
        Err(error) => {
            reopen(job).map_err(away)?;
            job.journal.fail(key).map_err(away)?;
            let failed = Failed::from_script(&error);
            let message = format!("undoing \"{name}\": {}", failed.message);
            Err(Stop::Failed(Failed { message, retry: true, ..failed }))
        }
    }
}

fn away(error: Error) -> Stop {
    let message = format!("the job's journal: {}", error.message());
    Stop::Failed(Failed::outside(message, Position::NONE))
}

/// After a failed run: what failed in it and was not caught can be tried again.
pub(super) fn reopen(job: &JobRun) -> Result<(), Error> {
    for failure in job.open.borrow_mut().drain(..) {
        match failure {
            Open::Step { .. } => {}
            Open::Until { name, .. } => job.journal.forget(&name)?,
            Open::Task { handle } => {
                // First the step: dying in between leaves a wait that nothing asks for any more.
                let step = job.replay.borrow().started_task(&handle, job.mode == Mode::Undo);
                match step {
                    Some(name) if name.starts_with("undo:") => job.journal.forget(&name)?,
                    Some(name) => job.journal.fail(&name)?,
                    None => {}
                }
                job.journal.forget(&format!("wait:{handle}"))?;
            }
        }
    }
    Ok(())
}
