//! `POST .../clone`: full copies and linked clones.

use super::config::{heritable, with_mac};
use super::create::{undo, uuid_of};
use super::{drives, keys};
use crate::access::permissions::{has, require};
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::Props;
use crate::http::answer::Answer;
use crate::load::mix;
use crate::state::{Cluster, Config, Guest, Kind};
use crate::tasks::{self, Job, Work};
use serde_json::json;
use std::sync::Arc;

/// Everything the worker needs.
#[derive(Debug, Clone)]
struct ClonePlan {
    node: String,
    target: String,
    vmid: u32,
    full: bool,
    storage: Option<String>,
    config: Config,
}

pub async fn clone(call: Call) -> Answer {
    let (world, source) = (&call.world, call.vmid());
    let vmid = call.params.id("newid").unwrap_or(0);
    // A running source is held for itself; templates and stopped ones are shared by parallel clones.
    let running = world.read(|c| c.guest(call.node(), Kind::Qemu, source).map(|g| g.run.is_some()))?;
    let _lock = if running { Some(world.file_lock(source, 1.0).await?) } else { None };
    let plan = world.change(|c| {
        let plan = judge(c, &call, vmid)?;
        let mut guest = Guest::new(vmid, Kind::Qemu, call.node(), Config::new(), world.now());
        guest.config.insert("lock".into(), "clone".into());
        c.guests.insert(vmid, guest);
        if let Some(pool) = call.params.get("pool").and_then(|name| c.pools.get_mut(name)) {
            pool.vms.push(vmid);
        }
        Ok::<_, ApiError>(plan)
    })?;
    // The task carries the id of the source, not of the new machine.
    let upid = tasks::spawn(world, &call.who, call.node(), "qmclone", &source.to_string(), move |job| async move {
        let done = work(&job, &plan).await;
        if done.is_err() {
            job.world.change(|c| undo(c, &plan.node, plan.vmid));
        }
        done
    });
    Ok(json!(upid).into())
}

fn judge(c: &Cluster, call: &Call, vmid: u32) -> Result<ClonePlan, ApiError> {
    let (p, node) = (&call.params, call.node());
    may_clone(c, call, vmid)?;
    c.check_quorum()?;
    let source = c.guest(node, Kind::Qemu, call.vmid())?;
    source.check_lock()?;
    let full = p.get("full").map_or(!source.is_template(), |f| f == "1");
    let base = match p.get("snapname") {
        Some(name) => {
            let found = source.snapshots.iter().find(|s| s.name == name);
            &found.ok_or_else(|| format!("snapshot '{name}' does not exist"))?.config
        }
        None => &source.config,
    };
    if !full && p.get("storage").is_some() {
        return Err(ApiError::die("parameter 'storage' not allowed for linked clones"));
    }
    if !full && p.get("format").is_some() {
        return Err(ApiError::die("parameter 'format' not allowed for linked clones"));
    }
    if c.guests.contains_key(&vmid) {
        return Err(ApiError::die(format!("unable to create VM {vmid}: config file already exists")));
    }
    let target = p.get("target").unwrap_or(node).to_owned();
    if !c.nodes.contains_key(&target) {
        return Err(ApiError::die(format!("no such cluster node '{target}'")));
    }
    let shared = drives::own_volumes(base).iter().all(|(_, v)| c.volume(node, v).is_none_or(|v| v.node.is_none()));
    if target != node && !shared {
        return Err(ApiError::die(format!("can't clone VM to node '{target}' (VM uses local storage)")));
    }
    if !full {
        linkable(c, node, base)?;
    }
    let config = child_config(source, base, call, vmid);
    let storage = p.get("storage").map(str::to_owned);
    Ok(ClonePlan { node: node.to_owned(), target, vmid, full, storage, config })
}

