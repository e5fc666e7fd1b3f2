//! Copying a container, making a template of it, moving it to another node.

use crate::access::permissions::require;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::{Props, mac};
use crate::http::answer::Answer;
use crate::load::mix;
use crate::qemu::config::heritable;
use crate::qemu::keys::base;
use crate::qemu::{create, drives};
use crate::state::{Cluster, Config, Guest, Kind};
use crate::tasks::{self, Job, Work};
use serde_json::json;
use std::sync::Arc;

struct CopyPlan {
    node: String,
    target: String,
    vmid: u32,
    full: bool,
    storage: Option<String>,
    config: Config,
}

/// `POST .../clone`.
pub fn clone(call: &Call) -> Answer {
    let (world, source) = (&call.world, call.vmid());
    let vmid = call.params.id("newid").unwrap_or(0);
    let plan = world.change(|c| {
        let plan = judge(c, call, vmid)?;
        let mut guest = Guest::new(vmid, Kind::Lxc, call.node(), Config::new(), world.now());
        guest.config.insert("lock".into(), "create".into());
        c.guests.insert(vmid, guest);
        Ok::<_, ApiError>(plan)
    })?;
    let upid = tasks::spawn(world, &call.who, call.node(), "vzclone", &source.to_string(), move |job| async move {
        let done = work(&job, &plan).await;
        if done.is_err() {
            job.world.change(|c| create::undo(c, &plan.node, plan.vmid));
        }
        done
    });
    Ok(json!(upid).into())
}

fn judge(c: &Cluster, call: &Call, vmid: u32) -> Result<CopyPlan, ApiError> {
    let (p, node) = (&call.params, call.node());
    require(c, &call.who, &format!("/vms/{vmid}"), &["VM.Allocate"])?;
    c.check_quorum()?;
    let source = c.guest(node, Kind::Lxc, call.vmid())?;
    source.check_lock()?;
    let full = p.get("full").map_or(!source.is_template(), |f| f == "1");
    if full && source.run.is_some() && p.get("snapname").is_none() {
        return Err(ApiError::die("Cannot do full clones on a running container without snapshots"));
    }
    if !full && p.get("storage").is_some() {
        return Err(ApiError::die("parameter 'storage' not allowed for linked clones"));
    }
    if !full && !source.is_template() {
        return Err(ApiError::die("Linked clone feature is not supported for a container that is no template"));
    }
    if c.guests.contains_key(&vmid) {
        return Err(ApiError::die(format!("unable to create CT {vmid}: config file already exists")));
    }
    let from = match p.get("snapname") {
        Some(name) => {
            let found = source.snapshots.iter().find(|s| s.name == name);
            &found.ok_or_else(|| format!("snapshot '{name}' does not exist"))?.config
        }
        None => &source.config,
    };
    let target = p.get("target").unwrap_or(node).to_owned();
    if !c.nodes.contains_key(&target) {
        return Err(ApiError::die(format!("no such cluster node '{target}'")));
    }
    let shared = drives::own_volumes(from).iter().all(|(_, v)| c.volume(node, v).is_none_or(|v| v.node.is_none()));
    if target != node && !shared {
        return Err(ApiError::die(format!("can't clone CT to node '{target}' (CT uses local storage)")));
    }
    let mut config = heritable(from);
    let fresh = mix(call.world.seed ^ call.world.now() as u64 ^ (u64::from(vmid) << 32));
    for (key, value) in config.iter_mut().filter(|(k, _)| base(k) == "net") {
        let mut props = Props::parse(value, "name");
        props.set("hwaddr", mac(mix(fresh ^ key.bytes().fold(0, |h, b| mix(h ^ u64::from(b))))));
        *value = props.print("");
    }
    let name = p.get("hostname").map_or_else(|| format!("Copy-of-CT-{}", call.vmid()), str::to_owned);
    config.insert("hostname".into(), name);
    if let Some(text) = p.get("description") {
        config.insert("description".into(), text.to_owned());
    }
    Ok(CopyPlan { node: node.to_owned(), target, vmid, full, storage: p.get("storage").map(str::to_owned), config })
}

