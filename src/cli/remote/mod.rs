//! `steward` as a command line from anywhere: it speaks to an appliance through the REST API, with a token that
//! `steward login` made for this computer. It knows nothing of stores and plugins; what it can't do, the API can't.

mod actions;
mod bulk;
mod client;
pub(super) mod complete;
mod connections;
mod console;
mod contexts;
mod create;
mod find;
mod guests;
mod hardware;
mod impact;
mod jobs;
mod moving;
mod nodes;
mod profiles;
mod quotas;
mod raw;
mod sharing;
mod sign_in;
mod snapshots;
mod software;
mod table;
mod templates;
mod terminal;
mod tls;

use super::say::complain;
use base::text::without_mark;
use base::{Error, Kind, Result};
use clap::{Subcommand, ValueEnum};
use client::Api;
use contexts::Contexts;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// What a file holds, `-` for standard input; a byte order mark is skipped.
fn text_of(path: &Path) -> Result<String> {
    let read =
        if path.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = read.map_err(|e| Error::invalid(format!("{}: {e}", path.display())))?;
    Ok(without_mark(&text).to_owned())
}

/// The commands that need no Steward on this computer.
#[derive(Debug, Subcommand)]
pub(super) enum RemoteCommand {
    /// Sign this computer in to a Steward somewhere else.
    Login(sign_in::Login),
    /// Revoke this computer's token and forget it.
    Logout(sign_in::Logout),
    /// Say who is signed in where.
    Whoami(sign_in::Whoami),
    /// Choose between several Stewards that this computer is signed in to.
    Context(sign_in::ContextArgs),
    /// Machines: list, show, create, start, stop, delete.
    #[command(visible_alias = "machines")]
    Guests(guests::Guests),
    /// A machine's serial line, or a container's terminal, in this terminal.
    Console(console::Console),
    /// Snapshots of machines: list, take, roll back, delete.
    Snapshots(snapshots::Snapshots),
    /// Settings, disks and network cards of machines.
    Hardware(hardware::Hardware),
    /// Named sizes and hardware for machines: list, show, apply.
    Profiles(profiles::Profiles),
    /// What can be installed on machines, and what is.
    Software(software::Software),
    /// What machines are made from: list, build from cloud images, delete.
    Templates(templates::Templates),
    /// What is being done, and how it ended.
    Jobs(jobs::Jobs),
    /// Everyone's quota and usage: list, show, set.
    Quotas(quotas::Quotas),
    /// The nodes that the machines are on.
    Nodes(nodes::Nodes),
    /// The connected clusters: list, give one a new token, accept a changed certificate.
    Connections(connections::Connections),
    /// Any call of the REST API, for what has no command of its own.
    Api(raw::Raw),
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Common options")]
struct Common {
    /// Which of the signed-in Stewards; see `steward context list`.
    #[arg(long, short = 'c', global = true, env = "STEWARD_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// How the answer is written.
    #[arg(long, short = 'o', global = true, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people; fits the terminal.
    Table,
    /// For programs: what the API answers.
    Json,
}

impl Common {
    /// The API of the chosen Steward.
    fn api(&self) -> Result<Api> {
        let contexts = Contexts::load()?;
        let (_, context) = contexts.choose(self.context.as_deref())?;
        Api::new(context)
    }

    fn json(&self) -> bool {
        self.output == Output::Json
    }

    /// Writes the answer as JSON where that is wanted, and says so.
    fn prints(&self, answer: &impl Serialize) -> bool {
        if self.json() {
            table::json(answer);
        }
        self.json()
    }
}

/// The job that was asked for did not end well.
const JOB_FAILED: u8 = 6;

/// Exit codes; docs/COMMANDLINE.md lists them.
fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Invalid => 2,
        Kind::NotFound => 3,
        Kind::Unavailable => 4,
        Kind::Unauthenticated => 5,
        Kind::Forbidden | Kind::Conflict | Kind::TooMany | Kind::Storage | Kind::Internal => 1,
    }
}

/// Runs one command.
pub(super) fn main(verb: RemoteCommand) -> ExitCode {
    match run(verb) {
        Ok(code) => code,
        Err(e) => {
            explain(&e);
            ExitCode::from(code(e.kind()))
        }
    }
}

/// The sentence and, indented, what is wrong with which field.
fn explain(e: &Error) {
    complain(&format!("steward: {}", table::plain(e.message())));
    for (field, text) in e.fields() {
        complain(&format!("  {}: {}", table::plain(field), table::plain(text)));
    }
    tracing::debug!(error = e.chain(), "failed");
}

/// SHA-256 of the certificate that is shown at an address of this host, for comparing at `steward login`.
pub(super) fn fingerprint(address: std::net::SocketAddr) -> Option<String> {
    web::install_crypto();
    let url = client::address(&format!("https://{address}")).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(tls::look(&url)).ok().map(|(shown, _)| shown.fingerprint())
}

fn run(verb: RemoteCommand) -> Result<ExitCode> {
    web::install_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    runtime.block_on(async {
        match verb {
            RemoteCommand::Login(login) => login.run().await,
            RemoteCommand::Logout(logout) => logout.run().await,
            RemoteCommand::Whoami(whoami) => whoami.run().await,
            RemoteCommand::Context(context) => context.run(),
            RemoteCommand::Guests(guests) => guests.run().await,
            RemoteCommand::Console(console) => console.run().await,
            RemoteCommand::Snapshots(snapshots) => snapshots.run().await,
            RemoteCommand::Hardware(hardware) => hardware.run().await,
            RemoteCommand::Profiles(profiles) => profiles.run().await,
            RemoteCommand::Software(software) => software.run().await,
            RemoteCommand::Templates(templates) => templates.run().await,
            RemoteCommand::Jobs(jobs) => jobs.run().await,
            RemoteCommand::Quotas(quotas) => quotas.run().await,
            RemoteCommand::Nodes(nodes) => nodes.run().await,
            RemoteCommand::Connections(connections) => connections.run().await,
            RemoteCommand::Api(raw) => raw.run().await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_trouble_has_its_exit_code() {
        let codes = [
            (Kind::Forbidden, 1),
            (Kind::Conflict, 1),
            (Kind::Invalid, 2),
            (Kind::NotFound, 3),
            (Kind::Unavailable, 4),
            (Kind::Unauthenticated, 5),
        ];
        for (kind, wanted) in codes {
            assert_eq!(code(kind), wanted, "{kind:?}");
        }
    }
}
