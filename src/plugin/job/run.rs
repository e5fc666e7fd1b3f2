//! One run of a job's function, forward or back.

use super::state::{JobRun, Now};
use super::undo;
use crate::convert::to_json;
use crate::error::Failed;
use crate::journal::{Failure, Mode, Outcome};
use crate::limits::RESULT_BYTES;
use crate::run::{Answer, RunState, Stop};
use crate::script::Plugin;
use rhai::{Dynamic, Position};
use std::rc::Rc;

/// `function` calls the hook; `run` has a job.
pub(crate) fn run(plugin: &Plugin, run: &Rc<RunState>, function: impl FnOnce() -> Answer<Dynamic>) -> Outcome {
    let Some(job) = &run.job else {
        return failed(plugin, Failed::misuse("the run has no job", Position::NONE));
    };
    if job.mode == Mode::Forward && job.replay.borrow().undo_began() {
        let message = "this job was undone; it can only be started again";
        return failed(plugin, Failed::mismatch(message, Position::NONE));
    }
    let result = run.enter(function);
    run.look_again();
    match job.mode {
        Mode::Forward => forward(plugin, run, job, result),
        Mode::Undo => back(plugin, run, job),
    }
}

fn forward(plugin: &Plugin, run: &Rc<RunState>, job: &JobRun, result: Answer<Dynamic>) -> Outcome {
    match (run.take_stop(), result) {
        (Some(Stop::Failed(why)), Err(error)) => ended(plugin, job, Stop::Failed(why.or_at(&error))),
        (Some(stop), _) => ended(plugin, job, stop),
        (None, Err(error)) => ended(plugin, job, Stop::Failed(Failed::from_script(&error))),
        (None, Ok(value)) => match finished(run, job, &value) {
            Ok(outcome) => outcome,
            Err(failed) => ended(plugin, job, Stop::Failed(failed)),
        },
    }
}

/// The function returned: is everything in the journal part of what it did?
fn finished(run: &Rc<RunState>, job: &JobRun, value: &Dynamic) -> Result<Outcome, Failed> {
    let left = job.replay.borrow().left_over();
    if let Some(missed) = left {
        let now = Now { run: run.clone(), position: Position::NONE };
        drop(now.mismatch::<()>(&missed));
        if let Some(Stop::Failed(failed)) = run.take_stop() {
            return Err(failed);
        }
    }
    let value = to_json(value).map_err(|e| Failed::misuse(format!("the job's result: {e}"), Position::NONE))?;
    if value.to_string().len() > RESULT_BYTES {
        return Err(Failed::misuse(format!("the job's result has more than {RESULT_BYTES} bytes"), Position::NONE));
    }
    job.tell();
    Ok(Outcome::Done(value))
}

/// The replay reached its end (or failed on the way, as the forward run did): now the undos.
fn back(plugin: &Plugin, run: &Rc<RunState>, job: &JobRun) -> Outcome {
    if let Some(Stop::Failed(why)) = run.take_stop()
        && (why.mismatch || why.retry)
    {
        return ended(plugin, job, Stop::Failed(why));
    }
    job.open.borrow_mut().clear();
    let mut end = Ok(());
    let entered = run.enter(|| {
        end = undo::run_all(plugin, run, job);
        Ok(())
    });
    match (entered, end) {
        (Err(error), _) => ended(plugin, job, Stop::Failed(Failed::outside(error.to_string(), Position::NONE))),
        (_, Ok(())) => Outcome::Undone,
        (_, Err(stop)) => ended(plugin, job, stop),
    }
}

fn ended(plugin: &Plugin, job: &JobRun, stop: Stop) -> Outcome {
    job.tell();
    match stop {
        Stop::Suspended(wait) => Outcome::Wait(wait),
        Stop::Cancelled => Outcome::Cancelled,
        Stop::EndOfReplay => Outcome::Undone,
        Stop::Failed(why) => {
            if let Err(e) = undo::reopen(job) {
                let message = format!("{}; and the job's journal: {}", why.message, e.message());
                return failed(plugin, Failed { message, retry: true, ..why });
            }
            failed(plugin, why)
        }
    }
}

fn failed(plugin: &Plugin, why: Failed) -> Outcome {
    Outcome::Failed(Failure {
        error: plugin.place(&why),
        retry: why.retry,
        mismatch: why.mismatch,
        unreachable: why.unreachable,
    })
}
