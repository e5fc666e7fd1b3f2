//! `ssh::`: commands and files on the run's machine.

use super::{HostFunction, HostModule, ask};
use crate::error::throw;
use crate::host::Call;
use crate::limits::{SSH_INPUT_BYTES, SSH_SECONDS};
use crate::machine::{MachineCall, MachineCommand};
use crate::run::Answer;
use crate::secret::{SecretText, text_of};
use rhai::{Dynamic, INT, Map, NativeCallContext};

pub(super) const MODULE: HostModule = HostModule {
    name: "ssh",
    about: "Commands and files on one machine, over SSH, as root. Steward decides which machine: for a plugin of kind \
            `software` the one that the job works on, for a `provider`, the host of its connection. A command that \
            fails is not an error: look at `code`. Errors are thrown as for `pve`; `auth` also when the machine presents \
            a different host key than before.",
    functions: &[
        HostFunction {
            signature: "run(command) -> #{code, out, err}",
            about: "Runs a short command with `sh`, at most 60 s; its lines go to the job's log as they come. The end of \
                    each output is kept (64 KiB).",
            example: r#"let ran = ssh::run("systemctl enable --now nginx");"#,
            register: |m| set!(m, "run", |ctx: NativeCallContext<'_>, c: &str| run(&ctx, Call::Ssh, c, &Map::new())),
        },
        HostFunction {
            signature: "run(command, options) -> #{code, out, err}",
            about: "The same; options are `input` (text or a secret that it reads), `timeout` (1 to 100 seconds), `quiet` (no lines in the log).",
            example: r#"let ran = ssh::run("chpasswd", #{ input: template::fill("mira:{word}\n", #{ word: args.options.password }) });"#,
            register: |m| set!(m, "run", |ctx: NativeCallContext<'_>, c: &str, o: Map| run(&ctx, Call::Ssh, c, &o)),
        },
        HostFunction {
            signature: "look(command) -> #{code, out, err}",
            about: "Runs a short command that only reads, without lines in the log: the one for `settle` and `wait_until`.",
            example: r#"let active = ssh::look("systemctl is-active nginx").code == 0;"#,
            register: |m| {
                set!(m, "look", |ctx: NativeCallContext<'_>, command: &str| look(&ctx, Call::Ssh, command));
            },
        },
        HostFunction {
            signature: "start(name, command) -> id",
            about: "Starts a command that may take a long time; it keeps running there when Steward stops. `job.wait_task(id)` waits \
                    for its end, shows its lines in the log and throws when its exit status is not 0. The name has \
                    lowercase letters, digits and dashes. While it runs, starting it again in the same job only returns its \
                    id, so `job.repeatable` is the right step for it.",
            example: r#"job.wait_task(job.repeatable("Install packages", || ssh::start("packages", "apt-get install -y nginx")));"#,
            register: |m| {
                set!(m, "start", |ctx: NativeCallContext<'_>, n: &str, c: &str| start(&ctx, Call::Ssh, n, c));
            },
        },
        HostFunction {
            signature: "put(path, text)",
            about: "Writes a file that only root may read (mode 600), replacing what is there in one go, and creates its folder. \
                    The text may be a secret.",
            example: r#"ssh::put("/etc/backup.conf", text);"#,
            register: |m| set!(m, "put", |ctx: NativeCallContext<'_>, p: &str, t: Dynamic| put(&ctx, p, &t, 0o600)),
        },
        HostFunction {
            signature: "put(path, text, mode)",
            about: "The same with another mode.",
            example: r#"ssh::put("/etc/motd", "Welcome\n", 0o644);"#,
            register: |m| set!(m, "put", |ctx: NativeCallContext<'_>, p: &str, t: Dynamic, n: INT| put(&ctx, p, &t, n)),
        },
        HostFunction {
            signature: "get(path) -> text",
            about: "A file's text (at most 256 KiB), or `()` when there is none.",
            example: r#"let release = ssh::get("/etc/os-release");"#,
            register: |m| {
                set!(m, "get", |ctx: NativeCallContext<'_>, path: &str| {
                    ask(&ctx, Call::Ssh(MachineCall::Get { path: path.to_owned() }))
                });
            },
        },
        HostFunction {
            signature: "ready() -> #{ok, why, address}",
            about: "Whether commands can be run there now; if not, `why` says in words what is missing.",
            example: "let now = ssh::ready();",
            register: |m| set!(m, "ready", |ctx: NativeCallContext<'_>| ask(&ctx, Call::Ssh(MachineCall::Ready))),
        },
    ],
};

/// How a call reaches the machine: `Call::Ssh` or `Call::Agent`.
pub(super) type CallKind = fn(MachineCall) -> Call;

fn plain(command: &str) -> MachineCommand {
    MachineCommand { command: command.to_owned(), input: SecretText::default(), timeout: 60, quiet: false }
}

pub(super) fn look(ctx: &NativeCallContext<'_>, way: CallKind, command: &str) -> Answer<Dynamic> {
    ask(ctx, way(MachineCall::Look(MachineCommand { quiet: true, ..plain(command) })))
}

pub(super) fn run(ctx: &NativeCallContext<'_>, way: CallKind, command: &str, options: &Map) -> Answer<Dynamic> {
    let mut asked = plain(command);
    for (name, value) in options {
        let wrong =
            || Err(throw("invalid", &format!("run has no option {name} with such a value"), ctx.call_position()));
        match name.as_str() {
            "input" => match text_of(value) {
                Some(text) if text.plain_len() <= SSH_INPUT_BYTES => asked.input = text,
                _ => return wrong(),
            },
            "timeout" => match value.as_int().map(u64::try_from) {
                Ok(Ok(n)) if (1..=SSH_SECONDS).contains(&n) => asked.timeout = n,
                _ => return wrong(),
            },
            "quiet" => match value.as_bool() {
                Ok(quiet) => asked.quiet = quiet,
                Err(_) => return wrong(),
            },
            _ => return wrong(),
        }
    }
    ask(ctx, way(MachineCall::Run(asked)))
}

pub(super) fn start(ctx: &NativeCallContext<'_>, way: CallKind, name: &str, command: &str) -> Answer<Dynamic> {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.is_empty() || name.len() > 60 || !name.bytes().all(fits) {
        let message = "the name of a command has 1 to 60 lowercase letters, digits and dashes";
        return Err(throw("invalid", message, ctx.call_position()));
    }
    ask(ctx, way(MachineCall::Start { name: name.to_owned(), command: command.to_owned() }))
}

fn put(ctx: &NativeCallContext<'_>, path: &str, text: &Dynamic, mode: INT) -> Answer<Dynamic> {
    let mode = u32::try_from(mode).ok().filter(|m| *m <= 0o7777);
    let text = text_of(text).filter(|text| path.starts_with('/') && text.plain_len() <= SSH_INPUT_BYTES);
    let (Some(mode), Some(text)) = (mode, text) else {
        let message = "ssh::put takes a whole path, a text of at most 256 KiB and a mode like 0o644";
        return Err(throw("invalid", message, ctx.call_position()));
    };
    ask(ctx, Call::Ssh(MachineCall::Put { path: path.to_owned(), text, mode }))
}
