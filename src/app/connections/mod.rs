//! Connections to Proxmox clusters and to hosts by SSH: reading, changing, limiting and forgetting them. How one is
//! created: `access` (a cluster, by token or one-time login), `ssh_hosts`, `joining` (the cluster of this very host).

pub mod access;
pub mod joining;
mod links;
pub mod ssh_hosts;
mod trust;

pub use links::Links;
pub use trust::fingerprint_text;

use crate::guests::sharing::drop_of_guest;
use crate::{Actor, App};
use base::ids::ConnectionId;
use base::text::is_name;
use base::{Error, Result, Secret, Timestamp};
use links::Link;
use model::connections::{Connection, Limits, PveAccess, Reach, SshAccess, Transport, Trust};
use model::guests::Guest;
use model::guests::forgotten::{ForgottenGuest, REMEMBERED};
use model::json::given;
use model::subject::Subject;
use remote::pve::{PveClient, RefusedCertificate};
use serde::Deserialize;
use std::sync::Arc;
use store::{Name, Read as _, Scan, WriteTx, tables};

/// A connection as the settings page shows it: no secret.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    pub id: ConnectionId,
    pub name: String,
    pub plugin: String,
    pub endpoints: Vec<String>,
    /// Accepted certificates as Proxmox shows them; none when the cluster's own CA is trusted.
    pub fingerprints: Vec<String>,
    /// The CA that is trusted instead, as PEM.
    pub ca: Option<String>,
    pub token_id: String,
    /// What its addresses showed last and is not accepted.
    pub refused: Vec<RefusedCertificate>,
    /// For a host by SSH; then there is no address, certificate and token.
    pub ssh: Option<SshView>,
    pub limits: Limits,
    pub reach: Reach,
}

/// How Steward signs in to a host by SSH: no secret.
#[derive(Clone, Debug)]
pub struct SshView {
    /// `root@kvm1`, with the port when it is not 22.
    pub address: String,
    /// Accepted host keys, `SHA256:...`.
    pub host_keys: Vec<String>,
    /// Steward's own public key there.
    pub public: String,
}

impl SshView {
    fn of(access: &SshAccess) -> Self {
        let port = if access.port == 22 { String::new() } else { format!(":{}", access.port) };
        Self {
            address: format!("{}@{}{port}", access.user, access.host),
            host_keys: access.host_keys.clone(),
            public: access.public.clone(),
        }
    }
}

/// What an admin may change of a connection.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionChange {
    /// Left out: as it is; likewise below, but for the limits.
    #[serde(deserialize_with = "given")]
    pub name: Option<String>,
    /// Nodes of one cluster; the first that answers is used.
    #[serde(deserialize_with = "given")]
    pub addresses: Option<Vec<String>>,
    /// SHA-256 of each certificate that is accepted, as hex, with or without colons.
    #[serde(deserialize_with = "given")]
    pub fingerprints: Option<Vec<String>>,
    pub trust_by: Option<TrustBy>,
    /// The cluster's own CA as PEM, to be trusted instead of single certificates.
    #[serde(deserialize_with = "given")]
    pub ca: Option<String>,
    pub limits: Limits,
}

/// How the servers' certificates are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrustBy {
    Pins,
    Ca,
}

pub struct Connections<'a>(pub(super) &'a App);

