//! What a script may ask of a machine over SSH or by its guest agent, as data. Which machine it is the host decides, never the script.

/// One thing asked over SSH or by the guest agent. Everything runs as root there (as the system on Windows).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshCall {
    /// Runs a short command and waits for it. Answers `{code, out, err}`.
    Run(SshCommand),
    /// The same for a command that only reads: allowed in `settle` and `wait_until` closures.
    Look(SshCommand),
    /// Writes a file, over what is there, in one go. `mode` like 0o644.
    Put { path: String, text: String, mode: u32 },
    /// Answers a file's text, or null when there is none.
    Get { path: String },
    /// Answers `{ok, why, address}`: can commands be run there now?
    Ready,
    /// Answers a text that stays the same until the system is started anew.
    Boot,
    /// Starts a command that may take long and goes on without us. Answers its id for `job.wait_task`. One that
    /// still runs under the same name in the same job is not started twice.
    Start { name: String, command: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshCommand {
    pub command: String,
    /// What it reads.
    pub input: String,
    /// Seconds, 1 to 100.
    pub timeout: u64,
    /// Its lines are not shown in the job's log.
    pub quiet: bool,
}

impl SshCall {
    pub(super) fn changes_something(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Put { .. } | Self::Start { .. })
    }
}
