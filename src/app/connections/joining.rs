//! Joining the Proxmox cluster of the host that Steward itself runs on. Root makes role, user and token there
//! (`steward proxmox join`); this gets only what Steward must know and keep.

use super::access::{PLUGIN, Probe};
use super::links::Link;
use crate::{Actor, App};
use base::ids::ConnectionId;
use base::{Error, Result, Secret};
use model::connections::{Connection, Limits, PveAccess, Transport, Trust};
use remote::pve::node::NodeAddress;

pub struct Joining<'a>(pub(crate) &'a App);

impl Joining<'_> {
    /// What the name of this appliance's token ends with: 8 hexadecimal digits.
    pub fn mark(&self, actor: &Actor) -> Result<String> {
        actor.require_admin()?;
        Ok(self.0.connections().mark().to_owned())
    }

    fn find(&self, actor: &Actor, token_id: &str) -> Result<Option<ConnectionId>> {
        actor.require_admin()?;
        Ok(self.0.connections().id_of_token(token_id))
    }

    /// Keeps the connection of this host: makes it, or brings its secret and certificates up to date. Answers
    /// whether anything is new.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` when the address can't be read, or when the connection is new and there is no secret.
    pub async fn keep(
        &self,
        actor: &Actor,
        name: &str,
        token_id: &str,
        secret: Option<Secret<String>>,
        address: &NodeAddress,
    ) -> Result<bool> {
        actor.require_full_admin()?;
        let trust = trust(address)?;
        let connections = self.0.connections();
        let identity = address.ca.as_deref().and_then(remote::pve::identity_of_ca);
        // Connected by hand before, it is the same connection: its name, limits and machines stay.
        let by_cluster = || identity.as_deref().and_then(|this| connections.known(Some(this), &address.endpoint));
        let found = self.find(actor, token_id)?.or_else(|| by_cluster().filter(|_| secret.is_some()));
        let Some(id) = found else {
            let no_secret = || Error::invalid("The token's secret is needed for a new connection.");
            let row = Connection {
                id: ConnectionId::new(),
                name: name.to_owned(),
                plugin: PLUGIN.to_owned(),
                transport: Transport::Pve(PveAccess {
                    endpoints: vec![address.endpoint.clone()],
                    trust,
                    token_id: token_id.to_owned(),
                    token_secret: secret.ok_or_else(no_secret)?,
                }),
                limits: Limits::default(),
                created: self.0.now(),
                identity,
            };
            connections.add_known(actor, row).await?;
            return Ok(true);
        };
        let mut row = connections.row(id)?;
        let Transport::Pve(pve) = &mut row.transport else { return Ok(false) };
        let mut changed = pve.trust != trust;
        pve.trust = trust;
        if !pve.endpoints.contains(&address.endpoint) {
            pve.endpoints.insert(0, address.endpoint.clone());
            changed = true;
        }
        if let Some(secret) = secret {
            changed |= pve.token_id != token_id;
            token_id.clone_into(&mut pve.token_id);
            changed |= !pve.token_secret.matches(secret.expose().as_bytes());
            pve.token_secret = secret;
        }
        if changed {
            connections.store(actor, Link::new(&row)?, row, "connection.change").await?;
        }
        Ok(changed)
    }

    /// Whether the kept connection is reached and recognised this way already. `None`: there is none.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` when the address can't be read.
    pub fn is_current(&self, actor: &Actor, token_id: &str, address: &NodeAddress) -> Result<Option<bool>> {
        let Some(id) = self.find(actor, token_id)? else { return Ok(None) };
        let trust = trust(address)?;
        let link = self.0.connections().links().find(id)?;
        let current = matches!(&link.row.transport, Transport::Pve(pve)
            if pve.trust == trust && pve.endpoints.contains(&address.endpoint));
        Ok(Some(current))
    }

    /// What the token may do now.
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

fn trust(address: &NodeAddress) -> Result<Trust> {
    if let Some(pem) = &address.ca {
        return Ok(Trust::Ca(pem.clone()));
    }
    let pins: Option<Vec<Vec<u8>>> =
        address.pins.iter().map(|p| hex::decode(p).ok().filter(|b| b.len() == 32)).collect();
    let pins = pins.filter(|p| !p.is_empty());
    Ok(Trust::Fingerprints(pins.ok_or_else(|| Error::invalid("Nothing says which certificate to trust."))?))
}
