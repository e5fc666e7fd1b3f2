//! `steward software`: what can be installed on machines, and what is.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::{Api, part};
use super::find::GuestArg;
use super::table::{self, Cell, Row, state};
use super::{Common, complete};
use app::software::{MenuItem, SoftwareView};
use base::{Error, Result};
use clap::Subcommand;
use clap_complete::engine::ArgValueCandidates;
use model::options::{OptionKind, OptionSpec};
use model::software::{Recipe, SoftwareRequest};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use web::jobs::rest::{JobView, JobWhole};

#[derive(Debug, clap::Args)]
pub struct Software {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: SoftwareCommand,
}

#[derive(Debug, Subcommand)]
enum SoftwareCommand {
    /// What can be installed; with a recipe: its options.
    Menu {
        #[arg(value_name = "RECIPE", add = ArgValueCandidates::new(complete::recipes))]
        recipe: Option<String>,
    },
    /// What is on a machine.
    List(GuestArg),
    /// Install something on a machine.
    Install(Install),
    /// Remove something from a machine's list. What is installed stays on the machine.
    Forget {
        #[command(flatten)]
        guest: GuestArg,
        #[arg(value_name = "RECIPE")]
        recipe: String,
    },
}

#[derive(Debug, clap::Args)]
struct Install {
    #[command(flatten)]
    guest: GuestArg,
    /// The recipe's name; `steward software menu` lists them.
    #[arg(value_name = "RECIPE", add = ArgValueCandidates::new(complete::recipes))]
    recipe: String,
    /// An option's value; several separated by commas where several may be chosen.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The same from the first line of a file, for passwords: they don't belong on a command line.
    #[arg(long, value_name = "KEY=FILE")]
    set_file: Vec<String>,
    #[command(flatten)]
    wait: Wait,
}

impl Software {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            SoftwareCommand::Menu { recipe } => menu(&mut api, &common, recipe.as_deref()).await,
            SoftwareCommand::List(guest) => list(&mut api, &common, &guest).await,
            SoftwareCommand::Install(install) => install.run(&mut api, &common).await,
            SoftwareCommand::Forget { guest, recipe } => {
                let path = format!("{}/{}", guest.path(&mut api, "software").await?, part(&recipe));
                let () = api.delete(&path).await?;
                say("Removed from the list. What is installed stays on the machine.");
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

async fn recipe(api: &mut Api, name: &str) -> Result<MenuItem> {
    let found = api.get::<Vec<MenuItem>>("/software").await?.into_iter().find(|r| r.name == name);
    found.ok_or_else(|| Error::not_found(format!("There is no recipe “{name}”. steward software menu lists them.")))
}

impl Row for MenuItem {
    const HEADS: &'static [&'static str] = &["name", "what", "kind", "memory", "disk", "about"];

    fn cells(&self) -> Vec<Cell> {
        let Recipe { title, category, needs, about, .. } = &self.recipe;
        vec![
            Cell::text(&self.name),
            Cell::text(title),
            Cell::text(category),
            Cell::number(format!("{} MiB", needs.memory)),
            Cell::number(format!("{} GiB", needs.disk)),
            Cell::text(about),
        ]
    }
}

impl Row for OptionSpec {
    const HEADS: &'static [&'static str] = &["option", "what", "values", "usual"];

    fn cells(&self) -> Vec<Cell> {
        let choices: Vec<&str> = self.choices.iter().map(|(value, _)| value.as_str()).collect();
        let usual = match &self.default {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        vec![
            Cell::text(&self.key),
            Cell::text(if self.required { format!("{} (needed)", self.label) } else { self.label.clone() }),
            Cell::text(if choices.is_empty() { table::word(self.kind) } else { choices.join(" ") }),
            Cell::text(usual),
        ]
    }
}

impl Row for SoftwareView {
    const HEADS: &'static [&'static str] = &["recipe", "what", "state", "installed", ""];

    fn cells(&self) -> Vec<Cell> {
        let links: Vec<&str> = self.links.iter().map(|l| l.url.as_str()).collect();
        vec![
            Cell::text(&self.recipe),
            Cell::text(&self.title),
            state(self.state.name()),
            Cell::maybe(self.installed.map(table::time)),
            Cell::text(self.error.clone().unwrap_or_else(|| links.join(" "))),
        ]
    }
}

