//! The nodes of all connections.

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::openapi::{ListProblems, WriteProblems};
use app::live::NodeLive;
use axum::Json;
use base::ids::ConnectionId;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    pub name: String,
    pub connection: ConnectionId,
    /// online, offline or unknown.
    pub status: String,
    /// The share of all threads in use, 0 to 1.
    pub cpu: f64,
    pub threads: f64,
    /// Bytes.
    pub memory: u64,
    pub memory_max: u64,
    /// Bytes of the root file system.
    pub disk: u64,
    pub disk_max: u64,
    /// Seconds.
    pub uptime: u64,
    /// Machines on it, without templates.
    pub guests: usize,
    /// Its host is not answering; this is the last known state.
    pub stale: bool,
}

impl From<NodeLive> for NodeView {
    fn from(n: NodeLive) -> Self {
        Self {
            name: n.node.name,
            connection: n.connection,
            status: n.node.status,
            cpu: n.node.cpu,
            threads: n.node.maxcpu,
            memory: n.node.mem,
            memory_max: n.node.maxmem,
            disk: n.node.disk,
            disk_max: n.node.maxdisk,
            uptime: n.node.uptime,
            guests: n.guests,
            stale: n.stale,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NodeList {
    pub nodes: Vec<NodeView>,
}

/// All nodes, by name.
#[utoipa::path(get, path = "/api/v1/nodes", tag = "system", responses((status = 200, body = NodeList), ListProblems))]
pub async fn list(person: Person) -> Answer<Json<NodeList>> {
    let nodes = person.web.app.nodes().list(&person.actor);
    Ok(Json(NodeList { nodes: nodes.into_iter().map(NodeView::from).collect() }))
}

/// Polls Proxmox now, instead of at the next interval (every 5 s). Several requests are served by one poll.
#[utoipa::path(post, path = "/api/v1/inventory/refresh", tag = "system",
    responses((status = 202, description = "Steward refreshes in a moment"), WriteProblems))]
pub async fn refresh(person: Person) -> StatusCode {
    person.web.app.inventory().look_soon();
    StatusCode::ACCEPTED
}
