//! `GET` and `POST .../migrate`: to another node of the cluster.

use super::drives;
use crate::sim::dispatch::Call;
use crate::sim::error::ApiError;
use crate::sim::http::answer::Answer;
use crate::sim::state::{Cluster, Guest, Kind};
use crate::sim::tasks::{self, Job, Work};
use serde_json::{Value, json};

/// Volumes that only its own node has.
fn local(c: &Cluster, guest: &Guest) -> Vec<String> {
    let own = drives::own_volumes(&guest.config).into_iter().map(|(_, v)| v);
    own.filter(|v| c.volume(&guest.node, v).is_some_and(|v| v.node.is_some())).collect()
}

/// What a migration would meet.
pub fn check(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, call.vmid())?;
        let disks: Vec<Value> = local(c, guest)
            .iter()
            .map(|v| {
                let size = c.volume(&guest.node, v).map_or(0, |v| v.size);
                json!({ "volid": v, "size": size, "cdrom": 0, "is_unused": 0, "is_vmstate": 0 })
            })
            .collect();
        let up = |n: &&crate::sim::state::Node| !n.offline && n.name != guest.node;
        let others: Vec<&str> = c.nodes.values().filter(up).map(|n| n.name.as_str()).collect();
        let mut out = json!({ "running": u8::from(guest.run.is_some()), "local_disks": disks, "local_resources": [], "mapped-resources": [] });
        if guest.run.is_none() {
            out["allowed_nodes"] = json!(others);
            out["not_allowed_nodes"] = json!({});
        }
        Ok(out.into())
    })
}

pub fn migrate(call: &Call) -> Answer {
    let (vmid, from, p) = (call.vmid(), call.node().to_owned(), &call.params);
    let (to, disks) = (p.text("target"), p.flag("with-local-disks"));
    if (p.flag("force") || p.get("migration_network").is_some()) && !call.who.is_root() {
        return Err(ApiError::param("force", "Only root may use this option."));
    }
    call.world.read(|c| {
        c.check_quorum()?;
        if to == from {
            return Err(ApiError::param("target", "target is local node."));
        }
        if !c.nodes.contains_key(&to) {
            return Err(ApiError::die(format!("no such cluster node '{to}'")));
        }
        let guest = c.guest(&from, Kind::Qemu, vmid)?;
        guest.check_lock()?;
        if guest.run.is_some() && !p.flag("online") {
            return Err(ApiError::die("can't migrate running VM without --online"));
        }
        Ok(())
    })?;
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), "qmigrate", &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        job.world.change(|c| begin(c, &from, &to, vmid, disks))?;
        let done = carry(&job, &from, &to, vmid).await;
        job.world.change(|c| c.guests.get_mut(&vmid).and_then(|g| g.config.remove("lock")));
        done
    }))
    .into())
}

fn begin(c: &mut Cluster, from: &str, to: &str, vmid: u32, with_disks: bool) -> Work {
    let guest = c.guest(from, Kind::Qemu, vmid)?;
    guest.check_lock()?;
    if c.nodes.get(to).is_none_or(|n| n.offline) {
        return Err(format!("migration aborted: can't connect to node '{to}'"));
    }
    if let (true, false, Some(disk)) = (guest.run.is_some(), with_disks, local(c, guest).first()) {
        return Err(format!("can't migrate local disk '{disk}' in running VM without --with-local-disks"));
    }
    c.guest_mut(from, Kind::Qemu, vmid)?.config.insert("lock".into(), "migrate".into());
    Ok(())
}

async fn carry(job: &Job, from: &str, to: &str, vmid: u32) -> Work {
    job.log(format!("starting migration of VM {vmid} to node '{to}'"));
    let (volumes, gib) = job.world.read(|c| {
        let guest = c.guest(from, Kind::Qemu, vmid)?;
        let volumes = local(c, guest);
        let bytes: u64 = volumes.iter().filter_map(|v| c.volume(from, v)).map(|v| v.size).sum();
        let memory = if guest.run.is_some() { guest.memory() } else { 0 };
        Ok::<_, String>((volumes, (bytes + memory) as f64 / f64::from(1 << 30)))
    })?;
    for part in 1..=4 {
        job.wait((2.0 + 0.25 * gib).min(45.0) / 4.0).await?;
        job.log(format!("migration active, transferred {:.1} GiB of {gib:.1} GiB", gib * f64::from(part) / 4.0));
    }
    job.world.change(|c| {
        c.check_quorum()?;
        volumes.iter().for_each(|v| drives::carry(c, from, to, v));
        to.clone_into(&mut c.guest_mut(from, Kind::Qemu, vmid)?.node);
        Ok::<_, String>(())
    })?;
    job.log(format!("migration finished successfully, VM {vmid} is on '{to}'"));
    Ok(())
}
