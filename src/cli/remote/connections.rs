//! `steward connections`: the connected clusters, and putting one right that no longer lets Steward in.

use super::super::say::say;
use super::Common;
use super::client::Api;
use super::table::{self, Cell, Row};
use super::terminal;
use base::{Error, Result};
use clap::Subcommand;
use model::connections::Reach;
use serde_json::json;
use std::process::ExitCode;
use web::connections::rest::{AcceptPost, ConnectionList, ConnectionView};

#[derive(Debug, clap::Args)]
pub struct Connections {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: ConnectionsCommand,
}

#[derive(Debug, Subcommand)]
enum ConnectionsCommand {
    /// All connections and how they are doing.
    List,
    /// Give a connection another token, after the one it had was deleted: by one login, or a token of yours.
    Token {
        #[command(flatten)]
        connection: Which,
        /// Who signs in to Proxmox, once; the password is asked for and not kept.
        #[arg(long, value_name = "USER@REALM", default_value = "root@pam", conflicts_with = "token_id")]
        login: String,
        /// The six digits, if this user has a second factor.
        #[arg(long, value_name = "CODE", conflicts_with = "token_id")]
        otp: Option<String>,
        /// A token that you made yourself, like steward@pve!appliance; its secret is asked for.
        #[arg(long, value_name = "USER@REALM!NAME")]
        token_id: Option<String>,
        /// Take the password or the token's secret from standard input.
        #[arg(long)]
        secret_stdin: bool,
    },
    /// Accept a certificate that has changed. `list` shows which is presented; compare it on the node first.
    Accept {
        #[command(flatten)]
        connection: Which,
        /// The fingerprint that you compared, with or without colons.
        #[arg(long, value_name = "SHA256")]
        fingerprint: String,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Its name or id.
    #[arg(value_name = "CONNECTION")]
    connection: String,
}

impl Which {
    async fn find(&self, api: &mut Api) -> Result<ConnectionView> {
        let all: ConnectionList = api.get("/connections").await?;
        let named = |c: &ConnectionView| c.id == self.connection || c.name == self.connection;
        let mut found: Vec<_> = all.connections.into_iter().filter(named).collect();
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(_), false) => Err(Error::invalid(format!(
                "Several connections are called {}. Give the id of one; `steward connections list -o json` shows them.",
                self.connection
            ))),
            (None, _) => Err(Error::not_found(format!("There is no connection {}.", self.connection))),
        }
    }
}

impl Connections {
    pub async fn run(self) -> Result<ExitCode> {
        let Self { common, verb } = self;
        let mut api = common.api()?;
        match verb {
            ConnectionsCommand::List => {
                let all: ConnectionList = api.get("/connections").await?;
                if !common.prints(&all) {
                    table::rows(&all.connections, "Nothing is connected.");
                    all.connections.iter().for_each(trouble);
                }
            }
            ConnectionsCommand::Token { connection, login, otp, token_id, secret_stdin } => {
                let found = connection.find(&mut api).await?;
                let question = match &token_id {
                    Some(id) => format!("Secret of {}: ", table::plain(id)),
                    None => format!("Password of {}: ", table::plain(&login)),
                };
                let secret = if secret_stdin { terminal::piped()? } else { terminal::password(&question)? };
                let body = match &token_id {
                    Some(id) => json!({ "way": "token", "token_id": id, "token_secret": secret.expose() }),
                    None => json!({ "way": "login", "user": login, "password": secret.expose(), "otp": otp }),
                };
                let now: ConnectionView = api.post(&format!("/connections/{}/token", found.id), &body).await?;
                tell(&common, &now, "It has its new token.");
            }
            ConnectionsCommand::Accept { connection, fingerprint } => {
                let found = connection.find(&mut api).await?;
                let path = format!("/connections/{}/certificate", found.id);
                tell(&common, &api.post(&path, &AcceptPost { fingerprint }).await?, "The certificate is accepted.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(common: &Common, now: &ConnectionView, text: &str) {
    if !common.prints(now) {
        say(text);
        trouble(now);
    }
}

/// What a person should know beside the table.
fn trouble(c: &ConnectionView) {
    if let Reach::Away { why, .. } = &c.reach {
        let why: &str = why;
        say(&format!("{}: {}", table::plain(&c.name), table::plain(why)));
    }
    for refused in &c.refused {
        let (name, at) = (table::plain(&c.name), table::plain(&refused.endpoint));
        say(&format!("{name}: {at} presents {}, which is not accepted.", table::plain(&refused.fingerprint)));
    }
}

impl Row for ConnectionView {
    const HEADS: &'static [&'static str] = &["name", "state", "address", "token"];

    fn cells(&self) -> Vec<Cell> {
        let state = match &self.reach {
            Reach::Unknown => "not asked yet",
            Reach::Here { .. } => "answers",
            Reach::Away { .. } => "does not answer",
        };
        vec![
            Cell::text(&self.name),
            Cell::text(state),
            Cell::text(self.endpoints.join(", ")),
            Cell::text(&self.token_id),
        ]
    }
}
