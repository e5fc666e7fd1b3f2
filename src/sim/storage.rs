//! Calls about storages and what lies on them.

use super::access::permissions::{has, has_any, require_any};
use super::dispatch::Call;
use super::error::ApiError;
use super::http::answer::Answer;
use super::load::{mix, unit};
use super::state::{Cluster, Storage, Volume};
use super::tasks;
use serde_json::{Value, json};

/// Who sees a storage.
pub const SEE: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];

/// `GET /nodes/{node}/storage`.
pub fn list(call: &Call) -> Answer {
    let p = &call.params;
    let list: Vec<Value> = call.world.read(|c| {
        let fits = |s: &&Storage| {
            let kinds = p.list("content");
            (kinds.is_empty() || kinds.iter().any(|k| s.content.contains(k)))
                && p.get("storage").is_none_or(|id| id == s.id)
                && has_any(c, &call.who, &format!("/storage/{}", s.id), SEE)
        };
        c.storages.values().filter(fits).map(|s| item(c, s, call.node())).collect()
    });
    Ok(json!(list).into())
}

/// `GET /storage`: the cluster's definitions.
pub fn definitions(call: &Call) -> Answer {
    let list: Vec<Value> = call.world.read(|c| {
        let seen = c.storages.values().filter(|s| has_any(c, &call.who, &format!("/storage/{}", s.id), SEE));
        seen.map(|s| json!({ "storage": s.id, "type": s.plugin, "content": s.content.join(","), "shared": u8::from(s.shared) }))
            .collect()
    });
    Ok(json!(list).into())
}

/// `GET /nodes/{node}/storage/{storage}/status`.
pub fn status(call: &Call) -> Answer {
    call.world.read(|c| Ok(item(c, find(c, call.arg("storage"))?, call.node()).into()))
}

fn item(c: &Cluster, s: &Storage, node: &str) -> Value {
    let used = c.used(s, node).min(s.total);
    json!({
        "storage": s.id, "type": s.plugin, "content": s.content.join(","), "shared": u8::from(s.shared), "active": 1, "enabled": 1,
        "total": s.total, "used": used, "avail": s.total - used, "used_fraction": used as f64 / s.total.max(1) as f64,
    })
}

pub fn find<'a>(c: &'a Cluster, id: &str) -> Result<&'a Storage, String> {
    c.storages.get(id).ok_or_else(|| format!("storage '{id}' does not exist"))
}

/// `GET /nodes/{node}/storage/{storage}/content`.
pub fn content(call: &Call) -> Answer {
    let (p, id) = (&call.params, call.arg("storage"));
    call.world.read(|c| {
        let storage = find(c, id)?;
        let fits = |v: &&Volume| {
            v.storage == storage.id
                && v.node.as_deref().is_none_or(|n| n == call.node())
                && p.get("content").is_none_or(|k| v.content == k)
                && p.id("vmid").is_none_or(|id| v.vmid == Some(id))
                && (v.vmid.is_none() || visible(c, call, v))
        };
        let list: Vec<Value> = c.volumes.values().filter(fits).map(volume).collect();
        Ok(json!(list).into())
    })
}

fn visible(c: &Cluster, call: &Call, v: &Volume) -> bool {
    let owner = v.vmid.is_some_and(|id| has(c, &call.who, &format!("/vms/{id}"), "VM.Audit"));
    owner || has(c, &call.who, &format!("/storage/{}", v.storage), "Datastore.Allocate")
}

fn volume(v: &Volume) -> Value {
    let mut out =
        json!({ "volid": v.volid, "content": v.content, "format": v.format, "size": v.size, "ctime": v.ctime });
    if v.vmid.is_some() {
        out["vmid"] = json!(v.vmid);
        out["used"] = json!(v.used);
        out["parent"] = json!(v.parent);
    }
    out
}

/// `DELETE .../content/{volid}`: task `imgdel`.
pub fn remove(call: &Call) -> Answer {
    let full = full_volid(call);
    let owner = call.world.read(|c| {
        let found = c.volume(call.node(), &full).ok_or_else(|| format!("no such volume '{full}'"))?;
        require_any(c, &call.who, &format!("/storage/{}", found.storage), &["Datastore.Allocate"])?;
        let user = c.guests.values().find(|g| g.config.values().any(|v| v.split(',').next() == Some(full.as_str())));
        Ok::<_, ApiError>(user.map(|g| g.vmid))
    })?;
    if let Some(vmid) = owner {
        return Err(ApiError::die(format!("Cannot remove image, a guest with VMID '{vmid}' exists!")));
    }
    let (node, world) = (call.node().to_owned(), &call.world);
    let id = full.split_once(':').map(|(s, rest)| format!("{rest}@{s}")).unwrap_or_default().replace(['/', ':'], "-");
    Ok(json!(tasks::spawn(world, &call.who, call.node(), "imgdel", &id, move |job| async move {
        job.wait(0.5).await?;
        job.world.change(|c| c.remove_volume(&node, &full));
        Ok(())
    }))
    .into())
}

fn full_volid(call: &Call) -> String {
    let given = call.arg("volid");
    if given.contains(':') { given.to_owned() } else { format!("{}:{given}", call.arg("storage")) }
}

/// How much of a disk is really written: thin storages fill slowly, a part that depends on the name.
pub fn thin(size: u64, volid: &str) -> u64 {
    let key = volid.bytes().fold(7_u64, |h, b| mix(h ^ u64::from(b)));
    (size as f64 * (0.08 + 0.5 * unit(key))) as u64
}

/// Whether `size` more bytes fit.
pub fn check_space(c: &Cluster, storage: &Storage, node: &str, size: u64) -> Result<(), String> {
    let free = storage.total.saturating_sub(c.used(storage, node));
    if thin(size, "") <= free {
        Ok(())
    } else {
        Err(format!("storage '{}' is full: not enough free space", storage.id))
    }
}
