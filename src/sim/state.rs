//! What the simulated cluster is: nodes, guests, storages and volumes, pools, people, tasks.
//! Pure data with small questions and answers; no time, no waiting, no HTTP.

use super::access::data::AccessData;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A guest's configuration file: every value as the text in it.
pub type Config = BTreeMap<String, String>;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cluster {
    pub name: String,
    pub nodes: BTreeMap<String, Node>,
    pub guests: BTreeMap<u32, Guest>,
    pub storages: BTreeMap<String, Storage>,
    /// By `Volume::key`.
    pub volumes: BTreeMap<String, Volume>,
    pub pools: BTreeMap<String, Pool>,
    pub access: AccessData,
    /// Oldest first.
    pub tasks: Vec<Task>,
    pub next_pid: u32,
    pub without_quorum: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub id: u32,
    pub ip: String,
    pub cpu_model: String,
    pub sockets: u32,
    /// Threads in all.
    pub cpus: u32,
    /// Bytes.
    pub memory: u64,
    /// Bytes of the root file system.
    pub root: u64,
    /// Unix milliseconds.
    pub booted: i64,
    pub bridges: Vec<String>,
    pub offline: bool,
    /// Since when its pvestatd has told nothing, in Unix milliseconds.
    #[serde(default)]
    pub silent_since: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Qemu,
    Lxc,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Lxc => "lxc",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Guest {
    pub vmid: u32,
    pub kind: Kind,
    pub node: String,
    pub config: Config,
    pub pending: BTreeMap<String, Pending>,
    pub snapshots: Vec<Snapshot>,
    pub run: Option<Run>,
    /// Unix milliseconds; samples before it do not exist.
    pub born: i64,
    /// What the last generated cloud-init drive was made from.
    pub cloudinit: Config,
    /// What pvestatd last said about it; none for a new guest.
    pub stat: Option<Stat>,
    /// A test's own figures instead of the load function's: CPU and memory as fractions.
    pub load: Option<(f64, f64)>,
    /// Ignores ACPI and guest-shutdown (a test's wish, or nothing is installed on it).
    pub deaf: bool,
}

/// A change that waits for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pending {
    Set(String),
    Delete { force: bool },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    pub name: String,
    pub parent: Option<String>,
    pub description: String,
    /// Unix seconds.
    pub time: i64,
    pub vmstate: bool,
    /// Its task broke off: listed with `snapstate` "prepare", the guest stays locked.
    pub broken: bool,
    pub config: Config,
    /// Disk sizes at that time, by volume id.
    pub sizes: BTreeMap<String, u64>,
}

/// One life of a QEMU process or container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Unix milliseconds.
    pub since: i64,
    pub pid: u32,
    pub paused: bool,
    /// The guest agent option QEMU was started with.
    pub agent: bool,
    /// Bytes since start, up to `counted`.
    pub netin: f64,
    pub netout: f64,
    pub diskread: f64,
    pub diskwrite: f64,
    /// Unix milliseconds.
    pub counted: i64,
}

