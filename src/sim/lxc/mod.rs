//! Containers: list, configuration, power, delete. Creating one from an image is not simulated.

pub mod change;
pub mod copy;

use super::access::permissions::has;
use super::access::who::Who;
use super::dispatch::Call;
use super::error::ApiError;
use super::http::answer::Answer;
use super::qemu::{drives, remove};
use super::state::{Cluster, Guest, Kind, Run};
use super::stats;
use super::tasks::{self, Job, Work};
use super::world::World;
use serde_json::{Value, json};
use std::sync::Arc;

/// Keys shown as numbers.
const NUMBERS: &[&str] =
    &["cores", "memory", "swap", "onboot", "unprivileged", "protection", "template", "cpuunits", "console", "tty"];

pub fn list(call: &Call) -> Answer {
    let now = call.world.now();
    let list: Vec<Value> = call.world.read(|c| {
        let here = c.guests.values().filter(|g| g.node == call.node() && g.kind == Kind::Lxc);
        here.filter(|g| has(c, &call.who, &format!("/vms/{}", g.vmid), "VM.Audit"))
            .map(|g| item(c, g, call.world.seed, now))
            .collect()
    });
    Ok(json!(list).into())
}

pub fn current(call: &Call) -> Answer {
    let now = call.world.now();
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Lxc, call.vmid())?;
        let mut out = item(c, guest, call.world.seed, now);
        out["ha"] = json!({ "managed": 0 });
        Ok(out.into())
    })
}

fn item(c: &Cluster, guest: &Guest, seed: u64, now: i64) -> Value {
    let mut guest = guest.clone();
    stats::count(&mut guest, seed, now);
    let disk = drives::first_disk(&guest.config).and_then(|v| c.volume(&guest.node, &v)).map_or(0, |v| v.size);
    let swap = guest.number("swap").unwrap_or(0) << 20;
    let mut out = json!({
        "vmid": guest.vmid, "type": "lxc", "name": guest.name(), "status": if guest.run.is_some() { "running" } else { "stopped" },
        "cpus": guest.cpus(), "maxmem": guest.memory(), "maxswap": swap, "swap": 0, "maxdisk": disk, "disk": 0, "cpu": 0,
        "mem": 0, "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0, "uptime": 0,
    });
    if let Some(run) = &guest.run {
        out["pid"] = json!(run.pid);
        out["disk"] = json!(disk / 3);
        out["mem"] = json!((guest.memory() as f64 * stats::load_of(&guest, seed, now).mem) as u64);
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
    out
}

/// `GET .../config`: with pending changes applied; `current=1` as it runs.
pub fn config(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Lxc, call.vmid())?;
        let config = if call.params.flag("current") { guest.config.clone() } else { guest.wanted() };
        let mut out: serde_json::Map<String, Value> = config.iter().map(|(k, v)| (k.clone(), shown(k, v))).collect();
        out.insert("digest".into(), json!(guest.digest()));
        Ok(Value::Object(out).into())
    })
}

/// Numbers for some keys, text for the rest.
pub fn shown(key: &str, value: &str) -> Value {
    match value.parse::<i64>() {
        // It is stored as comment lines, which end with a newline when read back.
        _ if key == "description" => json!(format!("{}\n", value.trim_end_matches('\n'))),
        Ok(n) if NUMBERS.contains(&key) => json!(n),
        _ => json!(value),
    }
}

/// `GET .../interfaces`: what a running container has; no agent is needed.
pub fn interfaces(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Lxc, call.vmid())?;
        if guest.run.is_none() {
            return Ok(json!([]).into());
        }
        let address = super::qemu::agent::address_of(guest, 0);
        let net = guest.get("net0").unwrap_or_default();
        let mac = super::formats::Props::parse(net, "name").get("hwaddr").unwrap_or_default().to_lowercase();
        Ok(json!([
            { "name": "lo", "hwaddr": "00:00:00:00:00:00", "inet": "127.0.0.1/8", "inet6": "::1/128" },
            { "name": "eth0", "hwaddr": mac, "inet": format!("{address}/24"),
              "ip-addresses": [{ "ip-address": address, "ip-address-type": "inet", "prefix": "24" }] },
        ])
        .into())
    })
}

fn running(call: &Call) -> Result<bool, ApiError> {
    if call.params.flag("skiplock") && !call.who.is_root() {
        return Err(ApiError::param("skiplock", "Only root may use this option."));
    }
    Ok(call.world.read(|c| c.guest(call.node(), Kind::Lxc, call.vmid()).map(|g| g.run.is_some()))?)
}

