//! Reading and writing a VM's configuration.

use super::drives::{self, Source};
use super::hotplug;
use super::keys;
use crate::access::permissions::{require, require_any};
use crate::access::who::Who;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::{Props, mac};
use crate::http::answer::Answer;
use crate::load::mix;
use crate::schema::Params;
use crate::state::{Cluster, Config, Guest, Kind, Pending};
use crate::tasks;
use crate::world::World;
use base::random;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `GET .../config`: with pending changes applied; `current=1` as it runs; `snapshot=` as it was.
pub fn get(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, call.vmid())?;
        let config = match call.params.get("snapshot") {
            Some(name) => {
                let found = guest.snapshots.iter().find(|s| s.name == name);
                found.ok_or_else(|| format!("snapshot '{name}' does not exist"))?.config.clone()
            }
            None if call.params.flag("current") => guest.config.clone(),
            None => guest.wanted(),
        };
        let mut out: serde_json::Map<String, Value> = config.iter().map(|(k, v)| (k.clone(), shown(k, v))).collect();
        out.insert("digest".into(), json!(guest.digest()));
        Ok(Value::Object(out).into())
    })
}

/// Numbers for some keys, text for the rest; the password never.
pub fn shown(key: &str, value: &str) -> Value {
    match value.parse::<i64>() {
        _ if key == "cipassword" => json!("**********"),
        // It is stored as comment lines, which end with a newline when read back.
        _ if key == "description" => json!(format!("{}\n", value.trim_end_matches('\n'))),
        Ok(n) if keys::is_number(key) => json!(n),
        _ => json!(value),
    }
}

/// `GET .../pending`: `[{key, value?, pending?, delete?}]`.
pub fn pending(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, call.vmid())?;
        let all: std::collections::BTreeSet<&String> = guest.config.keys().chain(guest.pending.keys()).collect();
        let one = |key: &String| {
            let mut item = json!({ "key": key });
            if let Some(v) = guest.config.get(key) {
                item["value"] = shown(key, v);
            }
            match guest.pending.get(key) {
                Some(Pending::Set(v)) => item["pending"] = shown(key, v),
                Some(Pending::Delete { force }) => item["delete"] = json!(1 + u8::from(*force)),
                None => {}
            }
            item
        };
        let mut list: Vec<Value> = all.into_iter().map(one).collect();
        list.push(json!({ "key": "digest", "value": guest.digest() }));
        Ok(json!(list).into())
    })
}

/// `PUT .../config`: done when it answers.
pub async fn put(call: Call) -> Answer {
    write(&call.world, &call.who, call.node(), call.vmid(), &call.params).await?;
    Ok(Value::Null.into())
}

/// `POST .../config`: a task; with `background_delay` null when it is over by then.
pub async fn post(call: Call) -> Answer {
    // Errors in the call itself are reported at once; the task does the rest.
    call.world.read(|c| judge(c, &call.who, call.node(), call.vmid(), &call.params).map(|_| ()))?;
    let (world, vmid) = (Arc::clone(&call.world), call.vmid());
    let (result, done) = tokio::sync::oneshot::channel();
    let (who, node, params) = (call.who.clone(), call.node().to_owned(), call.params.clone());
    let upid = tasks::spawn(&world, &call.who, call.node(), "qmconfig", &vmid.to_string(), move |job| async move {
        let out = write(&job.world, &who, &node, vmid, &params).await.map_err(|e| one_line(&e));
        let _ = result.send(out.clone());
        out
    });
    let Some(delay) = call.params.int("background_delay") else { return Ok(json!(upid).into()) };
    match tokio::time::timeout(world.scaled(delay as f64), done).await {
        Ok(Ok(Ok(()))) => Ok(Value::Null.into()),
        Ok(Ok(Err(text))) => Err(ApiError::die(format!("failed to update VM {vmid}: {text}"))),
        _ => Ok(json!(upid).into()),
    }
}

