//! `PUT .../resize` and `POST .../move_disk`.

use super::{drives, keys};
use crate::access::permissions::has;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::{print_size, size};
use crate::http::answer::Answer;
use crate::state::{Cluster, Kind, Pending};
use crate::tasks::{self, Work};
use serde_json::json;

/// Grows a disk. Everything but the digest is judged in the task, the right to the space too.
pub fn resize(call: &Call) -> Answer {
    check_digest(call)?;
    let (vmid, node, who) = (call.vmid(), call.node().to_owned(), call.who.clone());
    let (disk, wanted) = (call.params.text("disk"), call.params.text("size"));
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), "resize", &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        let storage = job.world.read(|c| storage_of(c, &node, vmid, &disk))?;
        if !job.world.read(|c| has(c, &who, &format!("/storage/{storage}"), "Datastore.AllocateSpace")) {
            return Err(format!("Permission check failed (/storage/{storage}, Datastore.AllocateSpace)"));
        }
        job.wait(0.6).await?;
        job.world.change(|c| grow(c, &node, vmid, &disk, &wanted))
    }))
    .into())
}

fn check_digest(call: &Call) -> Result<(), ApiError> {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, call.vmid())?;
        if call.params.get("digest").is_some_and(|d| d != guest.digest()) {
            return Err(ApiError::die("checksum mismatch (file change by other user?)"));
        }
        Ok(())
    })
}

fn storage_of(c: &Cluster, node: &str, vmid: u32, disk: &str) -> Work<String> {
    let guest = c.guest(node, Kind::Qemu, vmid)?;
    guest.check_lock()?;
    let text =
        guest.get(disk).filter(|_| keys::is_drive(disk)).ok_or_else(|| format!("disk '{disk}' does not exist"))?;
    if drives::is_cdrom(text) {
        return Err("can't resize a cdrom".into());
    }
    Ok(drives::volid(text).split(':').next().unwrap_or_default().to_owned())
}

fn grow(c: &mut Cluster, node: &str, vmid: u32, disk: &str, wanted: &str) -> Work {
    c.check_quorum()?;
    let text = c.guest(node, Kind::Qemu, vmid)?.get(disk).unwrap_or_default().to_owned();
    let volume = c.volume(node, drives::volid(&text)).cloned().ok_or("volume does not exist")?;
    let bytes = match wanted.strip_prefix('+') {
        Some(more) => volume.size + size(more).unwrap_or(0),
        None => size(wanted).unwrap_or(0),
    };
    if bytes < volume.size {
        return Err("shrinking disks is not supported".into());
    }
    let s = crate::storage::find(c, &volume.storage)?.clone();
    crate::storage::check_space(c, &s, node, bytes - volume.size)?;
    if let Some(v) = c.volume_mut(node, &volume.volid) {
        v.size = bytes;
    }
    let guest = c.guest_mut(node, Kind::Qemu, vmid)?;
    guest.config.insert(disk.to_owned(), drives::with_size(&text, bytes));
    if let Some(Pending::Set(waiting)) = guest.pending.get_mut(disk)
        && drives::volid(waiting) == volume.volid
    {
        *waiting = drives::with_size(waiting, bytes);
    }
    Ok(())
}

/// Copies a disk to another storage; the old one becomes `unusedN`, or goes with `delete=1`.
pub fn move_disk(call: &Call) -> Answer {
    check_digest(call)?;
    let (p, vmid, node) = (&call.params, call.vmid(), call.node().to_owned());
    let (disk, target, delete) = (p.text("disk"), p.text("storage"), p.flag("delete"));
    call.world.read(|c| {
        crate::access::permissions::require(c, &call.who, &format!("/storage/{target}"), &["Datastore.AllocateSpace"])?;
        crate::storage::find(c, &target)?;
        let from = storage_of(c, &node, vmid, &disk)?;
        if from == target && p.get("format").is_none() {
            return Err(ApiError::die("you can't move to the same storage with same format"));
        }
        if c.guest(&node, Kind::Qemu, vmid)?.snapshots.iter().any(|s| s.config.contains_key(&disk)) && delete {
            return Err(ApiError::die("you can't move a disk with snapshots and delete the source"));
        }
        Ok(())
    })?;
    Ok(json!(tasks::spawn(&call.world, &call.who, call.node(), "qmmove", &vmid.to_string(), move |job| async move {
        let _lock = job.file_lock(vmid, 10.0).await?;
        let now = job.world.seconds();
        let old = job
            .world
            .read(|c| c.guest(&node, Kind::Qemu, vmid).map(|g| g.get(&disk).unwrap_or_default().to_owned()))?;
        let new = job.world.change(|c| drives::copy(c, &node, &old, vmid, true, Some(&target), now))?;
        let bytes = drives::size_of(&old);
        job.log(format!("create full clone of drive {disk} ({})", drives::volid(&old)));
        let copied = job.wait(1.0 + (0.3 * bytes as f64 / f64::from(1 << 30)).min(40.0)).await;
        if copied.is_err() {
            job.world.change(|c| c.remove_volume(&node, drives::volid(&new)));
        }
        copied?;
        job.log(format!("drive mirror done, {} copied", print_size(bytes)));
        job.world.change(|c| settle(c, &node, vmid, &disk, &new, delete))
    }))
    .into())
}

fn settle(c: &mut Cluster, node: &str, vmid: u32, disk: &str, new: &str, delete: bool) -> Work {
    let guest = c.guest_mut(node, Kind::Qemu, vmid)?;
    guest.pending.insert(disk.to_owned(), Pending::Set(new.to_owned()));
    let before: Vec<String> = guest.config.keys().cloned().collect();
    super::config::commit(c, vmid, disk);
    let guest = c.guest_mut(node, Kind::Qemu, vmid)?;
    let unused: Vec<String> =
        guest.config.keys().filter(|k| keys::base(k) == "unused" && !before.contains(k)).cloned().collect();
    for key in unused.into_iter().filter(|_| delete) {
        let volid = c.guest_mut(node, Kind::Qemu, vmid)?.config.remove(&key).unwrap_or_default();
        c.remove_volume(node, &volid);
    }
    Ok(())
}