/// `POST .../status/start`: of a running container it is refused at once.
pub fn start(call: &Call) -> Answer {
    call.world.read(Cluster::check_quorum)?;
    if running(call)? {
        return Err(ApiError::die(format!("CT {} already running", call.vmid())));
    }
    Ok(json!(spawn_start(&call.world, &call.who, call.node(), call.vmid())).into())
}

pub fn spawn_start(world: &Arc<World>, who: &Who, node: &str, vmid: u32) -> String {
    let at = node.to_owned();
    tasks::spawn(world, who, node, "vzstart", &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        job.world.read(|c| {
            let guest = c.guest(&at, Kind::Lxc, vmid)?;
            if guest.is_template() { Err("you can't start a CT if it's a template".into()) } else { guest.check_lock() }
        })?;
        job.wait(1.2).await?;
        let now = job.world.now();
        job.world.change(|c| {
            change::commit_all(c, vmid);
            c.next_pid = c.next_pid.wrapping_add(11).max(1000);
            let pid = c.next_pid;
            if let Some(g) = c.guests.get_mut(&vmid) {
                let zero = 0.0;
                g.run = Some(Run {
                    since: now,
                    pid,
                    paused: false,
                    agent: false,
                    netin: zero,
                    netout: zero,
                    diskread: zero,
                    diskwrite: zero,
                    counted: now,
                });
            }
        });
        Ok(())
    })
}

pub fn stop(call: &Call) -> Answer {
    if call.params.flag("overrule-shutdown") {
        tasks::interrupt_kind(&call.world, "vzshutdown", call.vmid());
    }
    down(call, "vzstop", 0.6, None, false)
}

pub fn shutdown(call: &Call) -> Answer {
    let timeout = call.params.int("timeout").map_or(60.0, |t| t as f64);
    down(call, "vzshutdown", 2.5, Some(timeout), false)
}

pub fn reboot(call: &Call) -> Answer {
    let timeout = call.params.int("timeout").map_or(60.0, |t| t as f64);
    down(call, "vzreboot", 2.5, Some(timeout), true)
}

/// Stops a running container, politely when there is a timeout, and starts it again for a reboot.
fn down(call: &Call, kind: &str, needs: f64, timeout: Option<f64>, again: bool) -> Answer {
    if !running(call)? {
        return Err(ApiError::die(format!("CT {} not running", call.vmid())));
    }
    let (vmid, node, force) = (call.vmid(), call.node().to_owned(), call.params.flag("forceStop"));
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), kind, &vmid.to_string(), move |job| async move {
        let lock = job.file_lock(vmid, 10.0).await?;
        go_down(&job, &node, vmid, needs, timeout, force).await?;
        drop(lock);
        if again {
            spawn_start(&job.world, &Who::root(), &node, vmid);
        }
        Ok(())
    }))
    .into())
}

async fn go_down(job: &Job, node: &str, vmid: u32, needs: f64, timeout: Option<f64>, force: bool) -> Work {
    let deaf = job.world.read(|c| {
        let guest = c.guest(node, Kind::Lxc, vmid)?;
        guest.check_lock().map(|()| guest.deaf)
    })?;
    match timeout {
        Some(limit) if deaf || needs > limit => {
            job.wait(limit).await?;
            if !force {
                return Err(format!("container did not stop within {limit} seconds"));
            }
        }
        _ => job.wait(needs).await?,
    }
    job.world.change(|c| c.guests.get_mut(&vmid).map(|g| g.run = None));
    Ok(())
}

/// `DELETE /nodes/{node}/lxc/{vmid}`; `force=1` also takes a running one.
pub fn destroy(call: &Call) -> Answer {
    let (vmid, node) = (call.vmid(), call.node().to_owned());
    let up = running(call)?;
    call.world.read(|c| {
        let guest = c.guest(&node, Kind::Lxc, vmid)?;
        if guest.get("protection") == Some("1") {
            return Err(ApiError::die(format!("can't remove CT {vmid} - protection mode enabled")));
        }
        if up && !call.params.flag("force") {
            return Err(ApiError::die(format!("unable to destroy CT {vmid} - container is running")));
        }
        guest.check_lock().map_err(ApiError::die)
    })?;
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        "vzdestroy",
        &vmid.to_string(),
        move |job| async move {
            let _lock = job.file_lock(vmid, 10.0).await?;
            job.wait(0.8).await?;
            job.world.change(|c| remove::destroy(c, &node, vmid, true));
            Ok(())
        }
    ))
    .into())
}
