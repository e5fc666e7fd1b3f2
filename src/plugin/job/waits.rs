//! `job.wait_task`, `job.sleep`, `job.wait_until`: they end the run, and it is run again when the wait is over.

use super::state::{Now, Open, ScriptPosition};
use super::steps::{answer, record};
use crate::convert::from_json;
use crate::error::{throw, throw_value};
use crate::journal::Mode;
use crate::limits::LONGEST_WAIT_SECONDS;
use crate::run::{Answer, Stop};
use model::jobs::{StepState, TaskEnd, Wait};
use rhai::{Dynamic, FnPtr, INT, NativeCallContext};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) fn task(ctx: &NativeCallContext<'_>, handle: &str) -> Answer<Dynamic> {
    let now = Now::at(ctx.call_position())?;
    let in_undo = matches!(*now.job().place.borrow(), ScriptPosition::Undo(_));
    if !in_undo {
        now.at_top("job.wait_task")?;
    }
    let Some(wait) = Wait::of_handle(handle) else {
        return now.misuse("job.wait_task takes the id of a task");
    };
    let key = format!("wait:{handle}");
    let done = now.job().replay.borrow().aside(&key).filter(|s| s.state == StepState::Done).cloned();
    let Some(entry) = done else {
        if !in_undo {
            now.go_live()?;
        }
        return now.run.stop(Stop::Suspended(wait));
    };
    // The run that came here first wrote these lines before it was suspended.
    now.job().drop_lines();
    let end: TaskEnd =
        serde_json::from_value(entry.result).unwrap_or_else(|_| TaskEnd::failed("nobody knows how it ended"));
    if end.ok {
        return Ok(end.text.into());
    }
    now.job().open.borrow_mut().push(Open::Task { handle: handle.to_owned() });
    let kind = match (end.unreachable, end.lasting) {
        (true, _) => "unreachable",
        (_, true) => "invalid",
        _ => "task",
    };
    Err(throw(kind, &end.text, now.position))
}

pub(super) fn sleep(ctx: &NativeCallContext<'_>, seconds: INT) -> Answer<Dynamic> {
    let now = Now::at(ctx.call_position())?;
    now.at_top("job.sleep")?;
    let job = now.job();
    let Some(length) = u64::try_from(seconds).ok().filter(|_| seconds <= LONGEST_WAIT_SECONDS) else {
        return now.misuse(format!("job.sleep takes 0 to {LONGEST_WAIT_SECONDS} seconds, not {seconds}"));
    };
    let n = job.sleeps.get() + 1;
    job.sleeps.set(n);
    let key = format!("sleep:{n}");
    now.claim(&key, &key)?;
    let began = match now.visit(&key)? {
        Some(entry) if entry.state == StepState::Done => return Ok(Dynamic::UNIT),
        Some(entry) => {
            now.go_live()?;
            entry.began
        }
        None => {
            now.go_live()?;
            now.begin(&key)?;
            job.now()
        }
    };
    let at = began.plus(Duration::from_secs(length));
    if !at.has_come(job.now(), Duration::from_secs(length)) {
        return now.run.stop(Stop::Suspended(Wait::Until { at, pause: length }));
    }
    now.finish(&key, Value::Null)?;
    Ok(Dynamic::UNIT)
}

pub(super) fn until(
    ctx: &NativeCallContext<'_>,
    name: &str,
    every: INT,
    timeout: INT,
    check: &FnPtr,
) -> Answer<Dynamic> {
    let now = Now::at(ctx.call_position())?;
    now.at_top("job.wait_until")?;
    let (Ok(pause), Ok(longest)) = (u64::try_from(every), u64::try_from(timeout)) else {
        return now.misuse("job.wait_until takes positive seconds");
    };
    if !(1..=86_400).contains(&every) || timeout > LONGEST_WAIT_SECONDS {
        return now.misuse(format!("job.wait_until asks every 1 to 86400 seconds, for at most {LONGEST_WAIT_SECONDS}"));
    }
    let key = format!("until:{name}");
    now.claim(&key, name)?;
    let entry = now.visit(&key)?;
    if let Some(entry) = entry.as_ref().filter(|e| e.state == StepState::Done) {
        return answer(&now, &entry.result);
    }
    let job = now.job();
    now.go_live()?;
    let began = match entry {
        Some(entry) if entry.state == StepState::Begun => entry.began,
        _ => {
            now.begin(&key)?;
            job.now()
        }
    };
    let looked = job.within(ScriptPosition::Look, || check.call_within_context::<Dynamic>(ctx, ()));
    now.run.go_on()?;
    let value = looked?.flatten();
    if !value.is_unit() && value.as_bool() != Ok(false) {
        return record(&now, &key, &value);
    }
    if job.now() >= began.plus(Duration::from_secs(longest)) {
        let threw = json!({"kind": "timeout", "message": format!("\"{name}\" did not come true within {timeout} s")});
        job.open.borrow_mut().push(Open::Until { name: key, threw: threw.clone() });
        return Err(throw_value(from_json(threw), now.position));
    }
    debug_assert_eq!(job.mode, Mode::Forward, "going live ended an undo run");
    now.run.stop(Stop::Suspended(Wait::Until { at: job.now().plus(Duration::from_secs(pause)), pause }))
}
