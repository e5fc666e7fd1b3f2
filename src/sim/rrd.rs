//! `rrddata`: the charts' history, computed from the same load function as the live figures.

use super::dispatch::Call;
use super::error::ApiError;
use super::http::answer::Answer;
use super::load;
use super::state::{Guest, Kind};
use super::stats::node_load;
use serde_json::{Value, json};

/// Seconds per point and number of points of a time frame (PVE 9).
fn frame(name: &str) -> (i64, i64) {
    match name {
        "hour" => (60, 60),
        "day" => (60, 1440),
        "week" => (1800, 336),
        "month" => (1800, 1440),
        "year" => (21_600, 1440),
        _ => (604_800, 570),
    }
}

/// Moments looked at per point.
const LOOKS: u32 = 6;

pub fn qemu(call: &Call) -> Answer {
    of_guest(call, Kind::Qemu)
}

pub fn lxc(call: &Call) -> Answer {
    of_guest(call, Kind::Lxc)
}

fn of_guest(call: &Call, kind: Kind) -> Answer {
    let guest = call.world.read(|c| c.guest(call.node(), kind, call.vmid()).cloned())?;
    let (step, count) = frame(&call.params.text("timeframe"));
    let most = call.params.get("cf") == Some("MAX");
    // The newest bucket is not complete and left out.
    let last = call.world.seconds() / step * step - step;
    let list: Vec<Value> =
        (0..count).map(|i| point(&guest, call.world.seed, last - (count - 1 - i) * step, step, most)).collect();
    Ok(json!(list).into())
}

/// One bucket; before the guest was made there is only the time. Traffic is a rate here.
fn point(guest: &Guest, seed: u64, time: i64, step: i64, most: bool) -> Value {
    if time * 1000 < guest.born {
        return json!({ "time": time });
    }
    let since = guest.run.as_ref().map(|r| r.since.min(guest.born + 1) / 1000);
    let l = match since {
        Some(_) => gather(seed, guest.vmid, time, step, most),
        None => load::Load::default(),
    };
    let memory = guest.memory() as f64;
    json!({
        "time": time, "cpu": l.cpu, "maxcpu": guest.cpus(), "mem": memory * l.mem, "maxmem": guest.memory(),
        "memhost": memory * l.mem * 1.05, "disk": 0, "netin": l.netin, "netout": l.netout, "diskread": l.diskread,
        "diskwrite": l.diskwrite, "pressurecpusome": l.cpu * 2.0, "pressurecpufull": 0.0, "pressureiosome": 0.1,
        "pressureiofull": 0.0, "pressurememorysome": 0.0, "pressurememoryfull": 0.0,
    })
}

/// Average (or greatest) over a bucket.
fn gather(seed: u64, id: u32, time: i64, step: i64, most: bool) -> load::Load {
    let mut out = load::Load::default();
    for look in 0..LOOKS {
        let l = load::at(seed, id, time as f64 + step as f64 * f64::from(look) / f64::from(LOOKS));
        let join = |a: f64, b: f64| if most { a.max(b) } else { a + b / f64::from(LOOKS) };
        out = load::Load {
            cpu: join(out.cpu, l.cpu),
            mem: join(out.mem, l.mem),
            netin: join(out.netin, l.netin),
            netout: join(out.netout, l.netout),
            diskread: join(out.diskread, l.diskread),
            diskwrite: join(out.diskwrite, l.diskwrite),
        };
    }
    out
}

pub fn node(call: &Call) -> Answer {
    let (step, count) = frame(&call.params.text("timeframe"));
    let now = call.world.now();
    let seed = call.world.seed;
    call.world.read(|c| {
        let node = c.nodes.get(call.node()).ok_or_else(|| ApiError::die("no such node"))?;
        let (cpu, mem) = node_load(c, &node.name, seed, now);
        let last = now / 1000 / step * step - step;
        let one = |time: i64| {
            // The sum over hundreds of guests hardly moves: today's level with a daily swing is near enough.
            let swing = load::at(seed, node.id, time as f64);
            let cpu = (cpu * (0.7 + 0.6 * swing.cpu.sqrt())).min(0.99);
            json!({
                "time": time, "cpu": cpu, "maxcpu": node.cpus, "iowait": 0.004, "loadavg": cpu * f64::from(node.cpus),
                "memused": mem as f64 * (0.95 + 0.1 * swing.mem), "memtotal": node.memory, "memavailable": node.memory - mem,
                "swapused": 0, "swaptotal": 8_u64 << 30, "roottotal": node.root, "rootused": node.root / 100 * 17,
                "netin": swing.netin * 20.0, "netout": swing.netout * 20.0,
            })
        };
        let list: Vec<Value> = (0..count).map(|i| one(last - (count - 1 - i) * step)).collect();
        Ok(json!(list).into())
    })
}
