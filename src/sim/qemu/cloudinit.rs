//! The generated cloud-init drive: what it was made from, what is new since, and its text.

use super::keys;
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::formats::Props;
use crate::http::answer::Answer;
use crate::http::form::percent_decode;
use crate::load::mix;
use crate::state::{Config, Guest, Kind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The part of a configuration that the drive is made from.
pub fn keys_of(config: &Config) -> Config {
    let part = |k: &str| keys::is_cloudinit(k) || k == "name";
    config.iter().filter(|(k, _)| part(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// `GET .../cloudinit`: keys with the value on the drive and the one that would be.
pub fn differences(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, call.vmid())?;
        let new = keys_of(&guest.config);
        let all: BTreeSet<&String> = new.keys().chain(guest.cloudinit.keys()).collect();
        let list: Vec<Value> = all
            .into_iter()
            .map(|key| {
                let mut item = json!({ "key": key });
                let (old, new) = (guest.cloudinit.get(key), new.get(key));
                if let Some(v) = old {
                    item["value"] = super::config::shown(key, v);
                }
                match new {
                    Some(v) if old != Some(v) => item["pending"] = super::config::shown(key, v),
                    None => item["delete"] = json!(1),
                    _ => {}
                }
                item
            })
            .collect();
        Ok(json!(list).into())
    })
}

/// `PUT .../cloudinit`: makes the drive again.
pub async fn regenerate(call: Call) -> Answer {
    let _lock = call.world.file_lock(call.vmid(), 10.0).await?;
    call.world.change(|c| {
        let guest = c.guest_mut(call.node(), Kind::Qemu, call.vmid())?;
        guest.check_lock()?;
        guest.cloudinit = keys_of(&guest.config);
        Ok::<_, ApiError>(())
    })?;
    Ok(Value::Null.into())
}

/// `GET .../cloudinit/dump?type=user|network|meta`.
pub fn dump(call: &Call) -> Answer {
    call.world.read(|c| {
        let guest = c.guest(call.node(), Kind::Qemu, call.vmid())?;
        Ok(json!(match call.params.get("type") {
            Some("network") => network(guest),
            Some("meta") => {
                let id = (user(guest) + &network(guest)).bytes().fold(1, |h, b| mix(h ^ u64::from(b)));
                format!("instance-id: {id:016x}{:016x}\n", mix(id))
            }
            _ => user(guest),
        })
        .into())
    })
}

fn user(guest: &Guest) -> String {
    let name = guest.name();
    let host = name.split('.').next().unwrap_or_default();
    let mut out = format!("#cloud-config\nhostname: {host}\nmanage_etc_hosts: true\nfqdn: {name}\n");
    if let Some(user) = guest.get("ciuser") {
        let _ = writeln!(out, "user: {user}\ndisable_root: False");
    }
    if let Some(password) = guest.get("cipassword") {
        let _ = writeln!(out, "password: {password}");
    }
    if let Some(text) = guest.get("sshkeys") {
        let _ = writeln!(out, "ssh_authorized_keys:");
        for line in percent_decode(text).lines().filter(|l| !l.trim().is_empty()) {
            let _ = writeln!(out, "  - {line}");
        }
    }
    let upgrade = guest.get("ciupgrade") != Some("0");
    let _ = writeln!(out, "chpasswd:\n  expire: False\nusers:\n  - default\npackage_upgrade: {upgrade}");
    out
}

fn network(guest: &Guest) -> String {
    let mut out = "version: 1\nconfig:\n".to_owned();
    for (key, value) in guest.config.iter().filter(|(k, _)| keys::is_net(k)) {
        let number = key.trim_start_matches("net");
        let (_, mac) = Props::parse(value, "model").0.first().cloned().unwrap_or_default();
        let _ = write!(
            out,
            "    - type: physical\n      name: eth{number}\n      mac_address: '{}'\n      subnets:\n",
            mac.to_lowercase()
        );
        let ip = Props::parse(guest.get(&format!("ipconfig{number}")).unwrap_or_default(), "ip");
        match ip.get("ip") {
            Some("dhcp") => out.push_str("      - type: dhcp4\n"),
            Some(address) => {
                let _ = writeln!(out, "      - type: static\n        address: '{address}'");
                if let Some(gw) = ip.get("gw") {
                    let _ = writeln!(out, "        gateway: '{gw}'");
                }
            }
            None => {}
        }
    }
    if let Some(servers) = guest.get("nameserver") {
        let _ = write!(out, "    - type: nameserver\n      address:\n");
        for server in servers.split_whitespace() {
            let _ = writeln!(out, "      - '{server}'");
        }
    }
    out
}
