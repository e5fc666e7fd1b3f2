//! `POST /nodes/{node}/qemu`: a new VM. The id is taken (locked `create`) before the call returns.

use super::{config, drives, keys, power};
use crate::access::permissions::{has, require};
use crate::access::who::Who;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::http::answer::Answer;
use crate::load::mix;
use crate::schema::Params;
use crate::state::{Cluster, Config, Guest, Kind};
use crate::tasks::{self, Job, Work};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;
use std::sync::Arc;

/// Parameters of create that are not keys of the configuration.
const NOT_KEYS: &[&str] = &["vmid", "pool", "start", "storage", "unique", "force", "ha-managed", "bwlimit"];

pub fn create(call: &Call) -> Answer {
    let (world, p) = (&call.world, &call.params);
    let vmid = p.id("vmid").unwrap_or(0);
    let wanted = wanted(p);
    world.change(|c| {
        may_create(c, &call.who, vmid, p, &wanted)?;
        c.check_quorum()?;
        if let Some(there) = c.guests.get(&vmid) {
            let text = format!("unable to create VM {vmid} - VM {vmid} already exists on node '{}'", there.node);
            return Err(ApiError::die(text));
        }
        if let Some(keys_text) = wanted.get("sshkeys") {
            check_ssh_keys(keys_text)?;
        }
        let mut guest = Guest::new(vmid, Kind::Qemu, call.node(), Config::new(), world.now());
        guest.config.insert("lock".into(), "create".into());
        c.guests.insert(vmid, guest);
        if let Some(pool) = p.get("pool").and_then(|name| c.pools.get_mut(name)) {
            pool.vms.push(vmid);
        }
        Ok(())
    })?;
    let (node, who, start) = (call.node().to_owned(), call.who.clone(), p.flag("start"));
    let upid = tasks::spawn(world, &call.who, call.node(), "qmcreate", &vmid.to_string(), move |job| async move {
        let made = build(&job, &node, vmid, wanted).await;
        if made.is_err() {
            job.world.change(|c| undo(c, &node, vmid));
        }
        made?;
        if start {
            power::spawn_start(&job.world, &who, &node, vmid);
        }
        Ok(())
    });
    Ok(json!(upid).into())
}

fn wanted(p: &Params) -> Config {
    let mut out: Config =
        p.iter().filter(|(k, _)| !NOT_KEYS.contains(k)).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    if let Some(cd) = out.remove("cdrom") {
        out.insert("ide2".into(), format!("{cd},media=cdrom"));
    }
    // `storage` is the default for disks given as a bare size.
    if let Some(storage) = p.get("storage") {
        for (key, value) in &mut out {
            if keys::is_drive(key) && value.split(',').next().is_some_and(|f| f.parse::<f64>().is_ok()) {
                *value = format!("{storage}:{value}");
            }
        }
    }
    out
}

fn may_create(c: &Cluster, who: &Who, vmid: u32, p: &Params, wanted: &Config) -> Result<(), ApiError> {
    let mut path = format!("/vms/{vmid}");
    if let Some(pool) = p.get("pool") {
        if !c.pools.contains_key(pool) {
            return Err(ApiError::new(403, format!("pool '{pool}' does not exist")));
        }
        if !has(c, who, &path, "VM.Allocate") {
            path = format!("/pool/{pool}");
        }
    }
    if !has(c, who, &path, "VM.Allocate") {
        return Err(ApiError::denied_bare());
    }
    for (key, value) in wanted {
        config::may_set(c, who, &path, key, value)?;
    }
    if p.flag("start") {
        require(c, who, &path, &["VM.PowerMgmt"])?;
    }
    if p.flag("ha-managed") {
        require(c, who, "/", &["Sys.Console"])?;
    }
    Ok(())
}

/// Keys come percent-encoded; `ssh-keygen` reads each line.
pub fn check_ssh_keys(text: &str) -> Result<(), String> {
    let plain = crate::http::form::percent_decode(text);
    let good = |line: &str| {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let blob = words.next().and_then(|word| BASE64_STANDARD.decode(word).ok()).unwrap_or_default();
        let fields = ssh_fields(&blob).unwrap_or_default();
        let known = ["ssh-", "ecdsa-", "sk-"].iter().any(|p| kind.starts_with(p));
        let whole = kind != "ssh-ed25519" || fields.get(1).is_some_and(|key| key.len() == 32);
        known && fields.first() == Some(&kind.as_bytes()) && fields.len() > 1 && whole
    };
    let mut lines = plain.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    if lines.all(good) { Ok(()) } else { Err("SSH public key validation error".to_owned()) }
}

