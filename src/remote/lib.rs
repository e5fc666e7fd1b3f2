//! Floor 2: the wires to other machines.
//!
//! This floor speaks protocols: connections, certificates, time-outs, retries, limits, and what an
//! answer means as far as the protocol says. It must not know what Steward wants from the other side:
//! which call makes a machine, or in which order, is up to the plugins. It knows neither the store nor
//! the jobs, and its neighbours on the same floor not at all.

pub mod fetch;
pub mod http;
pub mod neighbours;
pub mod pve;
pub mod ssh;
pub mod tls;
