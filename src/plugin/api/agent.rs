//! `agent::`: commands and files on the job's machine by its guest agent, without a network to it.

use super::ssh::{look, run, start};
use super::{HostFunction, HostModule, ask};
use crate::error::throw;
use crate::host::Call;
use crate::limits::AGENT_FILE_BYTES;
use crate::machine::MachineCall;
use crate::run::Answer;
use crate::secret::text_of;
use rhai::{Dynamic, Map, NativeCallContext};

pub(super) const MODULE: HostModule = HostModule {
    name: "agent",
    about: "Commands and files on a Windows machine through its guest agent: no address or sign-in is needed. Commands \
            are PowerShell and run as the system itself. Only for plugins of kind `software`: the machine is the one \
            that the job works on. A command that fails is not an error: look at `code`. Errors are thrown as for `pve`; \
            while the agent does not answer (the machine is restarting) they are `unreachable`.",
    functions: &[
        HostFunction {
            signature: "run(command) -> #{code, out, err, truncated}",
            about: "Runs short PowerShell text, at most 60 s; what it wrote goes to the job's log when it is over. \
                    `code` is the exit code of its last program, or 1 when something was thrown, which is then in `err`. \
                    At most 256 KiB of output are kept; `truncated` says that there was more.",
            example: r#"let ran = agent::run("Set-TimeZone -Id 'W. Europe Standard Time'");"#,
            register: |m| set!(m, "run", |ctx: NativeCallContext<'_>, c: &str| run(&ctx, Call::Agent, c, &Map::new())),
        },
        HostFunction {
            signature: "run(command, options) -> #{code, out, err, truncated}",
            about: "The same; options are `input` (a secret or a text that the command finds in `$Given`: the way for secrets, as it \
                    ends up in no command line and no file), `timeout` (1 to 100 seconds), `quiet` (no lines in the log).",
            example: r#"let ran = agent::run("Set-LocalUser mira -Password (ConvertTo-SecureString $Given -AsPlainText -Force)", #{ input: args.options.password });"#,
            register: |m| set!(m, "run", |ctx: NativeCallContext<'_>, c: &str, o: Map| run(&ctx, Call::Agent, c, &o)),
        },
        HostFunction {
            signature: "look(command) -> #{code, out, err, truncated}",
            about: "Runs short PowerShell text that only reads, without lines in the log: the one for `settle` and `wait_until`.",
            example: r#"let there = agent::look("Test-Path C:\\Data").out.contains("True");"#,
            register: |m| {
                set!(m, "look", |ctx: NativeCallContext<'_>, command: &str| look(&ctx, Call::Agent, command));
            },
        },
        HostFunction {
            signature: "start(name, command) -> id",
            about: "Starts PowerShell text that may take a long time; it keeps running there when Steward stops. `job.wait_task(id)` \
                    waits for its end, shows its lines in the log and throws when it failed. The text must not call \
                    `exit`: `throw` is how it reports a failure. While it runs, starting it again in the same job \
                    does not start it twice, so `job.repeatable` is the right step for it.",
            example: r#"job.wait_task(job.repeatable("Install the tools", || agent::start("tools", "winget install --id WinSCP.WinSCP")));"#,
            register: |m| {
                set!(m, "start", |ctx: NativeCallContext<'_>, n: &str, c: &str| start(&ctx, Call::Agent, n, c));
            },
        },
        HostFunction {
            signature: "put(path, text)",
            about: "Writes a file (at most 44 KiB) that only the system and administrators may read, replacing what is there, \
                    and creates its folder. The text may be a secret.",
            example: r#"agent::put("C:\\ProgramData\\Steward\\policy.inf", text);"#,
            register: |m| set!(m, "put", put),
        },
        HostFunction {
            signature: "get(path) -> text",
            about: "A file's text (at most 256 KiB), or `()` when there is none.",
            example: r#"let hosts = agent::get("C:\\Windows\\System32\\drivers\\etc\\hosts");"#,
            register: |m| {
                set!(m, "get", |ctx: NativeCallContext<'_>, path: &str| {
                    whole_path(&ctx, path)?;
                    ask(&ctx, Call::Agent(MachineCall::Get { path: path.to_owned() }))
                });
            },
        },
        HostFunction {
            signature: "ready() -> #{ok, why, system}",
            about: "Whether commands can be run there now; if not, `why` says in words what is missing. `system` is what \
                    the agent reports, `mswindows` for Windows. Throws `invalid` when the machine has another system.",
            example: "let now = agent::ready();",
            register: |m| set!(m, "ready", |ctx: NativeCallContext<'_>| ask(&ctx, Call::Agent(MachineCall::Ready))),
        },
        HostFunction {
            signature: "boot() -> text",
            about: "A word that stays the same until the system is restarted.",
            example: "let before = agent::boot();",
            register: |m| set!(m, "boot", |ctx: NativeCallContext<'_>| ask(&ctx, Call::Agent(MachineCall::Boot))),
        },
    ],
};

fn put(ctx: NativeCallContext<'_>, path: &str, text: Dynamic) -> Answer<Dynamic> {
    whole_path(&ctx, path)?;
    let text = text_of(&text).filter(|text| text.plain_len() <= AGENT_FILE_BYTES);
    let wrong = || throw("invalid", "agent::put takes a text of at most 44 KiB", ctx.call_position());
    let text = text.ok_or_else(wrong)?;
    ask(&ctx, Call::Agent(MachineCall::Put { path: path.to_owned(), text, mode: 0o600 }))
}

/// `C:\folder\file`, without characters that Windows does not allow in names.
fn whole_path(ctx: &NativeCallContext<'_>, path: &str) -> Answer<()> {
    let bytes = path.as_bytes();
    let drive = bytes.len() > 3 && bytes[0].is_ascii_alphabetic() && &bytes[1..3] == b":\\";
    let plain = |c: char| !c.is_control() && !"<>:\"|?*/".contains(c);
    let parts = path.get(3..).unwrap_or_default();
    let fits = drive && parts.chars().all(plain) && parts.split('\\').all(|p| !p.is_empty() && p != "." && p != "..");
    if fits {
        return Ok(());
    }
    Err(throw("invalid", &format!("“{path}” is not a full file path, like C:\\Data\\list.txt"), ctx.call_position()))
}