/// `PUT .../unlink`: takes disks off; with `force` they are destroyed.
pub async fn unlink(call: Call) -> Answer {
    let mut changed = Params::default();
    changed.set("delete", &call.params.text("idlist"));
    changed.set("force", if call.params.flag("force") { "1" } else { "0" });
    write(&call.world, &call.who, call.node(), call.vmid(), &changed).await?;
    Ok(Value::Null.into())
}

fn one_line(e: &ApiError) -> String {
    let parts: Vec<String> = e.errors.iter().map(|(k, v)| format!("{k}: {v}")).collect();
    if parts.is_empty() { e.message.clone() } else { format!("400 {} {}", e.message, parts.join(" ")) }
}

/// The whole of a change: lock, judge, make pending, then apply what can be applied now.
pub async fn write(world: &Arc<World>, who: &Who, node: &str, vmid: u32, p: &Params) -> Result<(), ApiError> {
    world.read(|c| c.guest(node, Kind::Qemu, vmid).map(|_| ()))?;
    let _lock = world.file_lock(vmid, 10.0).await?;
    let now = world.seconds();
    let live = world.change(|c| {
        let changes = judge(c, who, node, vmid, p)?;
        c.check_quorum()?;
        let fresh = mix(world.seed ^ world.now() as u64 ^ (u64::from(vmid) << 32));
        for (key, change) in changes {
            let change = match change {
                Pending::Set(v) => Pending::Set(finish_value(c, node, vmid, &key, &v, fresh, now)?),
                delete => delete,
            };
            let guest = c.guest_mut(node, Kind::Qemu, vmid)?;
            guest.pending.insert(key, change);
        }
        let guest = c.guest_mut(node, Kind::Qemu, vmid)?;
        for key in p.list("revert") {
            guest.pending.remove(&key);
        }
        // What equals the running value is not pending.
        let config = guest.config.clone();
        guest.pending.retain(|k, change| match change {
            Pending::Set(v) => config.get(k) != Some(v),
            Pending::Delete { .. } => config.contains_key(k),
        });
        let live = guest.run.is_some();
        if !live {
            let keys: Vec<String> = guest.pending.keys().cloned().collect();
            keys.iter().for_each(|k| commit(c, vmid, k));
        }
        Ok::<_, ApiError>(live)
    })?;
    if live {
        let named: Vec<String> = p.iter().map(|(k, _)| k.to_owned()).chain(p.list("delete")).collect();
        let errors = hotplug::apply(world, vmid, &named).await;
        if !errors.is_empty() {
            return Err(ApiError::params(errors));
        }
    }
    Ok(())
}

/// Parameters of the config calls that are not keys.
const NOT_KEYS: &[&str] = &["delete", "revert", "digest", "force", "skiplock", "background_delay"];

/// What the call wants changed, or why it must not be.
fn judge(c: &Cluster, who: &Who, node: &str, vmid: u32, p: &Params) -> Result<Vec<(String, Pending)>, ApiError> {
    if p.flag("skiplock") && !who.is_root() {
        return Err(ApiError::param("skiplock", "Only root may use this option."));
    }
    let guest = c.guest(node, Kind::Qemu, vmid)?;
    let mut out: Vec<(String, Pending)> = Vec::new();
    for (key, value) in p.iter().filter(|(k, _)| !NOT_KEYS.contains(k)) {
        out.push((key.to_owned(), Pending::Set(value.to_owned())));
    }
    if let Some(ssh_keys) = p.get("sshkeys") {
        super::create::check_ssh_keys(ssh_keys)?;
    }
    for key in p.list("delete") {
        if !keys::exists(&key) {
            return Err(ApiError::param("delete", format!("unknown option '{key}'")));
        }
        if p.get(&key).is_some() {
            return Err(ApiError::param(
                "delete",
                format!("you can't use '-{key}' and '-delete {key}' at the same time"),
            ));
        }
        if (keys::is_drive(&key) || key.starts_with("unused")) && guest.get("protection") == Some("1") {
            return Err(ApiError::die(format!("can't remove drive '{key}' - protection mode enabled")));
        }
        out.push((key, Pending::Delete { force: p.flag("force") }));
    }
    if let Some(key) = p.list("revert").iter().find(|k| !keys::exists(k)) {
        return Err(ApiError::param("revert", format!("unknown option '{key}'")));
    }
    if out.is_empty() && p.list("revert").is_empty() {
        return Err(ApiError::die("no options specified"));
    }
    may_change(c, who, &format!("/vms/{vmid}"), guest, &out)?;
    if !p.flag("skiplock") {
        guest.check_lock()?;
    }
    if p.get("digest").is_some_and(|d| d != guest.digest()) {
        return Err(ApiError::die("checksum mismatch (file change by other user?)"));
    }
    Ok(out)
}

