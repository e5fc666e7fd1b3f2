//! `steward software`: what can be installed on machines, and what is.

use super::super::say::say;
use super::actions::{self, Wait};
use super::client::{Api, part};
use super::table::{self, Cell, state};
use super::{Common, complete, find};
use base::{Error, Result};
use clap::Subcommand;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Software {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What can be installed; with a recipe: its options.
    Menu {
        #[arg(value_name = "RECIPE", add = ArgValueCandidates::new(complete::recipes))]
        recipe: Option<String>,
    },
    /// What is on a machine.
    List(Guest),
    /// Install something on a machine.
    Install(Install),
    /// Take something off a machine's list. What is installed stays on the machine.
    Forget {
        #[command(flatten)]
        guest: Guest,
        #[arg(value_name = "RECIPE")]
        recipe: String,
    },
}

#[derive(Debug, clap::Args)]
struct Guest {
    /// The machine's name, number or id.
    #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
    guest: String,
}

#[derive(Debug, clap::Args)]
struct Install {
    #[command(flatten)]
    guest: Guest,
    /// The recipe's name; `steward software menu` lists them.
    #[arg(value_name = "RECIPE", add = ArgValueCandidates::new(complete::recipes))]
    recipe: String,
    /// An option's value; several with commas where several may be chosen.
    #[arg(long, short, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The same from the first line of a file, for passwords: they don't belong on a command line.
    #[arg(long, value_name = "KEY=FILE")]
    set_file: Vec<String>,
    #[command(flatten)]
    wait: Wait,
}

impl Software {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            Verb::Menu { recipe } => menu(&mut api, &common, recipe.as_deref()).await,
            Verb::List(guest) => list(&mut api, &common, &guest).await,
            Verb::Install(install) => install.run(&mut api, &common).await,
            Verb::Forget { guest, recipe } => {
                let path = format!("{}/{}", guest.path(&mut api).await?, part(&recipe));
                api.delete(&path).await?;
                say("Off the list. What is installed stays on the machine.");
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn text<'a>(v: &'a Value, key: &str) -> &'a str {
    v[key].as_str().unwrap_or_default()
}

impl Guest {
    /// `/guests/ID/software`
    async fn path(&self, api: &mut Api) -> Result<String> {
        let found = find::guest(api, &self.guest).await?;
        Ok(format!("/guests/{}/software", part(text(&found, "id"))))
    }
}

async fn recipes(api: &mut Api) -> Result<Vec<Value>> {
    let mut answer = api.get("/software").await?;
    Ok(answer.as_array_mut().map(std::mem::take).unwrap_or_default())
}

async fn recipe(api: &mut Api, name: &str) -> Result<Value> {
    let found = recipes(api).await?.into_iter().find(|r| r["name"] == name);
    found.ok_or_else(|| Error::not_found(format!("There is no recipe “{name}”. steward software menu lists them.")))
}

async fn menu(api: &mut Api, common: &Common, wanted: Option<&str>) -> Result<ExitCode> {
    let Some(name) = wanted else {
        let all = recipes(api).await?;
        if common.json() {
            table::json(&Value::Array(all));
            return Ok(ExitCode::SUCCESS);
        }
        let row = |r: &Value| {
            vec![
                Cell::text(text(r, "name")),
                Cell::text(text(r, "title")),
                Cell::text(text(r, "category")),
                Cell::number(format!("{} MiB", r["needs"]["memory"])),
                Cell::number(format!("{} GiB", r["needs"]["disk"])),
                Cell::text(text(r, "about")),
            ]
        };
        let rows: Vec<Vec<Cell>> = all.iter().map(row).collect();
        table::print(&["name", "what", "kind", "memory", "disk", "about"], &rows, "There is no recipe.");
        return Ok(ExitCode::SUCCESS);
    };
    let found = recipe(api, name).await?;
    if common.json() {
        table::json(&found);
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{}: {}\n", table::plain(text(&found, "title")), table::plain(text(&found, "about"))));
    let row = |o: &Value| {
        let choices = o["choices"].as_array().into_iter().flatten().filter_map(|c| c[0].as_str());
        let choices: Vec<&str> = choices.collect();
        let kind = if choices.is_empty() { text(o, "kind").to_owned() } else { choices.join(" ") };
        let usual = match &o["default"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let label =
            if o["required"] == true { format!("{} (needed)", text(o, "label")) } else { text(o, "label").into() };
        vec![Cell::text(text(o, "key")), Cell::text(label), Cell::text(kind), Cell::text(usual)]
    };
    let rows: Vec<Vec<Cell>> = found["options"].as_array().into_iter().flatten().map(row).collect();
    table::print(&["option", "what", "values", "usual"], &rows, "It has no options.");
    Ok(ExitCode::SUCCESS)
}

async fn list(api: &mut Api, common: &Common, guest: &Guest) -> Result<ExitCode> {
    let path = guest.path(api).await?;
    let all = api.get(&path).await?;
    if common.json() {
        table::json(&all);
        return Ok(ExitCode::SUCCESS);
    }
    let row = |s: &Value| {
        let links = s["links"].as_array().into_iter().flatten().filter_map(|l| l["url"].as_str());
        vec![
            Cell::text(text(s, "recipe")),
            Cell::text(text(s, "title")),
            state(text(s, "state")),
            Cell::text(table::time(text(s, "installed"))),
            Cell::text(s["error"].as_str().map_or_else(|| links.collect::<Vec<_>>().join(" "), str::to_owned)),
        ]
    };
    let rows: Vec<Vec<Cell>> = all.as_array().into_iter().flatten().map(row).collect();
    table::print(&["recipe", "what", "state", "installed", ""], &rows, "Steward installed nothing on this machine.");
    Ok(ExitCode::SUCCESS)
}

/// `KEY=VALUE`
fn pair(text: &str) -> Result<(&str, &str)> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| Error::invalid(format!("“{text}” is no option: write KEY=VALUE.")))
}

