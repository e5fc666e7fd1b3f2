//! The figures that move, of everything at once: for programs that watch, and for pages whose stream is cut.

use crate::door::cache;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::openapi::ListProblems;
use crate::system::nodes::NodeView;
use base::ids::GuestId;
use base::{Error, Timestamp};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

/// One machine's moving figures; those of a machine that does not run are `null`.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuestFigures {
    pub id: GuestId,
    /// running, stopped, paused ... as Proxmox says, or creating.
    pub status: String,
    /// The share of all its cores in use, 0 to 1.
    pub cpu: Option<f64>,
    /// Bytes.
    pub memory: Option<u64>,
    pub memory_max: u64,
    /// Bytes a second in and out together.
    pub network: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Figures {
    pub at: Timestamp,
    pub nodes: Vec<NodeView>,
    pub guests: Vec<GuestFigures>,
}

/// The figures of all nodes, and of all machines that the caller may see. They change with each look at the
/// providers (every 5 s); asking more often is pointless.
#[utoipa::path(get, path = "/api/v1/figures", tag = "system", responses((status = 200, body = Figures), ListProblems))]
pub async fn show(person: Person, headers: HeaderMap) -> Answer {
    cache::answer(&person, &headers, "/api/v1/figures".to_owned(), "application/json", |person| {
        let app = &person.web.app;
        let guests = app.guests().list(&person.actor, "");
        let figures = Figures {
            at: app.now(),
            nodes: app.nodes().list(&person.actor).into_iter().map(NodeView::from).collect(),
            guests: guests
                .iter()
                .map(|g| {
                    let runs = g.state.status == "running";
                    GuestFigures {
                        id: g.row.id,
                        status: g.state.status.clone(),
                        cpu: runs.then_some(g.state.cpu),
                        memory: runs.then_some(g.state.mem),
                        memory_max: g.state.maxmem,
                        network: runs.then(|| g.rates.network()),
                    }
                })
                .collect(),
        };
        serde_json::to_vec(&figures).map_err(Error::internal)
    })
    .await
}
