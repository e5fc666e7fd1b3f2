//! Nodes and what they offer for new machines.

use crate::live::{ConnectionLive, NodeLive};
use crate::{Actor, App, plugin_host};
use base::ids::ConnectionId;
use base::{Error, Result};
use model::connections::Reach;
use model::nodes::Choices;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// The settings page must not wait long for a node that hangs.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Nodes<'a>(pub(super) &'a App);

impl Nodes<'_> {
    /// All nodes. Everybody signed in may see them: the create form needs them.
    pub fn list(&self, _: &Actor) -> Vec<NodeLive> {
        self.0.live().snapshot().nodes.clone()
    }

    /// Nodes of a connection on which machines may be made now.
    ///
    /// # Errors
    /// `NotFound` for an unknown connection.
    pub fn usable(&self, connection: ConnectionId) -> Result<Vec<String>> {
        let limits = self.0.connections().limits(connection)?;
        let snapshot = self.0.live().snapshot();
        let nodes = snapshot.nodes.iter().filter(|n| n.connection == connection && !n.node.is_off());
        Ok(nodes.map(|n| n.node.name.clone()).filter(|n| limits.allows_node(n)).collect())
    }

    /// The connection that has a node of this name; `connection` is the id or name of the one that is meant. Two
    /// clusters may each have a node `pve`, so it must be said then.
    ///
    /// # Errors
    /// `Invalid` on `connection` or `node`; `Unavailable` while a host was not reached yet.
    pub fn connection_of(&self, node: &str, connection: Option<&str>) -> Result<ConnectionId> {
        let snapshot = self.0.live().snapshot();
        let meant = |c: &&ConnectionLive| connection.is_none_or(|text| c.id.to_string() == text || c.name == text);
        let meant: Vec<_> = snapshot.connections.iter().filter(meant).collect();
        if let Some(text) = connection.filter(|_| meant.is_empty()) {
            return Err(Error::field(
                "connection",
                format!("There is no connection “{text}”. Choose one from the list."),
            ));
        }
        let has = |c: &&&ConnectionLive| snapshot.node(c.id, node).is_some();
        match meant.iter().filter(has).collect::<Vec<_>>().as_slice() {
            [one] => Ok(one.id),
            [] if meant.iter().any(|c| c.reach == Reach::Unknown) => {
                Err(Error::unavailable("Steward has not reached its host yet. Try again in a few seconds."))
            }
            [] => Err(Error::field("node", "There is no such node. Choose one from the list.")),
            several => {
                let names: Vec<&str> = several.iter().map(|c| c.name.as_str()).collect();
                let text = format!("Several connections have a node {node}: {}. Choose one.", names.join(", "));
                Err(Error::field("connection", text))
            }
        }
    }

    /// Bridges, storages and ISO images on a node that may be used, asked from Proxmox now.
    pub async fn choices(&self, _: &Actor, connection: ConnectionId, node: &str) -> Result<Choices> {
        if !self.usable(connection)?.iter().any(|n| n == node) {
            return Err(Error::field("node", "This node is not available, or Steward may not use it."));
        }
        let mut choices = self.all_choices(connection, node).await?;
        let limits = self.0.connections().limits(connection)?;
        choices.storages.retain(|s| limits.allows_storage(s));
        choices.bridges.retain(|b| limits.allows_bridge(b));
        Ok(choices)
    }

    async fn all_choices(&self, connection: ConnectionId, node: &str) -> Result<Choices> {
        plugin_host::call(self.0, connection, "choices", vec![json!(node)]).await
    }

    /// The bridges of all nodes of a connection that answer within two seconds, for choosing which are allowed.
    pub async fn bridges(&self, actor: &Actor, connection: ConnectionId) -> Result<Vec<String>> {
        actor.require_admin()?;
        let snapshot = self.0.live().snapshot();
        let here = snapshot.nodes.iter().filter(|n| n.connection == connection && !n.node.is_off());
        let asked = here.map(|n| tokio::time::timeout(PATIENCE, self.all_choices(connection, &n.node.name)));
        let mut found = BTreeSet::new();
        for answer in futures_util::future::join_all(asked).await {
            match answer {
                Ok(Ok(choices)) => found.extend(choices.bridges),
                Ok(Err(e)) => tracing::debug!(error = e.chain(), "a node told no bridges"),
                Err(_) => tracing::debug!("a node told no bridges in time"),
            }
        }
        Ok(found.into_iter().collect())
    }
}
