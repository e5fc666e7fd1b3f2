//! What runs inside machines: Windows is handled differently from the rest. The provider tells it; the answer is
//! kept for a while, as pages ask often.

use super::Guests;
use crate::live::GuestLive;
use crate::plugin_host;
use base::ids::GuestId;
use model::guests::{GuestKind, System};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const KEEP: Duration = Duration::from_secs(600);
/// An answer without content is asked for again sooner.
const KEEP_UNKNOWN: Duration = Duration::from_secs(15);
/// A page must not wait long for it.
const LIMIT: Duration = Duration::from_secs(3);
const HOOK: &str = "guest_system";

/// Answers that are kept.
#[derive(Default)]
pub(crate) struct Systems(Mutex<HashMap<GuestId, (System, Instant)>>);

impl Guests<'_> {
    /// The machine's or template's system. `Unknown` when the provider can't tell or does not answer soon.
    pub async fn system(&self, guest: &GuestLive) -> System {
        if guest.row.kind == GuestKind::Container {
            return System::Linux;
        }
        let Some(vmid) = guest.row.vmid else { return System::Unknown };
        if let Some(system) = self.kept(guest.row.id) {
            return system;
        }
        let plugin = self.0.connections().plugin_of(guest.row.connection).ok();
        let plugin = plugin.and_then(|name| self.0.plugin_set().get(&name));
        if !plugin.is_some_and(|p| p.manifest().hooks.contains_key(HOOK)) {
            return System::Unknown;
        }
        let target = json!({ "vmid": vmid, "kind": guest.row.kind.name(), "node": guest.state.node });
        let asked = plugin_host::call::<Value>(self.0, guest.row.connection, HOOK, vec![target]);
        let system = match tokio::time::timeout(LIMIT, asked).await {
            Ok(Ok(told)) => serde_json::from_value(told["system"].clone()).unwrap_or_default(),
            Ok(Err(e)) => {
                tracing::debug!(guest.id = %guest.row.id, error = %e.chain(), "a machine's system is not known");
                System::Unknown
            }
            Err(_) => System::Unknown,
        };
        let mut all = self.0.0.systems.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, at)| at.elapsed() < KEEP);
        all.insert(guest.row.id, (system, Instant::now()));
        system
    }

    fn kept(&self, id: GuestId) -> Option<System> {
        let all = self.0.0.systems.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = |system: System| if system == System::Unknown { KEEP_UNKNOWN } else { KEEP };
        all.get(&id).filter(|(system, at)| at.elapsed() < keep(*system)).map(|(system, _)| *system)
    }
}
