//! Proxmox's tasks: their ids, where they stand, their log.

use super::encode::component;
use super::error::{PveError, PveErrorKind};
use super::value::as_u64;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// A task's id: `UPID:<node>:<pid>:<pstart>:<starttime>:<type>:<id>:<user>:`, times in hex
/// (pve-common: PVE/UPID.pm). It names its node, so a task is found wherever it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upid {
    text: String,
    pub node: String,
    /// Unix seconds.
    pub start: u64,
    /// `qmclone`, `qmstart`, `vzstart` …
    pub kind: String,
    /// What it works on, mostly a vmid; a clone names its **source**. May be empty.
    pub id: String,
    /// The user, or `user!token`.
    pub user: String,
}

impl Upid {
    /// The path of one of the task's views, `status` or `log`.
    pub(super) fn path(&self, view: &str) -> String {
        format!("/nodes/{}/tasks/{}/{view}", self.node, component(&self.text))
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Upid {
    type Err = PveError;

    fn from_str(text: &str) -> Result<Self, PveError> {
        let bad = || PveError::new(PveErrorKind::Invalid, format!("This is not the id of a Proxmox task: {text:?}"));
        let parts: Vec<&str> = text.split(':').collect();
        let ["UPID", node, pid, pstart, start, kind, id, user, ""] = parts.as_slice() else { return Err(bad()) };
        let is_hex = |t: &&str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_hexdigit());
        let is_node = !node.is_empty() && node.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let is_word = |t: &str| t.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if !is_node || ![pid, pstart, start].into_iter().all(is_hex) || kind.is_empty() {
            return Err(bad());
        }
        if ![kind, id, user].into_iter().all(|t| is_word(t)) {
            return Err(bad());
        }
        Ok(Self {
            text: text.to_owned(),
            node: (*node).to_owned(),
            start: u64::from_str_radix(start, 16).map_err(|_| bad())?,
            kind: (*kind).to_owned(),
            id: (*id).to_owned(),
            user: (*user).to_owned(),
        })
    }
}

/// How a task ended, in Proxmox's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// Warnings count as well done.
    pub ok: bool,
    pub text: String,
    /// The cluster could not do it at that moment; this passes by itself.
    pub unreachable: bool,
    /// It fails again each time, until somebody changes something.
    pub lasting: bool,
}

/// Ends that say nothing about why.
const VAGUE: [&str; 4] = ["exit code", "exited with code", "got signal", "exited with status"];
/// What stays as it is: the machine's settings, what a storage or node can do, what a file is.
const LASTING: [&str; 17] = [
    "QEMU exited with code",
    "vcpus allowed per VM",
    "must be aligned to",
    "minimum memory must be",
    "maximum memory",
    "does not exist",
    "no such volume",
    "no physical interface",
    "feature is not available",
    "not supported",
    "has format '",
    "Image is not in",
    "checksum mismatch: got",
    "Permission check failed",
    "permission denied",
    "unable to parse",
    "is a template",
];
/// ... unless it also says one of these: somebody else is in the way, and goes.
const PASSING: [&str; 8] = [
    "temporarily unavailable",
    "resource busy",
    "already in use",
    "Cannot allocate memory",
    "timeout",
    "timed out",
    "can't lock",
    "is locked",
];

impl TaskEnd {
    /// By a task's exit status. Some changes (a snapshot, a rollback) meet a missing quorum only inside their task.
    pub fn of(exit: &str) -> Self {
        let ok = exit == "OK" || exit.starts_with("WARNINGS");
        let unreachable = !ok && exit.contains("no quorum");
        let says = |all: &[&str]| all.iter().any(|words| exit.contains(words));
        Self { ok, text: exit.to_owned(), unreachable, lasting: !ok && says(&LASTING) && !says(&PASSING) }
    }

    /// The same with the cause, which a vague end (`QEMU exited with code 1`) leaves to the last line before it.
    pub(super) fn explained(self, log: &[TaskLine]) -> Self {
        match cause(log).filter(|_| !self.ok && VAGUE.iter().any(|words| self.text.contains(words))) {
            Some(at) => Self::of(&format!("{} ({})", cut(&log[at].text), self.text)),
            None => self,
        }
    }
}

/// Which line of a failed task's log says why: the last one before its error that is neither progress nor chatter.
pub(super) fn cause(log: &[TaskLine]) -> Option<usize> {
    let error = log.iter().rposition(|line| is_error(&line.text)).unwrap_or(log.len());
    let is_chatter = |text: &str| text.is_empty() || text.starts_with("swtpm") || text.contains('%');
    log.get(..error)?.iter().rposition(|line| !is_chatter(line.text.trim()))
}

/// `TASK ERROR: start failed: ...`, the last line of its log.
pub(super) fn is_error(line: &str) -> bool {
    line.starts_with("TASK ERROR")
}

fn cut(text: &str) -> String {
    text.trim().trim_end_matches('.').chars().take(300).collect()
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    pub running: bool,
    /// Only when it is over: `OK`, `WARNINGS: n` or the error.
    pub exitstatus: Option<String>,
}