/// pvestatd's last sample of a guest, as `/cluster/resources` shows it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stat {
    /// Unix milliseconds.
    pub at: i64,
    pub status: String,
    pub name: String,
    pub template: u8,
    pub cpu: f64,
    pub maxcpu: u32,
    pub mem: u64,
    pub memhost: u64,
    pub maxmem: u64,
    pub disk: u64,
    pub maxdisk: u64,
    pub netin: u64,
    pub netout: u64,
    pub diskread: u64,
    pub diskwrite: u64,
    pub uptime: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Storage {
    pub id: String,
    /// `dir`, `lvmthin`, `nfs`, `rbd`.
    pub plugin: String,
    pub content: Vec<String>,
    pub shared: bool,
    /// Bytes, per node when not shared.
    pub total: u64,
    /// Bytes used by what is not listed as a volume.
    pub other: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Volume {
    pub storage: String,
    /// The node it lies on; none on shared storages.
    pub node: Option<String>,
    pub volid: String,
    pub content: String,
    pub format: String,
    /// Bytes.
    pub size: u64,
    /// Bytes really taken.
    pub used: u64,
    pub vmid: Option<u32>,
    /// The base volume of a linked clone.
    pub parent: Option<String>,
    /// Unix seconds.
    pub ctime: i64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pool {
    pub comment: String,
    pub vms: Vec<u32>,
    pub storages: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    pub upid: String,
    pub node: String,
    pub pid: u32,
    pub pstart: u32,
    /// Unix seconds.
    pub starttime: i64,
    pub kind: String,
    pub id: String,
    pub user: String,
    pub tokenid: Option<String>,
    pub endtime: Option<i64>,
    pub exit: Option<String>,
    pub log: Vec<String>,
}

impl Guest {
    pub fn new(vmid: u32, kind: Kind, node: &str, config: Config, born: i64) -> Self {
        Self {
            vmid,
            kind,
            node: node.to_owned(),
            config,
            born,
            pending: BTreeMap::new(),
            snapshots: Vec::new(),
            run: None,
            cloudinit: Config::new(),
            stat: None,
            load: None,
            deaf: false,
        }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    pub fn lock(&self) -> Option<&str> {
        self.get("lock")
    }

    pub fn is_template(&self) -> bool {
        self.get("template") == Some("1")
    }

    pub fn name(&self) -> String {
        let (key, letters) = if self.kind == Kind::Qemu { ("name", "VM ") } else { ("hostname", "CT") };
        self.get(key).map_or_else(|| format!("{letters}{}", self.vmid), str::to_owned)
    }

    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|v| v.parse().ok())
    }

    /// Virtual CPUs it has now: `vcpus`, else cores times sockets.
    pub fn cpus(&self) -> u32 {
        let all = self.number("cores").unwrap_or(1) * self.number("sockets").unwrap_or(1);
        u32::try_from(self.number("vcpus").unwrap_or(all)).unwrap_or(1)
    }

    /// Bytes.
    pub fn memory(&self) -> u64 {
        self.number("memory").unwrap_or(512) << 20
    }

    /// The lock check that most calls begin with.
    pub fn check_lock(&self) -> Result<(), String> {
        let letters = if self.kind == Kind::Qemu { "VM" } else { "CT" };
        self.lock().map_or(Ok(()), |l| Err(format!("{letters} is locked ({l})")))
    }

    /// `GET /config`: the file with pending changes applied.
    pub fn wanted(&self) -> Config {
        let mut out = self.config.clone();
        for (key, change) in &self.pending {
            match change {
                Pending::Set(v) => out.insert(key.clone(), v.clone()),
                Pending::Delete { .. } => out.remove(key),
            };
        }
        out
    }

    /// 40 hex digits that change with anything in the file. (Really SHA-1 of the text; any hash serves.)
    pub fn digest(&self) -> String {
        use sha2::Digest as _;
        let all = format!("{:?}{:?}{:?}", self.config, self.pending, self.snapshots);
        hex::encode(&sha2::Sha256::digest(all)[..20])
    }
}

pub fn config_path(node: &str, kind: Kind, vmid: u32) -> String {
    let folder = if kind == Kind::Qemu { "qemu-server" } else { "lxc" };
    format!("nodes/{node}/{folder}/{vmid}.conf")
}

impl Volume {
    pub fn key(&self) -> String {
        volume_key(self.node.as_deref(), &self.volid)
    }
}

pub fn volume_key(node: Option<&str>, volid: &str) -> String {
    format!("{}/{volid}", node.unwrap_or("*"))
}

impl Cluster {
    /// The guest, if it is of that kind and on that node.
    pub fn guest(&self, node: &str, kind: Kind, vmid: u32) -> Result<&Guest, String> {
        let found = self.guests.get(&vmid).filter(|g| g.node == node && g.kind == kind);
        found.ok_or_else(|| format!("Configuration file '{}' does not exist", config_path(node, kind, vmid)))
    }

    pub fn guest_mut(&mut self, node: &str, kind: Kind, vmid: u32) -> Result<&mut Guest, String> {
        let found = self.guests.get_mut(&vmid).filter(|g| g.node == node && g.kind == kind);
        found.ok_or_else(|| format!("Configuration file '{}' does not exist", config_path(node, kind, vmid)))
    }

    pub fn check_quorum(&self) -> Result<(), String> {
        if self.without_quorum { Err("cluster not ready - no quorum?".into()) } else { Ok(()) }
    }

    /// The volume as seen from `node`.
    pub fn volume(&self, node: &str, volid: &str) -> Option<&Volume> {
        self.volumes.get(&volume_key(Some(node), volid)).or_else(|| self.volumes.get(&volume_key(None, volid)))
    }

    pub fn volume_mut(&mut self, node: &str, volid: &str) -> Option<&mut Volume> {
        let own = volume_key(Some(node), volid);
        let key = if self.volumes.contains_key(&own) { own } else { volume_key(None, volid) };
        self.volumes.get_mut(&key)
    }

    pub fn remove_volume(&mut self, node: &str, volid: &str) -> Option<Volume> {
        let own = self.volumes.remove(&volume_key(Some(node), volid));
        own.or_else(|| self.volumes.remove(&volume_key(None, volid)))
    }

    pub fn pool_of(&self, vmid: u32) -> Option<&str> {
        self.pools.iter().find(|(_, p)| p.vms.contains(&vmid)).map(|(name, _)| name.as_str())
    }

    /// Bytes used on a storage, on one node when it is not shared.
    pub fn used(&self, storage: &Storage, node: &str) -> u64 {
        let on = |v: &&Volume| v.storage == storage.id && v.node.as_deref().is_none_or(|n| n == node);
        storage.other + self.volumes.values().filter(on).map(|v| v.used).sum::<u64>()
    }

    /// The lowest free id from 100 up.
    pub fn next_id(&self) -> u32 {
        (100..).find(|id| !self.guests.contains_key(id)).unwrap_or(100)
    }

    /// The node that answers the address: as with a floating address, the first that is up.
    pub fn local(&self) -> Option<&Node> {
        self.nodes.values().find(|n| !n.offline)
    }
}
