//! The host of a plugin's tests: answers what the test said, remembers what it was asked.

use super::glob::fits;
use super::journal::MemoryJournal;
use crate::host::{Call, CallError, CallErrorKind, Host, Run};
use crate::journal::{Mode, Outcome};
use crate::machine::MachineCall;
use crate::script::Plugin;
use crate::secret::{SecretPlaces, SecretText};
use base::{Secrets, Timestamp};
use model::jobs::{Command, CommandVia, StepState, TaskEnd, Wait};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Turns of a job before it counts as endless.
const TURNS: usize = 1_000;

#[derive(Default)]
pub(super) struct Mock {
    state: Mutex<State>,
    /// Weak, because the plugin's engines hold this mock.
    plugin: OnceLock<Weak<Plugin>>,
}

pub(super) struct Answer {
    pub method: String,
    pub pattern: String,
    pub reply: Result<Value, CallError>,
    pub once: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub answers: Vec<Answer>,
    pub calls: Vec<Value>,
    pub lines: Vec<String>,
    pub kv: BTreeMap<String, Value>,
    pub reserved: Vec<u32>,
    pub now: i64,
    /// How tasks end; successfully unless the test says otherwise.
    pub task: Option<TaskEnd>,
    pub job: Option<Started>,
    /// Commands over SSH: pattern and reply; the newest match wins.
    pub ssh: Vec<(String, Value)>,
    /// What was asked over SSH, in order.
    pub commands: Vec<String>,
    /// Files put over SSH, and those that a test put there.
    pub files: BTreeMap<String, String>,
    /// What commands were given to read.
    pub inputs: Vec<String>,
    /// How often the machine was restarted.
    boots: u32,
    /// How commands that were started end.
    exits: BTreeMap<String, TaskEnd>,
}

/// The job that the test started last.
#[derive(Clone)]
pub(super) struct Started {
    hook: String,
    args: Value,
    secrets: SecretPlaces,
    journal: Arc<MemoryJournal>,
}

impl Mock {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_plugin(&self, plugin: &Arc<Plugin>) {
        // Set once, right after the plugin was made.
        let _ = self.plugin.set(Arc::downgrade(plugin));
    }

    pub fn reset(&self) {
        *self.state() = State { now: 1_700_000_000, ..State::default() };
    }

    fn plugin(&self) -> Result<Arc<Plugin>, String> {
        self.plugin.get().and_then(Weak::upgrade).ok_or_else(|| "only inside of a test".to_owned())
    }

    /// Calls a pure or effect hook as the appliance does.
    pub fn call_hook(self: &Arc<Self>, hook: &str, args: Vec<Value>, secrets: SecretPlaces) -> Result<Value, String> {
        let host: Arc<dyn Host> = self.clone();
        self.plugin()?.call(&host, hook, args, Run { secrets, ..Run::default() }).map_err(|e| e.to_string())
    }

    /// Starts a job and runs it to its end; waits are over at once.
    pub fn run_job(self: &Arc<Self>, hook: &str, args: Value, secrets: SecretPlaces) -> Result<Value, String> {
        let journal = Arc::new(MemoryJournal::at(Timestamp::from_secs(self.state().now)));
        let started = Started { hook: hook.to_owned(), args, secrets, journal };
        self.state().job = Some(started.clone());
        self.turn(&started, Mode::Forward)
    }

    /// Runs the last job again: what was not done is done.
    pub fn go_on(self: &Arc<Self>, mode: Mode) -> Result<Value, String> {
        let started = self.state().job.clone().ok_or("mock::run_job comes first")?;
        self.turn(&started, mode)
    }

    fn turn(self: &Arc<Self>, started: &Started, mode: Mode) -> Result<Value, String> {
        let plugin = self.plugin()?;
        let journal = &started.journal;
        for _ in 0..TURNS {
            let host: Arc<dyn Host> = self.clone();
            let job = Some(base::ids::JobId::from_bytes([7; 16]));
            let run = Run { job, secrets: started.secrets.clone(), ..Run::default() };
            match plugin.run_job(&host, journal.clone(), &started.hook, started.args.clone(), run, mode) {
                Outcome::Wait(Wait::Task { id }) => {
                    let end = self.state().task.clone().unwrap_or_else(TaskEnd::ok);
                    journal.task_over(&id, &end);
                }
                Outcome::Wait(Wait::Command(command)) => {
                    let handle = command.to_string();
                    let end = self.state().exits.get(&handle).cloned().unwrap_or_else(TaskEnd::ok);
                    journal.task_over(&handle, &end);
                }
                Outcome::Wait(Wait::Until { at, .. }) => {
                    journal.set_now(at);
                    self.state().now = at.as_secs();
                }
                over => return Ok(self.told(journal, &over)),
            }
        }
        Err(format!("the job is not over after {TURNS} turns"))
    }

    fn told(&self, journal: &MemoryJournal, outcome: &Outcome) -> Value {
        let (word, result, error, retry) = match outcome {
            Outcome::Done(value) => ("done", value.clone(), None, false),
            Outcome::Undone => ("undone", Value::Null, None, false),
            Outcome::Cancelled => ("cancelled", Value::Null, None, false),
            Outcome::Wait(_) => ("waiting", Value::Null, None, false),
            Outcome::Failed(failure) => ("failed", Value::Null, Some(&failure.error), failure.retry),
        };
        let lines: Vec<String> =
            journal.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|l| l.1.clone()).collect();
        let all = journal.all();
        let done = all.iter().filter(|s| s.state == StepState::Done && !s.name.starts_with("wait:"));
        json!({
            "outcome": word, "result": result, "retry": retry, "log": lines,
            "message": error.map(|e| e.message.clone()), "error": error.map(ToString::to_string),
            "steps": done.map(|s| s.name.clone()).collect::<Vec<_>>(),
        })
    }
}

