//! Calls about nodes: list, status, network.

use super::access::permissions::{has, has_any};
use super::dispatch::Call;
use super::http::answer::Answer;
use super::http::tls::colons;
use super::stats::{node_load, told_at};
use serde_json::{Value, json};

/// `GET /nodes`: everybody sees the names; numbers only with Sys.Audit.
pub fn list(call: &Call) -> Answer {
    let (world, now) = (&call.world, call.world.now());
    let fingerprint = colons(&world.leaf.load().fingerprint);
    let list: Vec<Value> = world.read(|c| {
        let one = |n: &super::state::Node| {
            let told = told_at(world, n, now);
            let mut out = json!({
                "node": n.name, "id": format!("node/{}", n.name), "type": "node", "level": "",
                "status": if n.offline { "offline" } else { told.map_or("unknown", |_| "online") }, "ssl_fingerprint": fingerprint,
            });
            if let Some(now) = told && !n.offline && has(c, &call.who, &format!("/nodes/{}", n.name), "Sys.Audit") {
                let (cpu, mem) = node_load(c, &n.name, world.seed, now);
                out["cpu"] = json!(cpu);
                out["maxcpu"] = json!(n.cpus);
                out["mem"] = json!(mem);
                out["maxmem"] = json!(n.memory);
                out["disk"] = json!(n.root / 100 * 17);
                out["maxdisk"] = json!(n.root);
                out["uptime"] = json!((now - n.booted) / 1000);
            }
            out
        };
        c.nodes.values().map(one).collect()
    });
    Ok(json!(list).into())
}

/// `GET /nodes/{node}/certificates/info`: the cluster's CA first, then the node's own. Everybody may ask.
pub fn certificates(call: &Call) -> Answer {
    let (authority, leaf) = (&call.world.authority, call.world.leaf.load());
    let one = |name: &str, fingerprint: &[u8], subject: &str, pem: &str| {
        json!({
            "filename": name, "fingerprint": colons(fingerprint), "subject": subject, "issuer": ISSUER, "pem": pem,
            "notbefore": 0, "notafter": 4_102_444_800_u64, "public-key-type": "id-ecPublicKey", "public-key-bits": 256,
            "san": [],
        })
    };
    let own = format!("/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN={}.home.arpa", call.node());
    Ok(json!([
        one("pve-root-ca.pem", &authority.fingerprint()?, ISSUER, &authority.pem),
        one("pve-ssl.pem", &leaf.fingerprint, &own, ""),
    ])
    .into())
}

const ISSUER: &str = "/CN=Proxmox Virtual Environment/OU=simulated/O=PVE Cluster Manager CA";

/// `GET /nodes/{node}/status`. `cpu` is 0 here: the real figure comes from whichever worker answers
/// and is 0 on most hits, so nobody should build on it.
pub fn status(call: &Call) -> Answer {
    let (world, now) = (&call.world, call.world.now());
    Ok(world
        .read(|c| {
            let Some(n) = c.nodes.get(call.node()) else { return Value::Null };
            let (cpu, mem) = node_load(c, &n.name, world.seed, now);
            let load = |f: f64| format!("{:.2}", cpu * f64::from(n.cpus) * f);
            json!({
                "uptime": (now - n.booted) / 1000, "cpu": 0, "wait": 0, "idle": 0,
                "loadavg": [load(1.0), load(0.95), load(0.9)],
                "cpuinfo": { "cpus": n.cpus, "cores": n.cpus / 2 / n.sockets.max(1), "sockets": n.sockets, "model": n.cpu_model,
                             "mhz": "3200.000", "hvm": "1", "user_hz": 100, "flags": "fpu vme sse4_2 avx2" },
                "memory": { "total": n.memory, "used": mem, "free": n.memory - mem, "available": n.memory - mem },
                "swap": { "total": 8_u64 << 30, "used": 0, "free": 8_u64 << 30 },
                "rootfs": { "total": n.root, "used": n.root / 100 * 17, "free": n.root / 100 * 83, "avail": n.root / 100 * 78 },
                "ksm": { "shared": 0 }, "pveversion": "pve-manager/9.2.11/5be44d6b7bd1f1c2",
                "kversion": "Linux 6.17.2-1-pve #1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1",
                "current-kernel": { "sysname": "Linux", "machine": "x86_64", "release": "6.17.2-1-pve", "version": "#1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1" },
                "boot-info": { "mode": "efi", "secureboot": 0 },
            })
        })
        .into())
}

/// `GET /nodes/{node}/network[?type=]`: bridges that the caller may use, other interfaces with Sys.Audit.
pub fn network(call: &Call) -> Answer {
    let wanted = call.params.get("type").unwrap_or_default();
    let list: Vec<Value> = call.world.read(|c| {
        let Some(n) = c.nodes.get(call.node()) else { return Vec::new() };
        let mut out = Vec::new();
        let bridge_wanted = wanted.is_empty() || wanted.contains("bridge") || wanted == "include_sdn";
        for (i, bridge) in n.bridges.iter().enumerate() {
            let path = format!("/sdn/zones/localnetwork/{bridge}");
            if bridge_wanted && has_any(c, &call.who, &path, &["SDN.Audit", "SDN.Use"]) {
                let mut item = json!({
                    "iface": bridge, "type": "bridge", "active": 1, "autostart": 1, "method": if i == 0 { "static" } else { "manual" },
                    "method6": "manual", "families": ["inet"], "priority": 3 + i, "bridge_ports": format!("eno{}", i + 1),
                    "bridge_stp": "off", "bridge_fd": "0", "bridge_vlan_aware": 1,
                });
                if i == 0 {
                    item["address"] = json!(n.ip);
                    item["netmask"] = json!("24");
                    item["cidr"] = json!(format!("{}/24", n.ip));
                    item["gateway"] = json!("10.20.0.1");
                }
                out.push(item);
            }
        }
        if (wanted.is_empty() || wanted == "eth") && has(c, &call.who, &format!("/nodes/{}", n.name), "Sys.Audit") {
            out.extend((0..n.bridges.len()).map(|i| {
                json!({ "iface": format!("eno{}", i + 1), "type": "eth", "active": 1, "exists": 1, "method": "manual",
                        "method6": "manual", "families": ["inet"], "priority": 10 + i })
            }));
        }
        out
    });
    Ok(json!(list).into())
}