/// The parts of a key, each with its length before it (RFC 4251, section 5); `None` when it is cut off.
fn ssh_fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let (field, rest) = rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}

/// The worker: disks first, then the file.
async fn build(job: &Arc<Job>, node: &str, vmid: u32, wanted: Config) -> Work {
    let now = job.world.seconds();
    let fresh = mix(job.world.seed ^ job.world.now() as u64 ^ (u64::from(vmid) << 32));
    let imports = wanted.values().filter(|v| v.contains("import-from")).count();
    let mut config = defaults(vmid, fresh, now);
    for (key, value) in &wanted {
        let done = job.world.change(|c| match key.as_str() {
            // At create it is stored as it came.
            "cipassword" => Ok(value.clone()),
            _ => config::finish_value(c, node, vmid, key, value, fresh, now),
        })?;
        if keys::is_drive(key) && !drives::is_cdrom(value) {
            job.log(format!("{key}: successfully created disk '{}'", drives::volid(&done)));
        }
        config.insert(key.clone(), done.clone());
        // Known from now on, so that an undo finds the volume.
        job.world.change(|c| c.guests.get_mut(&vmid).map(|g| g.config.insert(key.clone(), done)));
    }
    job.wait(0.8 + 5.0 * imports as f64).await?;
    config.entry("boot".into()).or_insert_with_key(|_| boot_order(&wanted));
    job.world.change(|c| {
        c.check_quorum()?;
        if let Some(g) = c.guests.get_mut(&vmid) {
            g.config = config;
        }
        Ok(())
    })
}

fn defaults(vmid: u32, fresh: u64, now: i64) -> Config {
    let uuid = uuid_of(fresh ^ u64::from(vmid));
    Config::from([
        ("meta".into(), format!("creation-qemu=10.1.2,ctime={now}")),
        ("smbios1".into(), format!("uuid={uuid}")),
        ("vmgenid".into(), uuid_of(mix(fresh))),
    ])
}

pub fn uuid_of(n: u64) -> String {
    let bytes: Vec<u8> = mix(n).to_be_bytes().into_iter().chain(mix(n ^ 0x55).to_be_bytes()).collect();
    let raw: [u8; 16] = bytes.try_into().unwrap_or_default();
    uuid::Builder::from_random_bytes(raw).into_uuid().to_string()
}

/// Disks, then CD drives, then network cards: `order=scsi0;ide2;net0`.
fn boot_order(wanted: &Config) -> String {
    let disk =
        wanted.keys().find(|k| keys::is_drive(k) && keys::base(k) != "efidisk" && !drives::is_cdrom(&wanted[*k]));
    let cd = wanted
        .keys()
        .find(|k| keys::is_drive(k) && drives::is_cdrom(&wanted[*k]) && !wanted[*k].contains(":cloudinit"));
    let net = wanted.keys().find(|k| keys::is_net(k));
    let order: Vec<&str> = [disk, cd, net].into_iter().flatten().map(String::as_str).collect();
    format!("order={}", order.join(";"))
}

/// A create or clone that failed leaves nothing: volumes, id and pool membership go.
pub fn undo(c: &mut Cluster, node: &str, vmid: u32) {
    let volumes: Vec<String> = c.volumes.values().filter(|v| v.vmid == Some(vmid)).map(|v| v.volid.clone()).collect();
    for volid in volumes {
        c.remove_volume(node, &volid);
    }
    c.guests.remove(&vmid);
    c.pools.values_mut().for_each(|p| p.vms.retain(|v| *v != vmid));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_cut_off_is_no_key() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJm%2B%2FDw9Pj9AQUJDREVGR0hJSktMTU5PUFFSU1RVVldY me";
        assert_eq!(check_ssh_keys(key), Ok(()));
        assert_eq!(check_ssh_keys(&format!("# mine\n\n{key}\n")), Ok(()));
        for bad in [&key[..60], "ssh-ed25519 AAAA me", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJm%2B%2FDw9Pj9A", "nonsense"] {
            assert!(check_ssh_keys(bad).is_err(), "{bad}");
        }
    }
}
