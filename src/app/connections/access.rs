//! Access to a Proxmox cluster: accept its certificate, log in once or give a token, and see what the token lacks.

use super::links::Link;
use super::trust::{endpoint, parse_fingerprint};
use super::{Connections, check_name};
use crate::{Actor, plugin_host};
use base::ids::ConnectionId;
use base::{Error, Result, Secret, random};
use model::connections::{Connection, Limits, PveAccess, Transport, Trust};
use remote::pve::{self, AccessPlan, CertificateInfo, PveClient, PveError, PveErrorKind, Target, Ticket};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{Read as _, tables};
use utoipa::ToSchema;

/// The plugin behind a cluster.
pub(super) const PLUGIN: &str = "proxmox";

/// How the person proves to Proxmox that Steward may have access.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
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
}

/// What gives Steward its token, for a new connection or one that is there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccess {
    pub way: AccessWay,
    /// `root@pam`, for a login.
    #[serde(default)]
    pub user: String,
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    pub password: Secret<String>,
    /// The six digits, for a user who has a second factor.
    #[schema(value_type = Option<String>)]
    pub otp: Option<Secret<String>>,
    /// `user@realm!name`
    #[serde(default)]
    pub token_id: String,
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    pub token_secret: Secret<String>,
}

/// What became of a connection to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    New(ConnectionId),
    /// Its cluster is connected already, as this: nothing was made.
    Known(ConnectionId),
}

/// A token that works, and the cluster that it is for.
struct Given {
    token_id: String,
    token_secret: Secret<String>,
    identity: Option<String>,
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

    /// The connection whose accepted certificate this is.
    pub fn known_by_certificate(&self, actor: &Actor, sha256: &[u8]) -> Result<Option<ConnectionId>> {
        actor.require_admin()?;
        let pinned =
            |pve: &PveAccess| matches!(&pve.trust, Trust::Fingerprints(pins) if pins.iter().any(|p| p == sha256));
        Ok(self.find_pve(|_, pve| pinned(pve)))
    }

    /// Adds a connection: proves the credential (or makes a token with the login), checks that it answers, and
    /// stores it. A password is used once and forgotten. A cluster that is connected already is left as it is.
    pub async fn add(&self, actor: &Actor, new: NewConnection, access: NewAccess) -> Result<Added> {
        actor.require_full_admin()?;
        let endpoint = endpoint(&new.address)?;
        let name = check_name(&new.name)?;
        let pin = parse_fingerprint(&new.fingerprint)?;
        if let Some(known) = self.known_by_certificate(actor, &pin)? {
            return Ok(Added::Known(known));
        }
        let mut pve = PveAccess {
            endpoints: vec![endpoint.clone()],
            trust: Trust::Fingerprints(vec![pin]),
            token_id: String::new(),
            token_secret: Secret::default(),
        };
        let given = match access.way {
            AccessWay::Token => self.tried(&pve, &access).await?,
            AccessWay::Login => {
                let ticket = self.login(&pve, &access).await?;
                // Before anything is made there.
                let identity = ticket.identity().await;
                if let Some(known) = self.known(identity.as_deref(), &endpoint) {
                    return Ok(Added::Known(known));
                }
                self.make_token(&ticket, identity, None).await?
            }
        };
        if let Some(known) = self.known(given.identity.as_deref(), &endpoint) {
            return Ok(Added::Known(known));
        }
        (pve.token_id, pve.token_secret) = (given.token_id, given.token_secret);
        let row = Connection {
            id: ConnectionId::new(),
            name,
            plugin: PLUGIN.to_owned(),
            transport: Transport::Pve(pve),
            limits: Limits::default(),
            created: self.0.now(),
            identity: given.identity,
        };
        self.store(actor, Link::new(&row)?, row, "connection.add").await.map(Added::New)
    }

    /// Gives a connection another token, after the one that it had was deleted or replaced on Proxmox: a new one made
    /// with a login, or one that the person made. All else stays.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Conflict` for a host by SSH; `Invalid` beside the field that is wrong.
    pub async fn renew(&self, actor: &Actor, id: ConnectionId, access: NewAccess) -> Result<()> {
        actor.require_full_admin()?;
        let row = self.row(id)?;
        let Transport::Pve(pve) = &row.transport else {
            return Err(Error::conflict("This connection uses SSH; it has no token."));
        };
        let given = match access.way {
            AccessWay::Token => self.tried(pve, &access).await?,
            AccessWay::Login => {
                let ticket = self.login(pve, &access).await?;
                let identity = ticket.identity().await;
                same_cluster(row.identity.as_deref(), identity.as_deref())?;
                self.make_token(&ticket, identity, Some((id, &pve.token_id))).await?
            }
        };
        same_cluster(row.identity.as_deref(), given.identity.as_deref())?;
        let renew = move |row: &mut Connection| {
            if let Transport::Pve(pve) = &mut row.transport {
                (pve.token_id, pve.token_secret) = (given.token_id, given.token_secret);
            }
            row.identity = row.identity.take().or(given.identity);
            Ok(())
        };
        self.amend(actor, id, "connection.token", renew).await
    }

