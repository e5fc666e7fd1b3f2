//! `POST .../status/{start,stop,shutdown,reboot,reset,suspend,resume}`.

use super::{cloudinit, config, hotplug, keys};
use crate::access::permissions::require;
use crate::access::who::Who;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::Props;
use crate::http::answer::Answer;
use crate::state::{Cluster, Guest, Kind, Run};
use crate::tasks::{self, Job, Work};
use crate::world::World;
use serde_json::json;
use std::sync::Arc;

/// What is checked before any of them.
fn prepare(call: &Call) -> Result<Guest, ApiError> {
    if call.params.flag("skiplock") && !call.who.is_root() {
        return Err(ApiError::param("skiplock", "Only root may use this option."));
    }
    Ok(call.world.read(|c| c.guest(call.node(), Kind::Qemu, call.vmid()).cloned())?)
}

fn not_running(vmid: u32) -> ApiError {
    ApiError::die(format!("VM {vmid} not running"))
}

/// `POST .../status/start`. A template or a machine that runs already is refused only in the task.
pub fn start(call: &Call) -> Answer {
    prepare(call)?;
    call.world.read(Cluster::check_quorum)?;
    Ok(json!(spawn_start(&call.world, &call.who, call.node(), call.vmid())).into())
}

/// Starts the task `qmstart`, also for create with `start=1` and for reboots.
pub fn spawn_start(world: &Arc<World>, who: &Who, node: &str, vmid: u32) -> String {
    let at = node.to_owned();
    tasks::spawn(world, who, node, "qmstart", &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        let may = job.world.change(|c| may_start(c, &at, vmid)).map_err(|text| match text.rsplit_once('\n') {
            // What QEMU itself says stands before its exit.
            Some((said, exit)) => {
                job.log(said);
                exit.to_owned()
            }
            None => text,
        })?;
        if !may {
            return Ok(());
        }
        job.wait(1.8).await?;
        let now = job.world.now();
        job.world.change(|c| running(c, vmid, now));
        Ok(())
    })
}

/// Whether there is something to start (`false`: it was only resumed), or why not.
fn may_start(c: &mut Cluster, node: &str, vmid: u32) -> Work<bool> {
    let (cpus, room) = c.nodes.get(node).map_or((1, 0), |n| (n.cpus, n.memory >> 20));
    let bridges = c.nodes.get(node).map(|n| n.bridges.clone()).unwrap_or_default();
    let guest = c.guest_mut(node, Kind::Qemu, vmid)?;
    if guest.is_template() {
        return Err("you can't start a vm if it's a template".into());
    }
    match guest.lock() {
        // A backup stops the processor of the machine for a moment: start then means go on.
        Some("backup") if guest.run.is_some() => {
            guest.run.iter_mut().for_each(|r| r.paused = false);
            return Ok(false);
        }
        Some("suspended") => {}
        _ => guest.check_lock()?,
    }
    if guest.run.is_some() {
        return Err(format!("VM {vmid} already running"));
    }
    let wanted = guest.wanted();
    let number = |k: &str, d: u64| wanted.get(k).and_then(|v| v.parse().ok()).unwrap_or(d);
    let most = number("cores", 1) * number("sockets", 1);
    if most > u64::from(cpus) {
        return Err(format!("MAX {cpus} vcpus allowed per VM on this node"));
    }
    if number("vcpus", most) > most {
        return Err("start failed: QEMU exited with code 1".into());
    }
    let memory = number("memory", 512);
    if hotplug::feature(guest, "memory") && wanted.get("numa").is_none_or(|v| v != "1") {
        return Err("NUMA needs to be enabled for memory hotplug".into());
    }
    if hotplug::memory_moves(guest) && memory < hotplug::STATIC_MEMORY {
        return Err(format!("minimum memory must be {}MB", hotplug::STATIC_MEMORY));
    }
    if hotplug::memory_moves(guest) && !memory.is_multiple_of(512) {
        return Err(format!("memory size ({memory}) must be aligned to 512 for hotplugging"));
    }
    if memory > room {
        return Err(
            "kvm: cannot set up guest memory 'pc.ram': Cannot allocate memory\nstart failed: QEMU exited with code 1"
                .into(),
        );
    }
    for (_, device) in wanted.iter().filter(|(k, _)| keys::is_hostpci(k)) {
        if let Some(name) = keys::mapping(device).filter(|m| !keys::MAPPINGS.contains(&m.as_str())) {
            return Err(format!("PCI device mapping not found for '{name}'"));
        }
    }
    for (_, net) in wanted.iter().filter(|(k, _)| keys::is_net(k)) {
        if let Some(bridge) = Props::parse(net, "model").get("bridge")
            && !bridges.iter().any(|b| b == bridge)
        {
            return Err(format!("bridge '{bridge}' does not exist"));
        }
    }
    Ok(true)
}

