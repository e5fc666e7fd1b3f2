//! The methods of `job`, in one list for registration and documentation.

use super::{JobHandle, steps, undo, waits};
use crate::error::Failed;
use crate::run::{self, Answer, Stop};
use model::jobs::LogLevel;
use rhai::{Dynamic, Engine, FnPtr, INT, NativeCallContext};

/// `job` is read-only to scripts (it stands for the run), so every method counts as pure.
/// (A macro, because the bound that a function would need is private to Rhai.)
macro_rules! set {
    ($engine:expr, $name:literal, $function:expr $(,)?) => {{
        rhai::FuncRegistration::new($name)
            .with_purity(true)
            .with_volatility(true)
            .register_into_engine($engine, $function);
    }};
}

/// One method of `job`.
pub(crate) struct Method {
    /// `step(name, effect) -> value`
    pub signature: &'static str,
    pub about: &'static str,
    pub example: &'static str,
    pub(super) register: fn(&mut Engine),
}

pub(crate) static METHODS: &[Method] = &[
    Method {
        signature: "id -> text",
        about: "The job's id: the mark to leave on what a step creates, so that a later run finds it.",
        example: "let mark = `steward-job:${job.id}`;",
        register: |e| {
            e.register_get("id", |_: &mut JobHandle| id());
        },
    },
    Method {
        signature: "step(name, effect) -> value",
        about: "Runs the closure once and keeps its result (data, at most 64 KiB). The name is what people read on the \
                job's page, once in a job, without `:` and `/`. When the process died inside it, \
                the job stops, because nobody knows whether it happened.",
        example: r#"let vmid = job.step("Reserve a number", || guests::reserve_vmid());"#,
        register: |e| {
            set!(e, "step", |ctx: NativeCallContext<'_>, _: JobHandle, name: &str, effect: FnPtr| {
                steps::step(&ctx, name, &effect, steps::Again::Never)
            });
        },
    },
    Method {
        signature: "step(name, effect, settle) -> value",
        about: "The same; when the process died inside it, `settle` gets the time the step began (unix time, in seconds) \
                and checks whether it happened: it returns the result, or `()` to have it done again. It only reads.",
        example: r#"let upid = job.step("Start it", || pve::post(path, #{}), |began| find_task(node, "qmstart", vmid, began));"#,
        register: |e| {
            set!(e, "step", |ctx: NativeCallContext<'_>, _: JobHandle, name: &str, effect: FnPtr, settle: FnPtr| {
                steps::step(&ctx, name, &effect, steps::Again::Settle(&settle))
            });
        },
    },
    Method {
        signature: "repeatable(name, effect) -> value",
        about: "A step that may be done twice without harm: reading, or setting something to a fixed value.",
        example: r#"let config = job.repeatable("Read the configuration", || pve::get(path));"#,
        register: |e| {
            set!(e, "repeatable", |ctx: NativeCallContext<'_>, _: JobHandle, name: &str, effect: FnPtr| {
                steps::step(&ctx, name, &effect, steps::Again::Repeat)
            });
        },
    },
    Method {
        signature: "wait_task(id) -> text",
        about: "Waits until a task of the provider, or a command that `ssh::start` or `agent::start` began, is over and \
                returns how it ended, in the provider's words (`OK`). When it failed, throws `#{kind: \"task\", message}` \
                (`unreachable` when the provider could not work at that moment, `invalid` when it would fail again each time), \
                and the step that started it is done again by the next try.",
        example: "job.wait_task(upid);",
        register: |e| {
            set!(e, "wait_task", |ctx: NativeCallContext<'_>, _: JobHandle, id: &str| waits::task(&ctx, id));
        },
    },
    Method {
        signature: "sleep(seconds)",
        about: "Waits for a time, without holding a thread; 0 to 2,592,000.",
        example: "job.sleep(30);",
        register: |e| {
            set!(e, "sleep", |ctx: NativeCallContext<'_>, _: JobHandle, seconds: INT| waits::sleep(&ctx, seconds));
        },
    },
    Method {
        signature: "wait_until(name, every_seconds, timeout_seconds, check) -> value",
        about: "Calls the closure at this interval until it returns something other than `()` or `false`; throws \
                `#{kind: \"timeout\", message}` when the time is up. The closure only reads.",
        example: r#"let address = job.wait_until("Wait for an address", 5, 300, || first_address(node, vmid));"#,
        register: |e| {
            set!(e, "wait_until", |ctx: NativeCallContext<'_>,
                                   _: JobHandle,
                                   name: &str,
                                   every: INT,
                                   timeout: INT,
                                   check: FnPtr| {
                waits::until(&ctx, name, every, timeout, &check)
            },);
        },
    },
    Method {
        signature: "undo(name, closure)",
        about: "Says how to undo something when the job gives up; undos run in reverse order. Register it before the step \
                that it undoes, and write it so that it may run twice, and also when nothing was done.",
        example: r#"job.undo("Reserve a number", || guests::release_vmid(vmid));"#,
        register: |e| {
            set!(e, "undo", |ctx: NativeCallContext<'_>, _: JobHandle, name: &str, closure: FnPtr| {
                undo::register(&ctx, name, closure)
            });
        },
    },
    Method {
        signature: "progress(done, total, label)",
        about: "Shows how far it is.",
        example: r#"job.progress(2, 5, "Cloning the template");"#,
        register: |e| {
            set!(e, "progress", |_: NativeCallContext<'_>, _: JobHandle, done: INT, total: INT, label: &str| {
                steps::progress(done, total, label)
            });
        },
    },
    Method {
        signature: "log(text)",
        about: "Writes a line to the job's log.",
        example: r#"job.log("the template has 4 GiB");"#,
        register: |e| set!(e, "log", |_: NativeCallContext<'_>, _: JobHandle, text: &str| line(LogLevel::Info, text)),
    },
    Method {
        signature: "warn(text)",
        about: "Writes a line that stands out.",
        example: r#"job.warn("no guest agent answered");"#,
        register: |e| set!(e, "warn", |_: NativeCallContext<'_>, _: JobHandle, text: &str| line(LogLevel::Warn, text)),
    },
    Method {
        signature: "fail(message)",
        about: "Gives up at once, without another try.",
        example: r#"job.fail("The template is gone.");"#,
        register: |e| set!(e, "fail", |ctx: NativeCallContext<'_>, _: JobHandle, message: &str| fail(&ctx, message)),
    },
];

fn id() -> Answer<String> {
    Ok(run::current()?.run.job.map(|id| id.to_string()).unwrap_or_default())
}

fn line(level: LogLevel, text: &str) -> Answer<()> {
    run::current()?.log(level, text);
    Ok(())
}

fn fail(ctx: &NativeCallContext<'_>, message: &str) -> Answer<Dynamic> {
    run::current()?.stop(Stop::Failed(Failed::misuse(message, ctx.call_position())))
}
