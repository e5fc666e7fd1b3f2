//! `POST .../template`: turns a stopped machine into a template; its disks become base volumes.

use super::drives;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::http::answer::Answer;
use crate::state::{Cluster, Kind};
use crate::tasks;
use serde_json::json;

pub fn convert(call: &Call) -> Answer {
    let vmid = call.vmid();
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, vmid)?;
        guest.check_lock()?;
        let refuse = |text: &str| Err(ApiError::die(text));
        if !guest.snapshots.is_empty() {
            return refuse("unable to create template, because VM contains snapshots");
        }
        if guest.is_template() {
            return refuse("you can't convert a template to a template");
        }
        if guest.run.is_some() {
            return refuse("you can't convert a VM to template if VM is running");
        }
        Ok(())
    })?;
    let node = call.node().to_owned();
    Ok(json!(tasks::spawn(
        &call.world,
        &call.who,
        call.node(),
        "qmtemplate",
        &vmid.to_string(),
        move |job| async move {
            let _lock = job.file_lock(vmid, 10.0).await?;
            job.wait(0.8).await?;
            job.world.change(|c| apply(c, &node, vmid))
        }
    ))
    .into())
}

/// Renames the disks and sets the mark.
pub fn apply(c: &mut Cluster, node: &str, vmid: u32) -> Result<(), String> {
    let config = c.guest(node, Kind::Qemu, vmid)?.config.clone();
    for (key, _) in drives::own_volumes(&config) {
        if !drives::is_cloudinit(&config[&key]) {
            let base = drives::to_base(c, node, &config[&key]);
            c.guest_mut(node, Kind::Qemu, vmid)?.config.insert(key, base);
        }
    }
    c.guest_mut(node, Kind::Qemu, vmid)?.config.insert("template".into(), "1".into());
    Ok(())
}
