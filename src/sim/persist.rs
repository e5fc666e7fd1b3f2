//! The state file: the whole cluster with its certificates as JSON, so that a simulation that runs alone
//! is the same after a restart. Written every two seconds when something changed, and at the end; what
//! happened after the last write is lost with a crash. Tickets, faults and running tasks are not kept:
//! such tasks end as "unexpected status", as after a crash of a real host.

use super::http::tls::{Authority, Leaf};
use super::state::Cluster;
use super::world::World;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The content of the file. It holds secrets of the simulation, so only its owner may read it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    pub cluster: Cluster,
    pub root_password: String,
    ca_pem: String,
    ca_key: String,
    leaf: (String, String),
}

impl Saved {
    /// CA and leaf as they were.
    pub fn certificates(&self) -> Result<(Authority, Leaf)> {
        Ok((Authority::again(&self.ca_pem, &self.ca_key)?, Leaf::again(&self.leaf.0, &self.leaf.1)?))
    }
}

/// Reads the file; none when it is not there yet.
pub fn load(path: &Path) -> Result<Option<Saved>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::unavailable("The simulation's state file can't be read.").with_cause(e)),
    };
    let mut saved: Saved = serde_json::from_slice(&text).map_err(|e| {
        Error::invalid("The simulation's state file is damaged; delete it to begin anew.").with_cause(e)
    })?;
    for task in saved.cluster.tasks.iter_mut().filter(|t| t.exit.is_none()) {
        task.exit = Some("unexpected status".into());
        task.endtime = Some(task.starttime);
    }
    Ok(Some(saved))
}

/// Writes whenever something changed, for ever.
pub async fn keep(world: Arc<World>, path: PathBuf) {
    let mut written = 0;
    loop {
        let generation = world.generation();
        if generation != written && save(&world, &path).is_ok() {
            written = generation;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Writes now: to a new file first, then in place of the old one.
pub fn save(world: &World, path: &Path) -> Result<()> {
    let leaf = world.leaf.load();
    let saved = Saved {
        cluster: world.read(Clone::clone),
        root_password: world.root_password.expose().clone(),
        ca_pem: world.authority.pem.clone(),
        ca_key: world.authority.key_pem(),
        leaf: (leaf.der.clone(), leaf.key.clone()),
    };
    let text = serde_json::to_vec(&saved).map_err(Error::internal)?;
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(Error::internal)?;
    file.write_all(&text).map_err(Error::internal)?;
    fs::rename(&fresh, path).map_err(Error::internal)
}