impl Connections<'_> {
    /// All connections, by name.
    pub fn list(&self, actor: &Actor) -> Result<Vec<ConnectionView>> {
        actor.require_admin()?;
        let mut out: Vec<_> = self.links().all().iter().map(|l| self.view(l)).collect();
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    /// One connection.
    pub fn get(&self, actor: &Actor, id: ConnectionId) -> Result<ConnectionView> {
        actor.require_admin()?;
        Ok(self.view(&*self.links().find(id)?))
    }

    fn view(&self, link: &Link) -> ConnectionView {
        let row = &link.row;
        let mut view = ConnectionView {
            id: row.id,
            name: row.name.clone(),
            plugin: row.plugin.clone(),
            endpoints: Vec::new(),
            fingerprints: Vec::new(),
            ca: None,
            token_id: String::new(),
            refused: link.client().map(PveClient::refused_certificates).unwrap_or_default(),
            ssh: None,
            limits: row.limits.clone(),
            reach: self.0.live().snapshot().connection(row.id).map_or(Reach::Unknown, |c| c.reach.clone()),
        };
        match &row.transport {
            Transport::Ssh(ssh) => view.ssh = Some(SshView::of(ssh)),
            Transport::Pve(pve) => {
                view.endpoints.clone_from(&pve.endpoints);
                view.token_id.clone_from(&pve.token_id);
                match &pve.trust {
                    Trust::Fingerprints(all) => view.fingerprints = all.iter().map(|f| fingerprint_text(f)).collect(),
                    Trust::Ca(pem) => view.ca = Some(pem.clone()),
                }
            }
        }
        view
    }

    fn links(&self) -> &Links {
        &self.0.0.links
    }

    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        self.links().all().iter().map(|l| l.row.id).collect()
    }

    pub(crate) fn plugin_of(&self, id: ConnectionId) -> Result<String> {
        Ok(self.links().find(id)?.row.plugin.clone())
    }

    pub(crate) fn limits(&self, id: ConnectionId) -> Result<Limits> {
        Ok(self.links().find(id)?.row.limits.clone())
    }

    /// What tells its cluster from others, as far as it is known.
    pub(crate) fn identity(&self, id: ConnectionId) -> Option<String> {
        self.links().find(id).ok()?.row.identity.clone()
    }

    /// The client of a connection.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a host by SSH.
    pub fn client(&self, id: ConnectionId) -> Result<PveClient> {
        Ok(self.links().find(id)?.client()?.clone())
    }

    /// The stored row, with its secrets.
    fn row(&self, id: ConnectionId) -> Result<Connection> {
        let row = self.0.store().read(|tx| tx.get(tables::CONNECTIONS, &id))?;
        row.ok_or_else(not_there)
    }

    /// The key for a host by SSH, read for one sign-in.
    pub(crate) fn ssh_key(&self, id: ConnectionId) -> Result<Secret<String>> {
        Ok(self.row(id)?.ssh().map(|ssh| ssh.private.clone()).unwrap_or_default())
    }

    /// How to sign in to the host of a connection by SSH; without the key.
    pub(crate) fn ssh_access(&self, id: ConnectionId) -> Result<SshAccess> {
        self.links().find(id)?.ssh().cloned()
    }

    pub(crate) fn is_by_ssh(&self, id: ConnectionId) -> bool {
        self.links().find(id).is_ok_and(|l| l.ssh().is_ok())
    }

    async fn store(&self, actor: &Actor, link: Link, row: Connection, action: &str) -> Result<ConnectionId> {
        let record = actor.record(self.0.now(), action, &row.name, address_of(&row));
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::CONNECTIONS, &row.id, &row)?;
                tx.event(Subject::Connection(row.id), None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        Ok(self.use_link(link))
    }

    /// Changes the row as it is at the moment of the commit: questions to Proxmox take their time, and somebody may have
    /// changed or forgotten the connection meanwhile.
    async fn amend(
        &self,
        actor: &Actor,
        id: ConnectionId,
        action: &str,
        change: impl FnOnce(&mut Connection) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let row = self.row(id)?;
        let record = actor.record(self.0.now(), action, &row.name, address_of(&row));
        let link = self
            .0
            .store()
            .write(move |tx| {
                let mut row = tx.get(tables::CONNECTIONS, &id)?.ok_or_else(not_there)?;
                change(&mut row)?;
                let link = Link::new(&row)?;
                tx.put(tables::CONNECTIONS, &id, &row)?;
                tx.event(Subject::Connection(id), None);
                tx.audit(record);
                Ok(link)
            })
            .await?;
        self.use_link(link);
        Ok(())
    }

    fn use_link(&self, link: Link) -> ConnectionId {
        let (id, link) = (link.row.id, Arc::new(link));
        self.links().put(&link);
        let before = self.0.live().snapshot().connection(id).map_or(Reach::Unknown, |c| c.reach.clone());
        self.0.live().set_connection(id, &link.row.name, before);
        self.0.inventory().look_soon();
        id
    }

    /// Machines of clusters that were forgotten long ago are forgotten too.
    pub async fn sweep(&self) -> Result<()> {
        let limit = self.0.now().minus(REMEMBERED);
        self.0
            .store()
            .write(move |tx| {
                for (key, forgotten) in tx.list(tables::FORGOTTEN_GUESTS, Scan::all(), usize::MAX)? {
                    if forgotten.at <= limit {
                        tx.delete(tables::FORGOTTEN_GUESTS, &key)?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// Adds a connection whose details the machine itself knows (the demo, the package on a Proxmox host).
    pub async fn add_known(&self, actor: &Actor, row: Connection) -> Result<ConnectionId> {
        self.store(actor, Link::new(&row)?, row, "connection.add").await
    }

    /// Changes name, addresses, accepted certificates and limits.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Invalid` on a field.
    pub async fn change(&self, actor: &Actor, id: ConnectionId, change: ConnectionChange) -> Result<()> {
        actor.require_full_admin()?;
        let old = self.row(id)?;
        let ConnectionChange { name, addresses, fingerprints, trust_by, ca, limits } = change;
        let name = check_name(&name.unwrap_or(old.name))?;
        if limits.vmid_min.is_some_and(|v| v < 100) {
            return Err(Error::field("vmid_min", "Proxmox's numbers start at 100."));
        }
        if let (Some(low), Some(high)) = (limits.vmid_min, limits.vmid_max)
            && low > high
        {
            return Err(Error::field("vmid_max", "The last number must not be below the first."));
        }
        let mut by_ca = trust_by == Some(TrustBy::Ca);
        let transport = match old.transport {
            ssh @ Transport::Ssh(_) => ssh,
            Transport::Pve(pve) => {
                by_ca |= trust_by.is_none() && matches!(pve.trust, Trust::Ca(_));
                let trust = match (by_ca, ca, fingerprints) {
                    (true, Some(pem), _) => Trust::Ca(pem.trim().replace('\r', "")),
                    (false, _, Some(pins)) => Trust::Fingerprints(trust::parse_pins(&pins)?),
                    _ => pve.trust,
                };
                let endpoints = addresses.map_or(Ok(pve.endpoints), |all| endpoints(&all))?;
                Transport::Pve(PveAccess { endpoints, trust, token_id: pve.token_id, token_secret: pve.token_secret })
            }
        };
        let row = Connection { name, limits, transport, ..old };
        let link = Link::new(&row).map_err(|e| if by_ca { Error::field("ca", e.message()) } else { e })?;
        self.store(actor, link, row, "connection.change").await.map(|_| ())
    }

    /// Accepts a certificate that an address shows now, after the person compared it. Where there is one address it
    /// takes the place of the one before; with more, nobody knows whose that was.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` where single certificates are not what is trusted; `Invalid` on `fingerprint`.
    pub async fn accept_certificate(&self, actor: &Actor, id: ConnectionId, fingerprint: &str) -> Result<()> {
        actor.require_full_admin()?;
        let pin = trust::parse_fingerprint(fingerprint)?;
        let link = self.links().find(id)?;
        if !matches!(&link.row.transport, Transport::Pve(PveAccess { trust: Trust::Fingerprints(_), .. })) {
            return Err(Error::conflict("This connection is not recognised by single certificates."));
        }
        if !link.client()?.refused_certificates().iter().any(|r| r.certificate.sha256[..] == pin[..]) {
            let text = "No address of this connection shows this certificate now. Look at its page again.";
            return Err(Error::field("fingerprint", text));
        }
        let accept = move |row: &mut Connection| {
            if let Transport::Pve(PveAccess { trust: Trust::Fingerprints(pins), endpoints, .. }) = &mut row.transport {
                if endpoints.len() == 1 {
                    pins.clear();
                }
                pins.retain(|p| *p != pin);
                pins.push(pin);
            }
            Ok(())
        };
        self.amend(actor, id, "connection.certificate", accept).await
    }

    /// Forgets a connection. Its machines disappear from the pages; nothing is changed on Proxmox.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Conflict` while jobs of it are open.
    pub async fn remove(&self, actor: &Actor, id: ConnectionId) -> Result<()> {
        actor.require_full_admin()?;
        let link = self.links().find(id)?;
        if self.0.jobs().open_on_connection(id)? {
            return Err(Error::conflict("Jobs of this connection are still open. Wait for them or cancel them first."));
        }
        if let Ok(access) = link.ssh() {
            self.0.ssh_hosts().leave(id, access).await;
        }
        let rows = self.0.live().rows_of(id);
        let record =
            actor.record(self.0.now(), "connection.remove", &link.row.name, format!("{} machines", rows.len()));
        let gone: Vec<_> = rows.iter().map(|g| g.id).collect();
        let (identity, now) = (link.row.identity.clone(), self.0.now());
        self.0
            .store()
            .write(move |tx| {
                tx.delete(tables::CONNECTIONS, &id)?;
                for row in &rows {
                    if let Some(identity) = &identity {
                        remember(tx, identity, row, now)?;
                    }
                    tx.delete(tables::GUESTS, &row.id)?;
                    drop_of_guest(tx, row.id)?;
                    if let Some(vmid) = row.vmid {
                        tx.delete(tables::GUEST_VMIDS, &(id, vmid))?;
                    }
                }
                tx.event(Subject::Connection(id), None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.links().remove(id);
        self.0.live().remove_connection(id);
        self.0.live().remove_rows(&gone);
        self.0.grants().reload(self.0.store(), &gone)
    }
}

fn not_there() -> Error {
    Error::not_found("This connection does not exist.")
}

/// For the audit log.
fn address_of(row: &Connection) -> String {
    match &row.transport {
        Transport::Ssh(ssh) => SshView::of(ssh).address,
        Transport::Pve(pve) => pve.endpoints.join(", "),
    }
}

/// Keeps whose a machine was, in case its cluster is connected again.
fn remember(tx: &mut WriteTx, identity: &str, row: &Guest, at: Timestamp) -> Result<()> {
    let grants = tx.list(tables::GUEST_GRANTS, Scan::prefix(&row.id), usize::MAX)?;
    let grants: Vec<_> = grants.into_iter().map(|((_, user), grant)| (user, grant)).collect();
    let Some(vmid) = row.vmid else { return Ok(()) };
    let key = (Name::new(identity), vmid);
    if row.owner.is_none() && grants.is_empty() {
        // What was remembered of an earlier machine with this number counts no more.
        return tx.delete(tables::FORGOTTEN_GUESTS, &key).map(drop);
    }
    tx.put(tables::FORGOTTEN_GUESTS, &key, &ForgottenGuest { row: row.clone(), grants, at })
}

fn endpoints(addresses: &[String]) -> Result<Vec<String>> {
    let in_field = |e: Error| Error::field("addresses", e.fields().values().cloned().collect::<Vec<_>>().join(" "));
    let endpoints = addresses.iter().map(|a| trust::endpoint(a).map_err(in_field)).collect::<Result<Vec<_>>>()?;
    if endpoints.is_empty() || endpoints.len() > 16 {
        return Err(Error::field("addresses", "Give 1 to 16 addresses, one per line."));
    }
    Ok(endpoints)
}

/// A connection's name, without blanks at its ends.
fn check_name(name: &str) -> Result<String> {
    let name = name.trim().to_owned();
    if !is_name(&name, 60) {
        return Err(Error::field("name", "Give the connection a name of 1 to 60 characters that can be seen."));
    }
    Ok(name)
}