/// Every key asks for its own privilege; new disks ask for space, images for a look.
fn may_change(
    c: &Cluster,
    who: &Who,
    path: &str,
    guest: &Guest,
    changes: &[(String, Pending)],
) -> Result<(), ApiError> {
    for (key, change) in changes {
        let value = match change {
            Pending::Set(v) => v.as_str(),
            Pending::Delete { .. } => guest.get(key).unwrap_or_default(),
        };
        may_set(c, who, path, key, value)?;
    }
    Ok(())
}

/// Whether one key may be set (or deleted) by this caller.
pub fn may_set(c: &Cluster, who: &Who, path: &str, key: &str, value: &str) -> Result<(), ApiError> {
    if keys::only_root(key) && !who.is_root() {
        return Err(ApiError::die(format!("only root can set '{}' config", key)));
    }
    if keys::is_hostpci(key) && !who.is_root() {
        if keys::is_raw_device(value) {
            return Err(ApiError::die(format!("only root can set '{key}' config for non-mapped devices")));
        }
        let mapping = keys::mapping(value).ok_or_else(|| ApiError::die("either 'host' or 'mapping' must be set."))?;
        require(c, who, &format!("/mapping/pci/{mapping}"), &["Mapping.Use"])?;
    }
    require_any(c, who, path, keys::privileges(key, value))?;
    if key == "startup" {
        require(c, who, "/", &["Sys.Modify"])?;
    }
    if keys::is_net(key)
        && let Some(bridge) = Props::parse(value, "model").get("bridge")
    {
        require(c, who, &format!("/sdn/zones/localnetwork/{bridge}"), &["SDN.Use"])?;
    }
    if !keys::is_drive(key) {
        return Ok(());
    }
    match drives::source(value) {
        Source::New { storage, .. } | Source::Cloudinit { storage } => {
            if !crate::storage::find(c, &storage)?.content.iter().any(|k| k == "images") {
                return Err(ApiError::param("storage", format!("storage '{storage}' does not support vm images")));
            }
            require(c, who, &format!("/storage/{storage}"), &["Datastore.AllocateSpace"])
        }
        Source::Volume(volid) if volid.starts_with('/') && !who.is_root() => Err(ApiError::die(format!(
            "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 628. ({volid})"
        ))),
        Source::Volume(volid) => {
            let storage = volid.split(':').next().unwrap_or_default();
            crate::storage::find(c, storage)?;
            require_any(c, who, &format!("/storage/{storage}"), crate::storage::SEE)
        }
        Source::Empty => Ok(()),
    }
}

