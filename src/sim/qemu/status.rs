//! `GET /nodes/{node}/qemu` and `GET .../status/current`.

use super::drives;
use crate::access::permissions::has;
use crate::dispatch::Call;
use crate::http::answer::Answer;
use crate::state::{Cluster, Guest, Kind};
use crate::stats;
use serde_json::{Value, json};

/// The list of one node; what the caller may not see is left out.
pub fn list(call: &Call) -> Answer {
    let now = call.world.now();
    let list: Vec<Value> = call.world.read(|c| {
        let ids: Vec<u32> =
            c.guests.values().filter(|g| g.node == call.node() && g.kind == Kind::Qemu).map(|g| g.vmid).collect();
        let seen =
            ids.into_iter().filter(|id| has(c, &call.who, &format!("/vms/{id}"), "VM.Audit")).collect::<Vec<_>>();
        seen.into_iter().map(|id| item(c, id, call.world.seed, now)).collect()
    });
    Ok(json!(list).into())
}

/// What list and `status/current` have in common. `status` is only running or stopped here, and `cpu`
/// is 0 as on most hits of the real thing: nobody should scale on it.
fn item(c: &Cluster, vmid: u32, seed: u64, now: i64) -> Value {
    let Some(mut guest) = c.guests.get(&vmid).cloned() else { return Value::Null };
    let maxdisk = drives::first_disk(&guest.config).and_then(|v| c.volume(&guest.node, &v)).map_or(0, |v| v.size);
    stats::count(&mut guest, seed, now);
    let mem = (guest.memory() as f64 * stats::load_of(&guest, seed, now).mem) as u64;
    let mut out = json!({
        "vmid": vmid, "name": guest.name(), "status": if guest.run.is_some() { "running" } else { "stopped" },
        "cpus": guest.cpus(), "maxmem": guest.memory(), "maxdisk": maxdisk, "disk": 0, "cpu": 0,
        "mem": 0, "memhost": 0, "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0, "uptime": 0,
    });
    if let Some(run) = &guest.run {
        out["pid"] = json!(run.pid);
        out["mem"] = json!(mem);
        out["memhost"] = json!(mem + mem / 20 + (90 << 20));
        out["uptime"] = json!((now - run.since) / 1000);
        for (key, value) in
            [("netin", run.netin), ("netout", run.netout), ("diskread", run.diskread), ("diskwrite", run.diskwrite)]
        {
            out[key] = json!(value as u64);
        }
    }
    for key in ["tags", "lock"] {
        if let Some(value) = guest.get(key) {
            out[key] = json!(value);
        }
    }
    if guest.is_template() {
        out["template"] = json!(1);
    }
    out
}

/// `GET .../status/current`: asks the machine itself.
pub fn current(call: &Call) -> Answer {
    let now = call.world.now();
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, call.vmid())?;
        let mut out = item(c, call.vmid(), call.world.seed, now);
        out["qmpstatus"] = json!(qmpstatus(guest));
        out["ha"] = json!({ "managed": 0 });
        if let Some(run) = &guest.run {
            out["agent"] = json!(u8::from(run.agent));
            out["running-machine"] = json!("pc-q35-10.1+pve0");
            out["running-qemu"] = json!("10.1.2");
            out["balloon"] = json!(guest.number("balloon").filter(|b| *b > 0).map_or(guest.memory(), |b| b << 20));
            for key in ["cpu", "io", "memory"] {
                out[format!("pressure{key}some")] = json!(0);
                out[format!("pressure{key}full")] = json!(0);
            }
        }
        Ok(out.into())
    })
}

fn qmpstatus(guest: &Guest) -> &'static str {
    match &guest.run {
        None => "stopped",
        Some(run) if run.paused => "paused",
        Some(_) => "running",
    }
}
