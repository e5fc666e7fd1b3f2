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
}

impl TaskEnd {
    /// By a task's exit status. Some changes (a snapshot, a rollback) meet a missing quorum only inside their task.
    pub fn of(exit: &str) -> Self {
        let ok = exit == "OK" || exit.starts_with("WARNINGS");
        Self { ok, text: exit.to_owned(), unreachable: !ok && exit.contains("no quorum") }
    }
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