/// The value as it will be in the file: volumes created, MAC addresses given, tags sorted, passwords hashed.
pub fn finish_value(
    c: &mut Cluster,
    node: &str,
    vmid: u32,
    key: &str,
    value: &str,
    fresh: u64,
    now: i64,
) -> Result<String, String> {
    if keys::is_drive(key) {
        let current = c.guests.get(&vmid).and_then(|g| g.get(key)).map(|v| drives::volid(v).to_owned());
        if current.as_deref() == Some(drives::volid(value)) && drives::size_of(value) == 0 {
            let size = c.volume(node, drives::volid(value)).map_or(0, |v| v.size);
            return Ok(drives::with_size(value, size));
        }
        return drives::realize(c, node, vmid, value, now);
    }
    if keys::is_net(key) {
        return Ok(with_mac(value, mix(fresh ^ key.bytes().fold(0, |h, b| mix(h ^ u64::from(b))))));
    }
    if key == "sshkeys" {
        super::create::check_ssh_keys(value)?;
    }
    Ok(match key {
        "tags" => sorted_tags(value),
        // Windows can do nothing with a hash.
        "cipassword" if !c.guests.get(&vmid).is_some_and(super::agent::is_windows) => hashed(value),
        "memory" => Props::parse(value, "current").get("current").unwrap_or(value).to_owned(),
        _ => value.to_owned(),
    })
}

/// `virtio,bridge=vmbr0` becomes `virtio=BC:24:11:..,bridge=vmbr0`; a value that has a MAC stays.
pub fn with_mac(value: &str, n: u64) -> String {
    let mut p = Props::parse(value, "model");
    if let Some(i) = p.0.iter().position(|(k, _)| k == "model") {
        let model = p.0[i].1.clone();
        let address = p.get("macaddr").map_or_else(|| mac(n), str::to_ascii_uppercase);
        p.0[i] = (model, address);
        p.remove("macaddr");
    }
    p.print("")
}

pub fn sorted_tags(value: &str) -> String {
    let mut tags: Vec<String> = crate::schema::items(value).iter().map(|t| t.to_lowercase()).collect();
    tags.sort();
    tags.dedup();
    tags.join(";")
}

/// Something that looks like a SHA-256 crypt hash; what is already one stays.
pub fn hashed(value: &str) -> String {
    if value.starts_with('$') {
        value.to_owned()
    } else {
        format!("$5${}${}", random::token::<6>(), random::token::<32>())
    }
}

/// Moves one pending change into the file.
pub fn commit(c: &mut Cluster, vmid: u32, key: &str) {
    let Some(guest) = c.guests.get_mut(&vmid) else { return };
    let Some(change) = guest.pending.remove(key) else { return };
    let node = guest.node.clone();
    let old = guest.config.remove(key);
    let (new, force) = match change {
        Pending::Set(v) => (Some(v), false),
        Pending::Delete { force } => (None, force),
    };
    let keeps = new.as_deref().map(drives::volid) == old.as_deref().map(drives::volid);
    if let Some(v) = new {
        guest.config.insert(key.to_owned(), v.clone());
        // A disk that is attached again is no longer unused.
        guest.config.retain(|k, unused| keys::base(k) != "unused" || drives::volid(unused) != drives::volid(&v));
    }
    if keeps || !(keys::is_drive(key) || keys::base(key) == "unused") {
        return;
    }
    let Some(old) = old.filter(|o| drives::volid(o).contains(':') && (!drives::is_cdrom(o) || drives::is_cloudinit(o)))
    else {
        return;
    };
    if force || keys::base(key) == "unused" || drives::is_cloudinit(&old) {
        c.remove_volume(&node, drives::volid(&old));
    } else {
        let free = (0..256).map(|n| format!("unused{n}")).find(|k| !guest.config.contains_key(k));
        guest.config.insert(free.unwrap_or_default(), drives::volid(&old).to_owned());
    }
}

/// All that waits becomes true: a new QEMU process.
pub fn commit_all(c: &mut Cluster, vmid: u32) {
    let keys: Vec<String> = c.guests.get(&vmid).map(|g| g.pending.keys().cloned().collect()).unwrap_or_default();
    keys.iter().for_each(|k| commit(c, vmid, k));
}

/// Errors by key, as the hotplug code gives them.
pub type Errors = BTreeMap<String, String>;

/// A configuration without what belongs only to this guest's past, for clones.
pub fn heritable(config: &Config) -> Config {
    let drop =
        |k: &str| matches!(k, "lock" | "template" | "parent" | "digest" | "vmstate") || keys::base(k) == "unused";
    config.iter().filter(|(k, _)| !drop(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}
