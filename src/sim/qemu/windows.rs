//! A Windows guest behind its agent. No PowerShell runs here: what Steward sends (a fixed command line that reads
//! JSON) is understood by its shape, kept like the folder it represents, and scripts are answered from a table that
//! a test fills. Scripts that nothing matches succeed without output.

use crate::dispatch::Call;
use crate::error::ApiError;
use crate::http::answer::Answer;
use crate::state::Kind;
use base::random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a script that has `part` in it does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reply {
    pub part: String,
    pub code: i64,
    pub out: String,
    pub err: String,
    /// Unscaled seconds that it takes.
    pub seconds: f64,
    /// Windows is started anew by it.
    pub restart: bool,
    /// How often; 0 for always.
    pub times: u32,
}

/// What was run, for tests to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// As process lists and event logs show it.
    pub command_line: String,
    pub script: String,
    pub input: String,
    /// Started to go on, not waited for.
    pub long: bool,
}

/// A command that goes on by itself.
#[derive(Debug, Clone)]
struct Process {
    nonces: Vec<String>,
    sum: String,
    round: String,
    reply: Reply,
    /// Unix milliseconds; the end of time when it was broken off.
    ends: i64,
    told: usize,
}

/// One machine's inside.
#[derive(Debug, Default)]
pub struct Windows {
    pub replies: Vec<Reply>,
    pub ran: Vec<Ran>,
    pub files: BTreeMap<String, Vec<u8>>,
    processes: HashMap<String, Process>,
    boot: String,
    /// What it is called, and will be called after a restart; empty for what it was installed with.
    name: String,
    next: String,
    /// Unix milliseconds: until then the agent is silent.
    pub silent_until: i64,
}

/// How a command ends, and when.
#[derive(Debug)]
pub struct Outcome {
    pub code: i64,
    pub out: String,
    pub err: String,
    /// Unix milliseconds.
    pub at: i64,
}

/// The text behind `-EncodedCommand`.
fn decoded(word: &str) -> Option<String> {
    let bytes = B64.decode(word).ok()?;
    let units: Vec<u16> = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
    String::from_utf16(&units).ok()
}

