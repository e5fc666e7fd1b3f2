//! `steward snapshots`.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::{Api, part};
use super::table::{self, Cell, Tone};
use super::{Common, complete, find, impact};
use base::Result;
use clap::Subcommand;
use clap_complete::engine::ArgValueCompleter;
use model::guests::GuestAction;
use model::guests::actions::{DeleteSnapshot, EditSnapshot, Rollback, TakeSnapshot};
use serde_json::Value;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Snapshots {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// A machine's snapshots, as the tree that they are.
    List {
        #[command(flatten)]
        guest: Guest,
    },
    /// Take a snapshot.
    Create {
        #[command(flatten)]
        one: One,
        /// A note.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        /// Also what is in memory; only of a running virtual machine.
        #[arg(long)]
        memory: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Go back to a snapshot: what came after it is lost.
    Rollback {
        #[command(flatten)]
        one: One,
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
        one: One,
        #[command(flatten)]
        wait: Wait,
    },
    /// Change the note of a snapshot.
    Note {
        #[command(flatten)]
        one: One,
        #[arg(value_name = "TEXT")]
        text: String,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Debug, clap::Args)]
struct Guest {
    /// The machine's name, number or id.
    #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
    guest: String,
}

#[derive(Debug, clap::Args)]
struct One {
    #[command(flatten)]
    guest: Guest,
    /// The snapshot's name.
    #[arg(value_name = "SNAPSHOT")]
    name: String,
}

impl Snapshots {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        let (one, action, wait): (One, GuestAction, Wait) = match verb {
            Verb::List { guest } => return list(&mut api, &common, &guest.guest).await,
            Verb::Create { one, description, memory, wait } => {
                let name = one.name.clone();
                (one, TakeSnapshot { name, description, memory }.into(), wait)
            }
            Verb::Rollback { one, start, yes, wait } => {
                let found = find::guest(&mut api, &one.guest.guest).await?;
                let question = format!("Go back to “{}”?", one.name);
                let action = Rollback { name: one.name.clone(), start }.into();
                impact::sure(&mut api, &[&found], &action, &question, yes).await?;
                (one, action, wait)
            }
            Verb::Delete { one, wait } => {
                let name = one.name.clone();
                (one, DeleteSnapshot { name }.into(), wait)
            }
            Verb::Note { one, text, wait } => {
                let name = one.name.clone();
                (one, EditSnapshot { name, description: text }.into(), wait)
            }
        };
        let found = find::guest(&mut api, &one.guest.guest).await?;
        let job = api.act(&found, action).await?;
        actions::finish(&mut api, &common, &wait, vec![job]).await
    }
}

/// `/guests/ID/snapshots`
async fn of(api: &mut Api, guest: &Guest) -> Result<String> {
    let found = find::guest(api, &guest.guest).await?;
    Ok(format!("/guests/{}/snapshots", part(found["id"].as_str().unwrap_or_default())))
}

async fn list(api: &mut Api, common: &Common, guest: &str) -> Result<ExitCode> {
    let path = of(api, &Guest { guest: guest.to_owned() }).await?;
    let answer = api.get(&path).await?;
    if common.json() {
        table::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<Cell>> = tree(&answer).into_iter().map(|(depth, s)| row(depth, s, &answer)).collect();
    table::print(&["name", "taken", "memory", "note"], &rows, "This machine has no snapshot.");
    if let Some(why) = answer["refusal"].as_str() {
        say(&format!("None can be taken now: {}", table::plain(why)));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(depth: usize, snapshot: &Value, answer: &Value) -> Vec<Cell> {
    let text = |key: &str| snapshot[key].as_str().unwrap_or_default();
    let now = if answer["parent"] == snapshot["name"] { " (now)" } else { "" };
    let name = format!("{}{}{now}", "  ".repeat(depth), text("name"));
    let broken = snapshot["broken"] == true;
    let note = if broken { "broken: it broke off while it was made or deleted" } else { text("description") };
    vec![
        Cell::text(name),
        Cell::text(table::time(text("time"))),
        Cell::text(if snapshot["memory"] == true { "yes" } else { "" }),
        Cell::text(note).tone(if broken { Tone::Bad } else { Tone::None }),
    ]
}

/// The newest first: the stack gives the last one first.
fn by_age(mut list: Vec<&Value>) -> Vec<&Value> {
    list.sort_by(|a, b| b["time"].as_str().cmp(&a["time"].as_str()));
    list
}

/// Each snapshot with its depth, children under their parents, older ones first.
fn tree(answer: &Value) -> Vec<(usize, &Value)> {
    let all: Vec<&Value> = answer["snapshots"].as_array().into_iter().flatten().collect();
    let known = |name: &Value| all.iter().any(|s| s["name"] == *name);
    let mut out = Vec::new();
    let mut open: Vec<(usize, &Value)> = Vec::new();
    let roots: Vec<&Value> = all.iter().copied().filter(|s| !known(&s["parent"])).collect();
    open.extend(by_age(roots).into_iter().map(|s| (0, s)));
    while let Some((depth, snapshot)) = open.pop() {
        // A circle can't be; should it come, it ends here.
        if out.len() > all.len() {
            break;
        }
        out.push((depth, snapshot));
        let children: Vec<&Value> = all.iter().copied().filter(|s| s["parent"] == snapshot["name"]).collect();
        open.extend(by_age(children).into_iter().map(|s| (depth + 1, s)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn snapshots_are_shown_as_the_tree_that_they_are() {
        let answer = json!({ "parent": "b", "snapshots": [
            { "name": "c", "time": "2026-01-03T00:00:00Z", "parent": "a" },
            { "name": "a", "time": "2026-01-01T00:00:00Z", "parent": null },
            { "name": "b", "time": "2026-01-02T00:00:00Z", "parent": "a" },
            { "name": "d", "time": "2026-01-04T00:00:00Z", "parent": "b" },
            { "name": "lost", "time": "2025-01-01T00:00:00Z", "parent": "gone" },
        ]});
        let shown: Vec<String> =
            tree(&answer).iter().map(|(d, s)| format!("{d}{}", s["name"].as_str().unwrap())).collect();
        assert_eq!(shown, ["0lost", "0a", "1b", "2d", "1c"]);
    }
}
