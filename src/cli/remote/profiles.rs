//! `steward profiles`: named sizes and hardware for machines.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::Api;
use super::table::{self, Cell, Row, Tone};
use super::{Common, complete, find};
use base::{Error, Result};
use clap::Subcommand;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use model::guests::actions::ApplyProfile;
use model::guests::hardware::Planned;
use model::profiles::MoreDisk;
use serde_json::json;
use std::process::ExitCode;
use web::hardware_profiles::rest::{DiskGrowthView, ProfileList, ProfilePlanView, ProfileView, StaysView};

#[derive(Debug, clap::Args)]
pub struct Profiles {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: ProfilesCommand,
}

#[derive(Debug, Subcommand)]
enum ProfilesCommand {
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
        /// Also enlarge the first disk and add missing further disks. Disks never get smaller.
        #[arg(long)]
        disks: bool,
        /// Only show what would change, and when.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        wait: Wait,
    },
}

impl Profiles {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            ProfilesCommand::List => list(&mut api, &common).await,
            ProfilesCommand::Show { profile } => show(&mut api, &common, &profile).await,
            ProfilesCommand::Apply { guest, profile, disks, dry_run, wait } => {
                let found = find::guest(&mut api, &guest).await?;
                if dry_run {
                    let body = json!({ "profile": profile, "disks": disks, "preview": true });
                    preview(&common, &api.post(&format!("/guests/{}/profile", found.id), &body).await?);
                    return Ok(ExitCode::SUCCESS);
                }
                let job = api.act(&found, ApplyProfile { profile, disks, digest: None }).await?;
                actions::finish(&mut api, &common, &wait, vec![job]).await
            }
        }
    }
}

impl Row for ProfileView {
    const HEADS: &'static [&'static str] = &["name", "what it is", "fixed", "machines", "changed"];

    fn cells(&self) -> Vec<Cell> {
        let fixed = self.profile.locked.len();
        vec![
            Cell::text(&self.profile.name),
            Cell::text(&self.summary),
            Cell::maybe((fixed > 0).then_some(fixed)).right(),
            Cell::number(self.machines),
            Cell::text(table::time(self.profile.changed)),
        ]
    }
}

async fn list(api: &mut Api, common: &Common) -> Result<ExitCode> {
    let all: ProfileList = api.get("/profiles").await?;
    table::list(common, &all.profiles, "There is no hardware profile.");
    if all.required && !common.json() {
        say("Everyone except admins must choose one for a new machine.");
    }
    Ok(ExitCode::SUCCESS)
}

/// `20 GiB on tank`
fn disk(d: &MoreDisk) -> String {
    d.storage.as_ref().map_or_else(|| format!("{} GiB", d.gib), |storage| format!("{} GiB on {storage}", d.gib))
}

async fn show(api: &mut Api, common: &Common, wanted: &str) -> Result<ExitCode> {
    let all: ProfileList = api.get("/profiles").await?;
    let mine = |p: &ProfileView| p.profile.name.eq_ignore_ascii_case(wanted) || p.profile.id.to_string() == wanted;
    let Some(found) = all.profiles.into_iter().find(mine) else {
        return Err(Error::not_found(format!("There is no profile “{wanted}”.")));
    };
    if common.prints(&found) {
        return Ok(ExitCode::SUCCESS);
    }
    let (p, summary) = (&found.profile, &found.summary);
    say(&format!("{}: {}", table::plain(&p.name), table::plain(summary)));
    if !p.note.is_empty() {
        say(&table::plain(&p.note));
    }
    let line = |key: &str, value: &str| {
        let mark = if p.locks(key) { Cell::text("fixed").tone(Tone::Busy) } else { Cell::text("") };
        vec![Cell::text(key), Cell::text(value), mark]
    };
    let disks = p.disks.iter().map(|d| line("disks", &disk(d)));
    let rows: Vec<Vec<Cell>> = p.values.iter().map(|(k, v)| line(k, v)).chain(disks).collect();
    table::print(&["key", "value", ""], &rows, "It leaves everything as the template has it.");
    Ok(ExitCode::SUCCESS)
}

fn preview(common: &Common, plan: &ProfilePlanView) {
    if common.prints(plan) {
        return;
    }
    let line = |key: &str, from: &str, to: &str, when| vec![Cell::text(key), Cell::text(from), Cell::text(to), when];
    let mut rows: Vec<Vec<Cell>> = plan.changes.iter().map(Row::cells).collect();
    if let Some(DiskGrowthView { disk, from, to }) = &plan.grow {
        rows.push(line(disk, &format!("{from} GiB"), &format!("{to} GiB"), Cell::text("at once")));
    }
    rows.extend(plan.add.iter().map(|d| line("new disk", "", &disk(d), Cell::text(""))));
    table::print(Planned::HEADS, &rows, "The machine already has all of it.");
    for StaysView { key, why } in &plan.stays {
        say(&format!("{} stays: {}", table::plain(key), table::plain(why)));
    }
}