impl TaskStatus {
    /// Over, and it did its work; warnings count as done. `None` while it runs.
    pub fn succeeded(&self) -> Option<bool> {
        (!self.running).then(|| self.exitstatus.as_deref().is_some_and(|text| TaskEnd::of(text).ok))
    }
}

/// One line of a task's log; `n` counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLine {
    pub n: u64,
    pub text: String,
}

pub(super) fn status(answer: &Value) -> Result<TaskStatus, PveError> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    match text("status").as_deref() {
        Some("running") => Ok(TaskStatus { running: true, exitstatus: None }),
        Some("stopped") => {
            // A worker that was killed may leave none.
            let exit = text("exitstatus").unwrap_or_else(|| "unexpected status".to_owned());
            Ok(TaskStatus { running: false, exitstatus: Some(exit) })
        }
        _ => Err(PveError::new(PveErrorKind::Refused, "Proxmox's answer about the task can't be read.")),
    }
}

pub(super) fn lines(answer: &Value) -> Vec<TaskLine> {
    let items = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| {
            let n = as_u64(item.get("n")?)?;
            let text = item.get("t").and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(TaskLine { n, text })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "UPID:pve1:000003E8:00001B58:6B015801:qmclone:9000:steward@pve!appliance:";

    #[test]
    fn a_missing_quorum_comes_back() {
        let full = TaskEnd::of("no space left");
        assert!(!full.ok && !full.unreachable);
        assert!(TaskEnd::of("cluster not ready - no quorum?").unreachable);
    }

    fn log(lines: &[&str]) -> Vec<TaskLine> {
        (1..).zip(lines).map(|(n, text)| TaskLine { n, text: (*text).to_owned() }).collect()
    }

    #[test]
    fn the_cause_of_a_vague_end_is_the_line_before_it() {
        let exit = "start failed: QEMU exited with code 1";
        let told = |lines: &[&str]| TaskEnd::of(exit).explained(&log(lines));
        let end = told(&[
            "swtpm_setup: Not overwriting existing state file.",
            "no physical interface on bridge 'vmbr0'",
            "TASK ERROR: start failed: QEMU exited with code 1",
        ]);
        assert_eq!(end.text, format!("no physical interface on bridge 'vmbr0' ({exit})"));
        assert!(end.lasting && !end.ok);
        let busy = told(&["kvm: -vnc 0: address already in use", "TASK ERROR: x"]);
        assert!(!busy.lasting, "{busy:?}");
        for chatter in
            [&["swtpm_setup: ok", "TASK ERROR: x"][..], &["TASK ERROR: x"], &["transferred 1 of 2 (50.00%)"], &[]]
        {
            assert_eq!(told(chatter).text, exit, "{chatter:?}");
        }
        let clear = TaskEnd::of("no space left on device").explained(&log(&["create full clone of drive scsi0"]));
        assert_eq!((clear.text.as_str(), clear.lasting), ("no space left on device", false));
    }

    #[test]
    fn what_stays_until_somebody_changes_it_is_told_from_what_passes() {
        for exit in [
            "MAX 8 vcpus allowed per VM on this node",
            "bridge 'vmbr7' does not exist",
            "snapshot feature is not available",
        ] {
            assert!(TaskEnd::of(exit).lasting, "{exit}");
        }
        for exit in [
            "OK",
            "WARNINGS: 1",
            "can't lock file '/x' - got timeout",
            "unexpected status",
            "received interrupt",
            "VM is locked (backup)",
            "cluster not ready - no quorum?",
        ] {
            assert!(!TaskEnd::of(exit).lasting, "{exit}");
        }
    }

    #[test]
    fn a_task_id_is_taken_apart_and_put_together_again() {
        let upid: Upid = TEXT.parse().unwrap();
        assert_eq!(upid.to_string(), TEXT);
        assert_eq!((upid.node.as_str(), upid.kind.as_str(), upid.id.as_str()), ("pve1", "qmclone", "9000"));
        assert_eq!((upid.user.as_str(), upid.start), ("steward@pve!appliance", 0x6B01_5801));
        assert_eq!(
            upid.path("status"),
            "/nodes/pve1/tasks/UPID%3Apve1%3A000003E8%3A00001B58%3A6B015801%3Aqmclone%3A9000%3Asteward%40pve%21appliance%3A/status"
        );
    }

    #[test]
    fn what_is_no_task_id_is_refused() {
        for bad in ["", "OK", "UPID:pve1", "UPID:a/b:0:0:0:x::u:", "UPID:pve1:0:0:zz:x::u:", "UPID:pve1:0:0:0:x:a b:u:"]
        {
            assert_eq!(bad.parse::<Upid>().unwrap_err().kind, PveErrorKind::Invalid, "{bad}");
        }
    }

    #[test]
    fn warnings_count_as_success_and_a_killed_worker_does_not() {
        let over = |exit: &str| status(&json!({"status": "stopped", "exitstatus": exit})).unwrap().succeeded();
        assert_eq!(over("OK"), Some(true));
        assert_eq!(over("WARNINGS: 2"), Some(true));
        assert_eq!(over("VM 100 already running"), Some(false));
        assert_eq!(status(&json!({"status": "stopped"})).unwrap().succeeded(), Some(false));
        assert_eq!(status(&json!({"status": "running"})).unwrap().succeeded(), None);
    }
}