impl Host for Mock {
    fn call(&self, _: &Run, call: Call) -> Result<Value, CallError> {
        let mut state = self.state();
        match call {
            Call::Pve { method, path, mut params, secrets } => {
                for (at, text) in secrets {
                    if let Some(place) = params.pointer_mut(&at) {
                        *place = json!(text.resolve(&Secrets::default())?.expose());
                    }
                }
                state.calls.push(json!({"method": method.name(), "path": path, "params": params}));
                state.answer(method.name(), &path)
            }
            Call::UploadCd(cd) => {
                let path = format!("{}/{}/{}", cd.node, cd.storage, cd.filename);
                let text = |(name, text): (String, SecretText)| {
                    Ok((name, text.resolve(&Secrets::default())?.expose().clone()))
                };
                let files = cd.files.into_iter().map(text).collect::<Result<BTreeMap<_, _>, CallError>>()?;
                state.calls.push(json!({"method": "CD", "path": path, "params": {"label": cd.label, "files": files}}));
                state.answer("CD", &path)
            }
            Call::Ssh(call) => state.on_machine(CommandVia::Ssh, call),
            Call::Agent(call) => state.on_machine(CommandVia::Agent { nonce: "mock".to_owned() }, call),
            Call::ReserveVmid => {
                let vmid = (100..).find(|v| !state.reserved.contains(v)).unwrap_or(100);
                state.reserved.push(vmid);
                Ok(vmid.into())
            }
            Call::ReleaseVmid { vmid } => {
                state.reserved.retain(|v| *v != vmid);
                Ok(Value::Null)
            }
            Call::KvGet { key } => Ok(state.kv.get(&key).cloned().unwrap_or_default()),
            Call::KvPut { key, value } => Ok(state.kv.insert(key, value).map_or(Value::Null, |_| Value::Null)),
            Call::KvDelete { key } => Ok(state.kv.remove(&key).map_or(Value::Null, |_| Value::Null)),
            Call::Log { text, .. } => {
                state.lines.push(text);
                Ok(Value::Null)
            }
            Call::Now => Ok(state.now.into()),
        }
    }
}

impl State {
    /// Commands succeed without output unless the test says otherwise.
    fn on_machine(&mut self, via: CommandVia, call: MachineCall) -> Result<Value, CallError> {
        // A test's secrets have no names: what they stand for is in them.
        Ok(match call.resolve(&Secrets::default())? {
            MachineCall::Run(asked) | MachineCall::Look(asked) => {
                let reply = self.ssh_reply(&asked.command);
                self.boots += u32::from(asked.command.contains("shutdown.exe /r"));
                self.inputs.push(asked.input.expose().clone());
                self.commands.push(asked.command);
                reply
            }
            MachineCall::Put { path, text, .. } => {
                self.commands.push(format!("put {path}"));
                self.files.insert(path, text.expose().clone());
                Value::Null
            }
            MachineCall::Get { path } => self.files.get(&path).map_or(Value::Null, |t| json!(t)),
            MachineCall::Ready => json!({"ok": true, "why": "", "address": "192.0.2.7", "system": "mswindows"}),
            MachineCall::Boot => json!(self.boots.to_string()),
            MachineCall::Start { name, command } => {
                let reply = self.ssh_reply(&command);
                self.commands.push(command);
                let (code, err) = (reply["code"].as_i64().unwrap_or(0), reply["err"].as_str().unwrap_or_default());
                let handle = Command { name, via }.to_string();
                let end = if code == 0 { TaskEnd::ok() } else { TaskEnd::failed(format!("exit {code}: {err}")) };
                self.exits.insert(handle.clone(), end);
                json!(handle)
            }
        })
    }

    fn ssh_reply(&self, command: &str) -> Value {
        let found = self.ssh.iter().rev().find(|(pattern, _)| fits(pattern, command)).map(|(_, reply)| reply);
        match found {
            Some(Value::String(out)) => json!({"code": 0, "out": out, "err": ""}),
            Some(Value::Object(map)) => {
                json!({"code": map.get("code").unwrap_or(&json!(0)), "out": map.get("out").unwrap_or(&json!("")), "err": map.get("err").unwrap_or(&json!(""))})
            }
            _ => json!({"code": 0, "out": "", "err": ""}),
        }
    }

    /// First the oldest `once` that fits, then the newest of the others.
    fn answer(&mut self, method: &str, path: &str) -> Result<Value, CallError> {
        let fit = |a: &Answer| a.method == method && fits(&a.pattern, path);
        if let Some(at) = self.answers.iter().position(|a| a.once && fit(a)) {
            return self.answers.remove(at).reply;
        }
        let last = self.answers.iter().rev().find(|a| !a.once && fit(a));
        last.map(|a| a.reply.clone()).unwrap_or_else(|| {
            let message = format!("no mock answers {method} {path}");
            Err(CallError::new(CallErrorKind::Refused, 501, message))
        })
    }
}
