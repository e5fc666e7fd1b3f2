//! Snapshots of machines and containers: list, make, note, roll back, delete. `LXC` says which of the two.

use super::{config, drives, keys, power};
use crate::access::permissions::has;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::http::answer::Answer;
use crate::state::{Cluster, Config, Guest, Kind, Snapshot};
use crate::tasks::{self, Work};
use serde_json::{Value, json};

/// `GET .../snapshot`: ends with the pseudo entry `current`.
pub fn list<const LXC: bool>(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), kind(LXC), call.vmid())?;
        let mut list: Vec<Value> = guest.snapshots.iter().map(item).collect();
        let mut current = json!({ "name": "current", "description": "You are here!", "digest": guest.digest(),
                                  "running": u8::from(guest.run.is_some()) });
        if let Some(parent) = guest.get("parent") {
            current["parent"] = json!(parent);
        }
        list.push(current);
        Ok(json!(list).into())
    })
}

fn kind(lxc: bool) -> Kind {
    if lxc { Kind::Lxc } else { Kind::Qemu }
}

fn type_of(lxc: bool, what: &str) -> &'static str {
    match (lxc, what) {
        (false, "snapshot") => "qmsnapshot",
        (false, "rollback") => "qmrollback",
        (false, _) => "qmdelsnapshot",
        (true, "snapshot") => "vzsnapshot",
        (true, "rollback") => "vzrollback",
        (true, _) => "vzdelsnapshot",
    }
}

fn item(s: &Snapshot) -> Value {
    let mut out =
        json!({ "name": s.name, "description": s.description, "snaptime": s.time, "vmstate": u8::from(s.vmstate) });
    if let Some(parent) = &s.parent {
        out["parent"] = json!(parent);
    }
    if s.broken {
        out["snapstate"] = json!("prepare");
    }
    out
}

/// `GET .../snapshot/{snapname}/config`.
pub fn get_config<const LXC: bool>(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), kind(LXC), call.vmid())?;
        let found = find(guest, call.arg("snapname"))?;
        let mut out: serde_json::Map<String, Value> =
            found.config.iter().map(|(k, v)| (k.clone(), config::shown(k, v))).collect();
        out.insert("snaptime".into(), json!(found.time));
        out.insert("digest".into(), json!(guest.digest()));
        Ok(Value::Object(out).into())
    })
}

/// `PUT .../snapshot/{snapname}/config`: only the description can be changed.
pub fn set_config<const LXC: bool>(call: &Call) -> Answer {
    let text = call.params.text("description");
    call.world.change(|c| {
        c.check_quorum()?;
        let guest = c.guest_mut(call.node(), kind(LXC), call.vmid())?;
        guest.check_lock()?;
        find(guest, call.arg("snapname"))?;
        for s in guest.snapshots.iter_mut().filter(|s| s.name == call.arg("snapname")) {
            s.description.clone_from(&text);
        }
        Ok(Value::Null.into())
    })
}

fn find<'a>(guest: &'a Guest, name: &str) -> Result<&'a Snapshot, String> {
    guest.snapshots.iter().find(|s| s.name == name).ok_or_else(|| format!("snapshot '{name}' does not exist"))
}

/// `POST .../snapshot`. Locks, a name in use and disks that can't do it show in the task only.
pub fn make<const LXC: bool>(call: &Call) -> Answer {
    let (vmid, node, p) = (call.vmid(), call.node().to_owned(), &call.params);
    let (name, text, ram) = (p.text("snapname"), p.text("description"), p.flag("vmstate"));
    if matches!(name.as_str(), "current" | "pending") {
        return Err(ApiError::die(format!("unable to use snapshot name '{name}' (reserved name)")));
    }
    call.world.read(|c| c.guest(&node, kind(LXC), vmid).map(|_| ()))?;
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        type_of(LXC, "snapshot"),
        &vmid.to_string(),
        move |job| async move {
            let _lock = job.file_lock(vmid, 10.0).await?;
            job.world.read(|c| may_snapshot(c, &node, kind(LXC), vmid, &name))?;
            let ram = ram && job.world.read(|c| c.guests.get(&vmid).is_some_and(|g| g.run.is_some()));
            job.world.change(|c| c.guests.get_mut(&vmid).map(|g| g.config.insert("lock".into(), "snapshot".into())));
            let worked = job.wait(if ram { 4.0 } else { 0.8 }).await;
            let time = job.world.seconds();
            job.world.change(|c| take(c, vmid, (name, text), ram, time, worked.is_err()))?;
            worked
        }
    ))
    .into())
}

fn may_snapshot(c: &Cluster, node: &str, kind: Kind, vmid: u32, name: &str) -> Work {
    c.check_quorum()?;
    let guest = c.guest(node, kind, vmid)?;
    guest.check_lock()?;
    if guest.is_template() {
        return Err("cannot create snapshot of a template".into());
    }
    if guest.snapshots.iter().any(|s| s.name == name) {
        return Err(format!("snapshot name '{name}' already used"));
    }
    if can(c, guest) { Ok(()) } else { Err("snapshot feature is not available".into()) }
}

/// Raw files on a directory can't be snapshotted.
fn can(c: &Cluster, guest: &Guest) -> bool {
    drives::own_volumes(&guest.config).iter().filter(|(k, _)| keys::is_drive(k)).all(|(_, volid)| {
        let Some(v) = c.volume(&guest.node, volid) else { return true };
        let files = c.storages.get(&v.storage).is_some_and(drives::is_files);
        !files || v.format == "qcow2"
    })
}

