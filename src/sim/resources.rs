//! `GET /cluster/resources`: the one list that a client polls. Made again only when something changed
//! and kept as bytes, plain and compressed, so that 1,000 guests cost nearly nothing.

use super::access::permissions::{has, has_any};
use super::access::who::Who;
use super::dispatch::Call;
use super::http::answer::{Answer, Reply};
use super::state::{Cluster, Guest, Node};
use super::stats::{node_load, told_at};
use super::storage;
use super::world::{World, lock};
use bytes::Bytes;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A whole answer, plain and (once asked for) compressed.
type Made = (Bytes, Arc<OnceLock<Bytes>>);

/// Made lists by caller and type, good for one generation of the state.
#[derive(Debug, Default)]
pub struct Cache {
    generation: u64,
    made: HashMap<(String, String), Made>,
}

pub fn list(call: &Call) -> Answer {
    let wanted = call.params.get("type").unwrap_or_default().to_owned();
    let key = (call.who.id(), wanted.clone());
    let generation = call.world.generation();
    {
        let mut cache = lock(&call.world.lists);
        if cache.generation != generation {
            *cache = Cache { generation, made: HashMap::new() };
        }
        if let Some((plain, packed)) = cache.made.get(&key) {
            return Ok(Reply::Cached(plain.clone(), packed.clone()));
        }
    }
    let plain = make(&call.world, &call.who, &wanted);
    let packed = Arc::new(OnceLock::new());
    lock(&call.world.lists).made.insert(key, (plain.clone(), Arc::clone(&packed)));
    Ok(Reply::Cached(plain, packed))
}

fn make(world: &World, who: &Who, wanted: &str) -> Bytes {
    let now = world.now();
    let shows = |kind: &str| wanted.is_empty() || wanted == kind;
    let mut items = Vec::new();
    world.read(|c| {
        if shows("pool") {
            let seen = c.pools.keys().filter(|p| has(c, who, &format!("/pool/{p}"), "Pool.Audit"));
            items.extend(seen.map(|p| Item {
                id: format!("/pool/{p}"),
                r#type: "pool",
                pool: Some(p.clone()),
                ..Item::default()
            }));
        }
        if shows("vm") {
            let all = has(c, who, "/vms", "VM.Audit") && c.access.acls.iter().all(|a| !a.path.starts_with("/vms/"));
            let pools: HashMap<u32, &str> =
                c.pools.iter().flat_map(|(name, p)| p.vms.iter().map(move |id| (*id, name.as_str()))).collect();
            let seen = c.guests.values().filter(|g| all || has(c, who, &format!("/vms/{}", g.vmid), "VM.Audit"));
            items.extend(seen.map(|g| guest(g, pools.get(&g.vmid).copied())));
        }
        if shows("node") {
            items.extend(c.nodes.values().map(|n| node(c, who, n, world.seed, told_at(world, n, now))));
        }
        if shows("storage") {
            items.extend(storages(c, who, |n| !n.offline && told_at(world, n, now).is_some()));
        }
    });
    let mut body = br#"{"data":"#.to_vec();
    body.extend(serde_json::to_vec(&items).unwrap_or_default());
    body.push(b'}');
    Bytes::from(body)
}

/// One item; keys that do not apply to its type are left out.
#[derive(Debug, Default, Serialize)]
struct Item {
    id: String,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vmid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxcpu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memhost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxmem: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxdisk: Option<u64>,
    // Bytes since start.
    #[serde(skip_serializing_if = "Option::is_none")]
    netin: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diskread: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diskwrite: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugintype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    #[serde(rename = "cgroup-mode", skip_serializing_if = "Option::is_none")]
    cgroup: Option<u8>,
}

/// Existence, node, lock and tags are live; everything else is from the last report.
fn guest(g: &Guest, pool: Option<&str>) -> Item {
    let live = Item {
        id: format!("{}/{}", g.kind.name(), g.vmid),
        r#type: g.kind.name(),
        node: Some(g.node.clone()),
        vmid: Some(g.vmid),
        pool: pool.map(str::to_owned),
        lock: g.lock().map(str::to_owned),
        tags: g.get("tags").map(str::to_owned),
        ..Item::default()
    };
    let Some(s) = &g.stat else { return Item { status: Some("unknown".into()), ..live } };
    Item {
        status: Some(s.status.clone()),
        name: Some(s.name.clone()),
        template: Some(s.template),
        cpu: Some(s.cpu),
        maxcpu: Some(s.maxcpu),
        mem: Some(s.mem),
        memhost: Some(s.memhost),
        maxmem: Some(s.maxmem),
        disk: Some(s.disk),
        maxdisk: Some(s.maxdisk),
        netin: Some(s.netin),
        netout: Some(s.netout),
        diskread: Some(s.diskread),
        diskwrite: Some(s.diskwrite),
        uptime: Some(s.uptime),
        ..live
    }
}

/// `told`: the moment that its figures are of.
fn node(c: &Cluster, who: &Who, n: &Node, seed: u64, told: Option<i64>) -> Item {
    let name = n.name.as_str();
    let status = if n.offline { "offline" } else { told.map_or("unknown", |_| "online") };
    let base = Item {
        id: format!("node/{name}"),
        r#type: "node",
        node: Some(name.to_owned()),
        status: Some(status.into()),
        level: Some(""),
        cgroup: (!n.offline && told.is_some()).then_some(2),
        ..Item::default()
    };
    let Some(now) = told.filter(|_| !n.offline && has(c, who, &format!("/nodes/{name}"), "Sys.Audit")) else {
        return base;
    };
    let (cpu, mem) = node_load(c, name, seed, now);
    Item {
        cpu: Some(cpu),
        maxcpu: Some(n.cpus),
        mem: Some(mem),
        maxmem: Some(n.memory),
        disk: Some(n.root / 100 * 17),
        maxdisk: Some(n.root),
        uptime: Some((now - n.booted) / 1000),
        ..base
    }
}

/// One item per storage and node, also for shared ones.
fn storages(c: &Cluster, who: &Who, told: impl Fn(&Node) -> bool) -> Vec<Item> {
    let mut out = Vec::new();
    for s in c.storages.values() {
        if !has_any(c, who, &format!("/storage/{}", s.id), storage::SEE) {
            continue;
        }
        for n in c.nodes.values() {
            out.push(Item {
                id: format!("storage/{}/{}", n.name, s.id),
                r#type: "storage",
                node: Some(n.name.clone()),
                storage: Some(s.id.clone()),
                status: Some(if told(n) { "available" } else { "unknown" }.into()),
                plugintype: Some(s.plugin.clone()),
                content: Some(s.content.join(",")),
                shared: Some(u8::from(s.shared)),
                disk: told(n).then(|| c.used(s, &n.name)),
                maxdisk: told(n).then_some(s.total),
                ..Item::default()
            });
        }
    }
    out
}
