//! The few shell scripts that Steward itself sends: becoming root, files, commands that outlive the connection.

use crate::ssh::{Ssh, SshTarget};
use base::Secret;
use base::ids::JobId;
use model::jobs::{Command, CommandVia};
use plugin::{MachineCall, MachineCommand};
use remote::ssh::{Ran, RunOptions, SshError, SshErrorKind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use store::{Read, tables};

/// Where the machine keeps commands that go on without us, one folder for each job.
pub(super) const JOBS: &str = "/var/lib/steward/jobs";
/// Bytes of each output of a command that a script gets.
const KEEP: usize = 64 << 10;
/// Exit status of our own for "there is no such file".
const NO_FILE: u32 = 44;

/// Says `ready`, or `busy` while the first set-up goes on. Fails when it may not be root.
pub(super) const LOOK: &str = "if [ -d /run/cloud-init ] && [ ! -e /run/cloud-init/result.json ] && command -v cloud-init >/dev/null; \
                               then echo busy; else echo ready; fi";

/// A word for `sh`.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A script for `sh` as one command line that runs it as root.
pub(super) fn as_root(user: &str, script: &str) -> String {
    let script = quoted(script);
    if user == "root" { format!("exec sh -c {script}") } else { format!("exec sudo -n -- sh -c {script}") }
}

pub(crate) fn folder(job: JobId, name: &str) -> String {
    format!("{JOBS}/{job}/{name}")
}

impl Ssh<'_> {
    /// Carries out what a script asked. `say` gets lines for the job's log.
    pub(crate) async fn call(
        &self,
        place: SshTarget,
        job: Option<JobId>,
        call: MachineCall<Secret<String>>,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Value, SshError> {
        match call {
            MachineCall::Run(asked) | MachineCall::Look(asked) => self.command(place, &asked, say).await,
            MachineCall::Put { path, text, mode } => self.put(place, &path, &text, mode).await,
            MachineCall::Get { path } => self.get(place, &path).await,
            MachineCall::Ready => self.ready(place).await,
            MachineCall::Boot => {
                let ran = self.ask(place, "cat /proc/sys/kernel/random/boot_id").await?;
                done(ran, "the start of the system could not be determined").map(|ran| json!(ran.out.trim()))
            }
            MachineCall::Start { name, command } => {
                let job = job.ok_or_else(|| super::invalid("Only a job can start a command that keeps running."))?;
                self.start(place, job, &name, command).await
            }
        }
    }

    async fn command(
        &self,
        place: SshTarget,
        asked: &MachineCommand<Secret<String>>,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Value, SshError> {
        let options = RunOptions {
            stdin: asked.input.expose().clone().into_bytes(),
            limit: Duration::from_secs(asked.timeout),
            keep: KEEP,
        };
        let quiet = asked.quiet;
        let mut each = |_, line: &str| {
            if !quiet {
                say(line);
            }
        };
        let ran = self.run(place, &asked.command, &options, &mut each).await?;
        Ok(json!({ "code": ran.code, "out": ran.out, "err": ran.err }))
    }

    async fn put(&self, place: SshTarget, path: &str, text: &Secret<String>, mode: u32) -> Result<Value, SshError> {
        let (path, dir) = (plain_path(path)?, path.rsplit_once('/').map_or("/", |(dir, _)| dir));
        let (file, new, dir) = (quoted(path), quoted(&format!("{path}.steward-new")), quoted(dir));
        let script = format!(
            "[ -d {dir}/ ] || mkdir -p {dir}/ || exit 1; umask 077; cat >{new} && chmod {mode:o} {new} && mv -f {new} {file}"
        );
        let options = RunOptions { stdin: text.expose().clone().into_bytes(), ..RunOptions::default() };
        done(self.run(place, &script, &options, &mut |_, _| {}).await?, &format!("{path} could not be written"))?;
        Ok(Value::Null)
    }

    async fn get(&self, place: SshTarget, path: &str) -> Result<Value, SshError> {
        let file = quoted(plain_path(path)?);
        let most = 256 << 10;
        let script = format!("[ -e {file} ] || exit {NO_FILE}; head -c {most} {file}");
        let options = RunOptions { keep: most, ..RunOptions::default() };
        let ran = self.run(place, &script, &options, &mut |_, _| {}).await?;
        if ran.code == NO_FILE {
            return Ok(Value::Null);
        }
        done(ran, &format!("{path} could not be read")).map(|ran| json!(ran.out))
    }

    /// Ends the commands that a job left running, with all that they started, and takes their folder away.
    pub(crate) async fn end_all(&self, place: SshTarget, job: JobId) -> Result<(), SshError> {
        let d = quoted(&format!("{JOBS}/{job}"));
        let script = format!(
            r#"cd {d} 2>/dev/null || exit 0
for c in */; do [ -e "$c/code" ] || [ "$(cat "$c/boot")" != "$(cat /proc/sys/kernel/random/boot_id)" ] || kill -TERM -"$(cat "$c/pid")"; done
cd / && rm -rf {d}"#
        );
        self.ask(place, &script).await.map(drop)
    }

    /// The command gets a session of its own, so it lives on when the connection ends. The same one that runs
    /// already is left alone, and so is one that ended well since the job began: then only Steward died before
    /// it could note that. `round` is when the job began: a job that is tried again by a person begins anew.
    async fn start(&self, place: SshTarget, job: JobId, name: &str, command: String) -> Result<Value, SshError> {
        let row = self.0.store().read(|tx| tx.get(tables::JOBS, &job)).map_err(|e| super::from_ours(&e))?;
        let round = row.and_then(|j| j.started).map_or(0, |t| t.0);
        let (d, sum) = (quoted(&folder(job, name)), hex::encode(Sha256::digest(command.as_bytes())));
        let script = format!(
            r#"d={d}; boot=$(cat /proc/sys/kernel/random/boot_id)
if [ -s "$d/pid" ]; then
  same=; [ "$(cat "$d/sum")" = {sum} ] && same=yes
  if [ -e "$d/code" ]; then
    [ "$same" ] && [ "$(cat "$d/code") $(cat "$d/round")" = "0 {round}" ] && {{ cat >/dev/null; exit 0; }}
  elif [ "$(cat "$d/boot")" = "$boot" ] && kill -0 "$(cat "$d/pid")" 2>/dev/null; then
    [ "$same" ] && {{ cat >/dev/null; exit 0; }}
    kill -TERM -"$(cat "$d/pid")"; sleep 1
  fi
fi
umask 077; rm -rf "$d" && mkdir -p "$d" && cat >"$d/script" && echo "$boot" >"$d/boot" && echo {sum} >"$d/sum" && echo {round} >"$d/round" && echo 0 >"$d/told" && : >"$d/log" || exit 1
export d
setsid sh -c 'echo $$ >"$d/pid"; umask 022; sh "$d/script" >"$d/log" 2>&1; c=$?; rm -f "$d/script"; echo $c >"$d/end"; mv "$d/end" "$d/code"' </dev/null >/dev/null 2>&1 &
n=0; while [ ! -s "$d/pid" ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done; [ -s "$d/pid" ]"#
        );
        let options =
            RunOptions { stdin: command.into_bytes(), limit: Duration::from_secs(30), ..RunOptions::default() };
        done(self.run(place, &script, &options, &mut |_, _| {}).await?, "the command could not be started")?;
        Ok(json!(Command { name: name.to_owned(), via: CommandVia::Ssh }.to_string()))
    }
}

/// A path that is safe to show and to quote.
fn plain_path(path: &str) -> Result<&str, SshError> {
    let fits = path.starts_with('/') && !path.ends_with('/') && !path.chars().any(char::is_control);
    if fits { Ok(path) } else { Err(super::invalid(format!("“{path}” is not a file path."))) }
}

fn done(ran: Ran, what: &str) -> Result<Ran, SshError> {
    if ran.code == 0 {
        return Ok(ran);
    }
    let said = ran.err.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it did not say why").trim();
    Err(SshError::new(SshErrorKind::Refused, format!("{what}: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(as_root("root", "id"), "exec sh -c 'id'");
        assert_eq!(as_root("mira", "id"), "exec sudo -n -- sh -c 'id'");
        assert!(plain_path("/etc/a\nb").is_err() && plain_path("etc/x").is_err() && plain_path("/etc/x").is_ok());
    }
}
