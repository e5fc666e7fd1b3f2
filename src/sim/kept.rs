//! The whole cluster at one moment, to go back to: so that one test after the other begins with the same cluster.

use super::Sim;
use super::state::Cluster;
use super::world::lock;
use super::{stats, tasks};
use serde_json::Value;
use std::time::Duration;

/// A cluster as it was.
#[derive(Debug, Clone)]
pub struct SavedCluster(Cluster);

impl Sim {
    /// Remembers the cluster as it is, without its tasks.
    pub fn keep(&self) -> SavedCluster {
        let mut cluster = self.world.read(Clone::clone);
        cluster.tasks.clear();
        SavedCluster(cluster)
    }

    /// Ends all faults and all tasks and puts the cluster back as it was. Process numbers go on, so that no task
    /// has the id of an earlier one.
    pub async fn put_back(&self, kept: &SavedCluster) {
        self.faults().clear();
        self.interrupt().await;
        self.world.change(|c| {
            let next_pid = c.next_pid;
            *c = kept.0.clone();
            c.next_pid = next_pid;
        });
        stats::round(&self.world);
    }

    /// Ends every task that runs now, as a person at the host can.
    pub async fn interrupt(&self) {
        let upids: Vec<String> = lock(&self.world.running).keys().cloned().collect();
        upids.iter().for_each(|upid| tasks::interrupt(&self.world, upid));
        for _ in 0..500 {
            if lock(&self.world.running).is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Everything that the cluster is, as JSON: what a look at it from inside shows. Holds its secrets too.
    pub fn picture(&self) -> Value {
        self.world.read(|c| serde_json::to_value(c).unwrap_or_default())
    }
}