/// A new QEMU process: what waited becomes true, the cloud-init drive is made again.
pub fn running(c: &mut Cluster, vmid: u32, now: i64) {
    config::commit_all(c, vmid);
    c.next_pid = c.next_pid.wrapping_add(11).max(1000);
    let pid = c.next_pid;
    let Some(guest) = c.guests.get_mut(&vmid) else { return };
    if guest.lock() == Some("suspended") {
        guest.config.remove("lock");
    }
    guest.cloudinit = cloudinit::keys_of(&guest.config);
    let agent = guest
        .get("agent")
        .is_some_and(|a| matches!(Props::parse(a, "enabled").get("enabled"), Some("1" | "on" | "yes" | "true")));
    guest.run = Some(Run {
        since: now,
        pid,
        paused: false,
        agent,
        netin: 0.0,
        netout: 0.0,
        diskread: 0.0,
        diskwrite: 0.0,
        counted: now,
    });
}

/// The process is gone; what waited for that becomes true.
pub fn stopped(c: &mut Cluster, vmid: u32) {
    if let Some(guest) = c.guests.get_mut(&vmid) {
        guest.run = None;
    }
    config::commit_all(c, vmid);
}

fn check(job: &Job, node: &str, vmid: u32) -> Work<bool> {
    job.world.read(|c| {
        let guest = c.guest(node, Kind::Qemu, vmid)?;
        guest.check_lock()?;
        Ok(guest.run.is_some())
    })
}

/// `POST .../status/stop`. While a shutdown waits it holds the file, unless `overrule-shutdown=1` ends it.
pub fn stop(call: &Call) -> Answer {
    prepare(call)?;
    let (vmid, node) = (call.vmid(), call.node().to_owned());
    if call.params.flag("overrule-shutdown") {
        tasks::interrupt_kind(&call.world, "qmshutdown", vmid);
    }
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), "qmstop", &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        if check(&job, &node, vmid)? {
            job.wait(1.0).await?;
            job.world.change(|c| stopped(c, vmid));
        }
        Ok(())
    }))
    .into())
}

/// Seconds a guest needs to go down.
fn down_time(vmid: u32) -> f64 {
    3.0 + f64::from(vmid % 7) * 0.6
}

/// `POST .../status/shutdown`: asks the guest, for at most `timeout` seconds (60).
pub fn shutdown(call: &Call) -> Answer {
    let guest = prepare(call)?;
    if guest.run.as_ref().is_some_and(|r| r.paused) {
        return Err(ApiError::die("VM is paused - cannot shutdown"));
    }
    let (vmid, node, force) = (call.vmid(), call.node().to_owned(), call.params.flag("forceStop"));
    let timeout = call.params.int("timeout").map_or(60.0, |t| t as f64);
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        "qmshutdown",
        &vmid.to_string(),
        move |job| async move {
            let _lock = job.file_lock(vmid, 10.0).await?;
            if check(&job, &node, vmid)? {
                go_down(&job, vmid, timeout, force).await?;
            }
            Ok(())
        }
    ))
    .into())
}

