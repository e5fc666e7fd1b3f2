//! pvestatd: every (scaled) 10 s each node that is up looks at its guests and tells the cluster. The big
//! list answers from what was reported then, so it is up to one cycle old, and knows nothing of a new guest.

use super::load;
use super::state::{Cluster, Guest, Kind, Node, Run, Stat};
use super::world::World;
use std::sync::Arc;

/// Seconds between two rounds.
pub const CYCLE: f64 = 10.0;
/// Seconds after which what a silent node told is forgotten.
pub const FORGET: f64 = 300.0;

/// Runs for ever.
pub async fn run(world: Arc<World>) {
    loop {
        round(&world);
        tokio::time::sleep(world.scaled(CYCLE)).await;
    }
}

/// One round over all guests of nodes that are up.
pub fn round(world: &World) {
    let now = world.now();
    world.change(|c| {
        let mute = |n: &&Node| n.offline || n.silent_since.is_some();
        let down: Vec<String> = c.nodes.values().filter(mute).map(|n| n.name.clone()).collect();
        let sizes = disk_sizes(c);
        for guest in c.guests.values_mut().filter(|g| !down.contains(&g.node)) {
            count(guest, world.seed, now);
            let maxdisk = sizes.get(&guest.vmid).copied().unwrap_or(0);
            guest.stat = Some(sample(guest, world.seed, now, maxdisk));
        }
        let limit = forgotten_after(world);
        for guest in c.guests.values_mut().filter(|g| down.contains(&g.node)) {
            if guest.stat.as_ref().is_some_and(|s| now - s.at > limit) {
                guest.stat = None;
            }
        }
    });
}

/// Milliseconds after which what a silent node told is forgotten.
fn forgotten_after(world: &World) -> i64 {
    (FORGET * world.scale * 1000.0) as i64
}

/// The moment for which a node's figures are known; `None` when its pvestatd has been silent for too long.
pub fn told_at(world: &World, node: &Node, now: i64) -> Option<i64> {
    match node.silent_since {
        Some(since) if now - since > forgotten_after(world) => None,
        since => Some(since.unwrap_or(now)),
    }
}

/// Size of each guest's first disk, in bytes.
fn disk_sizes(c: &Cluster) -> std::collections::HashMap<u32, u64> {
    let mut out = std::collections::HashMap::new();
    for g in c.guests.values() {
        let first = super::qemu::drives::first_disk(&g.config);
        let size = first.and_then(|volid| c.volume(&g.node, &volid)).map(|v| v.size);
        out.insert(g.vmid, size.unwrap_or(0));
    }
    out
}

/// The load of a guest now: what a test fixed, else the load function.
pub fn load_of(guest: &Guest, seed: u64, now_ms: i64) -> load::Load {
    let mut l = load::at(seed, guest.vmid, now_ms as f64 / 1000.0);
    if let Some((cpu, mem)) = guest.load {
        (l.cpu, l.mem) = (cpu, mem);
    }
    if guest.run.as_ref().is_some_and(|r| r.paused) {
        l = load::Load { mem: l.mem, ..load::Load::default() };
    }
    // A machine that was just switched on is busy booting and has touched little memory.
    let age = guest.run.as_ref().map_or(0, |r| now_ms - r.since) as f64 / 1000.0;
    if (0.0..90.0).contains(&age) && guest.load.is_none() {
        l.mem *= 0.3 + 0.7 * age / 90.0;
        l.cpu = (l.cpu + 0.6 * (1.0 - age / 90.0)).min(0.99);
    }
    l
}

/// Brings the counters of a running guest up to now.
pub fn count(guest: &mut Guest, seed: u64, now_ms: i64) {
    let l = load_of(guest, seed, now_ms);
    let Some(run) = &mut guest.run else { return };
    let seconds = (now_ms - run.counted).max(0) as f64 / 1000.0;
    run.netin += l.netin * seconds;
    run.netout += l.netout * seconds;
    run.diskread += l.diskread * seconds;
    run.diskwrite += l.diskwrite * seconds;
    run.counted = now_ms;
}

/// What the state is called in the big list: QEMU's own word, so `paused` shows there.
pub fn state_name(guest: &Guest) -> &'static str {
    match &guest.run {
        None if guest.lock() == Some("suspended") => "suspended",
        None => "stopped",
        Some(Run { paused: true, .. }) => "paused",
        Some(_) => "running",
    }
}

fn sample(guest: &Guest, seed: u64, now_ms: i64, maxdisk: u64) -> Stat {
    let l = load_of(guest, seed, now_ms);
    let (memory, run) = (guest.memory(), guest.run.as_ref());
    let mem = if run.is_some() { (memory as f64 * l.mem) as u64 } else { 0 };
    let container = guest.kind == Kind::Lxc;
    Stat {
        at: now_ms,
        status: state_name(guest).to_owned(),
        name: guest.name(),
        template: u8::from(guest.is_template()),
        cpu: if run.is_some() { l.cpu } else { 0.0 },
        maxcpu: guest.cpus(),
        mem,
        memhost: if run.is_some() { mem + mem / 20 + (90 << 20) } else { 0 },
        maxmem: memory,
        disk: if container { maxdisk / 3 } else { 0 },
        maxdisk,
        netin: run.map_or(0, |r| r.netin as u64),
        netout: run.map_or(0, |r| r.netout as u64),
        diskread: run.map_or(0, |r| r.diskread as u64),
        diskwrite: run.map_or(0, |r| r.diskwrite as u64),
        uptime: run.map_or(0, |r| (now_ms - r.since) / 1000),
    }
}

/// CPU fraction and used memory of a node: its guests' sum and a little of its own.
pub fn node_load(c: &Cluster, name: &str, seed: u64, now_ms: i64) -> (f64, u64) {
    let Some(node) = c.nodes.get(name) else { return (0.0, 0) };
    let own = load::at(seed, node.id, now_ms as f64 / 1000.0);
    let (mut cpus, mut mem) = (0.01 * f64::from(node.cpus) + 0.3 * own.cpu, 2_u64 << 30);
    for g in c.guests.values().filter(|g| g.node == name && g.run.is_some()) {
        if let Some(stat) = &g.stat {
            cpus += stat.cpu * f64::from(stat.maxcpu);
            mem += stat.memhost;
        }
    }
    ((cpus / f64::from(node.cpus)).min(0.97), mem.min(node.memory / 100 * 96))
}
