//! The guest agent of Windows machines: commands and files without a network to the machine. What reaches the agent
//! are hooks of the machine's provider; what is said to Windows is in `powershell.rs`.
//!
//! A command that may take long leaves its output and its end in a folder of its own there, as over SSH: so it
//! outlives Steward, and nobody holds a thread for it.

mod powershell;

use crate::{App, plugin_host};
use base::ids::{GuestId, JobId};
use base::{Error, Kind, Secret, Secrets, random};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use model::guests::GuestKind;
use model::jobs::{Command, CommandVia};
use model::plugins::PluginKind;
use model::providers::Feature;
use plugin::{CallError, CallErrorKind, MachineCall, Run};
use powershell::{AgentRequest, CUT, MOST_INPUT, NO_FILE, bytes_of, text_of};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use store::{Read, tables};
use tokio::time::Instant;

/// Where the machine keeps commands that go on without us, one folder for each job.
const JOBS: &str = r"C:\ProgramData\Steward\jobs";
/// A command of our own that says something short. A busy machine takes many seconds for the start of PowerShell.
const SHORT: Duration = Duration::from_secs(60);
/// Between two looks whether a command is over.
const PACE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(1500));

pub struct Agent<'a>(pub(super) &'a App);

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ended {
    code: i64,
    out: Vec<u8>,
    err: Vec<u8>,
    /// The agent kept only a part of the output.
    truncated: bool,
}

/// What a script gets, and lines for the job's log.
pub(super) struct AgentAnswer {
    pub value: Value,
    pub lines: Vec<String>,
}

fn plain(value: Value) -> AgentAnswer {
    AgentAnswer { value, lines: Vec::new() }
}

fn refused(kind: CallErrorKind, message: impl Into<String>) -> CallError {
    CallError::new(kind, 0, message)
}

