//! `GET` and `POST .../migrate`: to another node of the cluster.

use super::drives::{self, Make};
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::Props;
use crate::http::answer::Answer;
use crate::state::{Cluster, Guest, Kind};
use crate::tasks::{self, Job, Work};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Key and volume of what only its own node has.
fn local(c: &Cluster, guest: &Guest) -> Vec<(String, String)> {
    let own = drives::own_volumes(&guest.config).into_iter();
    own.filter(|(_, v)| c.volume(&guest.node, v).is_some_and(|v| v.node.is_some())).collect()
}

/// An image in a CD drive that only this node has.
fn local_image(c: &Cluster, guest: &Guest) -> Option<String> {
    let drives = guest.config.values().filter(|v| drives::is_cdrom(v) && !drives::is_cloudinit(v));
    let mut images = drives.map(|v| drives::volid(v).to_owned());
    images.find(|v| v.split_once(':').and_then(|(s, _)| c.storages.get(s)).is_some_and(|s| !s.shared))
}

/// Keys of devices that were passed through from the node.
fn devices(guest: &Guest) -> Vec<&str> {
    let own = |(k, v): &(&String, &String)| {
        let real = (k.starts_with("hostpci") || k.starts_with("usb")) && !v.contains("mapping=");
        (real && !v.contains("spice")) || (k.starts_with("serial") && v.starts_with("/dev/"))
    };
    guest.config.iter().filter(own).map(|(k, _)| k.as_str()).collect()
}

/// What a migration would meet.
pub fn check(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, call.vmid())?;
        let item = |v: &str, cdrom: u8| {
            let size = c.volume(&guest.node, v).map_or(0, |v| v.size);
            json!({ "volid": v, "size": size, "cdrom": cdrom, "is_unused": 0, "is_vmstate": 0 })
        };
        let mut disks: Vec<Value> = local(c, guest).iter().map(|(_, v)| item(v, 0)).collect();
        disks.extend(local_image(c, guest).map(|v| item(&v, 1)));
        let up = |n: &&crate::state::Node| !n.offline && n.name != guest.node;
        let others: Vec<&str> = c.nodes.values().filter(up).map(|n| n.name.as_str()).collect();
        Ok(json!({
            "running": u8::from(guest.run.is_some()), "local_disks": disks, "local_resources": devices(guest),
            "mapped-resources": [], "allowed_nodes": others, "not_allowed_nodes": {},
        })
        .into())
    })
}

/// What the worker carries where.
#[derive(Clone)]
struct MigrationPlan {
    from: String,
    to: String,
    vmid: u32,
    disks: bool,
    /// Storage here -> storage there.
    storages: BTreeMap<String, String>,
    /// For all others.
    every: Option<String>,
}

impl MigrationPlan {
    fn storage<'a>(&'a self, here: &'a str) -> &'a str {
        self.storages.get(here).or(self.every.as_ref()).map_or(here, String::as_str)
    }
}

pub fn migrate(call: &Call) -> Answer {
    let (vmid, from, p) = (call.vmid(), call.node().to_owned(), &call.params);
    let (to, disks) = (p.text("target"), p.flag("with-local-disks"));
    if (p.flag("force") || p.get("migration_network").is_some()) && !call.who.is_root() {
        return Err(ApiError::param("force", "Only root may use this option."));
    }
    let mut plan = MigrationPlan { from, to, vmid, disks, storages: BTreeMap::new(), every: None };
    for pair in p.text("targetstorage").split(',').filter(|p| !p.is_empty() && *p != "1") {
        match pair.split_once(':') {
            Some((here, there)) => _ = plan.storages.insert(here.to_owned(), there.to_owned()),
            None => plan.every = Some(pair.to_owned()),
        }
    }
    call.world.read(|c| {
        c.check_quorum()?;
        if plan.to == plan.from {
            return Err(ApiError::param("target", "target is local node."));
        }
        if !c.nodes.contains_key(&plan.to) {
            return Err(ApiError::die(format!("no such cluster node '{}'", plan.to)));
        }
        let guest = c.guest(&plan.from, Kind::Qemu, vmid)?;
        guest.check_lock()?;
        if guest.run.is_some() && !p.flag("online") {
            return Err(ApiError::die("can't migrate running VM without --online"));
        }
        let wanted = plan.storages.values().chain(plan.every.as_ref());
        match wanted.into_iter().find(|s| !c.storages.contains_key(*s)) {
            Some(s) => Err(ApiError::die(format!("storage '{s}' does not exist"))),
            None => Ok(()),
        }
    })?;
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), "qmigrate", &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        job.world.change(|c| begin(c, &plan))?;
        let done = carry(&job, &plan).await;
        job.world.change(|c| c.guests.get_mut(&vmid).and_then(|g| g.config.remove("lock")));
        done
    }))
    .into())
}

