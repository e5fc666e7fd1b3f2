//! `steward quotas`: how much everybody may have, and has.

use super::super::say::say;
use super::Common;
use super::client::{Api, part};
use super::create::{gibibytes, mebibytes};
use super::table::{self, Cell};
use base::{Error, Result};
use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Quotas {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Everybody's quota and use. For admins.
    List,
    /// Somebody's quota and use; your own when nobody is named.
    Show {
        /// Their login or id; for admins.
        #[arg(value_name = "LOGIN")]
        login: Option<String>,
    },
    /// Set limits: `steward quotas set mira machines=5 memory=16G cores=usual`. For admins.
    Set {
        /// Their login or id, or `everybody` for those for whom nothing else is set.
        #[arg(value_name = "LOGIN")]
        login: String,
        /// machines, cores, memory (MiB) or disk (GiB), each with a number, `unlimited` or `usual`; the others stay.
        #[arg(value_name = "KEY=LIMIT", required = true)]
        limits: Vec<String>,
    },
}

const KEYS: [&str; 4] = ["machines", "cores", "memory", "disk"];
const EVERYBODY: &str = "everybody";

impl Quotas {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            Verb::List => {
                let mut all = api.get("/quotas").await?;
                if common.json() {
                    table::json(&all["quotas"].take());
                    return Ok(ExitCode::SUCCESS);
                }
                let rows: Vec<Vec<Cell>> = all["quotas"].as_array().into_iter().flatten().map(row).collect();
                table::print(&["login", "machines", "cores", "memory", "disk"], &rows, "There is nobody.");
            }
            Verb::Show { login } => {
                let path = login.map_or_else(|| "/me/quota".to_owned(), |l| path(&l));
                show(&common, &api.get(&path).await?);
            }
            Verb::Set { login, limits } => {
                let answer = set(&mut api, &login, &limits).await?;
                show(&common, &answer);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn path(login: &str) -> String {
    if login == EVERYBODY { "/quota".to_owned() } else { format!("/users/{}/quota", part(login)) }
}

/// The API sets all limits of a person at once; those that are not named here stay.
async fn set(api: &mut Api, login: &str, limits: &[String]) -> Result<Value> {
    let usual = login != EVERYBODY;
    let wished = limits.iter().map(|text| limit(text, usual)).collect::<Result<Vec<_>>>()?;
    let path = path(login);
    let mut now = api.get(&path).await?;
    let mut all: Map<String, Value> =
        if usual { now["own"].take() } else { now }.as_object().cloned().unwrap_or_default();
    for (key, value) in wished {
        all.insert(key.to_owned(), value);
    }
    api.call(&Method::PUT, &path, Some(&Value::Object(all))).await
}

/// `KEY=LIMIT`; `usual`: there is a usual limit to go back to.
fn limit(text: &str, usual: bool) -> Result<(&'static str, Value)> {
    let known = text.split_once('=').and_then(|(key, value)| Some((*KEYS.iter().find(|k| **k == key)?, value)));
    let Some((key, value)) = known else {
        return Err(Error::invalid(format!(
            "“{text}” sets nothing: write machines, cores, memory or disk, = and a limit."
        )));
    };
    let number = match key {
        "memory" => mebibytes(value),
        "disk" => gibibytes(value),
        _ => value.parse().map_err(|_| "this is no number".to_owned()),
    };
    let value = match (value, usual) {
        ("unlimited", true) => json!("unlimited"),
        ("unlimited", false) => Value::Null,
        ("usual", true) => json!("usual"),
        ("usual", false) => return Err(Error::invalid("“usual” is what you set here. Give a number or “unlimited”.")),
        _ => json!(number.map_err(|why| Error::invalid(format!("{key}: {why}.")))?),
    };
    Ok((key, value))
}

/// A limit or a use in words.
fn amount(key: &str, value: &Value) -> String {
    match (key, value.as_u64()) {
        (_, None) => "no limit".to_owned(),
        ("memory", Some(n)) => table::bytes(n << 20),
        ("disk", Some(n)) => table::bytes(n << 30),
        (_, Some(n)) => n.to_string(),
    }
}

/// “3 of 5”
fn row(quota: &Value) -> Vec<Cell> {
    let mut cells = vec![Cell::text(quota["login"].as_str().unwrap_or_default())];
    for key in KEYS {
        let limit = &quota["limits"][key];
        let used = amount(key, &quota["used"][key]);
        let of = if limit.is_null() { String::new() } else { format!(" of {}", amount(key, limit)) };
        cells.push(Cell::number(format!("{used}{of}")));
    }
    cells
}

fn show(common: &Common, quota: &Value) {
    if common.json() {
        table::json(quota);
        return;
    }
    if quota["used"].is_null() {
        say("For everybody for whom nothing else is set:");
        let rows: Vec<Vec<Cell>> =
            KEYS.iter().map(|key| vec![Cell::text(*key), Cell::number(amount(key, &quota[*key]))]).collect();
        table::print(&["what", "limit"], &rows, "");
        return;
    }
    let row = |key: &&str| {
        let set = match &quota["own"][*key] {
            Value::String(word) => word.clone(),
            other => amount(key, other),
        };
        let limit = amount(key, &quota["limits"][*key]);
        vec![Cell::text(*key), Cell::number(amount(key, &quota["used"][*key])), Cell::number(limit), Cell::text(set)]
    };
    let rows: Vec<Vec<Cell>> = KEYS.iter().map(row).collect();
    table::print(&["what", "used", "limit", "set for them"], &rows, "");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_with_units_or_words() {
        assert_eq!(limit("memory=16G", true).unwrap(), ("memory", json!(16384)));
        assert_eq!(limit("machines=0", false).unwrap(), ("machines", json!(0)));
        assert_eq!(limit("cores=usual", true).unwrap(), ("cores", json!("usual")));
        assert_eq!(limit("disk=unlimited", true).unwrap(), ("disk", json!("unlimited")));
        assert_eq!(limit("disk=unlimited", false).unwrap(), ("disk", Value::Null));
        for bad in ["disk", "colour=1", "cores=many", "cores=-1", "memory=2x"] {
            assert!(limit(bad, true).is_err(), "{bad}");
        }
        assert!(limit("cores=usual", false).is_err());
    }
}
