//! The cluster a demo starts with: nodes of different size, storages, ISOs, templates, and machines as a
//! small firm or a busy household has them. The same seed gives the same cluster.

use super::access::data::initial;
use super::demo_names::{CONTAINERS, MACHINES, POOLS, generated};
use super::formats::{mac, print_size};
use super::load::{mix, unit};
use super::qemu::create::uuid_of;
use super::qemu::{drives, power, template};
use super::state::{Cluster, Config, Guest, Kind, Node, Pool, Run, Storage, Volume};

/// What the demo is made of.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub nodes: usize,
    pub guests: usize,
    pub seed: u64,
    /// Unix milliseconds.
    pub now: i64,
}

const GIB: u64 = 1 << 30;
const DAY: i64 = 86_400_000;
/// Model, sockets, threads, memory in GiB.
const HARDWARE: &[(&str, u32, u32, u64)] = &[
    ("AMD EPYC 7313P 16-Core Processor", 1, 32, 256),
    ("AMD Ryzen 9 5950X 16-Core Processor", 1, 32, 128),
    ("Intel(R) Xeon(R) E-2388G CPU @ 3.20GHz", 1, 16, 64),
    ("13th Gen Intel(R) Core(TM) i5-13500", 1, 20, 96),
    ("Intel(R) N100", 1, 4, 32),
];

/// Builds the whole cluster.
pub fn build(size: Size, token_id: &str, secret: &str) -> Cluster {
    let mut c =
        Cluster { name: "homelab".into(), next_pid: 1400, access: initial(token_id, secret), ..Cluster::default() };
    for i in 0..size.nodes {
        let node = node(i, size);
        c.nodes.insert(node.name.clone(), node);
    }
    storages(&mut c, size);
    images(&mut c, size);
    templates(&mut c, size);
    for i in 0..size.guests {
        guest(&mut c, size, i);
    }
    pools(&mut c);
    c
}

fn node(i: usize, size: Size) -> Node {
    let (model, sockets, cpus, memory) = HARDWARE[if i > 0 { 1 + (i - 1) % (HARDWARE.len() - 1) } else { 0 }];
    let id = u32::try_from(i + 1).unwrap_or(1);
    Node {
        name: format!("pve{id}"),
        id,
        ip: format!("10.20.0.{}", 10 + id),
        cpu_model: model.into(),
        sockets,
        cpus,
        memory: memory * GIB,
        root: 94 * GIB,
        booted: size.now - DAY * (20 + i64::from(id) * 9) - 3_217_000,
        bridges: if i % 3 == 2 { vec!["vmbr0".into()] } else { vec!["vmbr0".into(), "vmbr1".into()] },
        offline: false,
        silent_since: None,
    }
}

fn storages(c: &mut Cluster, size: Size) {
    let each = 60 * GIB * (size.guests as u64 / size.nodes as u64 + 1);
    let mut add = |id: &str, plugin: &str, content: &str, shared: bool, total: u64, other: u64| {
        let content = content.split(',').map(str::to_owned).collect();
        c.storages.insert(id.into(), Storage { id: id.into(), plugin: plugin.into(), content, shared, total, other });
    };
    add("local", "dir", "iso,vztmpl,backup,snippets,import", false, 94 * GIB, 14 * GIB);
    add("local-lvm", "lvmthin", "images,rootdir", false, (1800 * GIB).max(each), 0);
    add("nas", "nfs", "images,iso,vztmpl,backup,snippets,import", true, 21_000 * GIB, 7_300 * GIB);
    if size.nodes > 1 {
        add("ceph-vm", "rbd", "images,rootdir", true, (8_000 * GIB).max(each * size.nodes as u64), 120 * GIB);
    }
}

fn images(c: &mut Cluster, size: Size) {
    const FILES: &[(&str, &str, u64)] = &[
        ("nas", "iso/debian-13.1.0-amd64-netinst.iso", 783_286_272),
        ("nas", "iso/ubuntu-24.04.3-live-server-amd64.iso", 3_303_444_480),
        ("nas", "iso/Win10_22H2_English_x64v1.iso", 6_140_975_104),
        ("nas", "iso/virtio-win-0.1.271.iso", 708_976_640),
        ("nas", "iso/OPNsense-25.7-dvd-amd64.iso", 2_145_386_496),
        ("local", "iso/debian-12.11.0-amd64-netinst.iso", 702_545_920),
        ("nas", "vztmpl/debian-13-standard_13.1-2_amd64.tar.zst", 124_780_000),
        ("nas", "vztmpl/alpine-3.22-default_20250617_amd64.tar.xz", 3_211_000),
        ("nas", "import/debian-13-genericcloud-amd64.qcow2", 3 * GIB),
        ("nas", "import/noble-server-cloudimg-amd64.qcow2", 3_758_096_384),
        ("nas", "snippets/qemu-guest-agent.yaml", 412),
    ];
    for (i, (storage, name, bytes)) in FILES.iter().enumerate() {
        let (content, file) = name.split_once('/').unwrap_or_default();
        let ending = file.rsplit('.').next().unwrap_or_default();
        let format = match content {
            "vztmpl" => {
                if ending == "zst" {
                    "tzst"
                } else {
                    "txz"
                }
            }
            "snippets" => "snippet",
            _ => ending,
        };
        let v = Volume {
            storage: (*storage).into(),
            node: (*storage == "local").then(|| "pve1".into()),
            volid: format!("{storage}:{name}"),
            content: content.into(),
            format: format.into(),
            size: *bytes,
            used: *bytes,
            vmid: None,
            parent: None,
            ctime: size.now / 1000 - 86_400 * (30 + i as i64 * 3),
        };
        c.volumes.insert(v.key(), v);
    }
}