fn may_clone(c: &Cluster, call: &Call, vmid: u32) -> Result<(), ApiError> {
    let (p, who) = (&call.params, &call.who);
    let mut path = format!("/vms/{vmid}");
    if let Some(pool) = p.get("pool") {
        if !c.pools.contains_key(pool) {
            return Err(ApiError::new(403, format!("pool '{pool}' does not exist")));
        }
        if !has(c, who, &path, "VM.Allocate") {
            path = format!("/pool/{pool}");
        }
    }
    require(c, who, &path, &["VM.Allocate"])?;
    let source = c.guest(call.node(), Kind::Qemu, call.vmid())?;
    for (key, value) in &source.config {
        if keys::is_net(key)
            && let Some(bridge) = Props::parse(value, "model").get("bridge")
        {
            require(c, who, &format!("/sdn/zones/localnetwork/{bridge}"), &["SDN.Use"])?;
        }
    }
    for (_, volid) in drives::own_volumes(&source.config) {
        let storage = p.get("storage").or_else(|| volid.split(':').next()).unwrap_or_default();
        crate::storage::find(c, storage)?;
        require(c, who, &format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    Ok(())
}

/// A linked clone needs base volumes, as templates have them.
fn linkable(c: &Cluster, node: &str, config: &Config) -> Result<(), ApiError> {
    for (key, volid) in drives::own_volumes(config) {
        let base = volid.contains("base-");
        let cloudinit = config.get(&key).is_some_and(|v| drives::is_cloudinit(v));
        if !cloudinit && (!base || c.volume(node, &volid).is_none()) {
            return Err(ApiError::die(format!("Linked clone feature is not supported for drive '{key}'")));
        }
    }
    Ok(())
}

/// The new machine's file: new MACs, uuid and generation id, nothing of the source's past.
fn child_config(source: &Guest, base: &Config, call: &Call, vmid: u32) -> Config {
    let fresh = mix(call.world.seed ^ call.world.now() as u64 ^ (u64::from(vmid) << 32));
    let mut config = heritable(base);
    for (key, value) in &mut config {
        if keys::is_net(key) {
            let mut p = Props::parse(value, "model");
            p.0.iter_mut().filter(|(k, _)| keys::MODELS.contains(&k.as_str())).for_each(|pair| {
                *pair = ("model".into(), pair.0.clone());
            });
            *value = with_mac(&p.print(""), mix(fresh ^ key.bytes().fold(0, |h, b| mix(h ^ u64::from(b)))));
        }
    }
    config.insert("smbios1".into(), format!("uuid={}", uuid_of(fresh)));
    config.insert("vmgenid".into(), uuid_of(mix(fresh)));
    let copy =
        || source.get("name").map_or_else(|| format!("Copy-of-VM-{}", source.vmid), |n| format!("Copy-of-VM-{n}"));
    config.insert("name".into(), call.params.get("name").map_or_else(copy, str::to_owned));
    if let Some(text) = call.params.get("description") {
        config.insert("description".into(), text.to_owned());
    }
    config
}

async fn work(job: &Arc<Job>, plan: &ClonePlan) -> Work {
    let mut config = plan.config.clone();
    let now = job.world.seconds();
    for (key, _) in drives::own_volumes(&plan.config) {
        let text = plan.config[&key].clone();
        let cloudinit = drives::is_cloudinit(&text);
        let kind = if plan.full || cloudinit { "full" } else { "linked" };
        job.log(format!("create {kind} clone of drive {key} ({})", drives::volid(&text)));
        let done = job
            .world
            .change(|c| drives::copy(c, &plan.node, &text, plan.vmid, plan.full, plan.storage.as_deref(), now))?;
        let gib = drives::size_of(&text) as f64 / f64::from(1 << 30);
        if plan.full && !cloudinit {
            for part in 1..=4 {
                job.wait((0.35 * gib).clamp(1.0, 40.0) / 4.0).await?;
                job.log(format!(
                    "transferred {:.1} GiB of {gib:.1} GiB ({}.00%)",
                    gib * f64::from(part) / 4.0,
                    part * 25
                ));
            }
        } else {
            job.wait(0.4).await?;
        }
        config.insert(key, done);
    }
    job.wait(0.5).await?;
    job.world.change(|c| {
        c.check_quorum()?;
        if let Some(g) = c.guests.get_mut(&plan.vmid) {
            g.config = config;
            g.node.clone_from(&plan.target);
        }
        Ok(())
    })
}
