//! Commands and small files.

use super::client::SshSession;
use super::error::{SshError, SshErrorKind};
use super::lines::Lines;
use russh::{ChannelMsg, Sig};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Which of a command's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

#[derive(Debug, Clone)]
pub struct RunOptions {
    /// What the command reads; then its input ends.
    pub stdin: Vec<u8>,
    /// After that the command's connection is closed, which ends most commands.
    pub limit: Duration,
    /// Bytes of each output that are kept: the last ones.
    pub keep: usize,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { stdin: Vec::new(), limit: Duration::from_secs(60), keep: 64 << 10 }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ran {
    /// The exit status; 128 + n when signal n ended it, 255 when the other side did not say.
    pub code: u32,
    /// The name of the signal that ended it: `KILL`.
    pub signal: Option<String>,
    pub out: String,
    pub err: String,
    /// More was written than kept.
    pub cut: bool,
}

/// The end of what one output wrote.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    cut: bool,
}

impl Tail {
    fn push(&mut self, data: &[u8], keep: usize) {
        self.bytes.extend_from_slice(data);
        if self.bytes.len() > keep {
            self.bytes.drain(..self.bytes.len() - keep);
            self.cut = true;
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl SshSession {
    /// Runs a command through the login shell of the user and waits for its end. `each` gets its lines as they
    /// come. Nothing is quoted here.
    ///
    /// # Errors
    /// `Timeout` after `limit`, `Unreachable` when the connection breaks: in both cases it may have happened.
    /// A command that fails is not an error: see [`Ran::code`].
    pub async fn run(
        &self,
        command: &str,
        options: &RunOptions,
        each: &mut (dyn FnMut(Stream, &str) + Send),
    ) -> Result<Ran, SshError> {
        let end = Instant::now() + options.limit;
        match timeout_at(end, self.play(command, options, each)).await {
            Ok(result) => result,
            Err(_) => {
                let text = format!("The command on {} took longer than {} s.", self.place, options.limit.as_secs());
                Err(SshError::new(SshErrorKind::Timeout, text))
            }
        }
    }

    async fn play(
        &self,
        command: &str,
        options: &RunOptions,
        each: &mut (dyn FnMut(Stream, &str) + Send),
    ) -> Result<Ran, SshError> {
        let broken = |e: russh::Error| SshError::broken(&self.place, &e);
        let mut channel = self.handle.channel_open_session().await.map_err(broken)?;
        channel.exec(true, command).await.map_err(broken)?;
        if !options.stdin.is_empty() {
            channel.data(&options.stdin[..]).await.map_err(broken)?;
        }
        channel.eof().await.map_err(broken)?;
        let (mut out, mut err, mut ran) = (Tail::default(), Tail::default(), Ran { code: 255, ..Ran::default() });
        let (mut out_lines, mut err_lines, mut ended) = (Lines::default(), Lines::default(), false);
        // Data may follow the exit status, so only the channel's end counts.
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    out.push(&data, options.keep);
                    out_lines.push(&data, |line| each(Stream::Out, line));
                }
                ChannelMsg::ExtendedData { data, .. } => {
                    err.push(&data, options.keep);
                    err_lines.push(&data, |line| each(Stream::Err, line));
                }
                ChannelMsg::ExitStatus { exit_status } => (ran.code, ended) = (exit_status, true),
                ChannelMsg::ExitSignal { signal_name, .. } => {
                    let (name, number) = signal(&signal_name);
                    (ran.code, ran.signal, ended) = (128 + number, Some(name), true);
                }
                ChannelMsg::Failure => {
                    let text = format!("{} does not let Steward run commands.", self.place);
                    return Err(SshError::new(SshErrorKind::Refused, text));
                }
                _ => {}
            }
        }
        if !ended && self.is_closed() {
            return Err(broken(russh::Error::Disconnect));
        }
        out_lines.finish(|line| each(Stream::Out, line));
        err_lines.finish(|line| each(Stream::Err, line));
        (ran.out, ran.err, ran.cut) = (out.text(), err.text(), out.cut || err.cut);
        Ok(ran)
    }
}

/// Name and number of a signal as SSH names it (RFC 4254, section 6.10).
fn signal(sig: &Sig) -> (String, u32) {
    let (name, number) = match sig {
        Sig::HUP => ("HUP", 1),
        Sig::INT => ("INT", 2),
        Sig::QUIT => ("QUIT", 3),
        Sig::ILL => ("ILL", 4),
        Sig::ABRT => ("ABRT", 6),
        Sig::FPE => ("FPE", 8),
        Sig::KILL => ("KILL", 9),
        Sig::USR1 => ("USR1", 10),
        Sig::SEGV => ("SEGV", 11),
        Sig::PIPE => ("PIPE", 13),
        Sig::ALRM => ("ALRM", 14),
        Sig::TERM => ("TERM", 15),
        Sig::Custom(name) => return (name.clone(), 127),
    };
    (name.to_owned(), number)
}
