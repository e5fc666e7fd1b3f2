//! Is it alive, is it ready, how is the appliance doing: for the service manager, balancers and the dot in the bar.

use crate::door::problem::Answer;
use crate::door::visit::Visit;
use crate::frame::{Health, Level};
use app::{Actor, App};
use axum::Json;
use axum::response::IntoResponse;
use http::StatusCode;
use model::connections::Reach;
use serde_json::{Value, json};

/// `GET /healthz`: the process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 200 when the store takes writes and the plugins are loaded, else 503 and what is missing.
pub async fn ready(visit: Visit) -> Answer {
    let health = visit.web.app.health();
    let good = health.is_ready();
    let checks = health.checks();
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Texts name plugins and servers; strangers learn only yes or no.
    let list: Vec<Value> = match &visit.actor {
        None if !visit.address.is_loopback() => checks.iter().map(|c| json!({ "name": c.name, "ok": c.ok })).collect(),
        _ => checks.iter().map(|c| json!({ "name": c.name, "ok": c.ok, "text": c.text })).collect(),
    };
    Ok((status, Json(json!({ "ready": good, "checks": list }))).into_response())
}

/// The dot: how Proxmox is doing.
pub fn appliance_health(app: &App, _: &Actor) -> Health {
    let snapshot = app.live().snapshot();
    if snapshot.connections.is_empty() {
        return Health { level: Level::Warn, text: "Nothing connected yet".to_owned() };
    }
    if let Some(away) = snapshot.connections.iter().find(|c| matches!(c.reach, Reach::Away { .. })) {
        return Health { level: Level::Bad, text: format!("{} is not reachable", away.name) };
    }
    if let Some(split) = snapshot.connections.iter().find(|c| !c.quorate) {
        return Health { level: Level::Bad, text: format!("{} has lost quorum", split.name) };
    }
    let all = snapshot.nodes.len();
    let here = snapshot.nodes.iter().filter(|n| !n.stale && n.node.is_here()).count();
    let level = if here == all { Level::Ok } else { Level::Warn };
    let noun = if all == 1 { "node" } else { "nodes" };
    Health { level, text: format!("Proxmox {here} of {all} {noun}") }
}

/// Jobs that this person may see and that are not over.
pub fn open_jobs(app: &App, actor: &Actor) -> usize {
    app.jobs().open(actor).map_or(0, |jobs| jobs.len())
}