async fn go_down(job: &Job, vmid: u32, timeout: f64, force: bool) -> Work {
    let deaf = job.world.read(|c| c.guests.get(&vmid).is_some_and(|g| g.deaf));
    let needs = down_time(vmid);
    if deaf || needs > timeout {
        job.wait(timeout).await?;
        if !force {
            return Err("VM quit/powerdown failed - got timeout".into());
        }
        job.log("VM still running - terminating now with SIGTERM");
        job.wait(1.0).await?;
    } else {
        job.wait(needs).await?;
    }
    job.world.change(|c| stopped(c, vmid));
    Ok(())
}

/// `POST .../status/reboot`: the task is over when the machine is down; the start after it is root's own task.
pub fn reboot(call: &Call) -> Answer {
    let guest = prepare(call)?;
    match &guest.run {
        Some(run) if run.paused => return Err(ApiError::die("VM is paused - cannot shutdown")),
        None => return Err(not_running(call.vmid())),
        Some(_) => {}
    }
    let (vmid, node) = (call.vmid(), call.node().to_owned());
    let timeout = call.params.int("timeout").map_or(60.0, |t| t as f64);
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), "qmreboot", &vmid.to_string(), move |job| async move {
        let lock = job.file_lock(vmid, 10.0).await?;
        check(&job, &node, vmid)?;
        go_down(&job, vmid, timeout, false).await?;
        drop(lock);
        spawn_start(&job.world, &Who::root(), &node, vmid);
        Ok(())
    }))
    .into())
}

/// `POST .../status/reset`: the same process goes on, so what waits keeps waiting.
pub fn reset(call: &Call) -> Answer {
    simple(call, "qmreset", |_, _| {})
}

/// `POST .../status/suspend`: pause, or to disk with `todisk=1`.
pub fn suspend(call: &Call) -> Answer {
    let guest = prepare(call)?;
    if !call.params.flag("todisk") {
        return simple(call, "qmpause", |c, vmid| {
            c.guests.get_mut(&vmid).and_then(|g| g.run.as_mut()).into_iter().for_each(|r| r.paused = true);
        });
    }
    call.world.read(|c| require(c, &call.who, &format!("/vms/{}", guest.vmid), &["VM.Config.Disk"]))?;
    if guest.run.is_none() {
        return Err(not_running(guest.vmid));
    }
    let vmid = guest.vmid;
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        "qmsuspend",
        &vmid.to_string(),
        move |job| async move {
            let _lock = job.file_lock(vmid, 10.0).await?;
            set_lock(&job.world, vmid, Some("suspending"));
            let saved = job.wait(4.0).await;
            set_lock(&job.world, vmid, saved.is_ok().then_some("suspended"));
            saved?;
            job.world.change(|c| c.guests.get_mut(&vmid).map(|g| g.run = None));
            Ok(())
        }
    ))
    .into())
}

fn set_lock(world: &World, vmid: u32, lock: Option<&str>) {
    world.change(|c| {
        if let Some(guest) = c.guests.get_mut(&vmid) {
            match lock {
                Some(l) => guest.config.insert("lock".into(), l.into()),
                None => guest.config.remove("lock"),
            };
        }
    });
}

/// `POST .../status/resume`.
pub fn resume(call: &Call) -> Answer {
    let guest = prepare(call)?;
    if guest.lock() == Some("suspended") {
        return Ok(json!(spawn_start(&call.world, &call.who, call.node(), guest.vmid)).into());
    }
    simple(call, "qmresume", |c, vmid| {
        c.guests.get_mut(&vmid).and_then(|g| g.run.as_mut()).into_iter().for_each(|r| r.paused = false);
    })
}

/// A short task on a machine that must run.
fn simple(call: &Call, kind: &str, effect: fn(&mut Cluster, u32)) -> Answer {
    let guest = prepare(call)?;
    if guest.run.is_none() {
        return Err(not_running(guest.vmid));
    }
    let (vmid, node) = (guest.vmid, call.node().to_owned());
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), kind, &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        check(&job, &node, vmid)?;
        job.wait(0.3).await?;
        job.world.change(|c| effect(c, vmid));
        Ok(())
    }))
    .into())
}
