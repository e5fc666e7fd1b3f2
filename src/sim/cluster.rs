//! Calls about the cluster as a whole: version, status, the next free id.

use super::access::permissions;
use super::dispatch::Call;
use super::error::ApiError;
use super::http::answer::Answer;
use serde_json::{Value, json};

pub fn version(_: &Call) -> Answer {
    Ok(json!({ "version": "9.2.6", "release": "9.2", "repoid": "5be44d6b7bd1f1c2", "console": "html5" }).into())
}

/// `GET /access/permissions[?path=]`.
pub fn my_permissions(call: &Call) -> Answer {
    let only = call.params.get("path");
    Ok(call.world.read(|c| permissions::table(c, &call.who, only)).into())
}

/// `GET /cluster/nextid[?vmid=]`: the lowest free id, as a text. It is not reserved.
pub fn next_id(call: &Call) -> Answer {
    call.world.read(|c| match call.params.id("vmid") {
        Some(id) if c.guests.contains_key(&id) => Err(ApiError::param("vmid", format!("VM {id} already exists"))),
        Some(id) => Ok(json!(id.to_string()).into()),
        None => Ok(json!(c.next_id().to_string()).into()),
    })
}

/// `GET /cluster/status`: without a cluster only the one node's item.
pub fn status(call: &Call) -> Answer {
    Ok(call
        .world
        .read(|c| {
            let local = c.local().map(|n| n.name.clone());
            let mut out: Vec<Value> = Vec::new();
            if c.nodes.len() > 1 {
                out.push(json!({
                    "id": "cluster", "type": "cluster", "name": c.name, "nodes": c.nodes.len(), "version": 7,
                    "quorate": u8::from(!c.without_quorum),
                }));
            }
            out.extend(c.nodes.values().map(|n| {
                json!({
                    "id": format!("node/{}", n.name), "type": "node", "name": n.name, "ip": n.ip, "nodeid": n.id,
                    "online": u8::from(!n.offline), "local": u8::from(Some(&n.name) == local.as_ref()), "level": "",
                })
            }));
            json!(out)
        })
        .into())
}