impl Agent<'_> {
    /// The machine of a plugin's run: the one that a recipe's job works on.
    pub(super) fn guest_of(&self, run: &Run) -> Result<GuestId, CallError> {
        let kind = self.0.plugin_set().get(&run.plugin).map(|p| p.manifest().kind);
        let guest = run.guest.filter(|_| run.job.is_some() && kind == Some(PluginKind::Software));
        let text = "This run belongs to no machine, so it can't call agent::.";
        guest.ok_or_else(|| refused(CallErrorKind::Forbidden, text))
    }

    /// Carries out what a script asked.
    ///
    /// # Errors
    /// `Unreachable` while the agent does not answer; `Invalid` on a machine that does not run Windows; what the
    /// provider says.
    pub(super) async fn call(
        &self,
        guest: GuestId,
        job: Option<JobId>,
        call: MachineCall<Secret<String>>,
    ) -> Result<AgentAnswer, CallError> {
        match call {
            MachineCall::Run(asked) | MachineCall::Look(asked) => {
                let ask = AgentRequest::Run { script: &asked.command, input: asked.input.expose() };
                let ended = self.powershell(guest, &ask, Duration::from_secs(asked.timeout)).await?;
                Ok(told(ended, asked.quiet))
            }
            MachineCall::Put { path, text, .. } => self.put(guest, &path, &text).await.map(plain),
            MachineCall::Get { path } => self.get(guest, &path).await.map(plain),
            MachineCall::Ready => self.ready(guest).await.map(plain),
            MachineCall::Boot => {
                let ended = self.powershell(guest, &AgentRequest::Boot, SHORT).await?;
                well(ended, "the start of the system could not be determined")
                    .map(|e| plain(json!(text_of(e.out).trim())))
            }
            MachineCall::Start { name, command } => {
                let text = "Only a job can start a command that keeps running.";
                let job = job.ok_or_else(|| refused(CallErrorKind::Forbidden, text))?;
                self.start(guest, job, &name, &command).await.map(plain)
            }
        }
    }

    /// One of the provider's hooks about the machine's agent.
    async fn hook(&self, id: GuestId, hook: &'static str, more: Vec<Value>) -> Result<Value, CallError> {
        self.hook_with(id, hook, more, Secrets::default()).await
    }

    /// The same with secrets among the arguments: the machine is number 0.
    async fn hook_with(
        &self,
        id: GuestId,
        hook: &'static str,
        more: Vec<Value>,
        secrets: Secrets,
    ) -> Result<Value, CallError> {
        let guest = self.0.live().snapshot().guest(id).cloned();
        let gone = || refused(CallErrorKind::NotFound, "This machine does not exist.");
        let guest = guest.ok_or_else(gone)?;
        let vmid = guest.row.vmid.ok_or_else(gone)?;
        if guest.row.kind != GuestKind::Vm || !self.0.guests().features(&guest).contains(&Feature::Agent) {
            let text = "This machine's host has no way to reach its guest agent.";
            return Err(refused(CallErrorKind::Invalid, text));
        }
        let mut args = vec![json!({ "vmid": vmid, "kind": guest.row.kind.name(), "node": guest.state.node })];
        args.extend(more);
        let value = plugin_host::call_with(self.0, guest.row.connection, hook, args, secrets)
            .await
            .map_err(|e| from_ours(&e))?;
        match value.get("error").filter(|e| !e.is_null()) {
            Some(error) => {
                let kind = serde_json::from_value(error["kind"].clone()).unwrap_or(CallErrorKind::Refused);
                Err(refused(kind, error["message"].as_str().unwrap_or("the guest agent refused")))
            }
            None => Ok(value),
        }
    }

    /// Starts PowerShell there; answers its process number.
    async fn begin(&self, guest: GuestId, asked: &AgentRequest<'_>) -> Result<Value, CallError> {
        let input = asked.input();
        if input.expose().len() > MOST_INPUT {
            let text = "The command with its input is too long for the guest agent (about 40 KiB).";
            return Err(refused(CallErrorKind::Invalid, text));
        }
        let ask = json!({ "command": powershell::command() });
        let mut secrets = Secrets::default();
        secrets.put("1/input", input);
        Ok(self.hook_with(guest, "guest_exec", vec![ask], secrets).await?["pid"].take())
    }

    /// The same, and waits for its end.
    async fn powershell(&self, guest: GuestId, asked: &AgentRequest<'_>, limit: Duration) -> Result<Ended, CallError> {
        let pid = self.begin(guest, asked).await?;
        let (began, mut pace) = (Instant::now(), PACE.0);
        loop {
            tokio::time::sleep(pace).await;
            pace = (pace + pace / 2).min(PACE.1);
            match self.hook(guest, "guest_exec_status", vec![pid.clone()]).await {
                Ok(status) if status["done"] == true => return Ok(ended(&status)),
                Ok(_) => {}
                // It may be back before the time is up.
                Err(e) if e.kind.may_have_happened() && began.elapsed() < limit => {}
                Err(e) => return Err(e),
            }
            if began.elapsed() >= limit {
                let text = format!("The command had not finished after {} s.", limit.as_secs());
                return Err(refused(CallErrorKind::Timeout, text));
            }
        }
    }

    async fn ready(&self, guest: GuestId) -> Result<Value, CallError> {
        let not_yet = |why: &str| Ok(json!({ "ok": false, "why": why, "system": "" }));
        match self.0.live().snapshot().guest(guest).map(|g| g.state.status.clone()).as_deref() {
            Some("running") => {}
            None => return Err(refused(CallErrorKind::NotFound, "This machine does not exist.")),
            Some(_) => return not_yet("The machine is not running."),
        }
        let now = match self.hook(guest, "guest_agent", Vec::new()).await {
            Ok(now) => now,
            Err(e) if e.kind.may_have_happened() => return not_yet(&e.message),
            Err(e) => return Err(e),
        };
        let system = now["system"].as_str().unwrap_or_default();
        if now["ok"] == true && system != "mswindows" {
            let text = format!("The machine's system is {system}, and this is for Windows.");
            return Err(refused(CallErrorKind::Invalid, text));
        }
        Ok(json!({ "ok": now["ok"], "why": now["why"], "system": system }))
    }

    async fn put(&self, guest: GuestId, path: &str, text: &Secret<String>) -> Result<Value, CallError> {
        let made = self.powershell(guest, &AgentRequest::Put { path }, SHORT).await?;
        well(made, &format!("{path} could not be written"))?;
        let mut secrets = Secrets::default();
        secrets.put("1/content", Secret::new(B64.encode(text.expose())));
        let file = json!({ "path": path, "content": "" });
        self.hook_with(guest, "guest_file_write", vec![file], secrets).await?;
        Ok(Value::Null)
    }

    async fn get(&self, guest: GuestId, path: &str) -> Result<Value, CallError> {
        let read = self.powershell(guest, &AgentRequest::Get { path }, SHORT).await?;
        if read.code == NO_FILE {
            return Ok(Value::Null);
        }
        well(read, &format!("{path} could not be read")).map(|read| json!(text_of(read.out)))
    }

    /// Only starts it: the word in its id tells whether this particular start has begun already.
    async fn start(&self, guest: GuestId, job: JobId, name: &str, script: &str) -> Result<Value, CallError> {
        let row = self.0.store().read(|tx| tx.get(tables::JOBS, &job)).map_err(|e| from_ours(&e))?;
        let round = row.and_then(|j| j.started).map_or(0, |t| t.0).to_string();
        let (sum, nonce) = (hex::encode(Sha256::digest(script.as_bytes())), hex::encode(random::bytes::<4>()));
        let dir = folder(job, name);
        self.begin(guest, &AgentRequest::Start { dir: &dir, sum: &sum, round: &round, nonce: &nonce, script }).await?;
        Ok(json!(Command { name: name.to_owned(), via: CommandVia::Agent { nonce } }.to_string()))
    }

    /// What a command that was started says now: `run`, `end CODE`, `lost` or `none` (not begun yet), the offset and
    /// how many bytes follow, then those.
    pub(super) async fn look(
        &self,
        guest: GuestId,
        job: JobId,
        (name, nonce): (&str, &str),
        from: Option<u64>,
        most: usize,
    ) -> Result<String, CallError> {
        let dir = folder(job, name);
        let from = from.and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
        let ended = self.powershell(guest, &AgentRequest::Look { dir: &dir, nonce, from, most }, SHORT).await?;
        let ended = well(ended, "the command's output could not be read")?;
        Ok(String::from_utf8(ended.out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    /// Ends the commands that a job left running, with all that they started, and takes their folder away.
    pub(super) async fn end_all(&self, guest: GuestId, job: JobId) -> Result<(), CallError> {
        self.powershell(guest, &AgentRequest::End { dir: &format!(r"{JOBS}\{job}") }, SHORT).await.map(drop)
    }
}

fn folder(job: JobId, name: &str) -> String {
    format!(r"{JOBS}\{job}\{name}")
}

fn ended(status: &Value) -> Ended {
    let bytes = |name: &str| bytes_of(status[name].as_str().unwrap_or_default());
    Ended {
        code: status["code"].as_i64().unwrap_or(-1),
        out: bytes("out"),
        err: bytes("err"),
        truncated: status["truncated"] == true,
    }
}

fn told(ended: Ended, quiet: bool) -> AgentAnswer {
    let cut = ended.code == CUT;
    let (code, truncated) = (if cut { 0 } else { ended.code }, ended.truncated || cut);
    let (out, err) = (text_of(ended.out), text_of(ended.err));
    let mut lines: Vec<String> = Vec::new();
    if !quiet {
        lines.extend(out.lines().chain(err.lines()).filter(|l| !l.trim().is_empty()).map(str::to_owned));
        if truncated {
            lines.push("It wrote more than Steward keeps: the rest is left out.".to_owned());
        }
    }
    AgentAnswer { value: json!({ "code": code, "out": out, "err": err, "truncated": truncated }), lines }
}

/// A command of our own must succeed.
fn well(ended: Ended, what: &str) -> Result<Ended, CallError> {
    if ended.code == 0 {
        return Ok(ended);
    }
    let err = text_of(ended.err);
    let said = err.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it did not say why").trim();
    Err(refused(CallErrorKind::Refused, format!("{what}: {said}")))
}

fn from_ours(e: &Error) -> CallError {
    let kind = match e.kind() {
        Kind::Unavailable | Kind::TooMany => CallErrorKind::Unreachable,
        Kind::Internal | Kind::Storage => CallErrorKind::Internal,
        Kind::NotFound => CallErrorKind::NotFound,
        Kind::Forbidden => CallErrorKind::Forbidden,
        _ => CallErrorKind::Invalid,
    };
    refused(kind, e.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_said() {
        let much = Ended { code: CUT, out: b"a\r\nb\n".to_vec(), ..Ended::default() };
        let told = told(much.clone(), false);
        assert_eq!(told.value, json!({ "code": 0, "out": "a\nb\n", "err": "", "truncated": true }));
        assert_eq!(told.lines, ["a", "b", "It wrote more than Steward keeps: the rest is left out."]);
        assert!(super::told(much, true).lines.is_empty());
        let failed = Ended { code: 1, err: b"Access is denied.\n\n".to_vec(), ..Ended::default() };
        assert_eq!(well(failed, "it failed").unwrap_err().message, "it failed: Access is denied.");
    }
}
