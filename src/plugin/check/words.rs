//! What `tests.rhai` has in addition to the plugin's own modules: `assert`, `assert_eq` and `mock::`.

use super::mock::{Answer as Reply, Mock};
use crate::convert::{from_json, to_json};
use crate::error::throw;
use crate::host::{CallError, CallErrorKind};
use crate::journal::Mode;
use crate::run::{Answer, current};
use crate::secret::{SecretPlaces, SecretText, take_out, text_of};
use base::Secrets;
use model::jobs::TaskEnd;
use rhai::{Array, Dynamic, Engine, FuncRegistration, INT, Map, Module, NativeCallContext};
use serde_json::{Value, json};
use std::sync::Arc;

/// Signature, sentence, example: for the documentation.
pub(crate) const DOCS: &[(&str, &str, &str)] = &[
    ("assert(condition, text)", "Fails the test with the text.", r#"assert(guests.len() == 2, "two machines");"#),
    (
        "assert_eq(left, right)",
        "Fails the test when the two are not equal as JSON.",
        "assert_eq(probe().version, \"9.0\");",
    ),
    (
        "mock::pve(method, path, reply)",
        "From now on answers calls whose path matches; `*` stands for any text. The newest match counts. \
         `pve::upload_cd` has the method `CD` and the path `NODE/STORAGE/FILENAME`.",
        r#"mock::pve("GET", "*/status", #{cpu: 0.5});"#,
    ),
    (
        "mock::once(method, path, reply)",
        "Answers one call; several answer in order, before any `mock::pve`.",
        r#"mock::once("GET", "*/nextid", "101");"#,
    ),
    (
        "mock::pve_error(method, path, kind, message)",
        "From now on refuses such calls with that kind of error.",
        r#"mock::pve_error("POST", "*/clone", "locked", "VM is locked (backup)");"#,
    ),
    (
        "mock::calls() -> array",
        "The calls so far, each as `#{method, path, params}`.",
        "assert_eq(mock::calls().len(), 1);",
    ),
    (
        "mock::task(exitstatus)",
        "How tasks end from now on; at first they end with `OK`.",
        r#"mock::task("storage is full");"#,
    ),
    (
        "mock::task_warns(exitstatus)",
        "The same for tasks that end well, but not with `OK`.",
        r#"mock::task_warns("WARNINGS: 1");"#,
    ),
    (
        "mock::run_job(hook, args) -> map",
        "Runs a job to its end, with waits that end at once: `#{outcome, result, message, error, retry, log, steps}`; \
         `outcome` is `done`, `failed`, `cancelled` or `undone`.",
        r#"let job = mock::run_job("guest_power", #{vmid: 100, action: "start"});"#,
    ),
    ("mock::retry_job() -> map", "Runs the last job again, as another try does.", "let again = mock::retry_job();"),
    ("mock::undo_job() -> map", "Undoes the last job.", "assert_eq(mock::undo_job().outcome, \"undone\");"),
    (
        "mock::hook(hook, args) -> value",
        "Calls a hook as the appliance does: a pure one without modules.",
        r#"let plan = mock::hook("setup_plan", ["9.0", "1a2b3c4d"]);"#,
    ),
    (
        "mock::ssh(pattern, reply)",
        "How matching commands over SSH or by the guest agent end from now on: a text (the output) or `#{code, out, err}`; commands that nothing \
         matches succeed without output. Also for `ssh::start`.",
        r#"mock::ssh("apt-get install *", #{ code: 100, err: "E: Unable to locate package x" });"#,
    ),
    (
        "mock::secret(text) -> secret",
        "A secret that stands for the text: for arguments of jobs and hooks. What commands and calls were given is shown \
         in full by `mock::inputs`, `mock::file` and `mock::calls`.",
        r#"let job = mock::run_job("install", #{ options: #{ password: mock::secret("three green lamps") } });"#,
    ),
    (
        "mock::expose(secret) -> text",
        "What a secret stands for.",
        r#"assert_eq(mock::expose(template::fill("{a}!", #{ a: mock::secret("x") })), "x!");"#,
    ),
    (
        "mock::commands() -> array",
        "The commands that were run over SSH or by the guest agent, in order; a file that was put is `put PATH`.",
        r#"assert(mock::commands().some(|c| c.contains("nginx")), "nginx is installed");"#,
    ),
    (
        "mock::inputs() -> array",
        "What those commands were given as `input`, in order.",
        r#"assert(mock::inputs().some(|i| i == "three green lamps"), "the password went by input");"#,
    ),
    (
        "mock::file(path) -> text",
        "A file that was put over SSH, or `()`.",
        r#"assert_eq(mock::file("/etc/motd"), "Hello\n");"#,
    ),
    ("mock::file(path, text)", "Puts a file there for `ssh::get`.", r#"mock::file("/etc/os-release", "ID=debian\n");"#),
    ("mock::kv(key) -> value", "What the plugin keeps under a key.", r#"assert_eq(mock::kv("seen"), 3);"#),
    ("mock::reserved() -> array", "The machine numbers that are reserved.", "assert_eq(mock::reserved(), []);"),
    (
        "mock::log() -> array",
        "The lines that hooks wrote (a job's are in its map).",
        "assert_eq(mock::log().len(), 0);",
    ),
    ("mock::now(seconds)", "Sets the clock.", "mock::now(1700000000);"),
];

pub(super) fn register(engine: &mut Engine, mock: &Arc<Mock>) {
    engine
        .register_fn("assert", |ctx: NativeCallContext<'_>, ok: bool| assert(&ctx, ok, "the assertion does not hold"));
    engine.register_fn("assert", |ctx: NativeCallContext<'_>, ok: bool, text: &str| assert(&ctx, ok, text));
    engine.register_fn("assert_eq", |ctx: NativeCallContext<'_>, a: Dynamic, b: Dynamic| equal(&ctx, &a, &b, ""));
    engine.register_fn("assert_eq", |ctx: NativeCallContext<'_>, a: Dynamic, b: Dynamic, text: &str| {
        equal(&ctx, &a, &b, text)
    });
    let mut module = Module::new();
    answers(&mut module, mock);
    looks(&mut module, mock);
    jobs(&mut module, mock);
    engine.register_static_module("mock", module.into());
}

/// The same as in `api`: never folded away.
macro_rules! set {
    ($module:expr, $name:literal, $function:expr $(,)?) => {{
        FuncRegistration::new($name)
            .in_internal_namespace()
            .with_purity(true)
            .with_volatility(true)
            .set_into_module($module, $function);
    }};
}

fn answers(module: &mut Module, mock: &Arc<Mock>) {
    let add = |once: bool| {
        let mock = mock.clone();
        move |method: &str, path: &str, reply: Dynamic| -> Answer<()> {
            let reply = Ok(data(&reply)?);
            mock.state().answers.push(Reply { method: method.to_uppercase(), pattern: path.to_owned(), reply, once });
            Ok(())
        }
    };
    set!(module, "pve", add(false));
    set!(module, "once", add(true));
    let m = mock.clone();
    set!(module, "pve_error", move |method: &str, path: &str, kind: &str, message: &str| -> Answer<()> {
        let kind: CallErrorKind =
            serde_json::from_value(json!(kind)).map_err(|_| format!("\"{kind}\" is not a kind of error"))?;
        let reply = Err(CallError::new(kind, 500, message));
        let (method, pattern) = (method.to_uppercase(), path.to_owned());
        m.state().answers.push(Reply { method, pattern, reply, once: false });
        Ok(())
    });
    let m = mock.clone();
    set!(module, "ssh", move |pattern: &str, reply: Dynamic| -> Answer<()> {
        let reply = data(&reply)?;
        m.state().ssh.push((pattern.to_owned(), reply));
        Ok(())
    });
    let m = mock.clone();
    set!(module, "file", move |path: &str, text: &str| {
        m.state().files.insert(path.to_owned(), text.to_owned());
    });
    let m = mock.clone();
    set!(module, "task", move |exit: &str| {
        let ok = exit == "OK";
        m.state().task = Some(TaskEnd { ok, ..TaskEnd::failed(exit) });
    });
    let m = mock.clone();
    set!(module, "task_warns", move |exit: &str| {
        m.state().task = Some(TaskEnd { text: exit.to_owned(), ..TaskEnd::ok() });
    });
    let m = mock.clone();
    set!(module, "now", move |seconds: INT| m.state().now = seconds);
}

fn looks(module: &mut Module, mock: &Arc<Mock>) {
    let m = mock.clone();
    set!(module, "calls", move || array(m.state().calls.clone()));
    set!(module, "secret", |text: &str| SecretText::from(text));
    set!(module, "expose", |secret: Dynamic| -> Answer<String> {
        let text = text_of(&secret).ok_or("this is not a secret")?;
        text.resolve(&Secrets::default()).map(|text| text.expose().clone()).map_err(|e| e.message.into())
    });
    let m = mock.clone();
    set!(module, "log", move || array(m.state().lines.iter().map(|l| json!(l)).collect()));
    let m = mock.clone();
    set!(module, "reserved", move || array(m.state().reserved.iter().map(|v| json!(v)).collect()));
    let m = mock.clone();
    set!(module, "commands", move || array(m.state().commands.iter().map(|c| json!(c)).collect()));
    let m = mock.clone();
    set!(module, "inputs", move || array(m.state().inputs.iter().map(|c| json!(c)).collect()));
    let m = mock.clone();
    set!(module, "file", move |path: &str| from_json(m.state().files.get(path).map_or(Value::Null, |t| json!(t))));
    let m = mock.clone();
    set!(module, "kv", move |key: &str| from_json(m.state().kv.get(key).cloned().unwrap_or_default()));
}

fn jobs(module: &mut Module, mock: &Arc<Mock>) {
    let m = mock.clone();
    set!(module, "run_job", move |hook: &str, args: Map| -> Answer<Dynamic> {
        let (args, secrets) = parted(args.into())?;
        apart(|| m.run_job(hook, args, secrets))
    });
    let m = mock.clone();
    set!(module, "retry_job", move || apart(|| m.go_on(Mode::Forward)));
    let m = mock.clone();
    set!(module, "undo_job", move || apart(|| m.go_on(Mode::Undo)));
    let m = mock.clone();
    set!(module, "hook", move |hook: &str, args: Array| -> Answer<Dynamic> {
        let (args, secrets) = parted(args.into())?;
        let args = if let Value::Array(args) = args { args } else { Vec::new() };
        apart(|| m.call_hook(hook, args, secrets))
    });
}

/// Data and the secrets in it.
fn parted(value: Dynamic) -> Answer<(Value, SecretPlaces)> {
    let mut secrets = SecretPlaces::new();
    let value = take_out(value, &mut secrets);
    Ok((data(&value)?, secrets))
}

/// What runs in there has a budget of its own.
fn apart(f: impl FnOnce() -> Result<Value, String>) -> Answer<Dynamic> {
    current()?.outside(f).map(from_json).map_err(Into::into)
}

fn array(values: Vec<Value>) -> Dynamic {
    from_json(Value::Array(values))
}

fn data(value: &Dynamic) -> Answer<Value> {
    to_json(value).map_err(|e| e.to_string().into())
}

fn assert(ctx: &NativeCallContext<'_>, ok: bool, text: &str) -> Answer<()> {
    if ok { Ok(()) } else { Err(throw("assertion", text, ctx.call_position())) }
}

fn equal(ctx: &NativeCallContext<'_>, left: &Dynamic, right: &Dynamic, text: &str) -> Answer<()> {
    let (left, right) = (data(left)?, data(right)?);
    if left == right || left.as_f64().is_some_and(|l| Some(l) == right.as_f64()) {
        return Ok(());
    }
    let show = |v: &Value| v.to_string().chars().take(400).collect::<String>();
    let before = if text.is_empty() { String::new() } else { format!("{text}: ") };
    let message = format!("{before}left is {}, right is {}", show(&left), show(&right));
    Err(throw("assertion", &message, ctx.call_position()))
}
