//! `steward guests access`, `share`, `unshare`, `give`: who may do what with a machine.

use super::super::say::say;
use super::client::{Api, part};
use super::table::{self, Cell};
use super::{Common, complete, find};
use base::Result;
use clap::ValueEnum;
use clap_complete::engine::ArgValueCompleter;
use http::Method;
use model::access::GuestRight;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Right {
    /// Look.
    See,
    /// Also power and console.
    Use,
    /// Also everything else.
    Manage,
}

impl Right {
    pub fn right(self) -> GuestRight {
        match self {
            Self::See => GuestRight::See,
            Self::Use => GuestRight::Use,
            Self::Manage => GuestRight::Manage,
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct Access {
    /// The machine's name, number or id.
    #[arg(value_name = "MACHINE", add = ArgValueCompleter::new(complete::guests))]
    guest: String,
}

#[derive(Debug, clap::Args)]
pub struct Share {
    #[command(flatten)]
    access: Access,
    /// With whom.
    #[arg(value_name = "LOGIN")]
    login: String,
    /// What they may do with it.
    #[arg(long, value_enum, default_value = "use")]
    right: Right,
}

#[derive(Debug, clap::Args)]
pub struct Unshare {
    #[command(flatten)]
    access: Access,
    /// From whom; everybody may give back what was shared with them.
    #[arg(value_name = "LOGIN")]
    login: String,
}

#[derive(Debug, clap::Args)]
pub struct Give {
    #[command(flatten)]
    access: Access,
    /// The new owner.
    #[arg(value_name = "LOGIN")]
    login: String,
    /// What the owner of before may still do; nothing when left out.
    #[arg(long, value_enum)]
    keep: Option<Right>,
}

impl Access {
    async fn path(&self, api: &mut Api) -> Result<String> {
        let found = find::guest(api, &self.guest).await?;
        Ok(format!("/guests/{}", part(found["id"].as_str().unwrap_or_default())))
    }

    /// # Errors
    /// What the API refuses.
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let path = self.path(api).await?;
        let answer = api.get(&format!("{path}/grants")).await?;
        if common.json() {
            table::json(&answer);
            return Ok(ExitCode::SUCCESS);
        }
        let text = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
        say(&format!("Owner: {}", answer["owner"].as_str().map_or("nobody, so admins only".to_owned(), table::plain)));
        let row = |g: &Value| {
            vec![
                Cell::text(text(g, "login")),
                Cell::text(text(g, "right")),
                Cell::text(text(g, "by")),
                Cell::text(table::time(&text(g, "at"))),
            ]
        };
        let rows: Vec<Vec<Cell>> = answer["grants"].as_array().into_iter().flatten().map(row).collect();
        table::print(&["login", "may", "shared by", "since"], &rows, "It is shared with nobody.");
        Ok(ExitCode::SUCCESS)
    }
}

impl Share {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let path = format!("{}/grants/{}", self.access.path(api).await?, part(&self.login));
        let made = api.call(&Method::PUT, &path, Some(&json!({ "right": self.right.right() }))).await?;
        if common.json() {
            table::json(&made);
        } else {
            say(&format!("{} may {} it now.", table::plain(&self.login), self.right.right().name()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Unshare {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self, api: &mut Api) -> Result<ExitCode> {
        let path = format!("{}/grants/{}", self.access.path(api).await?, part(&self.login));
        api.delete(&path).await?;
        say(&format!("It is no longer shared with {}.", table::plain(&self.login)));
        Ok(ExitCode::SUCCESS)
    }
}

impl Give {
    /// # Errors
    /// What the API refuses.
    pub async fn run(self, api: &mut Api) -> Result<ExitCode> {
        let path = format!("{}/owner", self.access.path(api).await?);
        let body = json!({ "owner": self.login, "keep": self.keep.map(Right::right) });
        api.call(&Method::PUT, &path, Some(&body)).await?;
        say(&format!("It belongs to {} now.", table::plain(&self.login)));
        Ok(ExitCode::SUCCESS)
    }
}