/// Proxmox turns each byte into a character.
fn as_characters(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

impl Windows {
    /// Carries a command out. `None`: there is no such program. `scale` turns a reply's seconds into milliseconds.
    pub fn exec(&mut self, words: &[String], input: &str, now: i64, scale: f64) -> Option<Outcome> {
        if !words.first()?.eq_ignore_ascii_case("powershell.exe") {
            return None;
        }
        let at = words.iter().position(|w| w.eq_ignore_ascii_case("-EncodedCommand"))?;
        let begin = decoded(words.get(at + 1)?)?;
        let over = |code, out: &str| Some(Outcome { code, out: as_characters(out), err: String::new(), at: now });
        let asked: Option<Value> = B64.decode(input).ok().and_then(|b| serde_json::from_slice(&b).ok());
        let Some(asked) = asked.filter(|_| begin.contains("ConvertFrom-Json")) else {
            return over(1, "");
        };
        let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
        if matches!(asked["do"].as_str(), Some("run" | "start")) {
            let (long, command_line) = (asked["do"] == "start", words.join(" "));
            self.ran.push(Ran { command_line, script: text("script"), input: text("input"), long });
        }
        match asked["do"].as_str() {
            Some("run") => {
                let reply = self.reply(&text("script"));
                if reply.restart || text("script").contains("shutdown.exe /r") {
                    self.restart(now, scale);
                }
                let at = now + milliseconds(reply.seconds, scale);
                Some(Outcome { code: reply.code, out: as_characters(&reply.out), err: as_characters(&reply.err), at })
            }
            Some("start") => {
                self.start(&asked, now, scale);
                over(0, "")
            }
            Some("look") => over(0, &self.look(&asked, now)),
            Some("end") => {
                let dir = text("dir");
                self.processes.retain(|name, _| !name.starts_with(&dir));
                over(0, "")
            }
            Some("put") => {
                self.files.insert(text("path"), Vec::new());
                over(0, "")
            }
            Some("get") => match self.files.get(&text("path")) {
                Some(bytes) => over(0, &String::from_utf8_lossy(bytes)),
                None => over(44, ""),
            },
            Some("boot") => {
                if self.boot.is_empty() {
                    self.boot = random::token::<8>();
                }
                over(0, &self.boot)
            }
            _ => over(1, ""),
        }
    }

    /// Commands that go on now.
    pub fn running(&self, now: i64) -> usize {
        self.processes.values().filter(|p| p.ends > now && p.ends < i64::MAX).count()
    }

    /// Everything that runs is broken off, and the agent is silent for a while.
    pub fn restart(&mut self, now: i64, scale: f64) {
        self.boot = random::token::<8>();
        if !self.next.is_empty() {
            self.name = std::mem::take(&mut self.next);
        }
        self.silent_until = now + milliseconds(20.0, scale);
        for process in self.processes.values_mut().filter(|p| p.ends > now) {
            process.ends = i64::MAX;
        }
    }

    /// What a script does that no test has an answer for: only the computer's name is known.
    fn usual(&mut self, script: &str) -> Reply {
        if let Some((_, rest)) = script.split_once("Rename-Computer -NewName '") {
            self.next = rest.split('\'').next().unwrap_or_default().to_owned();
        }
        let mut reply = Reply::default();
        if script.contains("$env:COMPUTERNAME") && script.contains("ConvertTo-Json") {
            let name = if self.name.is_empty() { "DESKTOP-4F7K2QA" } else { self.name.as_str() };
            let next = if self.next.is_empty() { name } else { self.next.as_str() };
            reply.out = json!({ "name": name, "next": next, "domain": "WORKGROUP", "joined": false }).to_string();
        }
        if script.contains("Get-NetTCPConnection") {
            reply.out = "True\n".to_owned();
        }
        reply
    }

    /// The newest reply that fits.
    fn reply(&mut self, script: &str) -> Reply {
        let Some(at) = self.replies.iter().rposition(|r| script.contains(&r.part)) else { return self.usual(script) };
        let reply = self.replies[at].clone();
        if reply.times > 0 {
            self.replies[at].times -= 1;
            if self.replies[at].times == 0 {
                self.replies.remove(at);
            }
        }
        reply
    }

    fn start(&mut self, asked: &Value, now: i64, scale: f64) {
        let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
        let (dir, sum, round) = (text("dir"), text("sum"), text("round"));
        if let Some(old) = self.processes.get_mut(&dir) {
            let runs = old.ends > now && old.ends < i64::MAX;
            let well = old.ends <= now && old.reply.code == 0 && old.round == round;
            if old.sum == sum && (runs || well) {
                old.nonces.push(text("nonce"));
                return;
            }
        }
        let reply = self.reply(&text("script"));
        let ends = now + milliseconds(reply.seconds, scale);
        let process = Process { nonces: vec![text("nonce")], sum, round, reply, ends, told: 0 };
        if process.reply.restart {
            self.restart(now, scale);
        }
        self.processes.insert(dir, process);
    }

    fn look(&mut self, asked: &Value, now: i64) -> String {
        let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
        let Some(process) = self.processes.get_mut(&text("dir")).filter(|p| p.nonces.contains(&text("nonce"))) else {
            return "none 0 0\n".to_owned();
        };
        let all = if process.ends <= now {
            format!("{}{}", process.reply.out, process.reply.err)
        } else {
            // Half of what it says is there from the start.
            let half = process.reply.out.find('\n').map_or(0, |i| i + 1);
            process.reply.out[..half].to_owned()
        };
        let state = match process.ends {
            i64::MAX => "lost".to_owned(),
            ends if ends > now => "run".to_owned(),
            _ => format!("end {}", process.reply.code),
        };
        let from = usize::try_from(asked["from"].as_i64().unwrap_or(-1)).unwrap_or(process.told).min(all.len());
        process.told = from;
        format!("{state} {from} {}\n{}", all.len() - from, &all[from..])
    }
}

/// `PUT .../sendkey`. A key starts the set-up of a machine that has the answers in a drive: it installs itself and
/// shuts down.
pub fn send_key(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    let (pid, installs) = call.world.read(|c| {
        let guest = c.guest(&node, Kind::Qemu, vmid)?;
        let run = guest.run.as_ref().ok_or_else(|| ApiError::die(format!("VM {vmid} not running")))?;
        let answers = guest.config.values().any(|v| v.contains("steward-answers"));
        Ok::<_, ApiError>((run.pid, answers && guest.get("sata0").is_some()))
    })?;
    if installs {
        let world = Arc::clone(&call.world);
        call.world.background(async move {
            tokio::time::sleep(world.scaled(1800.0)).await;
            world.change(|c| {
                let runs = c.guests.get(&vmid).and_then(|g| g.run.as_ref()).is_some_and(|r| r.pid == pid);
                if runs {
                    super::power::stopped(c, vmid);
                }
            });
        });
    }
    Ok(Value::Null.into())
}

#[expect(clippy::cast_possible_truncation, reason = "some seconds")]
fn milliseconds(seconds: f64, scale: f64) -> i64 {
    (seconds * 1000.0 * scale) as i64
}

/// What `exec-status` says once it is over.
pub fn status(outcome: &Outcome) -> Value {
    let mut done = json!({ "exited": 1, "exitcode": outcome.code });
    for (name, text) in [("out-data", &outcome.out), ("err-data", &outcome.err)] {
        if !text.is_empty() {
            done[name] = json!(text);
        }
    }
    done
}
