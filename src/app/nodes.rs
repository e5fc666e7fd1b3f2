//! Nodes and what they offer for new machines.

use crate::app::live::NodeLive;
use crate::app::{Actor, App, host};
use crate::base::ids::ConnectionId;
use crate::base::{Error, Result};
use crate::model::nodes::Choices;
use serde_json::json;

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
        let nodes = snapshot.nodes.iter().filter(|n| n.connection == connection && n.node.status == "online");
        Ok(nodes.map(|n| n.node.name.clone()).filter(|n| limits.allows_node(n)).collect())
    }

    /// Bridges, storages and ISO images on a node, asked from Proxmox now.
    ///
    /// # Errors
    /// `Unavailable` when Proxmox does not answer.
    pub async fn choices(&self, _: &Actor, connection: ConnectionId, node: &str) -> Result<Choices> {
        if !self.usable(connection)?.iter().any(|n| n == node) {
            return Err(Error::field("node", "This node is away, or Steward may not use it."));
        }
        let value = host::call(self.0, connection, "choices", vec![json!(node)]).await?;
        serde_json::from_value(value).map_err(|e| {
            Error::unavailable("The plugin gave an answer that can't be read. See the Plugins page.").with_cause(e)
        })
    }
}
