//! `steward guests clone`, `template` and `migrate`.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::{Api, part};
use super::impact::{Asks, Deed};
use super::table::{self, Cell, Tone};
use super::{Common, complete, find, impact};
use base::Result;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Copy {
    /// The machine's name, number or id.
    #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
    guest: String,
    /// The name of the copy: 1 to 63 letters, digits and dashes.
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
    /// Start it when it is made.
    #[arg(long)]
    start: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Copy {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let path = format!("{}/clone", of(api, &self.guest).await?);
        let mut body =
            json!({ "name": self.name, "full": !self.linked, "description": self.description, "start": self.start });
        for (key, value) in [("node", self.node), ("storage", self.storage), ("snapshot", self.snapshot)] {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        let made = api.post(&path, Some(&body)).await?;
        if !common.json() {
            say(&format!("The copy's id is {}.", table::plain(made["guest"].as_str().unwrap_or_default())));
        } else if !self.wait.wait {
            table::json(&made);
            return Ok(ExitCode::SUCCESS);
        }
        actions::finish(api, common, &self.wait, vec![made["job"].clone()]).await
    }
}

/// `/guests/ID`
async fn of(api: &mut Api, wanted: &str) -> Result<String> {
    Ok(under(&find::guest(api, wanted).await?))
}

fn under(guest: &Value) -> String {
    format!("/guests/{}", part(guest["id"].as_str().unwrap_or_default()))
}

#[derive(Debug, clap::Args)]
pub struct Template {
    /// The machine's name, number or id.
    #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
    guest: String,
    /// Ask nothing.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Template {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let found = find::guest(api, &self.guest).await?;
        let path = under(&found);
        let question =
            format!("Make a template of “{}”? It can't be started any more, and there is no way back.", self.guest);
        let deed = Deed { action: "template", snapshot: "", asks: Asks::Needed, refused: "Nothing was changed." };
        impact::sure(api, &[&found], deed, &question, self.yes).await?;
        let job = api.post(&format!("{path}/template"), None).await?;
        actions::finish(api, common, &self.wait, vec![job]).await
    }
}

#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// The machine's name, number or id.
    #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
    guest: String,
    /// The node to go to; left out: says what stands in the way on each.
    #[arg(add = ArgValueCandidates::new(complete::nodes))]
    node: Option<String>,
    /// Take the disks along that only its present node has.
    #[arg(long)]
    disks: bool,
    /// Where they go there; left out: a storage of the same name.
    #[arg(long, requires = "disks")]
    storage: Option<String>,
    /// Ask nothing.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Migrate {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let found = find::guest(api, &self.guest).await?;
        let path = format!("{}/migrate", under(&found));
        let Some(node) = self.node else {
            let check = api.get(&path).await?;
            show(common, &check);
            return Ok(ExitCode::SUCCESS);
        };
        let question = format!("Move “{}” to {node}?", self.guest);
        let deed = Deed { action: "migrate", snapshot: "", asks: Asks::WhenHit, refused: "Nothing was changed." };
        impact::sure(api, &[&found], deed, &question, self.yes).await?;
        let mut body = json!({ "node": node, "disks": self.disks });
        if let Some(storage) = self.storage {
            body["storage"] = json!(storage);
        }
        let job = api.post(&path, Some(&body)).await?;
        actions::finish(api, common, &self.wait, vec![job]).await
    }
}

fn show(common: &Common, check: &Value) {
    if common.json() {
        table::json(check);
        return;
    }
    for text in lines(&check["problems"]) {
        say(&table::plain(&text));
    }
    let row = |n: &Value| {
        let problems = lines(&n["problems"]);
        let told = if problems.is_empty() { lines(&n["warnings"]) } else { problems.clone() };
        let verdict = if problems.is_empty() && lines(&check["problems"]).is_empty() {
            Cell::text("yes").tone(Tone::Good)
        } else {
            Cell::text("no").tone(Tone::Bad)
        };
        vec![
            Cell::text(n["name"].as_str().unwrap_or_default()),
            verdict,
            Cell::text(told.join(" ")),
            Cell::text(lines(&n["storages"]).join(" ")),
        ]
    };
    let rows: Vec<Vec<Cell>> = check["nodes"].as_array().into_iter().flatten().map(row).collect();
    table::print(
        &["node", "possible", "why not, or what to know", "storages for its disks"],
        &rows,
        "There is no other node.",
    );
    let disks: Vec<String> = check["disks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|d| format!("{} on {}", d["key"].as_str().unwrap_or_default(), d["storage"].as_str().unwrap_or_default()))
        .collect();
    if !disks.is_empty() {
        say(&format!("Only its node has these disks, so --disks is needed: {}", table::plain(&disks.join(", "))));
    }
}

fn lines(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
