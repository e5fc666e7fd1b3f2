//! Watching one task until it is over: how far its own log says that it is, and how it ended.

use super::client::PveClient;
use super::error::PveErrorKind;
use super::task::{TaskEnd, TaskLine, cause, is_error};

/// Lines of a failed task's log that are told.
const QUOTE: usize = 20;
/// Lines that are read at once, and how often at most at a task's end.
const PAGE: u64 = 500;
const PAGES: u32 = 40;
/// Short tasks are over before anybody could read how far they are: the log is read after this many polls.
const BEFORE_LOG: u32 = 4;

/// A line of a failed task's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedLine {
    pub text: String,
    /// It says what went wrong; the others are what went before.
    pub loud: bool,
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskPoll {
    pub end: Option<TaskEnd>,
    /// The last lines of a failed task's log.
    pub log: Vec<QuotedLine>,
    /// How far it is, when that changed; empty when it is not known any more.
    pub progress: Option<String>,
    /// Proxmox does not answer; this is logged once.
    pub silence: Option<String>,
}

#[derive(Debug)]
pub struct TaskWatch {
    client: PveClient,
    upid: String,
    looks: u32,
    /// Lines of the log that were read.
    lines: u64,
    shown: String,
    silent: bool,
}

impl TaskWatch {
    pub fn new(client: PveClient, upid: String) -> Self {
        Self { client, upid, looks: 0, lines: 0, shown: String::new(), silent: false }
    }

    pub async fn poll(&mut self) -> TaskPoll {
        self.looks = self.looks.saturating_add(1);
        match self.client.task(&self.upid).await {
            Ok(status) if !status.running => {
                self.ended(TaskEnd::of(status.exitstatus.as_deref().unwrap_or("unexpected status"))).await
            }
            // The node forgot the task (its list is short), or was reinstalled.
            Err(e) if matches!(e.kind, PveErrorKind::Invalid | PveErrorKind::NotFound) => {
                self.ended(TaskEnd::of(&format!("Proxmox no longer knows this task: {}", e.message))).await
            }
            Ok(_) if self.looks > BEFORE_LOG || self.silent => self.progress().await,
            Ok(_) => TaskPoll::default(),
            // It goes on or not, nobody knows.
            Err(e) => {
                let said = std::mem::replace(&mut self.silent, true);
                TaskPoll { silence: (!said).then_some(e.message), ..TaskPoll::default() }
            }
        }
    }

    async fn ended(&self, end: TaskEnd) -> TaskPoll {
        if end.ok {
            return TaskPoll { end: Some(end), ..TaskPoll::default() };
        }
        let mut log = Vec::new();
        // What was read while it ran is not read again but for the last lines.
        let mut start = self.lines.saturating_sub(QUOTE as u64);
        for _ in 0..PAGES {
            let mut page = self.client.task_log(&self.upid, start, PAGE).await.unwrap_or_default();
            let whole = page.len() as u64 == PAGE;
            start += PAGE;
            log.append(&mut page);
            log.drain(..log.len().saturating_sub(QUOTE));
            if !whole {
                break;
            }
        }
        let end = end.explained(&log);
        let why = cause(&log).filter(|at| end.text.contains(log[*at].text.trim()));
        let quote = |(i, line): (usize, &TaskLine)| QuotedLine {
            text: format!("Proxmox: {}", line.text),
            loud: is_error(&line.text) || line.text.starts_with("WARN") || why == Some(i),
        };
        let log = log.iter().enumerate().map(quote).collect();
        TaskPoll { end: Some(end), log, ..TaskPoll::default() }
    }

    /// Clones, imports and downloads say in their log how far they are.
    async fn progress(&mut self) -> TaskPoll {
        let new = self.client.task_log(&self.upid, self.lines, PAGE).await.unwrap_or_default();
        self.lines = new.last().map_or(self.lines, |line| line.n.max(self.lines));
        let amount = new.iter().rev().find_map(|line| amount(&line.text)).filter(|a| *a != self.shown);
        let changed = std::mem::take(&mut self.silent) || amount.is_some();
        if let Some(amount) = amount {
            self.shown = amount;
        }
        TaskPoll { progress: changed.then(|| self.shown.clone()), ..TaskPoll::default() }
    }
}

/// `transferred 1.2 GiB of 3.0 GiB (41.02%)` is `1.2 GiB of 3.0 GiB (41 %)`; wget's `  32768K .......... 10%
/// 112M 3s` is `32 MiB (10 %)`.
fn amount(line: &str) -> Option<String> {
    let before = &line[..line.find('%')?];
    let start = before.rfind(|c: char| !c.is_ascii_digit() && c != '.').map_or(0, |i| i + 1);
    let percent = before.get(start..)?.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p))?;
    let head = before.get(..start)?.trim().trim_end_matches(['(', '.', ' ']);
    let first = head.split_whitespace().next().unwrap_or_default();
    let wget = first.strip_suffix('K').and_then(|kib| kib.parse::<u64>().ok());
    let bytes = match wget {
        Some(kib) => format!("{} MiB", kib / 1024),
        None => head.strip_prefix("transferred ").unwrap_or_default().chars().take(40).collect(),
    };
    Some(if bytes.is_empty() { format!("{percent:.0} %") } else { format!("{bytes} ({percent:.0} %)") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_task_is_stands_in_its_log() {
        let is = |line: &str| amount(line);
        assert_eq!(is("transferred 1.2 GiB of 3.0 GiB (41.02%)").as_deref(), Some("1.2 GiB of 3.0 GiB (41 %)"));
        assert_eq!(is("   32768K ........ ........ ........ 10%  112M 3s").as_deref(), Some("32 MiB (10 %)"));
        assert_eq!(is("drive-scsi0: transferred 5%").as_deref(), Some("5 %"));
        for line in ["downloading https://x.example/a%20b.qcow2", "TASK OK", "", "999%"] {
            assert_eq!(is(line), None, "{line}");
        }
    }
}
