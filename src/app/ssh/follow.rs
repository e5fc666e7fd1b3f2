//! Following a command that was started on a machine, over SSH or by its guest agent: its new lines, and its end.

use super::command::{folder, quoted};
use super::{Place, Ssh};
use crate::App;
use base::ids::JobId;
use model::software::failure::classify;
use remote::ssh::{Lines, SshError, SshErrorKind};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of output that one look brings.
const CHUNK: usize = 48 << 10;
/// Lines kept to tell why it failed.
const TAIL: usize = 60;
/// PowerShell takes its time to start: a command that is not there is looked for so long.
const BEGIN: Duration = Duration::from_secs(180);
/// A machine that does not answer for so long is given up.
const AWAY: Duration = Duration::from_secs(30 * 60);

/// One command on one machine, being watched.
#[derive(Debug)]
pub struct Follower {
    place: Place,
    job: JobId,
    name: String,
    way: Way,
    since: Instant,
    /// Bytes that were taken in; `None` before the first look: the machine knows where the last watcher was.
    offset: Option<u64>,
    lines: Lines,
    tail: VecDeque<String>,
    away: Option<Instant>,
}

/// How the machine is asked.
#[derive(Debug)]
enum Way {
    Ssh,
    /// With the word of the start that is looked for.
    Agent(String),
}

/// What one look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// New lines of its output.
    pub lines: Vec<String>,
    /// How it ended: `OK`, or a sentence.
    pub end: Option<String>,
    /// The machine did not answer: this is said once.
    pub away: Option<String>,
}

impl Ssh<'_> {
    /// A watcher for what `ssh::start` or `agent::start` answered. `None` when it is no such id.
    pub fn follower(&self, place: Place, id: &str) -> Option<Follower> {
        let mut parts = id.split(':');
        let (way, job, name) = (parts.next()?, parts.next()?, parts.next()?);
        let way = match way {
            "SSH" => Way::Ssh,
            "AGENT" => Way::Agent(parts.next()?.to_owned()),
            _ => return None,
        };
        Some(Follower {
            place,
            job: job.parse().ok()?,
            name: name.to_owned(),
            way,
            since: Instant::now(),
            offset: None,
            lines: Lines::default(),
            tail: VecDeque::new(),
            away: None,
        })
    }
}

impl Follower {
    /// Looks once.
    pub async fn look(&mut self, app: &App) -> Look {
        match self.ask(app).await {
            Ok(out) => {
                self.away = None;
                self.read(&out)
            }
            Err((true, why)) => {
                let first = self.away.is_none();
                let since = *self.away.get_or_insert_with(Instant::now);
                let end =
                    (since.elapsed() > AWAY).then(|| format!("The machine did not answer for half an hour. {why}"));
                Look { away: first.then_some(why), end, ..Look::default() }
            }
            Err((false, why)) => Look { end: Some(why), ..Look::default() },
        }
    }

    /// What the machine says; or whether waiting may help, and a sentence.
    async fn ask(&self, app: &App) -> Result<String, (bool, String)> {
        match (&self.way, self.place) {
            (Way::Ssh, place) => {
                let away = |e: &SshError| {
                    matches!(e.kind, SshErrorKind::Unreachable | SshErrorKind::Timeout | SshErrorKind::Auth)
                };
                let ran = app.ssh().ask(place, &self.script()).await;
                ran.map(|ran| ran.out).map_err(|e| (away(&e), e.message))
            }
            (Way::Agent(nonce), Place::Guest(guest)) => {
                let told = app.agent().look(guest, self.job, (&self.name, nonce), self.offset, CHUNK).await;
                told.map_err(|e| (e.kind.may_have_happened(), e.message))
            }
            (Way::Agent(_), Place::Connection(_)) => Err((false, "This is no command of a machine.".to_owned())),
        }
    }

    /// How soon the next look is due at first, and at last: by the agent each one starts a program there.
    pub fn pace(&self) -> (Duration, Duration) {
        match self.way {
            Way::Ssh => (Duration::from_millis(500), Duration::from_secs(3)),
            Way::Agent(_) => (Duration::from_millis(1500), Duration::from_secs(8)),
        }
    }

    /// Says `run`, `end N` or `lost`, the offset and how many bytes follow, then those. The end is looked at first, so
    /// that what is read after it is all there is.
    fn script(&self) -> String {
        let d = quoted(&folder(self.job, &self.name));
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

    fn read(&mut self, out: &str) -> Look {
        let (head, data) = out.split_once('\n').unwrap_or((out, ""));
        let mut words = head.split(' ');
        let state = words.next().unwrap_or_default();
        let code: Option<u32> = if state == "end" { words.next().and_then(|c| c.parse().ok()) } else { None };
        let mut number = || words.next().and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
        let (from, length) = (number(), number());
        if state == "none" && self.since.elapsed() < BEGIN {
            return Look::default();
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
            Some(0) => "OK".to_owned(),
            Some(code) => self.failure(code),
            None => "The command was broken off: the machine was restarted, or it was ended from outside.".to_owned(),
        });
        Look { lines, end, away: None }
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

    fn follower() -> Follower {
        let (place, name) = (Place::Guest(GuestId::new()), "packages".to_owned());
        Follower {
            place,
            job: JobId::new(),
            name,
            way: Way::Ssh,
            since: Instant::now(),
            offset: None,
            lines: Lines::default(),
            tail: VecDeque::new(),
            away: None,
        }
    }

    #[test]
    fn lines_are_taken_in_once_and_the_end_is_told() {
        let mut f = follower();
        assert_eq!(f.read("run 0 6\none\ntw"), Look { lines: vec!["one".into()], ..Look::default() });
        assert_eq!(f.offset, Some(6));
        assert!(f.script().contains("o=6;"));
        let look = f.read("end 0 6 2\no\n");
        assert_eq!((look.lines, look.end.as_deref()), (vec!["two".to_owned()], Some("OK")));
    }

    #[test]
    fn a_command_that_has_not_begun_is_waited_for() {
        let mut f = follower();
        assert_eq!((f.read("none 0 0\n"), f.offset), (Look::default(), None));
        assert_eq!(f.read("run 0 2\nx\n").lines, ["x"]);
    }

    #[test]
    fn a_failed_command_says_why_in_words() {
        let mut f = follower();
        let look = f.read("end 100 0 70\nReading package lists...\nE: Unable to locate package nope\n");
        let end = look.end.unwrap();
        assert!(end.starts_with("The machine's package sources do not have") && end.ends_with("package nope"), "{end}");
        assert!(follower().read("lost 0 0\n").end.unwrap().contains("broken off"));
    }

    #[test]
    fn the_end_waits_for_the_rest_of_much_output() {
        let mut f = follower();
        assert_eq!(f.read(&format!("end 0 0 {CHUNK}\n{}", "x\n".repeat(CHUNK / 2))).end, None);
        assert_eq!(f.read(&format!("end 0 {CHUNK} 5\nlast\n")).end.as_deref(), Some("OK"));
    }
}
