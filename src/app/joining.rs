//! Joining the Proxmox cluster of the host that Steward itself runs on. Root makes role, user and token there
//! (`steward proxmox join`); what comes in here is only what Steward must know and keep.

use crate::connections::{Probe, SetupPlan};
use crate::{Actor, App};
use base::ids::ConnectionId;
use base::{Error, Result, Secret};
use model::connections::{Connection, Limits, Trust};
use serde::{Deserialize, Serialize};

/// The comment on everything that Steward made on Proxmox. Only what carries it is removed again.
pub const MARK: &str = "Made by Steward";

/// What is wanted on Proxmox for this appliance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wanted {
    pub role: String,
    pub privileges: Vec<String>,
    /// `steward@pve`
    pub user: String,
    /// Without user; carries this appliance's mark, so that two Stewards on one cluster don't take each other's.
    pub token: String,
    /// Steward has a connection with this token, so its secret need not be made again.
    pub known: bool,
}

impl Wanted {
    /// `user@realm!name`
    pub fn token_id(&self) -> String {
        format!("{}!{}", self.user, self.token)
    }
}

/// How this host's Proxmox is reached and recognised.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Way {
    /// `https://127.0.0.1:8006`
    pub endpoint: String,
    /// The cluster's CA as PEM; it outlives the certificates of the nodes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ca: Option<String>,
    /// SHA-256 of the certificates that are accepted instead, as hex, where another CA signed the node's.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pins: Vec<String>,
}

impl Way {
    fn trust(&self) -> Result<Trust> {
        match &self.ca {
            Some(pem) => Ok(Trust::Ca(pem.clone())),
            None => {
                let pins = self.pins.iter().map(|p| hex::decode(p).ok().filter(|b| b.len() == 32));
                let pins: Option<Vec<Vec<u8>>> = pins.collect();
                let pins = pins.filter(|p| !p.is_empty());
                Ok(Trust::Fingerprints(pins.ok_or_else(|| Error::invalid("Nothing says whom to trust."))?))
            }
        }
    }
}

#[derive(Debug)]
pub struct Joining<'a>(pub(super) &'a App);

impl Joining<'_> {
    /// What to make on a Proxmox of this version; empty: what every version knows.
    ///
    /// # Errors
    /// `Forbidden`; `Unavailable` when the plugin is not usable.
    pub async fn wanted(&self, actor: &Actor, version: &str) -> Result<Wanted> {
        actor.require_admin()?;
        let SetupPlan { role, privileges, user, token } = self.0.connections().setup_plan(version).await?;
        let mut wanted = Wanted { role, privileges, user, token, known: false };
        wanted.known = self.find(actor, &wanted.token_id())?.is_some();
        Ok(wanted)
    }

    fn find(&self, actor: &Actor, token_id: &str) -> Result<Option<ConnectionId>> {
        let all = self.0.connections().list(actor)?;
        Ok(all.into_iter().find(|c| c.token_id == token_id).map(|c| c.id))
    }

    /// Keeps the connection of this host: makes it, or brings its secret and certificates up to date. Answers
    /// whether anything is new.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` when the way can't be read, or when the connection is new and there is no secret.
    pub async fn keep(
        &self,
        actor: &Actor,
        name: &str,
        token_id: &str,
        secret: Option<Secret<String>>,
        way: &Way,
    ) -> Result<bool> {
        actor.require_full_admin()?;
        let trust = way.trust()?;
        let connections = self.0.connections();
        let Some(id) = self.find(actor, token_id)? else {
            let secret = secret.ok_or_else(|| Error::invalid("The token's secret is needed for a new connection."))?;
            let row = Connection {
                id: ConnectionId::new(),
                name: name.to_owned(),
                plugin: "proxmox".to_owned(),
                endpoints: vec![way.endpoint.clone()],
                trust,
                token_id: token_id.to_owned(),
                token_secret: secret,
                limits: Limits::default(),
                created: self.0.now(),
                ssh: None,
            };
            connections.add_known(actor, row).await?;
            return Ok(true);
        };
        let mut row = connections.row(id)?;
        let before = (row.trust.clone(), row.endpoints.clone());
        row.trust = trust;
        if !row.endpoints.contains(&way.endpoint) {
            row.endpoints.insert(0, way.endpoint.clone());
        }
        let mut changed = before != (row.trust.clone(), row.endpoints.clone());
        if let Some(secret) = secret {
            changed |= !row.token_secret.matches(secret.expose().as_bytes());
            row.token_secret = secret;
        }
        if changed {
            connections.change_known(actor, row).await?;
        }
        Ok(changed)
    }

    /// Whether the kept connection is reached and recognised this way already. `None`: there is none.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` when the way can't be read.
    pub fn is_current(&self, actor: &Actor, token_id: &str, way: &Way) -> Result<Option<bool>> {
        actor.require_admin()?;
        let Some(id) = self.find(actor, token_id)? else { return Ok(None) };
        let row = self.0.connections().row(id)?;
        Ok(Some(row.trust == way.trust()? && row.endpoints.contains(&way.endpoint)))
    }

    /// What the token may do now.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when Proxmox does not answer.
    pub async fn probe(&self, actor: &Actor, token_id: &str) -> Result<Probe> {
        let id = self.find(actor, token_id)?.ok_or_else(|| Error::not_found("Steward has no such connection."))?;
        self.0.connections().probe(actor, id).await
    }

    /// Forgets the connection of this host, if there is one.
    ///
    /// # Errors
    /// `Forbidden`; `Conflict` while jobs of it are open.
    pub async fn forget(&self, actor: &Actor, token_id: &str) -> Result<bool> {
        match self.find(actor, token_id)? {
            Some(id) => self.0.connections().remove(actor, id).await.map(|()| true),
            None => Ok(false),
        }
    }
}
