//! Changing a container: configuration with what waits for a restart, growing and moving its disks.

use crate::access::permissions::{require, require_any};
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::{self, Props, mac, print_size, size};
use crate::http::answer::Answer;
use crate::load::mix;
use crate::qemu::config::sorted_tags;
use crate::qemu::drives::{self, Make, Source};
use crate::qemu::keys::base;
use crate::schema::Param;
use crate::schema::Type::{Bool, Format, Int, List, Num, OneOf, Text};
use crate::schema::{opt, row};
use crate::state::{Cluster, Kind, Pending};
use crate::tasks::{self, Work};
use serde_json::{Value, json};

/// Parameters of the config call.
pub const CONFIG: &[Param] = &[
    opt("arch", OneOf(&["amd64", "arm64"])),
    opt("cores", Int(1, 8192)),
    opt("cpulimit", Num(0.0, 8192.0)),
    opt("cpuunits", Int(0, 500_000)),
    opt("description", Text(0, 8192)),
    opt("features", Text(0, 200)),
    opt("hostname", Format(formats::dns_name)),
    opt("memory", Int(16, i64::MAX)),
    opt("nameserver", Text(0, 512)),
    opt("onboot", Bool),
    opt("ostype", Text(0, 30)),
    opt("protection", Bool),
    opt("rootfs", Text(1, 512)),
    opt("searchdomain", Text(0, 512)),
    opt("startup", Text(0, 128)),
    opt("swap", Int(0, i64::MAX)),
    opt("tags", List(formats::tag)),
    opt("timezone", Text(0, 64)),
    opt("unprivileged", Bool),
    row("mp", 256, Text(1, 512)),
    row("net", 32, Text(1, 512)),
    row("unused", 256, Text(1, 512)),
];

/// Taken while it runs.
const AT_ONCE: &[&str] = &[
    "description",
    "onboot",
    "startup",
    "protection",
    "hostname",
    "cores",
    "cpulimit",
    "cpuunits",
    "memory",
    "swap",
    "tags",
    "net",
    "unused",
];

const NOT_KEYS: &[&str] = &["delete", "revert", "digest", "skiplock", "force"];

fn privileges(key: &str) -> &'static [&'static str] {
    match base(key) {
        "cores" | "cpulimit" | "cpuunits" => &["VM.Config.CPU"],
        "memory" | "swap" => &["VM.Config.Memory"],
        "net" | "nameserver" | "searchdomain" | "hostname" => &["VM.Config.Network"],
        "rootfs" | "mp" | "unused" => &["VM.Config.Disk"],
        _ => &["VM.Config.Options"],
    }
}

