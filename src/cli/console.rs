//! What the host's console may ask of the running appliance. Only the service's own user and root can reach
//! the socket, so they act as an admin without a vault.

use app::users::{NewUser, UserChange};
use app::{Actor, App};
use base::{Error, Result, Secret};
use model::users::Role;
use remote::pve::node::NodeAddress;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt::Write as _;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    SetupCode,
    Users,
    AddUser {
        login: String,
        email: String,
        admin: bool,
    },
    ResetUser {
        login: String,
    },
    UnlockUser {
        login: String,
    },
    SetActive {
        login: String,
        active: bool,
    },
    SetRole {
        login: String,
        admin: bool,
    },
    Plugins,
    VerifyAudit,
    Health,
    /// What the name of this appliance's token on Proxmox ends with; answers JSON, as the next ones do.
    ProxmoxMark,
    ProxmoxCurrent {
        token_id: String,
        address: NodeAddress,
    },
    ProxmoxKeep {
        name: String,
        token_id: String,
        secret: Option<Carried>,
        address: NodeAddress,
    },
    ProxmoxProbe {
        token_id: String,
    },
    ProxmoxForget {
        token_id: String,
    },
}

/// A secret on its way through the socket, which only root and the service can reach.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Carried(pub Secret<String>);

impl Serialize for Carried {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl Request {
    /// Does it and says what happened, for the terminal.
    pub async fn answer(self, app: &App) -> Result<String> {
        let actor = Actor::host_console();
        match self {
            Self::SetupCode => setup_code(app),
            Self::Users => users(app, &actor),
            Self::AddUser { login, email, admin } => {
                let new = NewUser { login, name: String::new(), email, role: role(admin) };
                let (user, link) = app.users().invite(&actor, new).await?;
                Ok(format!(
                    "Created {}. The link works once, within three days:\n  /invite/{}",
                    user.login,
                    link.expose()
                ))
            }
            Self::ResetUser { login } => {
                let user = app.users().by_login(&actor, &login)?.user;
                let link = app.users().reset_link(&actor, user.id).await?;
                Ok(format!("The link works once, within three days:\n  /invite/{}", link.expose()))
            }
            Self::UnlockUser { login } => {
                let user = app.users().by_login(&actor, &login)?.user;
                app.users().unlock(&actor, user.id).await?;
                Ok(format!("{login} can try again."))
            }
            Self::SetActive { login, active } => {
                let change = UserChange { active: Some(active), ..UserChange::default() };
                change_user(app, &actor, &login, change).await
            }
            Self::SetRole { login, admin } => {
                let change = UserChange { role: Some(role(admin)), ..UserChange::default() };
                change_user(app, &actor, &login, change).await
            }
            Self::Plugins => plugins(app, &actor),
            Self::VerifyAudit => verify_audit(app, &actor),
            Self::Health => health(app),
            Self::ProxmoxMark => json(&app.joining().mark(&actor)?),
            Self::ProxmoxCurrent { token_id, address } => json(&app.joining().is_current(&actor, &token_id, &address)?),
            Self::ProxmoxKeep { name, token_id, secret, address } => {
                let secret = secret.map(|s| s.0);
                json(&app.joining().keep(&actor, &name, &token_id, secret, &address).await?)
            }
            Self::ProxmoxProbe { token_id } => json(&app.joining().probe(&actor, &token_id).await?),
            Self::ProxmoxForget { token_id } => json(&app.joining().forget(&actor, &token_id).await?),
        }
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

fn role(admin: bool) -> Role {
    if admin { Role::Admin } else { Role::User }
}

fn setup_code(app: &App) -> Result<String> {
    match app.setup().code() {
        Some(code) => Ok(code.expose().clone()),
        None => Err(Error::conflict("Steward is already set up. Make users with “steward user add”.")),
    }
}

async fn change_user(app: &App, actor: &Actor, login: &str, change: UserChange) -> Result<String> {
    let user = app.users().by_login(actor, login)?.user;
    app.users().change(actor, user.id, change).await?;
    Ok(format!("Changed {login}."))
}

fn users(app: &App, actor: &Actor) -> Result<String> {
    let mut out = format!("{:<24} {:<7} {:<12} last sign-in", "login", "role", "state");
    for view in app.users().list(actor)? {
        let state = match &view {
            v if !v.user.active => "deactivated",
            v if v.locked => "locked",
            v if v.invited => "invited",
            _ => "active",
        };
        let last = view.user.last_login.map_or_else(|| "never".to_owned(), |t| t.rfc3339());
        let _ = write!(out, "\n{:<24} {:<7} {state:<12} {last}", view.user.login, view.user.role.name());
    }
    Ok(out)
}

fn plugins(app: &App, actor: &Actor) -> Result<String> {
    let rows = app.plugins().list(actor)?.into_iter().map(|p| match p.error {
        Some(e) => format!("{:<20} not usable: {e}", p.name),
        None => format!("{:<20} ok ({})", p.name, p.hash.get(..12).unwrap_or_default()),
    });
    Ok(rows.collect::<Vec<_>>().join("\n"))
}

fn verify_audit(app: &App, actor: &Actor) -> Result<String> {
    let check = app.audit().verify(actor)?;
    match check.first_bad {
        None => {
            let head = check.head.map(|h| h.iter().map(|b| format!("{b:02x}")).collect::<String>()).unwrap_or_default();
            Ok(format!("{} entries, all in order.\nHead: {head}", check.entries))
        }
        Some(bad) => Err(Error::conflict(format!(
            "Entry {bad} is the first that is wrong: {} The {} entries before it are in order.",
            check.why.unwrap_or_default(),
            check.entries
        ))),
    }
}

fn health(app: &App) -> Result<String> {
    let rows = app
        .health()
        .checks()
        .into_iter()
        .map(|c| format!("{} {:<9} {}", if c.ok { "ok  " } else { "BAD " }, c.name, c.text));
    Ok(rows.collect::<Vec<_>>().join("\n"))
}
