//! Floor 2: keys and what they do: sealing with AES-SIV, the appliance key, key slots, tokens.
//!
//! Knows only `base`. It must not know rows, users or requests: it takes bytes and returns bytes,
//! and the floors above decide what is bound to what through the associated data. Every key type hides
//! its content from `Debug` and is wiped when it is dropped.

pub mod appliance;
pub mod jwt;
mod seal;
pub mod slots;
pub mod token;

pub use seal::{SealKey, VaultKey};