/// Name, ostype, disk in GiB, cores, memory, description.
const TEMPLATES: &[(&str, &str, u64, u32, u32, &str)] = &[
    ("debian-13", "l26", 8, 2, 2048, "Debian 13 (trixie) cloud image with cloud-init and guest agent"),
    ("ubuntu-24.04", "l26", 10, 2, 2048, "Ubuntu 24.04 LTS cloud image with cloud-init and guest agent"),
    ("debian-12", "l26", 8, 2, 2048, "Debian 12 (bookworm) cloud image with cloud-init and guest agent"),
    ("windows-10", "win10", 64, 4, 8192, "Windows 10 Pro 22H2, sysprepped, with VirtIO drivers and guest agent"),
];

fn templates(c: &mut Cluster, size: Size) {
    let storage = if size.nodes > 1 { "ceph-vm" } else { "local-lvm" };
    for (i, (name, ostype, disk, cores, memory, text)) in TEMPLATES.iter().enumerate() {
        let vmid = 9000 + i as u32;
        let mut config = base_config(size.seed, vmid, name, *cores, *memory);
        config.insert("ostype".into(), (*ostype).into());
        config.insert("description".into(), (*text).into());
        config.insert("tags".into(), "template".into());
        add_disks(c, "pve1", vmid, storage, disk * GIB, &mut config, size.now);
        config.insert("ipconfig0".into(), "ip=dhcp".into());
        config.insert("serial0".into(), "socket".into());
        if *ostype == "win10" {
            config.insert("citype".into(), "configdrive2".into());
            config.insert("machine".into(), "pc-q35-10.1".into());
        }
        c.guests.insert(vmid, Guest::new(vmid, Kind::Qemu, "pve1", config, size.now - 200 * DAY));
        let _ = template::apply(c, "pve1", vmid);
    }
}

fn base_config(seed: u64, vmid: u32, name: &str, cores: u32, memory: u32) -> Config {
    let key = mix(seed ^ u64::from(vmid));
    [
        ("name", name.to_owned()),
        ("cores", cores.to_string()),
        ("sockets", "1".into()),
        ("cpu", "x86-64-v2-AES".into()),
        ("memory", memory.to_string()),
        ("balloon", "0".into()),
        ("ostype", "l26".into()),
        ("agent", "1".into()),
        ("scsihw", "virtio-scsi-single".into()),
        ("net0", format!("virtio={},bridge=vmbr0,firewall=1", mac(key))),
        ("smbios1", format!("uuid={}", uuid_of(key))),
        ("vmgenid", uuid_of(mix(key))),
        ("boot", "order=scsi0;ide2;net0".into()),
        ("meta", "creation-qemu=10.0.2,ctime=1751880000".into()),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v))
    .collect()
}

/// A system disk and a cloud-init drive.
fn add_disks(c: &mut Cluster, node: &str, vmid: u32, storage: &str, bytes: u64, config: &mut Config, now: i64) {
    let now = now / 1000 - 86_400;
    let make = drives::Make { node, vmid, storage, bytes, format: None, content: "images", now };
    if let Ok(volid) = drives::allocate(c, make) {
        config.insert("scsi0".into(), format!("{volid},discard=on,iothread=1,size={},ssd=1", print_size(bytes)));
    }
    if let Ok(volid) = drives::allocate_cloudinit(c, node, vmid, storage, now) {
        config.insert("ide2".into(), format!("{volid},media=cdrom,size=4M"));
    }
}

