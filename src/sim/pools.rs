//! Pools: groups of guests that rights can be given on.

use super::access::permissions::{has, has_any, require};
use super::dispatch::Call;
use super::error::ApiError;
use super::http::answer::Answer;
use super::state::{Cluster, Pool};
use serde_json::{Value, json};

/// `GET /pools` lists, `GET /pools?poolid=x` shows one with its members.
pub fn list(call: &Call) -> Answer {
    if let Some(id) = call.params.get("poolid") {
        return call.world.read(|c| {
            require(c, &call.who, &format!("/pool/{id}"), &["Pool.Audit"])?;
            Ok(json!([one(c, call, id)?]).into())
        });
    }
    let list: Vec<Value> = call.world.read(|c| {
        let seen = c
            .pools
            .iter()
            .filter(|(id, _)| has_any(c, &call.who, &format!("/pool/{id}"), &["Pool.Audit", "Pool.Allocate"]));
        seen.map(|(id, p)| json!({ "poolid": id, "comment": p.comment })).collect()
    });
    Ok(json!(list).into())
}

/// `GET /pools/{poolid}`.
pub fn get(call: &Call) -> Answer {
    call.world.read(|c| Ok(one(c, call, call.arg("poolid"))?.into()))
}

fn one(c: &Cluster, call: &Call, id: &str) -> Result<Value, ApiError> {
    let pool = find(c, id)?;
    let guests = pool.vms.iter().filter_map(|vmid| c.guests.get(vmid));
    let mut members: Vec<Value> = guests
        .filter(|g| has(c, &call.who, &format!("/vms/{}", g.vmid), "VM.Audit"))
        .map(|g| {
            let id = format!("{}/{}", g.kind.name(), g.vmid);
            json!({ "id": id, "type": g.kind.name(), "vmid": g.vmid, "node": g.node, "name": g.name(),
                    "status": super::stats::state_name(g), "template": u8::from(g.is_template()) })
        })
        .collect();
    members
        .extend(pool.storages.iter().map(|s| json!({ "id": format!("storage/{s}"), "type": "storage", "storage": s })));
    Ok(json!({ "poolid": id, "comment": pool.comment, "members": members }))
}

fn find<'a>(c: &'a Cluster, id: &str) -> Result<&'a Pool, ApiError> {
    c.pools.get(id).ok_or_else(|| ApiError::die(format!("pool '{id}' does not exist")))
}

pub fn add(call: &Call) -> Answer {
    let id = call.params.text("poolid");
    call.world.change(|c| {
        require(c, &call.who, &format!("/pool/{id}"), &["Pool.Allocate"])?;
        c.check_quorum()?;
        if c.pools.contains_key(&id) {
            return Err(ApiError::die(format!("create pool failed: pool '{id}' already exists")));
        }
        c.pools.insert(id, Pool { comment: call.params.text("comment"), ..Pool::default() });
        Ok(Value::Null.into())
    })
}

fn id_of(call: &Call) -> String {
    call.params.get("poolid").unwrap_or_else(|| call.arg("poolid")).to_owned()
}

/// `PUT`: adds members, or takes them out with `delete=1`. A guest is in one pool at most.
pub fn change(call: &Call) -> Answer {
    let (id, p) = (id_of(call), &call.params);
    call.world.change(|c| {
        require(c, &call.who, &format!("/pool/{id}"), &["Pool.Allocate"])?;
        find(c, &id)?;
        c.check_quorum()?;
        for vmid in p.list("vms").iter().filter_map(|v| v.parse::<u32>().ok()) {
            let path = format!("/vms/{vmid}");
            if !has_any(c, &call.who, &path, &["Permissions.Modify", "VM.Allocate"]) {
                return Err(ApiError::denied(&path, &["Permissions.Modify"], ","));
            }
            member(c, &id, vmid, p.flag("delete"), p.flag("allow-move"))?;
        }
        if let Some(pool) = c.pools.get_mut(&id) {
            for storage in p.list("storage") {
                pool.storages.retain(|s| *s != storage);
                if !p.flag("delete") {
                    pool.storages.push(storage);
                }
            }
            if let Some(text) = p.get("comment") {
                text.clone_into(&mut pool.comment);
            }
        }
        Ok(Value::Null.into())
    })
}

fn member(c: &mut Cluster, id: &str, vmid: u32, delete: bool, may_move: bool) -> Result<(), ApiError> {
    if !c.guests.contains_key(&vmid) {
        return Err(ApiError::die(format!("VM {vmid} does not exist")));
    }
    let now = c.pool_of(vmid).map(str::to_owned);
    match (delete, now) {
        (true, Some(pool)) if pool == id => {}
        (true, _) => return Err(ApiError::die(format!("VM {vmid} is not a pool member"))),
        (false, Some(pool)) if pool == id => return Err(ApiError::die(format!("VM {vmid} is already a pool member"))),
        (false, Some(pool)) if !may_move => {
            return Err(ApiError::die(format!(
                "VM {vmid} belongs already to pool '{pool}' and 'allow-move' is not set"
            )));
        }
        (false, _) => {}
    }
    c.pools.values_mut().for_each(|p| p.vms.retain(|v| *v != vmid));
    if let (false, Some(pool)) = (delete, c.pools.get_mut(id)) {
        pool.vms.push(vmid);
    }
    Ok(())
}

/// `DELETE`: only an empty one.
pub fn remove(call: &Call) -> Answer {
    let id = id_of(call);
    call.world.change(|c| {
        require(c, &call.who, &format!("/pool/{id}"), &["Pool.Allocate"])?;
        c.check_quorum()?;
        let pool = find(c, &id)?;
        if let Some(vmid) = pool.vms.first() {
            return Err(ApiError::die(format!("pool '{id}' is not empty (contains VM {vmid})")));
        }
        c.pools.remove(&id);
        let path = format!("/pool/{id}");
        c.access.acls.retain(|a| a.path != path);
        Ok(Value::Null.into())
    })
}