/// `GET .../pending`.
pub fn pending(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Lxc, call.vmid())?;
        let all: std::collections::BTreeSet<&String> = guest.config.keys().chain(guest.pending.keys()).collect();
        let one = |key: &String| {
            let mut item = json!({ "key": key });
            if let Some(v) = guest.config.get(key) {
                item["value"] = super::shown(key, v);
            }
            match guest.pending.get(key) {
                Some(Pending::Set(v)) => item["pending"] = super::shown(key, v),
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

/// `PUT .../config`.
pub async fn put(call: Call) -> Answer {
    let (world, vmid, node, p) = (&call.world, call.vmid(), call.node(), &call.params);
    world.read(|c| c.guest(node, Kind::Lxc, vmid).map(|_| ()))?;
    let _lock = world.file_lock(vmid, 10.0).await?;
    let (fresh, now) = (mix(world.seed ^ world.now() as u64 ^ (u64::from(vmid) << 32)), world.seconds());
    world.change(|c| {
        let changes = judge(c, &call)?;
        c.check_quorum()?;
        for (key, change) in changes {
            let change = match change {
                Pending::Set(v) => Pending::Set(finish(c, node, vmid, &key, &v, fresh, now)?),
                delete @ Pending::Delete { .. } => delete,
            };
            c.guest_mut(node, Kind::Lxc, vmid)?.pending.insert(key, change);
        }
        let guest = c.guest_mut(node, Kind::Lxc, vmid)?;
        p.list("revert").iter().for_each(|key| _ = guest.pending.remove(key));
        let config = guest.config.clone();
        guest.pending.retain(|k, change| match change {
            Pending::Set(v) => config.get(k) != Some(v),
            Pending::Delete { .. } => config.contains_key(k),
        });
        let running = guest.run.is_some();
        let new_mount = |k: &str| base(k) == "mp" && !config.contains_key(k);
        let keys: Vec<String> = guest.pending.keys().cloned().collect();
        for key in keys.iter().filter(|k| !running || AT_ONCE.contains(&base(k)) || new_mount(k)) {
            commit(c, vmid, key);
        }
        Ok::<_, ApiError>(())
    })?;
    Ok(Value::Null.into())
}

fn judge(c: &Cluster, call: &Call) -> Result<Vec<(String, Pending)>, ApiError> {
    let (p, who, vmid) = (&call.params, &call.who, call.vmid());
    let guest = c.guest(call.node(), Kind::Lxc, vmid)?;
    let mut out: Vec<(String, Pending)> = Vec::new();
    for (key, value) in p.iter().filter(|(k, _)| !NOT_KEYS.contains(k)) {
        if matches!(key, "arch" | "unprivileged" | "ostype") {
            return Err(ApiError::die(format!("unable to modify read-only option: '{key}'")));
        }
        out.push((key.to_owned(), Pending::Set(value.to_owned())));
    }
    for key in p.list("delete") {
        if !CONFIG.iter().any(|known| known.is(&key)) {
            return Err(ApiError::param("delete", format!("unknown option '{key}'")));
        }
        if matches!(key.as_str(), "rootfs" | "memory" | "hostname") && key == "rootfs" {
            return Err(ApiError::die("unable to delete required option 'rootfs'"));
        }
        let volume = ["mp", "unused"].iter().any(|start| key.starts_with(start));
        if volume && guest.get("protection") == Some("1") {
            return Err(ApiError::die(format!("can't remove CT {vmid} drive '{key}' - protection mode enabled")));
        }
        out.push((key, Pending::Delete { force: false }));
    }
    if out.is_empty() && p.list("revert").is_empty() {
        return Err(ApiError::die("no options specified"));
    }
    let path = format!("/vms/{vmid}");
    for (key, change) in &out {
        require_any(c, who, &path, privileges(key))?;
        if let (Pending::Set(value), true) = (change, matches!(base(key), "mp" | "rootfs"))
            && let Source::New { storage, .. } = drives::source(value)
        {
            require(c, who, &format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        }
        if let (Pending::Set(value), "net") = (change, base(key))
            && let Some(bridge) = Props::parse(value, "name").get("bridge")
        {
            require(c, who, &format!("/sdn/zones/localnetwork/{bridge}"), &["SDN.Use"])?;
        }
    }
    guest.check_lock()?;
    if p.get("digest").is_some_and(|d| d != guest.digest()) {
        return Err(ApiError::die("checksum mismatch (file change by other user?)"));
    }
    Ok(out)
}

/// The value as it is in the file: volumes created, MAC addresses given, tags sorted.
fn finish(
    c: &mut Cluster,
    node: &str,
    vmid: u32,
    key: &str,
    value: &str,
    fresh: u64,
    now: i64,
) -> Result<String, String> {
    match base(key) {
        "tags" => Ok(sorted_tags(value)),
        "net" => {
            let mut p = Props::parse(value, "name");
            if p.get("hwaddr").is_none() {
                p.set("hwaddr", mac(mix(fresh ^ key.bytes().fold(0, |h, b| mix(h ^ u64::from(b))))));
            }
            Ok(p.print(""))
        }
        "mp" => {
            let mut p = Props::parse(value, "file");
            if p.get("mp").is_none() {
                return Err(format!("invalid format - format error {key}.mp: property is missing"));
            }
            let bytes = match drives::source(value) {
                Source::New { storage, bytes } => {
                    let make = Make { node, vmid, storage: &storage, bytes, format: None, content: "rootdir", now };
                    p.set("file", drives::allocate(c, make)?);
                    bytes
                }
                Source::Volume(volid) => {
                    c.volume(node, &volid).map(|v| v.size).ok_or_else(|| format!("volume '{volid}' does not exist"))?
                }
                _ => return Err("a mount point needs a volume".into()),
            };
            p.set("size", print_size(bytes));
            Ok(p.print("file"))
        }
        _ => Ok(value.to_owned()),
    }
}

/// Moves one pending change into the file; a mount point that goes leaves its volume as an unused one.
fn commit(c: &mut Cluster, vmid: u32, key: &str) {
    let Some(guest) = c.guests.get_mut(&vmid) else { return };
    let Some(change) = guest.pending.remove(key) else { return };
    let node = guest.node.clone();
    let old = guest.config.remove(key);
    if let Pending::Set(v) = change {
        guest.config.insert(key.to_owned(), v.clone());
        guest.config.retain(|k, unused| base(k) != "unused" || drives::volid(unused) != drives::volid(&v));
        return;
    }
    let Some(old) = old.filter(|o| matches!(base(key), "mp" | "unused") && drives::volid(o).contains(':')) else {
        return;
    };
    if base(key) == "unused" {
        c.remove_volume(&node, drives::volid(&old));
    } else {
        let free = (0..256).map(|n| format!("unused{n}")).find(|k| !guest.config.contains_key(k));
        guest.config.insert(free.unwrap_or_default(), drives::volid(&old).to_owned());
    }
}

/// All that waits becomes true: a new start.
pub fn commit_all(c: &mut Cluster, vmid: u32) {
    let keys: Vec<String> = c.guests.get(&vmid).map(|g| g.pending.keys().cloned().collect()).unwrap_or_default();
    keys.iter().for_each(|k| commit(c, vmid, k));
}

/// The text of a disk of this container.
fn disk_of(c: &Cluster, node: &str, vmid: u32, disk: &str) -> Work<String> {
    let guest = c.guest(node, Kind::Lxc, vmid)?;
    guest.check_lock()?;
    let text = guest.get(disk).filter(|_| matches!(base(disk), "rootfs" | "mp" | "unused"));
    text.map(str::to_owned).ok_or_else(|| format!("volume '{disk}' does not exist"))
}

fn check_digest(call: &Call) -> Result<(), ApiError> {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Lxc, call.vmid())?;
        if call.params.get("digest").is_some_and(|d| d != guest.digest()) {
            return Err(ApiError::die("checksum mismatch (file change by other user?)"));
        }
        Ok(())
    })
}

