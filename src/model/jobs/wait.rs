//! What a suspended job waits for, and how that ended.

use base::Timestamp;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The runner ends the wait; the script never polls.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "lowercase")]
pub enum Wait {
    /// A task on the job's connection, under its provider's own id.
    #[n(0)]
    Task {
        #[n(0)]
        id: String,
    },
    /// A point in time.
    #[n(1)]
    Until {
        #[n(0)]
        at: Timestamp,
        /// How long the whole wait is, in seconds.
        #[n(1)]
        pause: u64,
    },
    /// A command that goes on by itself on the job's machine or host.
    #[n(2)]
    Command(#[n(0)] Command),
}

/// A command that a job started on a machine, under a name of its own in that job.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Command {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub via: CommandVia,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "lowercase")]
pub enum CommandVia {
    #[n(0)]
    Ssh,
    /// The guest agent only starts it, so each start has a word of its own to look for.
    #[n(1)]
    Agent {
        #[n(0)]
        nonce: String,
    },
}

/// The handle that a script holds and that names the wait in the journal.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.via {
            CommandVia::Ssh => write!(f, "ssh:{}", self.name),
            CommandVia::Agent { nonce } => write!(f, "agent:{}:{nonce}", self.name),
        }
    }
}

impl Wait {
    /// What a script's handle stands for: a command, or else a task of its provider. `None`: it is not a handle.
    pub fn of_handle(text: &str) -> Option<Self> {
        let plain = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let (via, name) = match text.split(':').collect::<Vec<_>>().as_slice() {
            ["ssh", name] => (CommandVia::Ssh, *name),
            ["agent", name, nonce] if plain(nonce) => (CommandVia::Agent { nonce: (*nonce).to_owned() }, *name),
            ["ssh" | "agent", ..] | [""] => return None,
            _ => return (text.len() <= 300).then(|| Self::Task { id: text.to_owned() }),
        };
        plain(name).then(|| Self::Command(Command { name: name.to_owned(), via }))
    }
}

/// How a task or a command ended; its entry in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnd {
    pub ok: bool,
    /// In the provider's words, or as a sentence.
    pub text: String,
    /// It failed because the provider could not work just then: waiting helps, using up tries does not.
    #[serde(default)]
    pub unreachable: bool,
    /// It fails again each time until somebody changes something, so another try is useless.
    #[serde(default)]
    pub lasting: bool,
}

impl TaskEnd {
    pub fn ok() -> Self {
        Self { ok: true, text: "OK".to_owned(), unreachable: false, lasting: false }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self { ok: false, text: text.into(), unreachable: false, lasting: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_a_command_or_a_task_of_the_provider() {
        for via in [CommandVia::Ssh, CommandVia::Agent { nonce: "1a2b".into() }] {
            let command = Command { name: "packages-1".into(), via };
            assert_eq!(Wait::of_handle(&command.to_string()), Some(Wait::Command(command)));
        }
        let upid = "UPID:pve1:0000ABCD:00012345:6B015801:qmclone:9000:steward@pve!a:";
        assert_eq!(Wait::of_handle(upid), Some(Wait::Task { id: upid.into() }));
        for bad in ["", "ssh:", "ssh:../x", "ssh:a:b", "agent:a", "agent:a:b/c"] {
            assert_eq!(Wait::of_handle(bad), None, "{bad}");
        }
    }
}