/// One that broke off leaves its entry and the lock: only root's unlock helps then.
fn take(c: &mut Cluster, vmid: u32, named: (String, String), vmstate: bool, time: i64, broken: bool) -> Work {
    let gone = || format!("guest {vmid} is gone");
    let sizes = {
        let guest = c.guests.get(&vmid).ok_or_else(gone)?;
        let size = |(_, v): (String, String)| c.volume(&guest.node, &v).map(|found| (v.clone(), found.size));
        drives::own_volumes(&guest.config).into_iter().filter_map(size).collect()
    };
    let guest = c.guests.get_mut(&vmid).ok_or_else(gone)?;
    let (name, description) = named;
    let config: Config = config::heritable(&guest.config);
    let parent = guest.get("parent").map(str::to_owned);
    if !broken {
        guest.config.insert("parent".into(), name.clone());
        guest.config.remove("lock");
    }
    guest.snapshots.push(Snapshot { name, parent, description, time, vmstate, broken, config, sizes });
    Ok(())
}

/// `POST .../rollback`: stops the machine first; with RAM (or `start=1`) it runs again afterwards.
pub fn rollback<const LXC: bool>(call: &Call) -> Answer {
    let (vmid, node, name) = (call.vmid(), call.node().to_owned(), call.arg("snapname").to_owned());
    let (start, who) = (call.params.flag("start"), call.who.clone());
    call.world.read(|c| {
        c.guest(&node, kind(LXC), vmid)?;
        if start && !has(c, &who, &format!("/vms/{vmid}"), "VM.PowerMgmt") {
            return Err(ApiError::denied(&format!("/vms/{vmid}"), &["VM.PowerMgmt"], ","));
        }
        Ok(())
    })?;
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        type_of(LXC, "rollback"),
        &vmid.to_string(),
        move |job| async move {
            let lock = job.file_lock(vmid, 10.0).await?;
            let snapshot = job.world.read(|c| {
                c.check_quorum()?;
                let guest = c.guest(&node, kind(LXC), vmid)?;
                guest.check_lock()?;
                find(guest, &name).cloned()
            })?;
            job.wait(1.5).await?;
            job.world.change(|c| restore(c, &node, vmid, &snapshot))?;
            if snapshot.vmstate {
                let now = job.world.now();
                job.world.change(|c| power::running(c, vmid, now));
            }
            drop(lock);
            if start && !snapshot.vmstate {
                if LXC {
                    crate::lxc::spawn_start(&job.world, &who, &node, vmid);
                } else {
                    power::spawn_start(&job.world, &who, &node, vmid);
                }
            }
            Ok(())
        }
    ))
    .into())
}

fn restore(c: &mut Cluster, node: &str, vmid: u32, snapshot: &Snapshot) -> Work {
    for (volid, size) in &snapshot.sizes {
        if let Some(v) = c.volume_mut(node, volid) {
            v.size = *size;
        }
    }
    let guest = c.guests.get_mut(&vmid).ok_or("the guest is gone")?;
    guest.run = None;
    guest.pending.clear();
    guest.config = snapshot.config.clone();
    guest.config.insert("parent".into(), snapshot.name.clone());
    Ok(())
}

/// `DELETE .../snapshot/{snapname}`.
pub fn remove<const LXC: bool>(call: &Call) -> Answer {
    let (vmid, node, name) = (call.vmid(), call.node().to_owned(), call.arg("snapname").to_owned());
    call.world.read(|c| c.guest(&node, kind(LXC), vmid).map(|_| ()))?;
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        type_of(LXC, "delsnapshot"),
        &vmid.to_string(),
        move |job| async move {
            let _lock = job.file_lock(vmid, 10.0).await?;
            job.world.read(|c| {
                let guest = c.guest(&node, kind(LXC), vmid)?;
                guest.check_lock()?;
                find(guest, &name).map(|_| ())
            })?;
            job.wait(0.8).await?;
            job.world.change(|c| forget(c, vmid, &name))
        }
    ))
    .into())
}

/// Children get the deleted one's parent.
fn forget(c: &mut Cluster, vmid: u32, name: &str) -> Work {
    let guest = c.guests.get_mut(&vmid).ok_or("the guest is gone")?;
    let parent = find(guest, name)?.parent.clone();
    guest.snapshots.retain(|s| s.name != name);
    for child in guest.snapshots.iter_mut().filter(|s| s.parent.as_deref() == Some(name)) {
        child.parent.clone_from(&parent);
    }
    if guest.get("parent") == Some(name) {
        match parent {
            Some(p) => guest.config.insert("parent".into(), p),
            None => guest.config.remove("parent"),
        };
    }
    Ok(())
}

/// `GET .../feature?feature=snapshot|clone|copy`.
pub fn feature<const LXC: bool>(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), kind(LXC), call.vmid())?;
        let has = match call.params.get("feature") {
            Some("snapshot") => can(c, guest),
            Some("clone") => guest.is_template(),
            _ => true,
        };
        let shared = drives::own_volumes(&guest.config)
            .iter()
            .all(|(_, v)| c.volume(&guest.node, v).is_none_or(|v| v.node.is_none()));
        let nodes: Vec<&String> = c.nodes.keys().filter(|n| shared || **n == guest.node).collect();
        Ok(json!({ "hasFeature": u8::from(has), "nodes": nodes }).into())
    })
}