async fn menu(api: &mut Api, common: &Common, wanted: Option<&str>) -> Result<ExitCode> {
    let Some(name) = wanted else {
        table::list(common, &api.get::<Vec<MenuItem>>("/software").await?, "There is no recipe.");
        return Ok(ExitCode::SUCCESS);
    };
    let found = recipe(api, name).await?;
    if !common.prints(&found) {
        let Recipe { title, about, options, .. } = &found.recipe;
        say(&format!("{}: {}\n", table::plain(title), table::plain(about)));
        table::rows(options, "It has no options.");
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(api: &mut Api, common: &Common, guest: &GuestArg) -> Result<ExitCode> {
    let path = guest.path(api, "software").await?;
    let all: Vec<SoftwareView> = api.get(&path).await?;
    table::list(common, &all, "Steward has installed nothing on this machine.");
    Ok(ExitCode::SUCCESS)
}

/// `KEY=VALUE`
fn pair(text: &str) -> Result<(&str, &str)> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| Error::invalid(format!("“{text}” is not an option: write KEY=VALUE.")))
}

/// The text as the option wants it.
fn value(kind: OptionKind, key: &str, text: &str) -> Result<Value> {
    let wrong = |what: &str| Error::invalid(format!("{key} must be {what}, not “{text}”."));
    match kind {
        OptionKind::Number => text.parse::<i64>().map(|n| json!(n)).map_err(|_| wrong("a number")),
        OptionKind::Decimal => text.parse::<f64>().map(|n| json!(n)).map_err(|_| wrong("a number")),
        OptionKind::Bool => match text {
            "yes" | "true" | "1" => Ok(json!(true)),
            "no" | "false" | "0" => Ok(json!(false)),
            _ => Err(wrong("yes or no")),
        },
        OptionKind::Multi => {
            let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
            Ok(json!(words.collect::<Vec<_>>()))
        }
        _ => Ok(json!(text)),
    }
}

impl Install {
    async fn options(&self, api: &mut Api) -> Result<Map<String, Value>> {
        let item = recipe(api, &self.recipe).await?;
        let kind = |key: &str| {
            let found = item.recipe.options.iter().find(|o| o.key == key);
            found.map(|o| o.kind).ok_or_else(|| Error::invalid(format!("{} has no option “{key}”.", self.recipe)))
        };
        let mut options = Map::new();
        for text in &self.set {
            let (key, text) = pair(text)?;
            let kind = kind(key)?;
            if kind == OptionKind::Password {
                // Others on this computer see command lines, and the shell keeps them.
                return Err(Error::invalid(format!("{key} is a password: give it by --set-file {key}=FILE.")));
            }
            options.insert(key.to_owned(), value(kind, key, text)?);
        }
        for text in &self.set_file {
            let (key, path) = pair(text)?;
            let text = super::text_of(path.as_ref())?;
            options.insert(key.to_owned(), value(kind(key)?, key, text.lines().next().unwrap_or_default())?);
        }
        Ok(options)
    }

    async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let options = self.options(api).await?;
        let path = self.guest.path(api, "software").await?;
        let asked: SoftwareView = api.post(&path, &SoftwareRequest { recipe: self.recipe.clone(), options }).await?;
        if !self.wait.wait {
            if !common.prints(&asked) {
                let title = table::plain(&asked.title);
                say(&format!("Queued: {title}. To follow it: steward software list"));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let job = self.job(api, &path, asked).await?;
        actions::finish(api, common, &self.wait, vec![job]).await
    }

    /// The job begins when nothing else works on the machine.
    async fn job(&self, api: &mut Api, path: &str, asked: SoftwareView) -> Result<JobView> {
        let until = Instant::now() + Duration::from_secs(3600);
        let mut now = asked;
        loop {
            if let Some(job) = now.job {
                return Ok(api.get::<JobWhole>(&format!("/jobs/{job}")).await?.job);
            }
            if Instant::now() >= until {
                return Err(Error::unavailable("Still queued after an hour. It stays in the queue."));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mine = api.get::<Vec<SoftwareView>>(path).await?.into_iter().find(|s| s.recipe == self.recipe);
            now = mine.ok_or_else(|| Error::conflict("It was removed from the machine's list in the meantime."))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_option_wants_them() {
        use OptionKind::{Bool, Multi, Number, Text};
        assert_eq!(value(Number, "port", "8989").unwrap(), json!(8989));
        assert_eq!(value(Bool, "tls", "yes").unwrap(), json!(true));
        assert_eq!(value(Multi, "apps", "sonarr, radarr").unwrap(), json!(["sonarr", "radarr"]));
        assert_eq!(value(Text, "name", "12").unwrap(), json!("12"));
        assert!(value(Number, "port", "many").unwrap_err().message().contains("a number"));
        assert!(pair("port").is_err() && pair("=1").is_err());
        assert_eq!(pair("a=b=c").unwrap(), ("a", "b=c"));
    }
}
