//! `steward guests bulk`: one action for several machines.

use super::super::say::{complain, say};
use super::actions::{self, Wait};
use super::client::Api;
use super::sharing::Right;
use super::{Common, complete, find, impact, table, terminal};
use base::amounts::count;
use base::ids::GuestId;
use base::{Error, Kind, Result};
use clap::Subcommand;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use model::filter::Filter;
use model::guests::actions::{ChangeTags, Delete, Give, Migrate, TakeSnapshot};
use model::guests::{FILTER_KEYS, GuestAction};
use serde_json::json;
use std::process::ExitCode;
use web::guests::bulk::rest::BulkView;

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
    /// Add tags to each, or remove them.
    Tags {
        /// A tag to add; may be given several times.
        #[arg(long, value_name = "TAG")]
        add: Vec<String>,
        /// A tag to remove; may be given several times.
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
        /// Also move disks that only the present node has.
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
    /// All machines that you may see, templates too.
    #[arg(long, conflicts_with_all = ["guests", "filter"])]
    all: bool,
    /// Ask nothing.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Bulk {
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let (action, which): (GuestAction, Which) = match self.what {
            What::Snapshot { name, description, which } => {
                (TakeSnapshot { name, description, memory: false }.into(), which)
            }
            What::Tags { add, remove, which } => (ChangeTags { add, remove }.into(), which),
            What::Migrate { node, disks, which } => (Migrate { node, disks, storage: None }.into(), which),
            What::Give { login, keep, which } => {
                (Give { owner: Some(login), keep: keep.map(Right::right) }.into(), which)
            }
            What::Delete { which } => (Delete {}.into(), which),
        };
        let ids = which.ids(api).await?;
        if !which.yes {
            look(api, &ids, &action).await?;
        }
        let asked = api.post("/guests/bulk", &json!({ "guests": ids, "action": action })).await;
        let done: BulkView = asked.map_err(|e| {
            if e.kind() != Kind::Conflict {
                return e;
            }
            for (name, why) in e.fields() {
                complain(&format!("Skipped {}: {}", table::plain(name), table::plain(why)));
            }
            Error::conflict(e.message())
        })?;
        tell(&done);
        if !done.guests.is_empty() && !common.json() {
            say(&format!("Done for {}.", done.guests.len()));
        }
        let code = actions::finish(api, common, &which.wait, done.jobs).await?;
        Ok(if done.refused.is_empty() { code } else { ExitCode::from(1) })
    }
}

impl Which {
    async fn ids(&self, api: &mut Api) -> Result<Vec<GuestId>> {
        let mut found = Vec::new();
        if let Some(words) = &self.filter {
            Filter::check_for_acting(words, &FILTER_KEYS).map_err(Error::invalid)?;
        }
        if let Some(words) = self.filter.as_deref().or(self.all.then_some("")) {
            found = find::guests(api, words, "name", usize::MAX).await?;
        }
        for name in &self.guests {
            found.push(find::guest(api, name).await?);
        }
        if found.is_empty() {
            return Err(Error::invalid("No machine matches. Name the machines, or use --filter or --all."));
        }
        Ok(found.iter().map(|g| g.id).collect())
    }
}

/// What would be refused and what depends on the others, then the question. Without a terminal only what can't be
/// reverted needs an answer.
async fn look(api: &mut Api, ids: &[GuestId], action: &GuestAction) -> Result<()> {
    let for_good = matches!(action, GuestAction::Delete(_) | GuestAction::Give(_));
    if !for_good && !terminal::somebody() {
        return Ok(());
    }
    let body = json!({ "guests": ids, "action": action, "check": true });
    let check: BulkView = api.post("/guests/bulk", &body).await?;
    tell(&check);
    if check.guests.is_empty() {
        return Err(Error::conflict("It can't be done for any of them."));
    }
    check.impact.iter().flat_map(impact::lines).for_each(|line| complain(&line));
    let machines = count(check.guests.len(), "machine", "machines");
    let question = format!("{} {machines}?", impact::words(action.kind()));
    if terminal::confirm(&question)? { Ok(()) } else { Err(Error::conflict("Nothing was changed.")) }
}

/// For which machines it can't be done.
pub fn tell(answer: &BulkView) {
    for r in &answer.refused {
        complain(&format!("Skipped {}: {}", table::plain(&r.name), table::plain(&r.why)));
    }
}