    /// The connection to this cluster. By the address alone only where nothing better is known: another machine may
    /// have it today.
    pub(super) fn known(&self, identity: Option<&str>, endpoint: &str) -> Option<ConnectionId> {
        self.find_pve(|row, pve| {
            let of_ca = match &pve.trust {
                Trust::Ca(pem) => pve::identity_of_ca(pem),
                Trust::Fingerprints(_) => None,
            };
            match (row.identity.as_deref().or(of_ca.as_deref()), identity) {
                (Some(its), Some(this)) => its == this,
                _ => pve.endpoints.iter().any(|e| e == endpoint),
            }
        })
    }

    fn find_pve(&self, fits: impl Fn(&Connection, &PveAccess) -> bool) -> Option<ConnectionId> {
        let all = self.links().all();
        let fits = |row: &Connection| matches!(&row.transport, Transport::Pve(pve) if fits(row, pve));
        all.iter().find(|l| fits(&l.row)).map(|l| l.row.id)
    }

    /// Learns which cluster it is, for connections that did not ask when they were made.
    pub(crate) async fn learn_identity(&self, id: ConnectionId) -> Result<()> {
        let link = self.links().find(id)?;
        if link.row.identity.is_some() || link.row.ssh().is_some() {
            return Ok(());
        }
        let Some(identity) = link.client()?.identity().await else { return Ok(()) };
        let row = self
            .0
            .store()
            .write(move |tx| {
                let row = tx.get(tables::CONNECTIONS, &id)?.map(|row| Connection { identity: Some(identity), ..row });
                if let Some(row) = &row {
                    tx.put(tables::CONNECTIONS, &id, row)?;
                }
                Ok(row)
            })
            .await?;
        if let Some(row) = row {
            self.links().put(&Arc::new(Link::new(&row)?));
        }
        Ok(())
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

    /// Logs in at the first address that answers. The password is not kept.
    async fn login(&self, pve: &PveAccess, access: &NewAccess) -> Result<Ticket> {
        let (otp, trust) = (access.otp.as_ref().map(trimmed), (&pve.trust).into());
        let mut last = Error::field("address", "This connection has no address.");
        for endpoint in &pve.endpoints {
            match pve::login(endpoint, &trust, access.user.trim(), &access.password, otp.as_ref()).await {
                Ok(ticket) => return Ok(ticket),
                Err(e) if e.kind == PveErrorKind::Unreachable => last = Error::field("password", e.message),
                Err(e) => return Err(Error::field("password", e.message)),
            }
        }
        Err(last)
    }

    /// The token that the person made, when it works.
    async fn tried(&self, pve: &PveAccess, access: &NewAccess) -> Result<Given> {
        let (token_id, token_secret) = (access.token_id.trim().to_owned(), trimmed(&access.token_secret));
        let client = PveClient::new(Target {
            endpoints: pve.endpoints.clone(),
            trust: (&pve.trust).into(),
            token_id: token_id.clone(),
            token_secret: token_secret.clone(),
        });
        let client = client.map_err(token_error)?;
        client.call("GET", "/version", &Value::Null).await.map_err(token_error)?;
        Ok(Given { token_id, token_secret, identity: client.identity().await })
    }

    /// Makes role, user and token. `instead` is the connection that is to get it, and its token of today.
    async fn make_token(
        &self,
        ticket: &Ticket,
        identity: Option<String>,
        instead: Option<(ConnectionId, &str)>,
    ) -> Result<Given> {
        let wrong = |e: PveError| Error::field("user", format!("Proxmox refused: {}", e.message));
        let version = ticket.version().await.map_err(wrong)?;
        let mut plan = self.plan(&version, self.mark()).await?;
        // One that this appliance made is made anew under its name; somebody else's stays as it is.
        if let Some(name) = instead.and_then(|(_, token)| token.strip_prefix(&format!("{}!", plan.user)))
            && name.starts_with(&plan.token)
        {
            name.clone_into(&mut plan.token);
        }
        // One of our connections may be to the same cluster, and recreating its token would cut it off.
        while self.id_of_token(&plan.token_id()).is_some_and(|id| instead.is_none_or(|(own, _)| own != id)) {
            plan = self.plan(&version, &format!("{}-{}", self.mark(), hex::encode(random::bytes::<2>()))).await?;
        }
        let token_secret = ticket.make_token(&plan).await.map_err(wrong)?;
        Ok(Given { token_id: plan.token_id(), token_secret, identity })
    }

    /// The connection of ours that has this token.
    pub(super) fn id_of_token(&self, token_id: &str) -> Option<ConnectionId> {
        self.find_pve(|_, pve| pve.token_id == token_id)
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

/// Machines keep their owners, so a connection never goes over to another cluster.
fn same_cluster(before: Option<&str>, now: Option<&str>) -> Result<()> {
    match (before, now) {
        (Some(before), Some(now)) if before != now => Err(Error::conflict(
            "What answers at this address is another cluster than before: Proxmox was installed anew there. Connect it \
             as a new one in the settings, then forget this connection.",
        )),
        _ => Ok(()),
    }
}

fn trimmed(secret: &Secret<String>) -> Secret<String> {
    Secret::new(secret.expose().trim().to_owned())
}

fn token_error(e: PveError) -> Error {
    let field = match e.kind {
        PveErrorKind::Auth | PveErrorKind::Forbidden => "token_secret",
        _ => "address",
    };
    Error::field(field, e.message)
}
