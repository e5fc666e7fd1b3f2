//! `steward profiles`: named sizes and hardware for machines.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::{Api, part};
use super::table::{self, Cell, Tone};
use super::{Common, complete, find};
use base::{Error, Result};
use clap::Subcommand;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use model::guests::actions::ApplyProfile;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Profiles {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// All hardware profiles.
    List,
    /// What a profile sets, and what it fixes.
    Show {
        /// Its name or id.
        #[arg(value_name = "PROFILE", add = ArgValueCandidates::new(complete::profiles))]
        profile: String,
    },
    /// Give a machine the hardware of a profile.
    Apply {
        /// The machine's name, number or id.
        #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
        guest: String,
        /// The profile's name or id.
        #[arg(value_name = "PROFILE", add = ArgValueCandidates::new(complete::profiles))]
        profile: String,
        /// Also enlarge the first disk and add the further ones that lack. Disks never get smaller.
        #[arg(long)]
        disks: bool,
        /// Only say what would change, and when.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

fn text<'a>(v: &'a Value, key: &str) -> &'a str {
    v[key].as_str().unwrap_or_default()
}

fn items<'a>(v: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    v[key].as_array().into_iter().flatten()
}

impl Profiles {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            Verb::List => list(&mut api, &common).await,
            Verb::Show { profile } => show(&mut api, &common, &profile).await,
            Verb::Apply { guest, profile, disks, dry_run, wait } => {
                let found = find::guest(&mut api, &guest).await?;
                if dry_run {
                    let path = format!("/guests/{}/profile", part(text(&found, "id")));
                    let body = json!({ "profile": profile, "disks": disks, "preview": true });
                    preview(&common, &api.post(&path, Some(&body)).await?);
                    return Ok(ExitCode::SUCCESS);
                }
                let job = api.act(&found, ApplyProfile { profile, disks, digest: None }).await?;
                actions::finish(&mut api, &common, &wait, vec![job]).await
            }
        }
    }
}

async fn list(api: &mut Api, common: &Common) -> Result<ExitCode> {
    let mut answer = api.get("/profiles").await?;
    if common.json() {
        table::json(&answer["profiles"].take());
        return Ok(ExitCode::SUCCESS);
    }
    let row = |p: &Value| {
        let fixed = items(p, "locked").count();
        vec![
            Cell::text(text(p, "name")),
            Cell::text(text(p, "summary")),
            Cell::number(if fixed == 0 { String::new() } else { fixed.to_string() }),
            Cell::number(p["machines"].to_string()),
            Cell::text(table::time(text(p, "changed"))),
        ]
    };
    let rows: Vec<Vec<Cell>> = items(&answer, "profiles").map(row).collect();
    table::print(&["name", "what it is", "fixed", "machines", "changed"], &rows, "There is no hardware profile.");
    if answer["required"] == true {
        say("Whoever is no admin must choose one for a new machine.");
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(api: &mut Api, common: &Common, wanted: &str) -> Result<ExitCode> {
    let answer = api.get("/profiles").await?;
    let mine = |p: &&Value| text(p, "name").eq_ignore_ascii_case(wanted) || text(p, "id") == wanted;
    let Some(found) = items(&answer, "profiles").find(mine) else {
        return Err(Error::not_found(format!("There is no profile “{wanted}”.")));
    };
    if common.json() {
        table::json(found);
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{}: {}", table::plain(text(found, "name")), table::plain(text(found, "summary"))));
    if !text(found, "note").is_empty() {
        say(&table::plain(text(found, "note")));
    }
    let fixed = |key: &str| items(found, "locked").any(|k| k == key);
    let mark = |key: &str| if fixed(key) { Cell::text("fixed").tone(Tone::Busy) } else { Cell::text("") };
    let values = found["values"].as_object().into_iter().flatten();
    let mut rows: Vec<Vec<Cell>> =
        values.map(|(k, v)| vec![Cell::text(k), Cell::text(v.as_str().unwrap_or_default()), mark(k)]).collect();
    for disk in items(found, "disks") {
        let place = disk["storage"].as_str().map(|s| format!(" on {s}")).unwrap_or_default();
        rows.push(vec![Cell::text("disks"), Cell::text(format!("{} GiB{place}", disk["gib"])), mark("disks")]);
    }
    table::print(&["key", "value", ""], &rows, "It leaves everything as the template has it.");
    Ok(ExitCode::SUCCESS)
}

fn preview(common: &Common, plan: &Value) {
    if common.json() {
        table::json(plan);
        return;
    }
    let row = |c: &Value| {
        let when = match (c["refused"].as_str(), c["live"] == true) {
            (Some(why), _) => Cell::text(why).tone(Tone::Bad),
            (None, true) => Cell::text("at once"),
            (None, false) => Cell::text("after a restart").tone(Tone::Busy),
        };
        vec![Cell::text(text(c, "key")), Cell::text(text(c, "from")), Cell::text(text(c, "to")), when]
    };
    let mut rows: Vec<Vec<Cell>> = items(plan, "changes").map(row).collect();
    if let Some(disk) = plan["grow"]["disk"].as_str() {
        let size = |key: &str| format!("{} GiB", plan["grow"][key]);
        rows.push(vec![Cell::text(disk), Cell::text(size("from")), Cell::text(size("to")), Cell::text("at once")]);
    }
    for disk in items(plan, "add") {
        let place = disk["storage"].as_str().map(|s| format!(" on {s}")).unwrap_or_default();
        rows.push(vec![
            Cell::text("new disk"),
            Cell::text(""),
            Cell::text(format!("{} GiB{place}", disk["gib"])),
            Cell::text(""),
        ]);
    }
    table::print(&["key", "now", "then", "when"], &rows, "The machine has all of it already.");
    for kept in items(plan, "stays") {
        say(&format!("{} stays: {}", table::plain(text(kept, "key")), table::plain(text(kept, "why"))));
    }
}
