//! Commands that were started on a machine and go on by themselves: their new lines, and their end.

use crate::App;
use crate::ssh::SshTarget;
use crate::ssh::command::{folder, quoted};
use base::ids::JobId;
use model::jobs::{Command, CommandVia, TaskEnd};
use model::software::failure::classify;
use remote::ssh::{Lines, SshError, SshErrorKind};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of output that one look brings.
const CHUNK: usize = 48 << 10;
/// Lines kept to tell why it failed.
const TAIL: usize = 60;
/// PowerShell is slow to start: a missing command is looked for this long.
const BEGIN: Duration = Duration::from_secs(180);
/// A machine that does not answer for this long is given up on.
const AWAY: Duration = Duration::from_secs(30 * 60);

/// One command on one machine, being watched.
#[derive(Debug)]
pub struct CommandWatch {
    target: SshTarget,
    job: JobId,
    command: Command,
    since: Instant,
    /// Bytes that were read; `None` before the first look: the machine knows where the last watcher was.
    offset: Option<u64>,
    lines: Lines,
    tail: VecDeque<String>,
    away: Option<Instant>,
}

/// What one look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandPoll {
    /// New lines of its output.
    pub lines: Vec<String>,
    pub end: Option<TaskEnd>,
    /// The machine did not answer: this is said once.
    pub away: Option<String>,
}

impl CommandWatch {
    pub(crate) fn new(target: SshTarget, job: JobId, command: Command) -> Self {
        Self {
            target,
            job,
            command,
            since: Instant::now(),
            offset: None,
            lines: Lines::default(),
            tail: VecDeque::new(),
            away: None,
        }
    }

    /// Looks once.
    pub async fn poll(&mut self, app: &App) -> CommandPoll {
        match self.ask(app).await {
            Ok(out) => {
                self.away = None;
                self.read(&out)
            }
            Err((true, why)) => {
                let first = self.away.is_none();
                let since = *self.away.get_or_insert_with(Instant::now);
                let end = (since.elapsed() > AWAY)
                    .then(|| TaskEnd::failed(format!("The machine did not answer for half an hour. {why}")));
                CommandPoll { away: first.then_some(why), end, ..CommandPoll::default() }
            }
            Err((false, why)) => CommandPoll { end: Some(TaskEnd::failed(why)), ..CommandPoll::default() },
        }
    }

    /// What the machine says; or whether waiting may help, and a sentence.
    async fn ask(&self, app: &App) -> Result<String, (bool, String)> {
        match (&self.command.via, self.target) {
            (CommandVia::Ssh, target) => {
                let away = |e: &SshError| {
                    matches!(e.kind, SshErrorKind::Unreachable | SshErrorKind::Timeout | SshErrorKind::Auth)
                };
                let ran = app.ssh().ask(target, &self.script()).await;
                ran.map(|ran| ran.out).map_err(|e| (away(&e), e.message))
            }
            (CommandVia::Agent { nonce }, SshTarget::Guest(guest)) => {
                let told = app
                    .agent()
                    .look(guest, self.job, (self.command.name.as_str(), nonce.as_str()), self.offset, CHUNK)
                    .await;
                told.map_err(|e| (e.kind.may_have_happened(), e.message))
            }
            (CommandVia::Agent { .. }, SshTarget::Connection(_)) => {
                Err((false, "This is not a command on a machine.".to_owned()))
            }
        }
    }

    /// How soon the next look is due at first, and at last: by the agent each one starts a program there.
    pub fn pace(&self) -> (Duration, Duration) {
        match self.command.via {
            CommandVia::Ssh => (Duration::from_millis(500), Duration::from_secs(3)),
            CommandVia::Agent { .. } => (Duration::from_millis(1500), Duration::from_secs(8)),
        }
    }

