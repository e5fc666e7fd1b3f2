//! Floor 2: plugins. Compiles and runs the Rhai scripts that know an outside product, within limits,
//! and plays the script side of durable jobs (steps, waits, undo) against a journal that is passed in.
//!
//! It must not know: the store, the network, users, the web. Everything outside goes through the
//! [`Host`] and [`Journal`] traits, which the floors above implement. A script reaches the host only
//! by the functions in [`api`], and only by the modules that its manifest was granted.
//!
//! Everything here blocks: call it on a blocking thread, preferably one marked by [`stack::mark_thread`].

pub mod api;
mod call;
pub mod check;
mod convert;
mod core;
pub mod docs;
mod engine;
mod error;
mod host;
mod job;
mod journal;
pub mod limits;
mod machine;
mod manifest;
mod memory;
mod plugins;
mod run;
mod script;
mod secret;
mod source;
pub mod stack;
#[cfg(test)]
mod tests;
mod text;

pub use host::{Call, CallError, CallErrorKind, CdUpload, Host, Method, Run, Say};
pub use journal::{Failure, Journal, Mode, Outcome};
pub use machine::{MachineCall, MachineCommand};
pub use plugins::Plugins;
pub use script::Plugin;
pub use secret::{SecretPlaces, SecretText, handles};
