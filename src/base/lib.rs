//! Floor 0: time, ids, secrets as types, the error.
//!
//! Everything above uses these and they use nothing of ours. No I/O but the clock and the
//! system's random source, so that every rule above can be tested with a clock it is handed.

pub mod amounts;
pub mod error;
pub mod excerpt;
pub mod files;
pub mod ids;
pub mod random;
pub mod secret;
pub mod text;
pub mod time;

pub use error::{Error, Kind, Result};
pub use secret::{Secret, Secrets, without_secrets};
pub use time::{Clock, SystemClock, Timestamp};
