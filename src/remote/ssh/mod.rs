//! SSH: one connection to one machine, commands on it, small files, a stream to a port behind it.
//!
//! It speaks with `russh`; every wait has an end, and a host key is either the pinned one or the connection
//! is refused before a credential is shown. What to run is up to the plugins.

mod client;
mod error;
mod exec;
mod keys;
mod lines;
#[cfg(test)]
mod tests;

pub use client::{Auth, HostKey, SshSession, Target};
pub use error::{SshError, SshErrorKind};
pub use exec::{Ran, RunOptions, Stream};
pub use keys::{KeyPair, public_line};
pub use lines::Lines;

/// A stream to a port behind an SSH connection.
pub type Tunnel = russh::ChannelStream<russh::client::Msg>;
