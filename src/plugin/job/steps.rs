//! `job.step`, `job.repeatable`, `job.progress`.

use super::state::{Now, Open, ScriptPosition, threw};
use crate::convert::{from_json, to_json};
use crate::error::{Failed, throw_value};
use crate::limits::RESULT_BYTES;
use crate::run::{Answer, Stop, current};
use model::jobs::{Progress, StepState};
use rhai::{Dynamic, EvalAltResult, FnPtr, INT, NativeCallContext};
use serde_json::Value;

/// What to do with a step that had begun when the process died.
#[derive(Clone, Copy)]
pub(super) enum Again<'a> {
    /// Nobody knows whether it happened.
    Never,
    /// This closure knows.
    Settle(&'a FnPtr),
    /// Twice is as good as once.
    Repeat,
}

pub(super) fn step(ctx: &NativeCallContext<'_>, name: &str, effect: &FnPtr, again: Again<'_>) -> Answer<Dynamic> {
    let now = Now::at(ctx.call_position())?;
    now.at_top("job.step")?;
    if ["wait:", "sleep:", "until:", "time:", "undo:"].iter().any(|p| name.starts_with(p)) {
        return now.misuse(format!("a step can't be named \"{name}\": the prefix is taken"));
    }
    now.claim(name, name)?;
    let Some(entry) = now.visit(name)? else { return run_effect(&now, ctx, name, effect) };
    match entry.state {
        StepState::Done => answer(&now, &entry.result),
        StepState::Failed => run_effect(&now, ctx, name, effect),
        StepState::Begun => match settled(&now, ctx, name, entry.began.as_secs(), again)? {
            Some(value) => Ok(value),
            None => run_effect(&now, ctx, name, effect),
        },
    }
}

/// A finished entry answers as it did the first time.
pub(super) fn answer(now: &Now, result: &Value) -> Answer<Dynamic> {
    match threw(result) {
        Some(value) => Err(throw_value(from_json(value.clone()), now.position)),
        None => Ok(from_json(result.clone())),
    }
}

/// Settles a step that had begun: its result if it happened, `None` to do it (again).
fn settled(
    now: &Now,
    ctx: &NativeCallContext<'_>,
    name: &str,
    began: INT,
    again: Again<'_>,
) -> Answer<Option<Dynamic>> {
    let settle = match again {
        Again::Settle(settle) => settle,
        Again::Repeat => return Ok(None),
        Again::Never if now.job().mode == crate::journal::Mode::Undo => return Ok(None),
        Again::Never => {
            return now.misuse(format!(
                "step \"{name}\" may or may not have happened: Steward stopped while it ran. Look at it, then start the job again"
            ));
        }
    };
    let looked = now.job().within(ScriptPosition::Look, || settle.call_within_context::<Dynamic>(ctx, (began,)));
    now.run.go_on()?;
    let value = match looked {
        Ok(value) => value.flatten(),
        Err(error) => {
            let failed = Failed::from_script(&error);
            let message = format!("It can't be found out whether the step “{name}” was done: {}", failed.message);
            return now.run.stop(Stop::Failed(Failed { message, ..failed }));
        }
    };
    if value.is_unit() {
        return Ok(None);
    }
    record(now, name, &value).map(Some)
}

fn run_effect(now: &Now, ctx: &NativeCallContext<'_>, name: &str, effect: &FnPtr) -> Answer<Dynamic> {
    let job = now.job();
    now.go_live()?;
    now.begin(name)?;
    job.touched.set(false);
    let done = job.within(ScriptPosition::Effect, || effect.call_within_context::<Dynamic>(ctx, ()));
    if now.run.is_stopped() {
        if !job.touched.get() {
            // A failing journal shows again at the next run; the reason of the stop matters more.
            drop(job.journal.fail(name));
        }
        return now.run.go_on().map(|()| Dynamic::UNIT);
    }
    match done {
        Ok(value) => record(now, name, &value.flatten()),
        Err(error) => {
            refused(now, name, &error)?;
            Err(error)
        }
    }
}

/// The effect threw. If nothing can have happened, it may be tried again; otherwise the entry stays begun.
fn refused(now: &Now, name: &str, error: &EvalAltResult) -> Answer<()> {
    let job = now.job();
    if !job.touched.get() {
        now.journal(job.journal.fail(name))?;
    }
    let threw = match error.unwrap_inner() {
        EvalAltResult::ErrorRuntime(value, _) => to_json(value).ok(),
        _ => None,
    };
    let threw = threw.unwrap_or_else(|| serde_json::json!({"message": Failed::from_script(error).message}));
    job.open.borrow_mut().push(Open::Step { name: name.to_owned(), threw });
    Ok(())
}

/// Keeps a result and gives it back as every later run will read it.
pub(super) fn record(now: &Now, name: &str, value: &Dynamic) -> Answer<Dynamic> {
    let result = match to_json(value) {
        Ok(result) => result,
        Err(e) => return now.misuse(format!("the result of \"{name}\": {e}")),
    };
    let size = result.to_string().len();
    if size > RESULT_BYTES {
        return now.misuse(format!("the result of \"{name}\" has {size} bytes; at most {RESULT_BYTES} are kept"));
    }
    now.finish(name, result.clone())?;
    Ok(from_json(result))
}

pub(super) fn progress(done: INT, total: INT, label: &str) -> Answer<()> {
    let run = current()?;
    let Some(job) = &run.job else { return Ok(()) };
    let count = |n: INT| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
    let label = label.chars().take(200).collect();
    job.progress.replace(Some(Progress { done: count(done).min(count(total)), total: count(total), label }));
    if *job.place.borrow() != ScriptPosition::Top {
        job.tell();
    }
    Ok(())
}
