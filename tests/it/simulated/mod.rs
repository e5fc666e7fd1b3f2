//! The Proxmox client and plugin against the simulated cluster, which is as strict and as moody as the real one.

mod client;
mod console;
mod create;
mod hardware;
mod hooks;
mod moving;
mod power;
mod profiles;
mod snapshots;

use crate::proxmox::Bench;
use remote::pve::{PveClient, Target, Trust};
use sim::{Options, Sim, start};

/// A small cluster of three nodes, a hundred times faster than life.
pub async fn cluster() -> Sim {
    start(Options { guests: 12, time_scale: 0.01, ..Options::default() }).await.unwrap()
}

pub fn target(sim: &Sim, trust: Trust) -> Target {
    Target {
        endpoints: vec![sim.url.clone()],
        trust,
        token_id: sim.token_id.clone(),
        token_secret: sim.token_secret.clone(),
    }
}

pub fn client(sim: &Sim) -> PveClient {
    PveClient::new(target(sim, Trust::Fingerprints(vec![sim.fingerprint]))).unwrap()
}

/// New machines get 500 and up.
pub fn bench(sim: &Sim) -> Bench {
    Bench::new(client(sim), 500)
}
