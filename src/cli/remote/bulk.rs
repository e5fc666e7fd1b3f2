//! `steward guests bulk`: one action for several machines.

use super::super::say::{complain, say};
use super::actions::{self, Wait};
use super::client::Api;
use super::sharing::Right;
use super::{Common, complete, find, impact, table, terminal};
use base::{Error, Kind, Result};
use clap::Subcommand;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use model::guests::GuestAction;
use model::guests::actions::{ChangeTags, Delete, Give, Migrate, TakeSnapshot};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Bulk {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Take a snapshot of each, under the same name.
    Snapshot {
        /// 2 to 40 letters, digits, dashes and underscores.
        #[arg(value_name = "NAME")]
        name: String,
        /// A note.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        #[command(flatten)]
        which: Which,
    },
    /// Add tags to each, or take them away.
    Tags {
        /// A tag to add; may be given several times.
        #[arg(long, value_name = "TAG")]
        add: Vec<String>,
        /// A tag to take away; may be given several times.
        #[arg(long, value_name = "TAG")]
        remove: Vec<String>,
        #[command(flatten)]
        which: Which,
    },
    /// Move each to another node of its cluster.
    Migrate {
        /// The node to go to.
        #[arg(value_name = "NODE", add = ArgValueCandidates::new(complete::nodes))]
        node: String,
        /// Take disks along that only the present node has.
        #[arg(long)]
        disks: bool,
        #[command(flatten)]
        which: Which,
    },
    /// Hand each over to another owner.
    Give {
        /// Their login.
        #[arg(value_name = "LOGIN")]
        login: String,
        /// What the old owner may still do.
        #[arg(long, value_enum)]
        keep: Option<Right>,
        #[command(flatten)]
        which: Which,
    },
    /// Delete each with its disks.
    Delete {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Names, numbers or ids.
    #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
    guests: Vec<String>,
    /// All that fit these filter words, as on the page: `tag:web node:pve1`.
    #[arg(long, short, value_name = "WORDS", allow_hyphen_values = true, conflicts_with = "guests")]
    filter: Option<String>,
    /// Ask nothing.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Bulk {
    /// # Errors
    /// What the API refuses; `Conflict` when it can't be done for any of them.
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let (action, which): (GuestAction, Which) = match self.what {
            What::Snapshot { name, description, which } => {
                (TakeSnapshot { name, description, memory: false }.into(), which)
            }
            What::Tags { add, remove, which } => (ChangeTags { add, remove }.into(), which),
            What::Migrate { node, disks, which } => (Migrate { node, disks, storage: None }.into(), which),
            What::Give { login, keep, which } => (Give { owner: login, keep: keep.map(Right::right) }.into(), which),
            What::Delete { which } => (Delete {}.into(), which),
        };
        let ids = which.ids(api).await?;
        if !which.yes {
            look(api, &ids, &action).await?;
        }
        let asked = api.post("/guests/bulk", Some(&json!({ "guests": ids, "action": action }))).await;
        let done = asked.map_err(|e| {
            if e.kind() != Kind::Conflict {
                return e;
            }
            for (name, why) in e.fields() {
                complain(&format!("Not for {}: {}", table::plain(name), table::plain(why)));
            }
            Error::conflict(e.message())
        })?;
        tell(&done);
        let jobs = done["jobs"].as_array().cloned().unwrap_or_default();
        let given = done["guests"].as_array().map_or(0, Vec::len);
        if given > 0 && !common.json() {
            say(&format!("Done for {given}."));
        }
        let all_well = done["refused"].as_array().is_none_or(Vec::is_empty);
        let code = actions::finish(api, common, &which.wait, jobs).await?;
        Ok(if all_well { code } else { ExitCode::from(1) })
    }
}

impl Which {
    async fn ids(&self, api: &mut Api) -> Result<Vec<String>> {
        let mut found = Vec::new();
        if let Some(words) = &self.filter {
            found = find::guests(api, words, "name", usize::MAX).await?;
        }
        for name in &self.guests {
            found.push(find::guest(api, name).await?);
        }
        if found.is_empty() {
            return Err(Error::invalid("Say which machines, by name or with --filter."));
        }
        Ok(found.iter().map(|g| g["id"].as_str().unwrap_or_default().to_owned()).collect())
    }
}

/// What would be refused and what hangs on the others, then the question. Without a terminal only what can't be
/// taken back wants an answer.
async fn look(api: &mut Api, ids: &[String], action: &GuestAction) -> Result<()> {
    let for_good = matches!(action, GuestAction::Delete(_) | GuestAction::Give(_));
    if !for_good && !terminal::somebody() {
        return Ok(());
    }
    let check = api.post("/guests/bulk", Some(&json!({ "guests": ids, "action": action, "check": true }))).await?;
    tell(&check);
    let n = check["guests"].as_array().map_or(0, Vec::len);
    if n == 0 {
        return Err(Error::conflict("It can't be done for any of them."));
    }
    if check["impact"].is_object() {
        impact::lines(&check["impact"]).iter().for_each(|line| complain(line));
    }
    let machines = if n == 1 { "1 machine".to_owned() } else { format!("{n} machines") };
    let question = format!("{} {machines}?", impact::words(action.kind()));
    if terminal::confirm(&question)? { Ok(()) } else { Err(Error::conflict("Nothing was changed.")) }
}

fn tell(answer: &Value) {
    for r in answer["refused"].as_array().into_iter().flatten() {
        let text = |key: &str| table::plain(r[key].as_str().unwrap_or_default());
        complain(&format!("Not for {}: {}", text("name"), text("why")));
    }
}
