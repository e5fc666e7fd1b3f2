//! A simulated Proxmox VE cluster over real HTTPS, for the demo and for the tests.
//!
//! It is as strict as the real API (texts, status codes, plain-text and empty bodies, delays, what stays
//! pending) and what it does not do it refuses with 501. Storage, networks and guests are only
//! bookkeeping; CPU, memory and traffic come from a function of seed, guest and time. Waiting can be
//! scaled, the calendar can't. It must know nothing of the rest of the program but `base`: a client that
//! works against it must have been written from Proxmox's documentation, not from this code.
//!
//! Left out on purpose: SPICE, backups, HA, firewall, replication, SDN, Ceph, LXC create.

mod access;
mod cluster;
mod console;
mod control;
mod demo_data;
mod demo_names;
mod dispatch;
mod download;
mod error;
mod faults;
mod formats;
mod http;
pub mod images;
mod kept;
mod load;
mod lxc;
mod nodes;
mod persist;
mod pools;
mod qemu;
pub use qemu::windows::{Ran, Reply};
mod resources;
mod routes;
mod rrd;
mod schema;
mod state;
mod stats;
mod storage;
mod tasklists;
mod tasks;
mod world;

#[cfg(test)]
mod tests;

pub use faults::{AnswerFault, Away, Fault, Faults, TaskFault, Trap};
pub use kept::SavedCluster;

use base::{Clock, Error, Result, Secret, SystemClock, random};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the simulation is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// 1 to 16; with 1 it is a single host without a cluster.
    pub nodes: usize,
    /// Machines and containers; four templates come on top.
    pub guests: usize,
    /// How long a second of waiting lasts: 1.0 is real, 0.1 is ten times faster.
    pub time_scale: f64,
    /// The same seed gives the same cluster and the same load.
    pub seed: u64,
    /// `user@realm!name` of a token with all rights Steward asks for.
    pub token_id: String,
    /// Made up when none is given.
    pub token_secret: Option<String>,
    /// Without that token, its user and the role Steward, as a fresh Proxmox is.
    pub bare: bool,
    /// Of `root@pam`; made up when none is given.
    pub root_password: Option<String>,
    /// Kept here across restarts, when given.
    pub state_file: Option<PathBuf>,
    /// Where its calendar comes from.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    /// Three nodes with 40 guests on a free loopback port, real speed.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            nodes: 3,
            guests: 40,
            time_scale: 1.0,
            seed: 1,
            token_id: "steward@pve!appliance".into(),
            token_secret: None,
            bare: false,
            root_password: None,
            state_file: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// A running simulation; it ends when this is dropped or stopped.
#[derive(Debug)]
pub struct Sim {
    /// `https://127.0.0.1:port`
    pub url: String,
    /// SHA-256 of the leaf certificate at the start.
    pub fingerprint: [u8; 32],
    /// The cluster's CA, as `/etc/pve/pve-root-ca.pem`.
    pub ca_pem: String,
    pub token_id: String,
    pub token_secret: Secret<String>,
    /// Of `root@pam`.
    pub root_password: Secret<String>,
    state_file: Option<PathBuf>,
    world: Arc<world::World>,
}

/// Starts a cluster that listens and moves.
///
/// # Errors
/// When the address is taken, or options are out of range.
pub async fn start(options: Options) -> Result<Sim> {
    if !(1..=16).contains(&options.nodes) {
        return Err(Error::invalid("The simulated cluster has 1 to 16 nodes."));
    }
    if !options.token_id.contains('!') {
        return Err(Error::invalid("The token id has the form user@realm!name."));
    }
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|e| Error::unavailable(format!("The address {} can't be used.", options.listen)).with_cause(e))?;
    let address = listener.local_addr().map_err(Error::internal)?;
    let world = Arc::new(build(&options)?);
    let secret = world.read(|c| c.access.tokens.get(&options.token_id).map(|t| t.secret.clone())).unwrap_or_default();
    stats::round(&world);
    world.background(stats::run(Arc::clone(&world)));
    if let Some(path) = options.state_file.clone() {
        world.background(persist::keep(Arc::clone(&world), path));
    }
    world.tracker.spawn(http::server::run(Arc::clone(&world), listener, address));
    Ok(Sim {
        url: format!("https://{address}"),
        fingerprint: world.leaf.load().fingerprint,
        ca_pem: world.authority.pem.clone(),
        token_id: options.token_id,
        token_secret: Secret::new(secret),
        root_password: world.root_password.clone(),
        state_file: options.state_file,
        world,
    })
}

/// The cluster of the state file, else a fresh one.
fn build(options: &Options) -> Result<world::World> {
    let make = |cluster, password, authority, leaf| {
        world::World::new(
            cluster,
            (options.time_scale, Arc::clone(&options.clock)),
            options.seed,
            password,
            authority,
            leaf,
        )
    };
    let saved = options.state_file.as_deref().map(persist::load).transpose()?.flatten();
    if let Some(mut saved) = saved {
        let (authority, leaf) = saved.certificates()?;
        if let (Some(secret), Some(token)) =
            (&options.token_secret, saved.cluster.access.tokens.get_mut(&options.token_id))
        {
            token.secret.clone_from(secret);
        }
        let password = options.root_password.clone().unwrap_or(saved.root_password);
        return Ok(make(saved.cluster, password, authority, leaf));
    }
    let secret = options.token_secret.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let password = options.root_password.clone().unwrap_or_else(|| random::code(4));
    let now = options.clock.now().0;
    let size = demo_data::Size { nodes: options.nodes, guests: options.guests, seed: options.seed, now };
    let mut cluster = demo_data::build(size, &options.token_id, &secret);
    if options.bare {
        let access = &mut cluster.access;
        access.users.retain(|id, _| id == "root@pam");
        access.roles.remove("Steward");
        access.tokens.clear();
        access.acls.clear();
    }
    let authority = http::tls::Authority::generate()?;
    let names: Vec<String> = cluster.nodes.keys().cloned().collect();
    let leaf = authority.leaf(&names)?;
    Ok(make(cluster, password, authority, leaf))
}

impl Sim {
    /// The handle to switch faults on and off.
    pub fn faults(&self) -> Faults {
        Faults(Arc::clone(&self.world))
    }

    /// Ends all connections and tasks, waits for them, and writes the state file.
    pub async fn stop(&self) {
        self.world.stop.cancel();
        self.world.tracker.close();
        // A call that is kept waiting by a fault must not keep the process alive.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), self.world.tracker.wait()).await;
        if let Some(path) = &self.state_file
            && let Err(e) = persist::save(&self.world, path)
        {
            tracing::warn!(error = e.chain(), "the simulation's state was not written");
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}
