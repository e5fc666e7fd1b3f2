//! Consoles: a machine's screen (VNC) and its serial line, by ticket and websocket as the real API does it
//! (qemu-server: PVE/API2/Qemu.pm `vncproxy`, `termproxy`, `vncwebsocket`; pve-container the same).
//!
//! A proxy call starts a worker that waits ten seconds for the websocket. The ticket is bound to the
//! identity, the machine and the port, and serves once: whoever comes second or late gets no answer at all.

mod calls;
mod font;
mod picture;
mod rfb;
mod shell;
mod socket;

#[cfg(test)]
mod tests;

pub use calls::{connect, lxc_terminal, screen, terminal};
pub use socket::{TicketParam, asked, attach};

use super::world::lock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// How long a ticket can be shown, used or not (pve-access-control: 40 s for `PVEVNC`).
const TICKET: Duration = Duration::from_secs(40);

/// A machine's console as its own operating system keeps it, from one visit to the next.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    /// What was typed at the screen since the machine was first looked at.
    pub typed: String,
    pub ctrl_alt_del: u32,
    pub pointer: (u16, u16),
}

/// A worker that waits, or the ticket of one that is gone.
#[derive(Debug)]
struct Waiting {
    user: String,
    /// `/vms/100`
    path: String,
    port: u16,
    until: Instant,
    /// Where the websocket goes; none when it was used.
    door: Option<oneshot::Sender<DuplexStream>>,
}

/// All consoles of the cluster.
#[derive(Debug, Default)]
pub struct Desk {
    /// By ticket.
    waiting: Mutex<BTreeMap<String, Waiting>>,
    ports: Mutex<BTreeSet<u16>>,
    memories: Mutex<BTreeMap<u32, Memory>>,
    cut: Notify,
}

impl Desk {
    /// Cuts every open console, as when a node's proxy is restarted.
    pub fn cut(&self) {
        self.cut.notify_waiters();
    }

    pub fn memory(&self, vmid: u32) -> Memory {
        lock(&self.memories).get(&vmid).cloned().unwrap_or_default()
    }

    fn remember(&self, vmid: u32, f: impl FnOnce(&mut Memory)) {
        f(lock(&self.memories).entry(vmid).or_default());
    }

    /// Machines whose console was used, for tests.
    pub fn memories(&self) -> BTreeMap<u32, Memory> {
        lock(&self.memories).clone()
    }

    fn take_port(&self) -> Option<u16> {
        let mut taken = lock(&self.ports);
        (5900..6000).find(|port| taken.insert(*port))
    }
}
