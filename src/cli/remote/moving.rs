//! `steward guests clone`, `template` and `migrate`.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::Api;
use super::find::GuestArg;
use super::table::{self, Cell, Tone};
use super::{Common, complete, find, impact};
use base::Result;
use clap_complete::engine::ArgValueCandidates;
use model::guests::actions::{CloneGuest, MakeTemplate};
use model::guests::moving::{MoveCheck, MoveNode};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Copy {
    #[command(flatten)]
    guest: GuestArg,
    /// The name of the copy, a host name like web-01 or web-01.example.org.
    name: String,
    /// Share the template's disks instead of copying them: quick, but the template can't be deleted then.
    #[arg(long, conflicts_with = "storage")]
    linked: bool,
    /// The node to make it on; left out: where the machine is.
    #[arg(long, add = ArgValueCandidates::new(complete::nodes))]
    node: Option<String>,
    /// Where the disks go; left out: where they are.
    #[arg(long)]
    storage: Option<String>,
    /// As the machine was at this snapshot.
    #[arg(long)]
    snapshot: Option<String>,
    /// A note; left out: that of the machine.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// Start it when it is created.
    #[arg(long)]
    start: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Copy {
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let found = find::guest(api, &self.guest.guest).await?;
        let Self { name, node, storage, snapshot, description, start, .. } = self;
        let copy = CloneGuest { name, node, full: !self.linked, storage, snapshot, description, start };
        let job = api.act(&found, copy).await?;
        if let Some(copy) = job.guest.filter(|_| !common.json()) {
            say(&format!("The copy's id is {copy}."));
        }
        actions::finish(api, common, &self.wait, vec![job]).await
    }
}

#[derive(Debug, clap::Args)]
pub struct Template {
    #[command(flatten)]
    guest: GuestArg,
    /// Ask nothing.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Template {
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let found = find::guest(api, &self.guest.guest).await?;
        let question = format!(
            "Turn “{}” into a template? It can't be started any more, and this can't be undone.",
            self.guest.guest
        );
        let action = MakeTemplate {}.into();
        impact::sure(api, std::slice::from_ref(&found), &action, &question, self.yes).await?;
        let job = api.act(&found, action).await?;
        actions::finish(api, common, &self.wait, vec![job]).await
    }
}

#[derive(Debug, clap::Args)]
pub struct Migrate {
    #[command(flatten)]
    guest: GuestArg,
    /// The node to go to; left out: lists what prevents it on each.
    #[arg(add = ArgValueCandidates::new(complete::nodes))]
    node: Option<String>,
    /// Also move the disks that only its present node has.
    #[arg(long)]
    disks: bool,
    /// The storage they go to there; left out: one of the same name.
    #[arg(long, requires = "disks")]
    storage: Option<String>,
    /// Ask nothing.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Migrate {
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let found = find::guest(api, &self.guest.guest).await?;
        let Some(node) = self.node else {
            show(common, &api.get(&format!("/guests/{}/migrate", found.id)).await?);
            return Ok(ExitCode::SUCCESS);
        };
        let question = format!("Move “{}” to {node}?", self.guest.guest);
        let action = model::guests::actions::Migrate { node, disks: self.disks, storage: self.storage }.into();
        impact::sure(api, std::slice::from_ref(&found), &action, &question, self.yes).await?;
        let job = api.act(&found, action).await?;
        actions::finish(api, common, &self.wait, vec![job]).await
    }
}

fn show(common: &Common, check: &MoveCheck) {
    if common.prints(check) {
        return;
    }
    check.problems.iter().for_each(|text| say(&table::plain(text)));
    let row = |n: &MoveNode| {
        let verdict = match n.problems.is_empty() && check.problems.is_empty() {
            true => Cell::text("yes").tone(Tone::Good),
            false => Cell::text("no").tone(Tone::Bad),
        };
        let told = if n.problems.is_empty() { &n.warnings } else { &n.problems };
        vec![Cell::text(&n.name), verdict, Cell::text(told.join(" ")), Cell::text(n.storages.join(" "))]
    };
    let rows: Vec<Vec<Cell>> = check.nodes.iter().map(row).collect();
    let heads = ["node", "possible", "why not, or what to know", "storages for its disks"];
    table::print(&heads, &rows, "There is no other node.");
    let disks: Vec<String> = check.disks.iter().map(|d| format!("{} on {}", d.key, d.storage)).collect();
    if !disks.is_empty() {
        say(&format!("Only its node has these disks, so --disks is needed: {}", table::plain(&disks.join(", "))));
    }
}
