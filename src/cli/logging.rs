//! Where the log goes: the journal when systemd started us, else standard error.

use crate::quiet::Quiet;
use base::{Error, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging with tracing's filter words.
pub(super) fn start(filter: &str) -> Result<()> {
    let filter =
        EnvFilter::try_new(filter).map_err(|e| Error::invalid(format!("log = \"{filter}\" can't be read: {e}")))?;
    let quiet = Quiet::default();
    quiet.start().map_err(Error::internal)?;
    let registry = tracing_subscriber::registry().with(filter).with(quiet);
    // JOURNAL_STREAM is set by systemd for services whose output goes to the journal.
    let journal = std::env::var_os("JOURNAL_STREAM").and_then(|_| tracing_journald::layer().ok());
    let started = match journal {
        Some(layer) => registry.with(layer).try_init(),
        None => {
            registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false)).try_init()
        }
    };
    started.map_err(|e| Error::internal(e.to_string()))
}
