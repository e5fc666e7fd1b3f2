//! `DELETE /nodes/{node}/qemu/{vmid}`.

use super::drives;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::http::answer::Answer;
use crate::state::{Cluster, Kind};
use crate::tasks;
use serde_json::json;

pub fn remove(call: &Call) -> Answer {
    if call.params.flag("skiplock") && !call.who.is_root() {
        return Err(ApiError::param("skiplock", "Only root may use this option."));
    }
    let vmid = call.vmid();
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, vmid)?;
        if guest.get("protection") == Some("1") {
            return Err(ApiError::die(format!("can't remove VM {vmid} - protection mode enabled")));
        }
        if guest.run.is_some() {
            return Err(ApiError::die(format!("VM {vmid} is running - destroy failed")));
        }
        Ok(())
    })?;
    let (node, stray) = (call.node().to_owned(), call.params.flag("destroy-unreferenced-disks"));
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        "qmdestroy",
        &vmid.to_string(),
        move |job| async move {
            let _lock = job.file_lock(vmid, 10.0).await?;
            job.world.read(|c| check(c, &node, vmid))?;
            job.wait(1.2).await?;
            let gone = job.world.change(|c| destroy(c, &node, vmid, stray));
            for volid in gone {
                job.log(format!("Logical volume \"{volid}\" successfully removed."));
            }
            Ok(())
        }
    ))
    .into())
}

/// Again inside the task: locks, quorum, running in the meantime, clones that depend on a template.
fn check(c: &Cluster, node: &str, vmid: u32) -> Result<(), String> {
    c.check_quorum()?;
    let guest = c.guest(node, Kind::Qemu, vmid)?;
    // What was suspended to disk may go.
    if guest.lock() != Some("suspended") {
        guest.check_lock()?;
    }
    if guest.run.is_some() {
        return Err(format!("VM {vmid} is running - destroy failed"));
    }
    let linked = drives::own_volumes(&guest.config).into_iter().find(|(_, v)| drives::has_children(c, node, v));
    match linked {
        Some((_, volid)) => Err(format!("base volume '{volid}' is still in use by linked cloned")),
        None => Ok(()),
    }
}

/// Volumes, snapshots, file, pool membership and ACLs go.
pub fn destroy(c: &mut Cluster, node: &str, vmid: u32, stray: bool) -> Vec<String> {
    let Some(guest) = c.guests.remove(&vmid) else { return Vec::new() };
    let mut volumes: Vec<String> = drives::own_volumes(&guest.config).into_iter().map(|(_, v)| v).collect();
    volumes.extend(guest.snapshots.iter().flat_map(|s| drives::own_volumes(&s.config)).map(|(_, v)| v));
    if stray {
        let lost = c.volumes.values().filter(|v| v.vmid == Some(vmid) && v.content == "images");
        volumes.extend(lost.map(|v| v.volid.clone()));
    }
    volumes.sort();
    volumes.dedup();
    volumes.retain(|v| c.remove_volume(node, v).is_some());
    c.pools.values_mut().for_each(|p| p.vms.retain(|v| *v != vmid));
    let path = format!("/vms/{vmid}");
    c.access.acls.retain(|a| a.path != path);
    volumes
}
