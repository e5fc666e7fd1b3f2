//! Connections with their clients, in memory.

use crate::live::Live;
use arc_swap::ArcSwap;
use base::ids::ConnectionId;
use base::{Error, Result};
use model::connections::{Connection, Reach, SshAccess, Transport};
use remote::pve::{PveClient, Target};
use std::collections::HashMap;
use std::sync::Arc;
use store::{Read as _, Scan, Store, tables};

pub struct Links(ArcSwap<HashMap<ConnectionId, Arc<Link>>>);

pub(super) struct Link {
    /// Without its secrets: they are in the client, and in the store.
    pub row: Connection,
    /// None for a host that is reached by SSH.
    client: Option<PveClient>,
}

impl Links {
    pub(crate) fn load(store: &Store) -> Result<Self> {
        let rows = store.read(|tx| tx.list(tables::CONNECTIONS, Scan::all(), usize::MAX))?;
        let mut map = HashMap::new();
        for (id, row) in rows {
            map.insert(id, Arc::new(Link::new(&row)?));
        }
        Ok(Self(ArcSwap::from_pointee(map)))
    }

    /// Tells the live state which connections there are: only then are their reports accepted.
    pub(crate) fn announce(&self, live: &Live) {
        for (id, link) in self.0.load().iter() {
            live.set_connection(*id, &link.row.name, Reach::Unknown);
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        self.0.load().values().cloned().collect()
    }

    pub(super) fn find(&self, id: ConnectionId) -> Result<Arc<Link>> {
        let found = self.0.load().get(&id).cloned();
        found.ok_or_else(|| Error::not_found("This connection does not exist."))
    }

    pub(super) fn put(&self, link: &Arc<Link>) {
        self.change(|map| {
            map.insert(link.row.id, Arc::clone(link));
        });
    }

    pub(super) fn remove(&self, id: ConnectionId) {
        self.change(|map| {
            map.remove(&id);
        });
    }

    fn change(&self, f: impl Fn(&mut HashMap<ConnectionId, Arc<Link>>)) {
        self.0.rcu(|old| {
            let mut map = HashMap::clone(old);
            f(&mut map);
            map
        });
    }
}

impl Link {
    pub fn new(row: &Connection) -> Result<Self> {
        let client = match &row.transport {
            Transport::Ssh(_) => None,
            Transport::Pve(pve) => Some(PveClient::new(Target {
                endpoints: pve.endpoints.clone(),
                trust: (&pve.trust).into(),
                token_id: pve.token_id.clone(),
                token_secret: pve.token_secret.clone(),
            })?),
        };
        Ok(Self { row: row.without_secrets(), client })
    }

    pub fn client(&self) -> Result<&PveClient> {
        self.client.as_ref().ok_or_else(|| Error::conflict("This connection uses SSH; it has no Proxmox API."))
    }

    /// How to sign in; without the key.
    pub fn ssh(&self) -> Result<&SshAccess> {
        self.row.ssh().ok_or_else(|| Error::conflict("This connection does not use SSH."))
    }
}
