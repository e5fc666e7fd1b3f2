//! `steward quotas`: everyone's quota and usage.

use super::super::say::say;
use super::Common;
use super::client::part;
use super::table::{self, Cell, Row};
use base::amounts::{bytes, gibibytes, mebibytes};
use base::{Error, Result};
use clap::Subcommand;
use http::Method;
use model::quotas::{Allowance, Quota, Resource};
use std::process::ExitCode;
use web::quotas::rest::{QuotaList, QuotaView};

#[derive(Debug, clap::Args)]
pub struct Quotas {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: QuotasCommand,
}

#[derive(Debug, Subcommand)]
enum QuotasCommand {
    /// Everyone's quota and usage. For admins.
    List,
    /// Somebody's quota and usage; your own if nobody is named.
    Show {
        /// Their login or id; for admins.
        #[arg(value_name = "LOGIN")]
        login: Option<String>,
    },
    /// Set limits: `steward quotas set mira machines=5 memory=16G cores=usual`. For admins.
    Set {
        /// Their login or id, or `everybody` for everyone without limits of their own.
        #[arg(value_name = "LOGIN")]
        login: String,
        /// machines, cores, memory (MiB) or disk (GiB), each with a number, `unlimited` or `usual`; the others stay.
        #[arg(value_name = "KEY=LIMIT", required = true)]
        limits: Vec<String>,
    },
}

const EVERYBODY: &str = "everybody";

impl Quotas {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            QuotasCommand::List => {
                let all: QuotaList = api.get("/quotas").await?;
                table::list(&common, &all.quotas, "There is nobody.");
            }
            QuotasCommand::Show { login: Some(login) } if login == EVERYBODY => {
                usual(&common, api.get("/quota").await?)
            }
            QuotasCommand::Show { login } => {
                let path = login.map_or_else(|| "/me/quota".to_owned(), |login| path(&login));
                show(&common, &api.get(&path).await?);
            }
            QuotasCommand::Set { login, limits } if login == EVERYBODY => {
                let mut quota: Quota = api.get("/quota").await?;
                for text in &limits {
                    let (what, allowance) = limit(text, false)?;
                    quota.set(what, allowance.over(None));
                }
                usual(&common, api.call(&Method::PUT, "/quota", &quota).await?);
            }
            QuotasCommand::Set { login, limits } => {
                let wanted = limits.iter().map(|text| limit(text, true)).collect::<Result<Vec<_>>>()?;
                let path = path(&login);
                // The API sets all limits of a person at once; those that are not named here stay.
                let mut own = api.get::<QuotaView>(&path).await?.own;
                wanted.into_iter().for_each(|(what, allowance)| own.set(what, allowance));
                show(&common, &api.call(&Method::PUT, &path, &own).await?);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn path(login: &str) -> String {
    format!("/users/{}/quota", part(login))
}

/// `KEY=LIMIT`; `usual`: there is a usual limit to go back to.
fn limit(text: &str, usual: bool) -> Result<(Resource, Allowance)> {
    let known = |key: &str| Resource::ALL.into_iter().find(|what| what.name() == key);
    let Some((what, value)) = text.split_once('=').and_then(|(key, value)| Some((known(key)?, value))) else {
        return Err(Error::invalid(format!(
            "“{text}” sets nothing: write machines, cores, memory or disk, = and a limit."
        )));
    };
    let number = || match what {
        Resource::Memory => mebibytes(value),
        Resource::Disk => gibibytes(value),
        _ => value.parse().ok().filter(|_| !value.starts_with('+')).ok_or_else(|| "Give a whole number.".to_owned()),
    };
    let allowance = match value {
        "unlimited" => Allowance::NoLimit,
        "usual" if usual => Allowance::Usual,
        "usual" => return Err(Error::invalid("“usual” is what you set here. Give a number or “unlimited”.")),
        _ => Allowance::AtMost(number().map_err(|why| Error::invalid(format!("{}: {why}", what.name())))?),
    };
    Ok((what, allowance))
}

/// A limit or a use in words.
fn amount(what: Resource, n: Option<u64>) -> String {
    match (what, n) {
        (_, None) => "no limit".to_owned(),
        (Resource::Memory, Some(n)) => bytes(n << 20),
        (Resource::Disk, Some(n)) => bytes(n << 30),
        (_, Some(n)) => n.to_string(),
    }
}

impl Row for QuotaView {
    const HEADS: &'static [&'static str] = &["login", "machines", "cores", "memory", "disk"];

    fn cells(&self) -> Vec<Cell> {
        let used = |what| amount(what, Some(self.used.get(what)));
        // “3 of 5”
        let cell = |what| match self.limits.get(what) {
            None => Cell::number(used(what)),
            limit => Cell::number(format!("{} of {}", used(what), amount(what, limit))),
        };
        std::iter::once(Cell::text(&self.login)).chain(Resource::ALL.map(cell)).collect()
    }
}

fn usual(common: &Common, quota: Quota) {
    if common.prints(&quota) {
        return;
    }
    say("For everyone without limits of their own:");
    let row = |what: Resource| vec![Cell::text(what.name()), Cell::number(amount(what, quota.get(what)))];
    table::print(&["what", "limit"], &Resource::ALL.map(row), "");
}

fn show(common: &Common, quota: &QuotaView) {
    if common.prints(quota) {
        return;
    }
    let row = |what: Resource| {
        let set = match quota.own.get(what) {
            Allowance::Usual => "usual".to_owned(),
            Allowance::NoLimit => "unlimited".to_owned(),
            Allowance::AtMost(n) => amount(what, Some(n)),
        };
        let (used, limit) = (amount(what, Some(quota.used.get(what))), amount(what, quota.limits.get(what)));
        vec![Cell::text(what.name()), Cell::number(used), Cell::number(limit), Cell::text(set)]
    };
    table::print(&["what", "used", "limit", "set for them"], &Resource::ALL.map(row), "");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_with_units_or_words() {
        assert_eq!(limit("memory=16G", true).unwrap(), (Resource::Memory, Allowance::AtMost(16384)));
        assert_eq!(limit("machines=0", false).unwrap(), (Resource::Machines, Allowance::AtMost(0)));
        assert_eq!(limit("cores=usual", true).unwrap(), (Resource::Cores, Allowance::Usual));
        assert_eq!(limit("disk=unlimited", true).unwrap(), (Resource::Disk, Allowance::NoLimit));
        assert_eq!(limit("disk=unlimited", false).unwrap(), (Resource::Disk, Allowance::NoLimit));
        for bad in ["disk", "colour=1", "cores=many", "cores=-1", "cores=+1", "memory=+1G", "memory=2x"] {
            assert!(limit(bad, true).is_err(), "{bad}");
        }
        assert!(limit("cores=usual", false).is_err());
    }
}
