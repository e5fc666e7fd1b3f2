//! What a change does to a machine that runs: live at once, pending until the next QEMU process, or
//! tried and refused (qemu-server: `vmconfig_hotplug_pending`, PVE::QemuServer::Memory).

use super::config::{Errors, commit};
use super::drives;
use super::keys;
use crate::formats::Props;
use crate::state::{Guest, Pending};
use crate::world::World;
use std::sync::Arc;

/// MiB that are always there with memory hotplug on.
pub const STATIC_MEMORY: u64 = 1024;
const MAX_MEMORY: u64 = 524_288;

/// What becomes of one change.
#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    Live,
    /// Live, with another value than asked for.
    LiveAs(String),
    Stay,
    /// Refused after this many seconds; stays pending. `partly` is how far it came.
    Fail {
        after: f64,
        text: String,
        partly: Option<String>,
    },
}

/// Applies what can be applied of the `named` keys; gives the errors of those that were tried in vain.
pub async fn apply(world: &Arc<World>, vmid: u32, named: &[String]) -> Errors {
    let mut errors = Errors::new();
    let todo: Vec<String> = world.read(|c| {
        let pending = c.guests.get(&vmid).map(|g| g.pending.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        pending.into_iter().filter(|k| named.contains(k)).collect()
    });
    for key in todo {
        let verdict = world.read(|c| {
            let Some(guest) = c.guests.get(&vmid) else { return Verdict::Stay };
            let bridges = c.nodes.get(&guest.node).map(|n| n.bridges.as_slice()).unwrap_or_default();
            verdict(guest, &key, bridges)
        });
        match verdict {
            Verdict::Stay => {}
            Verdict::Live => world.change(|c| commit(c, vmid, &key)),
            Verdict::LiveAs(value) => world.change(|c| {
                if let Some(g) = c.guests.get_mut(&vmid) {
                    g.pending.insert(key.clone(), Pending::Set(value));
                }
                commit(c, vmid, &key);
            }),
            Verdict::Fail { after, text, partly } => {
                tokio::time::sleep(world.scaled(after)).await;
                if let Some(value) = partly {
                    world.change(|c| c.guests.get_mut(&vmid).and_then(|g| g.config.insert(key.clone(), value)));
                }
                errors.insert(key, format!("hotplug problem - {text}"));
            }
        }
    }
    errors
}

/// Whether the guest's `hotplug` option has a feature. Default: network, disk, usb.
pub fn feature(guest: &Guest, name: &str) -> bool {
    match guest.get("hotplug").unwrap_or("1") {
        "0" => false,
        "1" => matches!(name, "network" | "disk" | "usb"),
        list => list.split([',', ';', ' ']).any(|f| f == name),
    }
}

/// Memory can move only with the feature, with NUMA on and no own NUMA layout.
pub fn memory_moves(guest: &Guest) -> bool {
    feature(guest, "memory")
        && guest.get("numa") == Some("1")
        && !guest.config.keys().any(|k| keys::base(k) == "numa" && k != "numa")
}

fn verdict(guest: &Guest, key: &str, bridges: &[String]) -> Verdict {
    let Some(change) = guest.pending.get(key) else { return Verdict::Stay };
    match keys::base(key) {
        _ if keys::is_cloudinit(key) => Verdict::Live,
        "name" | "description" | "tags" | "onboot" | "protection" | "startup" | "hookscript" | "shares"
        | "vmstatestorage" | "cpulimit" | "cpuunits" | "unused" => Verdict::Live,
        "vcpus" => vcpus(guest, change),
        "memory" => memory(guest, change),
        "balloon" => balloon(guest, change),
        "net" if feature(guest, "network") => network(guest, key, change, bridges),
        "scsi" | "virtio" | "sata" | "ide" => disk(guest, key, change),
        "usb" if feature(guest, "usb") => Verdict::Live,
        _ => Verdict::Stay,
    }
}

fn nested(key: &str, text: &str) -> String {
    format!("400 Parameter verification failed.\n{key}: {text}\n")
}

fn refuse(after: f64, text: String) -> Verdict {
    Verdict::Fail { after, text, partly: None }
}

fn number(change: &Pending) -> Option<u64> {
    if let Pending::Set(v) = change { v.parse().ok() } else { None }
}

/// One CPU after the other; taking one away needs the guest.
fn vcpus(guest: &Guest, change: &Pending) -> Verdict {
    if !feature(guest, "cpu") {
        return Verdict::Stay;
    }
    let most = guest.number("cores").unwrap_or(1) * guest.number("sockets").unwrap_or(1);
    let (now, wanted) = (u64::from(guest.cpus()), number(change).unwrap_or(most));
    if wanted > most {
        return refuse(0.0, nested("vcpus", "you can't add more vcpus than maxcpus"));
    }
    if wanted < now && !helps(guest) {
        return refuse(6.1, nested("vcpus", &format!("error unplugging cpu{now}")));
    }
    Verdict::Live
}

/// Whether the guest lets go of CPUs and memory modules.
fn helps(guest: &Guest) -> bool {
    !guest.deaf && matches!(guest.get("ostype"), Some("l26"))
}

/// Plugging rounds up to a module, unplugging takes whole modules away.
fn memory(guest: &Guest, change: &Pending) -> Verdict {
    let (now, wanted) = (guest.number("memory").unwrap_or(512), number(change).unwrap_or(512));
    if !memory_moves(guest) {
        return Verdict::Stay;
    }
    if wanted > MAX_MEMORY {
        return refuse(0.0, nested("memory", &format!("you cannot add more memory than max mem {MAX_MEMORY} MB!")));
    }
    if wanted < STATIC_MEMORY {
        return refuse(0.0, nested("memory", &format!("you can't unplug under static memory {STATIC_MEMORY} MB")));
    }
    let aligned = if wanted > now { up_to_module(wanted) } else { down_to_module(wanted) };
    if wanted < now && !helps(guest) {
        // A system that is not deaf lets go of the last module, and then of no other.
        let without_last = steps().take_while(|s| *s < now).last().filter(|s| !guest.deaf && *s > aligned);
        let dimm = if without_last.is_some() { 0 } else { 1 };
        return Verdict::Fail {
            after: if without_last.is_some() { 24.1 } else { 21.1 },
            text: format!("dimm{dimm}: error unplug memory module"),
            partly: without_last.map(|size| size.to_string()),
        };
    }
    if aligned == now { Verdict::Live } else { Verdict::LiveAs(aligned.to_string()) }
}

/// Sizes the memory can have: 1024, then 32 modules of 512, 32 of 1024, 32 of 2048, and so on.
fn steps() -> impl Iterator<Item = u64> {
    let mut total = STATIC_MEMORY;
    std::iter::once(total).chain((0..10).flat_map(|group| [512_u64 << group; 32]).map(move |module| {
        total += module;
        total
    }))
}

fn up_to_module(wanted: u64) -> u64 {
    steps().find(|s| *s >= wanted).unwrap_or(MAX_MEMORY)
}

fn down_to_module(wanted: u64) -> u64 {
    steps().take_while(|s| *s <= wanted).last().unwrap_or(STATIC_MEMORY)
}

/// Between 0 and not 0 only with a new process.
fn balloon(guest: &Guest, change: &Pending) -> Verdict {
    let has = |n: Option<u64>| n != Some(0);
    if has(guest.number("balloon")) == has(number(change)) { Verdict::Live } else { Verdict::Stay }
}

fn network(guest: &Guest, key: &str, change: &Pending, bridges: &[String]) -> Verdict {
    let Pending::Set(value) = change else { return Verdict::Live };
    let bridge = Props::parse(value, "model").get("bridge").unwrap_or_default().to_owned();
    if !bridge.is_empty() && !bridges.contains(&bridge) {
        return refuse(0.0, nested(key, &format!("bridge '{bridge}' does not exist")));
    }
    let old = guest.get(key).map(|o| Props::parse(o, "model"));
    let new = Props::parse(value, "model");
    // Another MAC or model means a new card: the guest must let go of the old one.
    if old.is_some_and(|o| o.0.first() != new.0.first()) && guest.deaf {
        return refuse(6.1, nested(key, "error unplugging network device"));
    }
    Verdict::Live
}

/// Keys of a drive that QEMU takes while it runs.
const THROTTLES: &[&str] = &[
    "mbps",
    "mbps_rd",
    "mbps_wr",
    "iops",
    "iops_rd",
    "iops_wr",
    "iops_max",
    "mbps_max",
    "backup",
    "replicate",
    "size",
];

fn disk(guest: &Guest, key: &str, change: &Pending) -> Verdict {
    let live_bus = matches!(keys::base(key), "scsi" | "virtio") && feature(guest, "disk");
    let old = guest.get(key);
    match (old, change) {
        (Some(o), Pending::Set(new)) if drives::is_cdrom(o) && drives::is_cdrom(new) => Verdict::Live,
        (Some(_), Pending::Delete { .. }) if live_bus && is_bootdisk(guest, key) => {
            refuse(0.0, nested(key, &format!("can't unplug bootdisk '{key}'")))
        }
        (Some(o), Pending::Set(new)) if drives::volid(o) == drives::volid(new) => {
            if only_throttles(o, new) {
                Verdict::Live
            } else {
                Verdict::Stay
            }
        }
        _ if live_bus && guest.deaf && old.is_some() => {
            refuse(6.2, nested(key, &format!("error unplugging device {key}")))
        }
        _ if live_bus => Verdict::Live,
        _ => Verdict::Stay,
    }
}

fn is_bootdisk(guest: &Guest, key: &str) -> bool {
    let order = guest.get("boot").and_then(|b| b.strip_prefix("order=")).unwrap_or_default();
    let first = order.split(';').find(|k| guest.get(k).is_some_and(|v| keys::is_drive(k) && !drives::is_cdrom(v)));
    first == Some(key)
}

fn only_throttles(old: &str, new: &str) -> bool {
    let rest = |t: &str| {
        let mut p = Props::parse(t, "file");
        p.0.retain(|(k, _)| !THROTTLES.contains(&k.as_str()));
        p.0.sort();
        p
    };
    rest(old) == rest(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_up_to_a_module_and_shrinks_by_whole_ones() {
        assert_eq!((up_to_module(1700), down_to_module(1700)), (2048, 1536));
        assert_eq!((up_to_module(17_409), down_to_module(17_409)), (18_432, 17_408));
    }
}