fn begin(c: &mut Cluster, plan: &MigrationPlan) -> Work {
    let guest = c.guest(&plan.from, Kind::Qemu, plan.vmid)?;
    guest.check_lock()?;
    if c.nodes.get(&plan.to).is_none_or(|n| n.offline) {
        return Err(format!("migration aborted: can't connect to node '{}'", plan.to));
    }
    if let Some(device) = devices(guest).first() {
        return Err(format!("can't migrate VM which uses local devices: {device}"));
    }
    if let Some(image) = local_image(c, guest) {
        return Err(format!("can't migrate '{image}': local cdrom image"));
    }
    let own = local(c, guest);
    if let (true, Some((_, disk))) = (guest.run.is_some(), own.first()) {
        if !plan.disks {
            return Err(format!("can't migrate local disk '{disk}' in running VM without --with-local-disks"));
        }
        if !guest.snapshots.is_empty() {
            return Err(format!("can't migrate '{disk}': online storage migration not possible if snapshot exists"));
        }
    }
    if let Some((_, disk)) = own.iter().find(|(_, v)| v.contains("base-") && v.contains("/vm-")) {
        return Err(format!("can't migrate '{disk}' as it's a clone of a local base volume"));
    }
    c.guest_mut(&plan.from, Kind::Qemu, plan.vmid)?.config.insert("lock".into(), "migrate".into());
    Ok(())
}

async fn carry(job: &Job, plan: &MigrationPlan) -> Work {
    let MigrationPlan { from, to, vmid, .. } = plan;
    job.log(format!("starting migration of VM {vmid} to node '{to}'"));
    let (volumes, gib) = job.world.read(|c| {
        let guest = c.guest(from, Kind::Qemu, *vmid)?;
        let volumes = local(c, guest);
        let bytes: u64 = volumes.iter().filter_map(|(_, v)| c.volume(from, v)).map(|v| v.size).sum();
        let memory = if guest.run.is_some() { guest.memory() } else { 0 };
        Ok::<_, String>((volumes, (bytes + memory) as f64 / f64::from(1 << 30)))
    })?;
    for part in 1..=4 {
        job.wait((2.0 + 0.25 * gib).min(45.0) / 4.0).await?;
        job.log(format!("migration active, transferred {:.1} GiB of {gib:.1} GiB", gib * f64::from(part) / 4.0));
    }
    let now = job.world.seconds();
    job.world.change(|c| {
        c.check_quorum()?;
        for (key, volid) in &volumes {
            take_along(c, plan, key, volid, now)?;
        }
        to.clone_into(&mut c.guest_mut(from, Kind::Qemu, *vmid)?.node);
        Ok::<_, String>(())
    })?;
    job.log(format!("migration finished successfully, VM {vmid} is on '{to}'"));
    Ok(())
}

/// One volume to the other node: under its own name, or a new one on another storage.
fn take_along(c: &mut Cluster, plan: &MigrationPlan, key: &str, volid: &str, now: i64) -> Work {
    let here = volid.split(':').next().unwrap_or_default();
    let storage = plan.storage(here);
    if storage == here {
        drives::carry(c, &plan.from, &plan.to, volid);
        return Ok(());
    }
    let Some(old) = c.volume(&plan.from, volid).cloned() else {
        return Err(format!("volume '{volid}' does not exist"));
    };
    let text = c.guest(&plan.from, Kind::Qemu, plan.vmid)?.config[key].clone();
    let fresh = if drives::is_cloudinit(&text) {
        drives::allocate_cloudinit(c, &plan.to, plan.vmid, storage, now)?
    } else {
        let content = &old.content;
        let make = Make { node: &plan.to, vmid: plan.vmid, storage, bytes: old.size, format: None, content, now };
        drives::allocate(c, make)?
    };
    c.remove_volume(&plan.from, volid);
    let mut p = Props::parse(&text, "file");
    p.set("file", fresh);
    c.guest_mut(&plan.from, Kind::Qemu, plan.vmid)?.config.insert(key.to_owned(), p.print("file"));
    Ok(())
}
