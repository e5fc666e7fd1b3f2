//! Access to a Proxmox cluster: accept its certificate, log in once or give a token, and see what the token lacks.

use super::links::Link;
use super::trust::{endpoint, parse_fingerprint};
use super::{Connections, check_name};
use crate::{Actor, plugin_host};
use base::ids::ConnectionId;
use base::{Error, Result, Secret, random};
use model::connections::{Connection, Limits, PveAccess, Transport, Trust};
use remote::pve::{self, AccessPlan, CertificateInfo, PveError, PveErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The plugin behind a cluster.
pub(super) const PLUGIN: &str = "proxmox";

/// How the person proves to Proxmox that Steward may have access.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessWay {
    /// Login and password, used once to make a role and a token, then forgotten.
    Login,
    /// A token that they made.
    Token,
}

/// A connection to add.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewConnection {
    pub name: String,
    /// `https://host:8006`; just a host name or address is completed.
    pub address: String,
    /// The fingerprint that the person accepted, as hex, with or without colons.
    pub fingerprint: String,
    pub way: AccessWay,
    #[serde(default)]
    pub user: String,
    #[serde(default)]
    pub password: Secret<String>,
    pub otp: Option<Secret<String>>,
    #[serde(default)]
    pub token_id: String,
    #[serde(default)]
    pub token_secret: Secret<String>,
}

/// What a token lacks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct MissingRight {
    pub path: String,
    pub privilege: String,
    /// What does not work without it.
    pub why: String,
    /// What to run on a node as root.
    #[serde(default)]
    pub command: String,
}

/// What a look at a connection's rights found.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Probe {
    pub version: String,
    #[serde(default)]
    pub missing: Vec<MissingRight>,
}

impl Connections<'_> {
    /// The certificate that the address shows now, for the person to compare and accept.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` on `address`.
    pub async fn certificate(&self, actor: &Actor, address: &str) -> Result<(String, CertificateInfo)> {
        actor.require_full_admin()?;
        let endpoint = endpoint(address)?;
        let info = pve::fetch_certificate(&endpoint).await.map_err(|e| Error::field("address", e.message))?;
        Ok((endpoint, info))
    }

    /// Adds a connection: proves the credential (or makes a token with the login), checks that it answers, and
    /// stores it. A password is used once and forgotten.
    pub async fn add(&self, actor: &Actor, new: NewConnection) -> Result<ConnectionId> {
        actor.require_full_admin()?;
        let endpoint = endpoint(&new.address)?;
        let name = check_name(&new.name)?;
        let trust = Trust::Fingerprints(vec![parse_fingerprint(&new.fingerprint)?]);
        let trimmed = |secret: &Secret<String>| Secret::new(secret.expose().trim().to_owned());
        let (token_id, token_secret) = match new.way {
            AccessWay::Token => (new.token_id.trim().to_owned(), trimmed(&new.token_secret)),
            AccessWay::Login => {
                let otp = new.otp.as_ref().map(trimmed);
                self.make_token(&endpoint, &trust, new.user.trim(), &new.password, otp.as_ref()).await?
            }
        };
        let access = PveAccess { endpoints: vec![endpoint], trust, token_id, token_secret };
        let row = Connection {
            id: ConnectionId::new(),
            name,
            plugin: PLUGIN.to_owned(),
            transport: Transport::Pve(access),
            limits: Limits::default(),
            created: self.0.now(),
        };
        let link = Link::new(&row)?;
        let version = link.client()?.call("GET", "/version", &Value::Null).await.map_err(token_error)?;
        tracing::info!(connection = link.row.name, version = %version["version"], "connection answers");
        self.store(actor, link, row, "connection.add").await
    }

    /// Asks Proxmox what the token may do and compares it with what Steward needs.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Unavailable` when it does not answer.
    pub async fn probe(&self, actor: &Actor, id: ConnectionId) -> Result<Probe> {
        actor.require_admin()?;
        let mut probe: Probe = plugin_host::call(self.0, id, "probe", Vec::new()).await?;
        // A plugin does not know which token it asks with.
        if let Transport::Pve(pve) = &self.links().find(id)?.row.transport {
            for right in &mut probe.missing {
                right.command = right.command.replace("{token}", &pve.token_id);
            }
        }
        Ok(probe)
    }

    /// Logs in once, makes role, user and token, and forgets the password.
    async fn make_token(
        &self,
        endpoint: &str,
        trust: &Trust,
        user: &str,
        password: &Secret<String>,
        otp: Option<&Secret<String>>,
    ) -> Result<(String, Secret<String>)> {
        let ticket = pve::login(endpoint, &trust.into(), user, password, otp)
            .await
            .map_err(|e| Error::field("password", e.message))?;
        let wrong = |e: PveError| Error::field("user", format!("Proxmox refused: {}", e.message));
        let version = ticket.version().await.map_err(wrong)?;
        let mut plan = self.plan(&version, self.mark()).await?;
        // One of our connections may be to the same cluster, and recreating its token would cut it off.
        while self.id_of_token(&plan.token_id()).is_some() {
            plan = self.plan(&version, &format!("{}-{}", self.mark(), hex::encode(random::bytes::<2>()))).await?;
        }
        let secret = ticket.make_token(&plan).await.map_err(wrong)?;
        Ok((plan.token_id(), secret))
    }

    /// The connection of ours that has this token.
    pub(super) fn id_of_token(&self, token_id: &str) -> Option<ConnectionId> {
        let all = self.links().all();
        let own = |row: &Connection| matches!(&row.transport, Transport::Pve(pve) if pve.token_id == token_id);
        all.iter().find(|l| own(&l.row)).map(|l| l.row.id)
    }

    /// Tells this appliance from others, in the names of its tokens.
    pub(super) fn mark(&self) -> &str {
        &self.0.0.keys.mark
    }

    /// Role, user and token as a person can make them by hand: good for every version of Proxmox.
    ///
    /// # Errors
    /// `Forbidden`; `Unavailable` when the plugin is not usable.
    pub async fn access_plan(&self, actor: &Actor) -> Result<AccessPlan> {
        actor.require_admin()?;
        self.plan("", self.mark()).await
    }

    /// What the plugin wants on a Proxmox of this version. The token's name ends with `mark`.
    async fn plan(&self, version: &str, mark: &str) -> Result<AccessPlan> {
        let plugin = self.0.plugin_set().get(PLUGIN).ok_or_else(|| plugin_host::unusable(PLUGIN))?;
        let args = vec![json!(version), json!(mark)];
        let value = tokio::task::spawn_blocking(move || plugin.call_pure("setup_plan", args))
            .await
            .map_err(Error::internal)?
            .map_err(|e| Error::unavailable(e.message.clone()).with_cause(e))?;
        serde_json::from_value(value).map_err(Error::internal)
    }
}

fn token_error(e: PveError) -> Error {
    let field = match e.kind {
        PveErrorKind::Auth | PveErrorKind::Forbidden => "token_secret",
        _ => "address",
    };
    Error::field(field, e.message)
}
