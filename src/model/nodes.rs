//! Nodes and what is on them: storages, bridges, templates, ISO images.

use crate::lenient;
use serde::{Deserialize, Serialize};

/// A node's state from the provider's `inventory` hook. Amounts are bytes, `cpu` is 0 to 1 of all threads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    /// online, offline or unknown.
    pub status: String,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub cpu: f64,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub maxcpu: f64,
    #[serde(default, deserialize_with = "lenient::whole")]
    pub mem: u64,
    #[serde(default, deserialize_with = "lenient::whole")]
    pub maxmem: u64,
    #[serde(default, deserialize_with = "lenient::whole")]
    pub disk: u64,
    #[serde(default, deserialize_with = "lenient::whole")]
    pub maxdisk: u64,
    #[serde(default, deserialize_with = "lenient::whole")]
    pub uptime: u64,
}

impl Node {
    /// Off, or cut from the others. One of which nothing is known may do everything.
    pub fn is_off(&self) -> bool {
        self.status == "offline"
    }

    /// It is neither off nor in a cluster that does not answer.
    pub fn is_here(&self) -> bool {
        !self.is_off() && self.status != "unreachable"
    }
}

/// A provider's own daemon that measures machines on each node, and how it is started again there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reporter {
    pub name: String,
    pub command: String,
}

/// A storage as seen from one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Storage {
    pub node: String,
    pub name: String,
    /// available or unknown.
    pub status: String,
    /// images, iso, vztmpl, backup, snippets, import ...
    pub content: Vec<String>,
    pub shared: bool,
    #[serde(deserialize_with = "lenient::whole")]
    pub used: u64,
    #[serde(deserialize_with = "lenient::whole")]
    pub total: u64,
}

/// What the create form may offer on one node (the provider's `choices` hook).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choices {
    pub bridges: Vec<String>,
    /// Storages that take disk images.
    pub storages: Vec<String>,
    /// `volid`s of ISO images.
    pub isos: Vec<String>,
}
