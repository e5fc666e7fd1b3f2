//! `steward snapshots`.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::Api;
use super::find::{self, GuestArg};
use super::table::{self, Cell, Tone};
use super::{Common, impact};
use base::Result;
use clap::Subcommand;
use model::guests::GuestAction;
use model::guests::actions::{DeleteSnapshot, EditSnapshot, Rollback, TakeSnapshot};
use model::guests::snapshots::{self, Snapshot};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Snapshots {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: SnapshotsCommand,
}

#[derive(Debug, Subcommand)]
enum SnapshotsCommand {
    /// A machine's snapshots, as the tree that they are.
    List {
        #[command(flatten)]
        guest: GuestArg,
    },
    /// Take a snapshot.
    Create {
        #[command(flatten)]
        one: SnapshotArgs,
        /// A note.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        /// Include memory; only of a running virtual machine.
        #[arg(long)]
        memory: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Roll back to a snapshot: what came after it is lost.
    Rollback {
        #[command(flatten)]
        one: SnapshotArgs,
        /// Start the machine afterwards.
        #[arg(long)]
        start: bool,
        /// Ask nothing.
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Delete a snapshot; the machine stays as it is.
    Delete {
        #[command(flatten)]
        one: SnapshotArgs,
        #[command(flatten)]
        wait: Wait,
    },
    /// Change the note of a snapshot.
    Note {
        #[command(flatten)]
        one: SnapshotArgs,
        #[arg(value_name = "TEXT")]
        text: String,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Debug, clap::Args)]
struct SnapshotArgs {
    #[command(flatten)]
    guest: GuestArg,
    /// The snapshot's name.
    #[arg(value_name = "SNAPSHOT")]
    name: String,
}

impl Snapshots {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        let (one, action, wait): (SnapshotArgs, GuestAction, Wait) = match verb {
            SnapshotsCommand::List { guest } => return list(&mut api, &common, &guest).await,
            SnapshotsCommand::Create { one, description, memory, wait } => {
                let name = one.name.clone();
                (one, TakeSnapshot { name, description, memory }.into(), wait)
            }
            SnapshotsCommand::Rollback { one, start, yes, wait } => {
                let found = find::guest(&mut api, &one.guest.guest).await?;
                let question = format!("Go back to “{}”?", one.name);
                let action = Rollback { name: one.name.clone(), start }.into();
                impact::sure(&mut api, std::slice::from_ref(&found), &action, &question, yes).await?;
                (one, action, wait)
            }
            SnapshotsCommand::Delete { one, wait } => {
                let name = one.name.clone();
                (one, DeleteSnapshot { name }.into(), wait)
            }
            SnapshotsCommand::Note { one, text, wait } => {
                let name = one.name.clone();
                (one, EditSnapshot { name, description: text }.into(), wait)
            }
        };
        let found = find::guest(&mut api, &one.guest.guest).await?;
        let job = api.act(&found, action).await?;
        actions::finish(&mut api, &common, &wait, vec![job]).await
    }
}

async fn list(api: &mut Api, common: &Common, guest: &GuestArg) -> Result<ExitCode> {
    let path = guest.path(api, "snapshots").await?;
    let all: snapshots::Snapshots = api.get(&path).await?;
    if common.prints(&all) {
        return Ok(ExitCode::SUCCESS);
    }
    let snapshots = all.tree().into_iter().filter_map(|(depth, s)| Some((depth, s?)));
    let rows: Vec<Vec<Cell>> = snapshots.map(|(depth, s)| row(depth, s, all.parent.as_deref())).collect();
    table::print(&["name", "taken", "memory", "note"], &rows, "This machine has no snapshot.");
    if let Some(why) = &all.refusal {
        say(&format!("None can be taken now: {}", table::plain(why)));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(depth: usize, snapshot: &Snapshot, parent: Option<&str>) -> Vec<Cell> {
    let now = if parent == Some(snapshot.name.as_str()) { " (now)" } else { "" };
    let note = match snapshot.broken {
        true => Cell::text("incomplete: taking or deleting it was interrupted").tone(Tone::Bad),
        false => Cell::text(&snapshot.description),
    };
    vec![
        Cell::text(format!("{}{}{now}", "  ".repeat(depth), snapshot.name)),
        Cell::text(table::time(snapshot.time)),
        Cell::text(if snapshot.memory { "yes" } else { "" }),
        note,
    ]
}
