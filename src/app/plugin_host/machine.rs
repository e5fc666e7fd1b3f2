//! `ssh::` and `agent::`: commands and files on the machine behind the run.

use super::PluginHost;
use super::errors::{call_error, from_ssh};
use super::secrets::without;
use base::without_secrets;
use model::jobs::LogLevel;
use plugin::{CallError, CallErrorKind, MachineCall, Run, Say};
use serde_json::Value;

impl PluginHost {
    /// The lines come from the runtime's threads and are written by this one, several at a time: each write is
    /// a commit.
    pub(super) fn ssh(&self, run: &Run, call: MachineCall, say: &Say<'_>) -> Result<Value, CallError> {
        let place = self.app.ssh().target_of(run)?;
        let (secrets, hidden) = self.secrets(run, call.secret_text())?;
        let call = call.resolve(&secrets)?;
        drop(secrets);
        let (send, receive) = std::sync::mpsc::channel::<String>();
        let (app, job) = (self.app.clone(), run.job);
        let work = self.runtime.spawn(async move {
            let mut each = |line: &str| {
                // The receiver lives until this is over.
                let _ = send.send(line.to_owned());
            };
            app.ssh().call(place, job, call, &mut each).await
        });
        while let Ok(first) = receive.recv() {
            let lines: Vec<_> = std::iter::once(first).chain(receive.try_iter()).collect();
            say(&lines.iter().map(|line| (LogLevel::Info, without_secrets(line, &hidden))).collect::<Vec<_>>());
        }
        let done = self.runtime.block_on(work);
        let done = done.map_err(|e| call_error(CallErrorKind::Internal, e.to_string()))?.map_err(from_ssh);
        without(done, &hidden)
    }

    /// The agent keeps what a command writes until its end, so the lines come at once.
    pub(super) fn agent(&self, run: &Run, call: MachineCall, say: &Say<'_>) -> Result<Value, CallError> {
        let guest = self.app.agent().guest_of(run)?;
        let (secrets, hidden) = self.secrets(run, call.secret_text())?;
        let call = call.resolve(&secrets)?;
        drop(secrets);
        match self.runtime.block_on(self.app.agent().call(guest, run.job, call)) {
            Ok(told) => {
                let line = |text: &String| (LogLevel::Info, without_secrets(text, &hidden));
                if !told.lines.is_empty() {
                    say(&told.lines.iter().map(line).collect::<Vec<_>>());
                }
                without(Ok(told.value), &hidden)
            }
            Err(e) => without(Err(e), &hidden),
        }
    }
}