/// The text as the option wants it.
fn value(option: &Value, key: &str, text: &str) -> Result<Value> {
    let wrong = |what: &str| Error::invalid(format!("{key} must be {what}, not “{text}”."));
    match option["kind"].as_str() {
        Some("number") => text.parse::<i64>().map(|n| json!(n)).map_err(|_| wrong("a number")),
        Some("bool") => match text {
            "yes" | "true" | "1" => Ok(json!(true)),
            "no" | "false" | "0" => Ok(json!(false)),
            _ => Err(wrong("yes or no")),
        },
        Some("multi") => {
            let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
            Ok(json!(words.collect::<Vec<_>>()))
        }
        _ => Ok(json!(text)),
    }
}

impl Install {
    async fn options(&self, api: &mut Api) -> Result<Map<String, Value>> {
        let recipe = recipe(api, &self.recipe).await?;
        let option = |key: &str| {
            let found = recipe["options"].as_array().into_iter().flatten().find(|o| o["key"] == key);
            found.ok_or_else(|| Error::invalid(format!("{} has no option “{key}”.", self.recipe)))
        };
        let mut options = Map::new();
        for text in &self.set {
            let (key, text) = pair(text)?;
            let option = option(key)?;
            if option["kind"] == "password" {
                // Others on this computer see command lines, and the shell keeps them.
                return Err(Error::invalid(format!("{key} is a password: give it by --set-file {key}=FILE.")));
            }
            options.insert(key.to_owned(), value(option, key, text)?);
        }
        for text in &self.set_file {
            let (key, path) = pair(text)?;
            let text = std::fs::read_to_string(path).map_err(|e| Error::invalid(format!("{path}: {e}")))?;
            options.insert(key.to_owned(), value(option(key)?, key, text.lines().next().unwrap_or_default())?);
        }
        Ok(options)
    }

    async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let options = self.options(api).await?;
        let path = self.guest.path(api).await?;
        let asked = api.post(&path, Some(&json!({ "recipe": self.recipe, "options": options }))).await?;
        if !self.wait.wait {
            if common.json() {
                table::json(&asked);
            } else {
                say(&format!("Asked for {}. To see how it goes: steward software list", text(&asked, "title")));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let job = self.job(api, &path, asked).await?;
        actions::finish(api, common, &self.wait, vec![job]).await
    }

    /// The job begins when nothing else works on the machine.
    async fn job(&self, api: &mut Api, path: &str, asked: Value) -> Result<Value> {
        let until = Instant::now() + Duration::from_secs(3600);
        let mut now = asked;
        loop {
            if let Some(job) = now["job"].as_str() {
                return api.get(&format!("/jobs/{}", part(job))).await;
            }
            if Instant::now() >= until {
                return Err(Error::unavailable("Its turn has not come within an hour; it stays asked for."));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let all = api.get(path).await?;
            let mine = all.as_array().into_iter().flatten().find(|s| s["recipe"] == self.recipe.as_str());
            now = mine.cloned().ok_or_else(|| Error::conflict("It was taken off the machine's list meanwhile."))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_option_wants_them() {
        assert_eq!(value(&json!({ "kind": "number" }), "port", "8989").unwrap(), json!(8989));
        assert_eq!(value(&json!({ "kind": "bool" }), "tls", "yes").unwrap(), json!(true));
        assert_eq!(value(&json!({ "kind": "multi" }), "apps", "sonarr, radarr").unwrap(), json!(["sonarr", "radarr"]));
        assert_eq!(value(&json!({ "kind": "text" }), "name", "12").unwrap(), json!("12"));
        assert!(value(&json!({ "kind": "number" }), "port", "many").unwrap_err().message().contains("a number"));
        assert!(pair("port").is_err() && pair("=1").is_err());
        assert_eq!(pair("a=b=c").unwrap(), ("a", "b=c"));
    }
}
