//! `steward guests access`, `share`, `unshare`, `give`: who may do what with a machine.

use super::super::say::say;
use super::Common;
use super::client::{Api, part};
use super::find::GuestArg;
use super::table::{self, Cell, Row};
use app::guests::sharing::GrantView;
use base::Result;
use clap::ValueEnum;
use http::Method;
use model::access::GuestRight;
use std::process::ExitCode;
use web::guests::sharing::rest::{GrantList, GrantPut};

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

/// With whom a machine is shared.
#[derive(Debug, clap::Args)]
pub struct Access {
    #[command(flatten)]
    machine: GuestArg,
}

#[derive(Debug, clap::Args)]
pub struct Share {
    #[command(flatten)]
    machine: GuestArg,
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
    machine: GuestArg,
    /// From whom; people may always give back what was shared with them.
    #[arg(value_name = "LOGIN")]
    login: String,
}

#[derive(Debug, clap::Args)]
pub struct Give {
    #[command(flatten)]
    machine: GuestArg,
    /// The new owner.
    #[arg(value_name = "LOGIN")]
    login: String,
    /// What the previous owner may still do; nothing if left out.
    #[arg(long, value_enum)]
    keep: Option<Right>,
}

impl Access {
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let path = self.machine.path(api, "grants").await?;
        let all: GrantList = api.get(&path).await?;
        if common.prints(&all) {
            return Ok(ExitCode::SUCCESS);
        }
        say(&format!("Owner: {}", all.owner.as_deref().map_or("nobody, so admins only".to_owned(), table::plain)));
        table::rows(&all.grants, "It is shared with nobody.");
        Ok(ExitCode::SUCCESS)
    }
}

impl Row for GrantView {
    const HEADS: &'static [&'static str] = &["login", "may", "shared by", "since"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.login),
            Cell::text(self.right.name()),
            Cell::text(&self.by),
            Cell::text(table::time(self.at)),
        ]
    }
}

impl Share {
    pub async fn run(self, api: &mut Api, common: &Common) -> Result<ExitCode> {
        let path = format!("{}/{}", self.machine.path(api, "grants").await?, part(&self.login));
        let right = self.right.right();
        let made: GrantView = api.call(&Method::PUT, &path, &GrantPut { right }).await?;
        if !common.prints(&made) {
            say(&format!("{} may now {} it.", table::plain(&self.login), right.name()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Unshare {
    pub async fn run(self, api: &mut Api) -> Result<ExitCode> {
        let path = format!("{}/{}", self.machine.path(api, "grants").await?, part(&self.login));
        let () = api.delete(&path).await?;
        say(&format!("It is no longer shared with {}.", table::plain(&self.login)));
        Ok(ExitCode::SUCCESS)
    }
}

impl Give {
    pub async fn run(self, api: &mut Api) -> Result<ExitCode> {
        let path = self.machine.path(api, "owner").await?;
        let body = model::guests::actions::Give { owner: Some(self.login.clone()), keep: self.keep.map(Right::right) };
        let () = api.call(&Method::PUT, &path, &body).await?;
        say(&format!("It now belongs to {}.", table::plain(&self.login)));
        Ok(ExitCode::SUCCESS)
    }
}
