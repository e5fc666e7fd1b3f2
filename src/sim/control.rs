//! `/sim/*`: the simulation's own calls, for a test or a demo that runs it as a separate process.

use super::error::ApiError;
use super::faults::{Fault, Faults};
use super::http::answer::Answer;
use super::http::request::Decoded;
use super::http::tls::colons;
use super::world::World;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

pub async fn handle(world: &Arc<World>, request: &Decoded, peer: SocketAddr) -> Answer {
    if !peer.ip().is_loopback() {
        return Err(ApiError::new(403, "only from the loopback address"));
    }
    let faults = Faults(Arc::clone(world));
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/sim/faults") => {
            let fault: Fault = serde_json::from_slice(&request.body).map_err(|e| ApiError::new(400, e.to_string()))?;
            faults.set(fault).await.map_err(|e| ApiError::die(e.chain()))?;
            Ok(Value::Null.into())
        }
        ("DELETE", "/sim/faults") => {
            faults.clear();
            Ok(Value::Null.into())
        }
        ("GET", "/sim/state") => Ok(state(world).into()),
        (method, path) => Err(ApiError::not_implemented(method, path)),
    }
}

/// What a test wants to know without asking the API: who is where, what runs, what is locked.
fn state(world: &World) -> Value {
    let fingerprint = colons(&world.leaf.load().fingerprint);
    world.read(|c| {
        let guest = |g: &super::state::Guest| {
            json!({ "vmid": g.vmid, "kind": g.kind.name(), "node": g.node, "name": g.name(), "running": g.run.is_some(),
                "paused": g.run.as_ref().is_some_and(|r| r.paused), "template": g.is_template(), "lock": g.lock() })
        };
        let consoles = world.desk.memories().into_iter().map(|(vmid, m)| {
            json!({ "vmid": vmid, "typed": m.typed, "ctrl_alt_del": m.ctrl_alt_del, "pointer": [m.pointer.0, m.pointer.1] })
        });
        let open = c.tasks.iter().filter(|t| t.exit.is_none()).map(|t| &t.upid).collect::<Vec<_>>();
        json!({
            "fingerprint": fingerprint, "quorate": !c.without_quorum,
            "nodes": c.nodes.values().map(|n| json!({ "name": n.name, "offline": n.offline })).collect::<Vec<_>>(),
            "guests": c.guests.values().map(guest).collect::<Vec<_>>(), "running_tasks": open, "consoles": consoles.collect::<Vec<_>>(),
            "volumes": c.volumes.values().map(|v| &v.volid).collect::<Vec<_>>(),
        })
    })
}