    /// Says `run`, `end N` or `lost`, the offset and how many bytes follow, then those. The end is looked at first, so
    /// that what is read after it is all there is.
    fn script(&self) -> String {
        let d = quoted(&folder(self.job, &self.command.name));
        let from = match self.offset {
            Some(n) => format!("o={n}; echo $o >\"$d/told\""),
            None => "o=$(cat \"$d/told\")".to_owned(),
        };
        format!(
            r#"d={d}; [ -d "$d" ] || {{ echo "lost 0 0"; exit 0; }}
if [ -e "$d/code" ]; then s="end $(cat "$d/code")"
elif [ "$(cat "$d/boot")" = "$(cat /proc/sys/kernel/random/boot_id)" ] && kill -0 "$(cat "$d/pid")" 2>/dev/null; then s=run
else s=lost; fi
{from}; n=$(($(wc -c <"$d/log") - o)); [ $n -gt {CHUNK} ] && n={CHUNK}
echo "$s $o $n"; tail -c +$((o + 1)) "$d/log" | head -c $n"#
        )
    }

    fn read(&mut self, out: &str) -> CommandPoll {
        let (head, data) = out.split_once('\n').unwrap_or((out, ""));
        let mut words = head.split(' ');
        let state = words.next().unwrap_or_default();
        let code: Option<u32> = if state == "end" { words.next().and_then(|c| c.parse().ok()) } else { None };
        let mut number = || words.next().and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
        let (from, length) = (number(), number());
        if state == "none" && self.since.elapsed() < BEGIN {
            return CommandPoll::default();
        }
        self.offset = Some(from + length);
        let mut lines = Vec::new();
        self.lines.push(data.as_bytes(), |line| lines.push(line.to_owned()));
        // A full chunk means that there is more: the end waits for it.
        let over = length < CHUNK as u64 && state != "run";
        if over {
            self.lines.finish(|line| lines.push(line.to_owned()));
        }
        for line in &lines {
            self.tail.push_back(line.clone());
        }
        while self.tail.len() > TAIL {
            self.tail.pop_front();
        }
        let end = over.then(|| match code {
            Some(0) => TaskEnd::ok(),
            Some(code) => TaskEnd::failed(self.failure(code)),
            None => TaskEnd::failed(
                "The command was interrupted: the machine was restarted, or something else ended the command.",
            ),
        });
        CommandPoll { lines, end, away: None }
    }

    fn failure(&self, code: u32) -> String {
        let text: Vec<&str> = self.tail.iter().map(String::as_str).collect();
        let last = text.iter().rev().find(|l| !l.trim().is_empty()).copied().unwrap_or("it wrote nothing");
        match classify(Some(code), &text.join("\n")) {
            Some(class) => format!("{} It said: {last}", class.sentence()),
            None => format!("It ended with exit status {code}. It said: {last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ids::GuestId;

    fn follower() -> CommandWatch {
        let command = Command { name: "packages".to_owned(), via: CommandVia::Ssh };
        CommandWatch::new(SshTarget::Guest(GuestId::new()), JobId::new(), command)
    }

    #[test]
    fn lines_are_taken_in_once_and_the_end_is_told() {
        let mut f = follower();
        assert_eq!(f.read("run 0 6\none\ntw"), CommandPoll { lines: vec!["one".into()], ..CommandPoll::default() });
        assert_eq!(f.offset, Some(6));
        assert!(f.script().contains("o=6;"));
        let poll = f.read("end 0 6 2\no\n");
        assert_eq!((poll.lines, poll.end), (vec!["two".to_owned()], Some(TaskEnd::ok())));
    }

    #[test]
    fn a_command_that_has_not_begun_is_waited_for() {
        let mut f = follower();
        assert_eq!((f.read("none 0 0\n"), f.offset), (CommandPoll::default(), None));
        assert_eq!(f.read("run 0 2\nx\n").lines, ["x"]);
    }

    #[test]
    fn a_failed_command_says_why_in_words() {
        let mut f = follower();
        let poll = f.read("end 100 0 70\nReading package lists...\nE: Unable to locate package nope\n");
        let end = poll.end.unwrap().text;
        assert!(end.starts_with("The machine's package sources do not have") && end.ends_with("package nope"), "{end}");
        assert!(follower().read("lost 0 0\n").end.unwrap().text.contains("interrupted"));
    }

    #[test]
    fn the_end_waits_for_the_rest_of_much_output() {
        let mut f = follower();
        assert_eq!(f.read(&format!("end 0 0 {CHUNK}\n{}", "x\n".repeat(CHUNK / 2))).end, None);
        assert_eq!(f.read(&format!("end 0 {CHUNK} 5\nlast\n")).end, Some(TaskEnd::ok()));
    }
}
