//! Talking with the person: questions, passwords without echo, width and colour.

use base::{Error, Result, Secret};
use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use zeroize::Zeroize as _;

/// Somebody is there to be asked.
pub fn somebody() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Columns of the terminal that tables are written to; none when it is not a terminal.
pub fn width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(w, _)| usize::from(w.0))
}

/// Colours only for a person who did not turn them off (<https://no-color.org>).
pub fn colour() -> bool {
    let off = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    std::io::stdout().is_terminal() && !off && std::env::var("TERM").is_ok_and(|t| t != "dumb")
}

fn prompt(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "{text}");
    let _ = err.flush();
}

fn line() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_line(&mut text);
    match read {
        Ok(0) => Err(Error::invalid("Nothing was entered.")),
        Ok(_) => {
            let kept = text.trim_end_matches(['\r', '\n']).to_owned();
            text.zeroize();
            Ok(kept)
        }
        Err(e) => Err(Error::invalid("The terminal can't be read.").with_cause(e)),
    }
}

/// One line.
pub fn ask(text: &str) -> Result<String> {
    if !somebody() {
        return Err(Error::invalid("Nobody is at the terminal to be asked. Give it as an option; --help says which."));
    }
    prompt(text);
    line().map(|l| l.trim().to_owned())
}

/// Yes or no; anything but a yes is no.
pub fn confirm(text: &str) -> Result<bool> {
    if !somebody() {
        return Err(Error::invalid("Nobody is at the terminal to be asked. With --yes nothing is asked."));
    }
    let answer = ask(&format!("{text} [y/N] "))?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}

/// Puts the terminal back, also when something goes wrong on the way.
struct Quiet(Termios);

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &self.0);
        prompt("\n");
    }
}

/// The terminal gives every key as it is, until this is dropped.
pub struct Raw(Termios);

impl Raw {
    pub fn begin() -> Result<Self> {
        let unable = |e: nix::Error| Error::invalid("This is not a terminal.").with_cause(e);
        let before = termios::tcgetattr(std::io::stdin()).map_err(unable)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).map_err(unable)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &self.0);
        prompt("\n");
    }
}

/// A line that is not shown while it is typed.
pub fn password(text: &str) -> Result<Secret<String>> {
    let unable = |e: nix::Error| Error::invalid("The terminal can't hide what is typed.").with_cause(e);
    if !somebody() {
        return Err(Error::invalid(
            "Nobody is at the terminal to type a password. Pipe in a token with --token-stdin.",
        ));
    }
    let before = termios::tcgetattr(std::io::stdin()).map_err(unable)?;
    let mut hidden = before.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    termios::tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &hidden).map_err(unable)?;
    let _quiet = Quiet(before);
    prompt(text);
    line().map(Secret::new)
}

/// A secret that was piped in: the first line.
pub fn piped() -> Result<Secret<String>> {
    let text = line()?;
    if text.trim().is_empty() {
        return Err(Error::invalid("Nothing came in on standard input."));
    }
    Ok(Secret::new(text.trim().to_owned()))
}