async fn work(job: &Arc<Job>, plan: &CopyPlan) -> Work {
    let mut config = plan.config.clone();
    let now = job.world.seconds();
    for (key, _) in drives::own_volumes(&plan.config) {
        let text = plan.config[&key].clone();
        let copied = job
            .world
            .change(|c| drives::copy(c, &plan.node, &text, plan.vmid, plan.full, plan.storage.as_deref(), now))?;
        job.wait(if plan.full { 3.0 } else { 0.4 }).await?;
        config.insert(key, copied);
    }
    job.world.change(|c| {
        c.check_quorum()?;
        if let Some(g) = c.guests.get_mut(&plan.vmid) {
            g.config = config;
            g.node.clone_from(&plan.target);
        }
        Ok(())
    })
}

/// `POST .../template`: at once, without a task.
pub fn template(call: &Call) -> Answer {
    let (node, vmid) = (call.node().to_owned(), call.vmid());
    call.world.change(|c| {
        c.check_quorum()?;
        let guest = c.guest(&node, Kind::Lxc, vmid)?;
        guest.check_lock()?;
        if !guest.snapshots.is_empty() {
            return Err(ApiError::die("unable to create template, because CT contains snapshots"));
        }
        if guest.is_template() {
            return Err(ApiError::die("you can't convert a template to a template"));
        }
        if guest.run.is_some() {
            return Err(ApiError::die("you can't convert a CT to template if the CT is running"));
        }
        let config = guest.config.clone();
        for (key, _) in drives::own_volumes(&config).iter().filter(|(k, _)| base(k) != "unused") {
            let renamed = drives::to_base(c, &node, &config[key]);
            c.guest_mut(&node, Kind::Lxc, vmid)?.config.insert(key.clone(), renamed);
        }
        c.guest_mut(&node, Kind::Lxc, vmid)?.config.insert("template".into(), "1".into());
        Ok(serde_json::Value::Null.into())
    })
}

/// `POST .../migrate`: a running one is stopped here and started there (`restart=1`).
pub fn migrate(call: &Call) -> Answer {
    let (vmid, from, to) = (call.vmid(), call.node().to_owned(), call.params.text("target"));
    let running = call.world.read(|c| {
        c.check_quorum()?;
        if to == from {
            return Err(ApiError::param("target", "target is local node."));
        }
        if !c.nodes.contains_key(&to) {
            return Err(ApiError::die(format!("no such cluster node '{to}'")));
        }
        let guest = c.guest(&from, Kind::Lxc, vmid)?;
        guest.check_lock()?;
        if guest.run.is_some() && !call.params.flag("restart") && !call.params.flag("online") {
            return Err(ApiError::die("can't migrate running container without --online or --restart"));
        }
        Ok(guest.run.is_some())
    })?;
    let who = call.who.clone();
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        "vzmigrate",
        &vmid.to_string(),
        move |job| async move {
            let lock = job.file_lock(vmid, 10.0).await?;
            job.world.change(|c| {
                if c.nodes.get(&to).is_none_or(|n| n.offline) {
                    return Err(format!("migration aborted: can't connect to node '{to}'"));
                }
                let guest = c.guest_mut(&from, Kind::Lxc, vmid)?;
                guest.config.insert("lock".into(), "migrate".into());
                guest.run = None;
                Ok(())
            })?;
            let done = job.wait(4.0).await;
            job.world.change(|c| {
                let volumes = c.guests.get(&vmid).map(|g| drives::own_volumes(&g.config)).unwrap_or_default();
                if let Some(guest) = c.guests.get_mut(&vmid) {
                    guest.config.remove("lock");
                    if done.is_ok() {
                        guest.node.clone_from(&to);
                    }
                }
                if done.is_ok() {
                    volumes.iter().for_each(|(_, v)| drives::carry(c, &from, &to, v));
                }
            });
            drop(lock);
            if running {
                super::spawn_start(&job.world, &who, if done.is_ok() { &to } else { &from }, vmid);
            }
            done
        }
    ))
    .into())
}
