//! The measured process: started with a simulated cluster, read through /proc.

use crate::Fallible;
use serde::Deserialize;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Clock ticks of /proc/PID/stat: 100 a second on every Linux that Steward runs on.
const TICKS: f64 = 100.0;

pub struct Steward {
    child: Child,
    pid: u32,
    pub url: String,
    pub login: String,
    pub password: String,
    pub token: String,
    pub ready_after: Duration,
}

#[derive(Deserialize)]
struct Ready {
    url: String,
    login: String,
    password: String,
    token: String,
}

impl Steward {
    pub async fn start(guests: usize, nodes: usize) -> Fallible<Self> {
        let binary = std::env::var("TESTED_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_steward").to_owned());
        let began = Instant::now();
        let mut child = Command::new(&binary)
            .args(["demo", "--json", "--listen", "127.0.0.1:0"])
            .args(["--guests", &guests.to_string(), "--nodes", &nodes.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or("it ended at once")?;
        let stdout = child.stdout.take().ok_or("it has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            if let Ok(Ready { url, login, password, token }) = serde_json::from_str(&line) {
                let ready_after = began.elapsed();
                // Keep reading, else it could not write any more.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                let url = url.trim_end_matches('/').to_owned();
                return Ok(Self { child, pid, url, login, password, token, ready_after });
            }
        }
        Err(format!("{binary} demo --json ended without saying that it is ready").into())
    }

    /// Processor time used so far.
    pub fn cpu(&self) -> Fallible<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name in brackets may hold spaces: count the fields behind it (proc(5): utime 14, stime 15).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        Ok(Duration::from_secs_f64((ticks(14) + ticks(15)) / TICKS))
    }

    /// Bytes of resident memory.
    pub fn resident(&self) -> Fallible<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        Ok(figure(&status, "VmRSS:").ok_or("no VmRSS")? * 1024.0)
    }

    /// Bytes sent to the disk so far.
    pub fn written(&self) -> Fallible<f64> {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.pid))?;
        Ok(figure(&io, "write_bytes:").ok_or("no write_bytes")?)
    }

    pub async fn stop(mut self) -> Fallible<()> {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid.cast_signed()), nix::sys::signal::Signal::SIGTERM)?;
        tokio::time::timeout(Duration::from_secs(15), self.child.wait()).await??;
        Ok(())
    }
}

fn figure(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|l| l.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