/// `PUT .../resize`.
pub fn resize(call: &Call) -> Answer {
    check_digest(call)?;
    let (vmid, node) = (call.vmid(), call.node().to_owned());
    let (disk, wanted) = (call.params.text("disk"), call.params.text("size"));
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), "resize", &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        job.world.read(|c| disk_of(c, &node, vmid, &disk).map(|_| ()))?;
        job.wait(0.6).await?;
        job.world.change(|c| {
            c.check_quorum()?;
            let text = disk_of(c, &node, vmid, &disk)?;
            let volid = drives::volid(&text).to_owned();
            let volume = c.volume(&node, &volid).cloned().ok_or("volume does not exist")?;
            let bytes = match wanted.strip_prefix('+') {
                Some(more) => volume.size + size(more).unwrap_or(0),
                None => size(&wanted).unwrap_or(0),
            };
            if bytes < volume.size {
                return Err("unable to shrink disk size".to_owned());
            }
            let s = crate::storage::find(c, &volume.storage)?.clone();
            crate::storage::check_space(c, &s, &node, bytes - volume.size)?;
            if let Some(v) = c.volume_mut(&node, &volid) {
                v.size = bytes;
            }
            let guest = c.guest_mut(&node, Kind::Lxc, vmid)?;
            guest.config.insert(disk.clone(), drives::with_size(&text, bytes));
            Ok(())
        })
    }))
    .into())
}

/// `POST .../move_volume`: only of a container that is off.
pub fn move_volume(call: &Call) -> Answer {
    check_digest(call)?;
    let (p, vmid, node) = (&call.params, call.vmid(), call.node().to_owned());
    let (disk, target, delete) = (p.text("volume"), p.text("storage"), p.flag("delete"));
    call.world.read(|c| {
        require(c, &call.who, &format!("/storage/{target}"), &["Datastore.AllocateSpace"])?;
        crate::storage::find(c, &target)?;
        disk_of(c, &node, vmid, &disk)?;
        Ok::<_, ApiError>(())
    })?;
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        "move_volume",
        &vmid.to_string(),
        move |job| async move {
            let _lock = job.file_lock(vmid, 10.0).await?;
            let (old, running) = job.world.read(|c| {
                let text = disk_of(c, &node, vmid, &disk)?;
                Ok::<_, String>((text, c.guest(&node, Kind::Lxc, vmid)?.run.is_some()))
            })?;
            if running {
                return Err("cannot move volumes of a running container".into());
            }
            let now = job.world.seconds();
            let new = job.world.change(|c| drives::copy(c, &node, &old, vmid, true, Some(&target), now))?;
            let copied = job.wait(1.5).await;
            if copied.is_err() {
                job.world.change(|c| c.remove_volume(&node, drives::volid(&new)));
            }
            copied?;
            job.world.change(|c| {
                let guest = c.guest_mut(&node, Kind::Lxc, vmid)?;
                guest.config.insert(disk.clone(), new);
                if delete {
                    c.remove_volume(&node, drives::volid(&old));
                } else {
                    let free = (0..256).map(|n| format!("unused{n}")).find(|k| !guest.config.contains_key(k));
                    guest.config.insert(free.unwrap_or_default(), drives::volid(&old).to_owned());
                }
                Ok(())
            })
        }
    ))
    .into())
}
