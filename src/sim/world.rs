//! The cluster together with what runs it: the lock around the state, scaled time, short locks on
//! guests' configuration files, running tasks, faults, tickets.

use super::faults::FaultBox;
use super::http::tls::{Authority, Leaf};
use super::state::Cluster;
use arc_swap::ArcSwap;
use base::{Clock, Secret};
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Held while a guest's configuration file is edited (`/var/lock/qemu-server/lock-ID.conf`).
pub type FileLock = OwnedMutexGuard<()>;

#[derive(Debug)]
pub struct World {
    state: Mutex<Cluster>,
    /// Counts changes, so that the big list is made again only when something is new.
    generation: AtomicU64,
    file_locks: Mutex<HashMap<u32, Arc<tokio::sync::Mutex<()>>>>,
    pub running: Mutex<HashMap<String, CancellationToken>>,
    pub tickets: Mutex<HashMap<String, super::access::tickets::Ticket>>,
    pub lists: Mutex<super::resources::Cache>,
    /// What programs run by the guest agent ended with, by guest and process id.
    /// With the time from which on it can be asked, in Unix milliseconds.
    pub agent_results: Mutex<HashMap<(u32, u32), (i64, serde_json::Value)>>,
    /// The insides of Windows machines, by number.
    pub windows: Mutex<HashMap<u32, super::qemu::windows::Windows>>,
    /// The bytes of uploaded CD images, by volume id.
    pub isos: Mutex<HashMap<String, Vec<u8>>>,
    pub faults: FaultBox,
    pub desk: super::console::Desk,
    pub scale: f64,
    clock: Arc<dyn Clock>,
    pub seed: u64,
    pub root_password: Secret<String>,
    pub authority: Authority,
    pub leaf: ArcSwap<Leaf>,
    pub stop: CancellationToken,
    pub tracker: TaskTracker,
}

impl World {
    pub fn new(
        cluster: Cluster,
        (scale, clock): (f64, Arc<dyn Clock>),
        seed: u64,
        root_password: String,
        authority: Authority,
        leaf: Leaf,
    ) -> Self {
        Self {
            state: Mutex::new(cluster),
            generation: AtomicU64::new(1),
            file_locks: Mutex::default(),
            running: Mutex::default(),
            tickets: Mutex::default(),
            lists: Mutex::default(),
            agent_results: Mutex::default(),
            windows: Mutex::default(),
            isos: Mutex::default(),
            faults: FaultBox::default(),
            desk: super::console::Desk::default(),
            scale,
            clock,
            seed,
            root_password: Secret::new(root_password),
            authority,
            leaf: ArcSwap::from_pointee(leaf),
            stop: CancellationToken::new(),
            tracker: TaskTracker::new(),
        }
    }

    /// Looks at the cluster.
    pub fn read<T>(&self, f: impl FnOnce(&Cluster) -> T) -> T {
        f(&lock(&self.state))
    }

    /// Changes the cluster.
    pub fn change<T>(&self, f: impl FnOnce(&mut Cluster) -> T) -> T {
        let out = f(&mut lock(&self.state));
        self.generation.fetch_add(1, Ordering::SeqCst);
        out
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Unix milliseconds. The calendar is never scaled, only waiting is.
    pub fn now(&self) -> i64 {
        self.clock.now().0
    }

    pub fn seconds(&self) -> i64 {
        self.now().div_euclid(1000)
    }

    /// How long `seconds` of the real thing last here.
    pub fn scaled(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds * self.scale).max(0.0))
    }

    /// Waits up to `seconds` for the lock on a guest's file; 10 for edits and power, 1 for clones.
    pub async fn file_lock(&self, vmid: u32, seconds: f64) -> Result<FileLock, String> {
        let mutex = Arc::clone(lock(&self.file_locks).entry(vmid).or_default());
        let text = format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout");
        tokio::time::timeout(self.scaled(seconds), mutex.lock_owned()).await.map_err(|_| text)
    }

    /// Runs in the background until it ends or the simulation is stopped.
    pub fn background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! { () = work => {}, () = stop.cancelled() => {} }
        });
    }
}

/// A poisoned lock is still used: a panicking handler must not end the whole simulation.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
