//! What a script may ask of a machine over SSH or by its guest agent, as data. Which machine it is the host decides,
//! never the script.

use super::host::CallError;
use super::secret::SecretText;
use base::{Secret, Secrets};

/// One thing asked over SSH or by the guest agent. Everything runs as root there (as the system on Windows).
/// `T` is a text that may hold secrets: by name as a script asks, in full as the machine gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineCall<T = SecretText> {
    /// Runs a short command and waits for it. Returns `{code, out, err}`.
    Run(MachineCommand<T>),
    /// The same for a command that only reads: allowed in `settle` and `wait_until` closures.
    Look(MachineCommand<T>),
    /// Writes a file, replacing what is there, in one go. `mode` like 0o644.
    Put { path: String, text: T, mode: u32 },
    /// Returns a file's text, or null when there is none.
    Get { path: String },
    /// Returns `{ok, why, address}`: can commands be run there now?
    Ready,
    /// Returns a text that stays the same until the system is restarted.
    Boot,
    /// Starts a command that may take a long time and keeps running without us. Returns its id for `job.wait_task`. One that
    /// still runs under the same name in the same job is not started twice.
    Start { name: String, command: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineCommand<T = SecretText> {
    pub command: String,
    /// What it reads.
    pub input: T,
    /// Seconds, 1 to 100.
    pub timeout: u64,
    /// Its lines are not shown in the job's log.
    pub quiet: bool,
}

impl MachineCall {
    pub(super) fn changes_something(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Put { .. } | Self::Start { .. })
    }

    /// The text in it that may hold secrets.
    pub fn secret_text(&self) -> Option<&SecretText> {
        match self {
            Self::Run(command) | Self::Look(command) => Some(&command.input),
            Self::Put { text, .. } => Some(text),
            Self::Get { .. } | Self::Ready | Self::Boot | Self::Start { .. } => None,
        }
    }

    /// The same call with its text in full.
    pub fn resolve(self, secrets: &Secrets) -> Result<MachineCall<Secret<String>>, CallError> {
        let full = |c: MachineCommand| {
            let input = c.input.resolve(secrets)?;
            Ok(MachineCommand { command: c.command, input, timeout: c.timeout, quiet: c.quiet })
        };
        Ok(match self {
            Self::Run(command) => MachineCall::Run(full(command)?),
            Self::Look(command) => MachineCall::Look(full(command)?),
            Self::Put { path, text, mode } => MachineCall::Put { path, text: text.resolve(secrets)?, mode },
            Self::Get { path } => MachineCall::Get { path },
            Self::Ready => MachineCall::Ready,
            Self::Boot => MachineCall::Boot,
            Self::Start { name, command } => MachineCall::Start { name, command },
        })
    }
}