fn guest(c: &mut Cluster, size: Size, i: usize) {
    let vmid = 100 + i as u32 + (i / 25) as u32 * 5;
    let key = mix(size.seed ^ 0xABCD ^ u64::from(vmid));
    let part = |n: u64| unit(mix(key ^ n));
    let node = pick_node(c, part(1));
    let container = i % 7 == 4;
    // Every seventh is a container.
    let nth = if container { i / 7 } else { i - (i + 2) / 7 };
    let named = if container { CONTAINERS.get(nth) } else { MACHINES.get(nth) };
    let (name, tags, cores, memory, disk) = match named {
        Some((name, tags, cores, memory, disk)) => ((*name).to_owned(), (*tags).to_owned(), *cores, *memory, *disk),
        None => generated(i, key),
    };
    let storage = if c.storages.contains_key("ceph-vm") && part(2) < 0.6 { "ceph-vm" } else { "local-lvm" };
    let mut config = if container {
        container_config(c, size, &node, vmid, &name, (cores, memory, disk))
    } else {
        let mut config = base_config(size.seed, vmid, &name, cores, memory);
        add_disks(c, &node, vmid, storage, disk * GIB, &mut config, size.now);
        if name.starts_with("win") {
            config.insert("ostype".into(), "win10".into());
        } else if part(8) < 0.7 {
            config.insert("serial0".into(), "socket".into());
        }
        if part(3) < 0.4 {
            config.insert("ipconfig0".into(), format!("ip=10.20.2.{}/24,gw=10.20.2.1", 10 + i % 240));
        }
        config
    };
    config.insert("tags".into(), tags);
    if part(4) < 0.7 {
        config.insert("onboot".into(), "1".into());
    }
    let born = size.now - DAY * (20 + (part(5) * 600.0) as i64);
    let kind = if container { Kind::Lxc } else { Kind::Qemu };
    c.guests.insert(vmid, Guest::new(vmid, kind, &node, config, born));
    // About one in eight is off; what people look at every day is on.
    if part(6) > 0.12 || i < 6 {
        run(c, vmid, size.now, part(7));
    }
}

/// A node, the bigger the likelier.
fn pick_node(c: &Cluster, chance: f64) -> String {
    let all: u64 = c.nodes.values().map(|n| n.memory).sum();
    let mut left = (all as f64 * chance) as u64;
    for node in c.nodes.values() {
        if left < node.memory {
            return node.name.clone();
        }
        left -= node.memory;
    }
    c.nodes.keys().next().cloned().unwrap_or_default()
}

fn container_config(c: &mut Cluster, size: Size, node: &str, vmid: u32, name: &str, dims: (u32, u32, u64)) -> Config {
    let (cores, memory, disk) = dims;
    let make = drives::Make {
        node,
        vmid,
        storage: "local-lvm",
        bytes: disk * GIB,
        format: None,
        content: "rootdir",
        now: size.now / 1000,
    };
    let volid = drives::allocate(c, make).unwrap_or_default();
    [
        ("hostname", name.to_owned()),
        ("cores", cores.to_string()),
        ("memory", memory.to_string()),
        ("swap", "512".into()),
        ("arch", "amd64".into()),
        ("ostype", "debian".into()),
        ("unprivileged", "1".into()),
        ("features", "nesting=1".into()),
        ("rootfs", format!("{volid},size={disk}G")),
        (
            "net0",
            format!("name=eth0,bridge=vmbr0,hwaddr={},ip=dhcp,type=veth", mac(mix(size.seed ^ u64::from(vmid) ^ 77))),
        ),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v))
    .collect()
}

/// Running for a while already, with counters to match.
fn run(c: &mut Cluster, vmid: u32, now: i64, chance: f64) {
    let uptime = ((chance * chance * 45.0 + 0.02) * DAY as f64) as i64;
    if c.guests.get(&vmid).is_some_and(|g| g.kind == Kind::Qemu) {
        power::running(c, vmid, now - uptime);
    }
    c.next_pid += 37;
    let pid = c.next_pid;
    let Some(guest) = c.guests.get_mut(&vmid) else { return };
    let agent = guest.run.as_ref().is_some_and(|r| r.agent);
    let seconds = uptime as f64 / 1000.0;
    let usual = super::load::at(1, vmid, now as f64 / 1000.0);
    guest.run = Some(Run {
        since: now - uptime,
        pid,
        paused: false,
        agent,
        netin: usual.netin * seconds,
        netout: usual.netout * seconds,
        diskread: usual.diskread * seconds,
        diskwrite: usual.diskwrite * seconds,
        counted: now,
    });
}

fn pools(c: &mut Cluster) {
    for (pool, tag) in POOLS {
        let has = |g: &&Guest| g.get("tags").is_some_and(|t| t.split(';').any(|x| x == *tag));
        let vms = c.guests.values().filter(has).map(|g| g.vmid).collect();
        c.pools.insert((*pool).into(), Pool { comment: String::new(), vms, storages: Vec::new() });
    }
}
