//! What plugins reach of the world: each host call is checked against the run's connection and its limits,
//! then carried out. Runs on blocking threads only.

use crate::app::App;
use crate::base::ids::ConnectionId;
use crate::base::{Error, Kind, Result};
use crate::model::connections::Limits;
use crate::model::jobs::LogLevel;
use crate::plugin::{Call, CallError, CallErrorKind, Host, Method, Run};
use crate::remote::pve::{Place, PveClient, PveError, PveErrorKind};
use crate::store::{Json, Name, Read, tables};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// Plugins' own small store: at most so many bytes of JSON under one key.
const KV_LIMIT: usize = 64 * 1024;

/// The appliance as a plugin sees it.
pub(super) struct PluginHost {
    app: App,
    runtime: Handle,
    /// Where the last changing call was answered: what it gave may be good only there.
    place: Mutex<Option<Place>>,
}

impl App {
    /// The host for plugin runs. Call from inside the runtime.
    pub fn plugin_host(&self) -> Arc<dyn Host> {
        Arc::new(PluginHost::new(self))
    }
}

/// Calls an effect hook of the connection's plugin on a blocking thread.
pub(super) async fn call(app: &App, connection: ConnectionId, hook: &'static str, args: Vec<Value>) -> Result<Value> {
    call_placed(app, connection, hook, args).await.map(|(value, _)| value)
}

/// As [`call`], with the endpoint at which the hook's last change was answered.
pub(super) async fn call_placed(
    app: &App,
    connection: ConnectionId,
    hook: &'static str,
    args: Vec<Value>,
) -> Result<(Value, Option<Place>)> {
    let name = app.connections().plugin_of(connection)?;
    let plugin = app.plugin_set().get(&name).ok_or_else(|| {
        Error::unavailable(format!("The plugin “{name}” is not usable right now. The Plugins page says why."))
    })?;
    let ours = Arc::new(PluginHost::new(app));
    let host: Arc<dyn Host> = ours.clone();
    let run = Run {
        plugin: name,
        hook: hook.to_owned(),
        connection: Some(connection),
        job: None,
        actor: "Steward".to_owned(),
    };
    let result =
        tokio::task::spawn_blocking(move || plugin.call(&host, hook, args, run)).await.map_err(Error::internal)?;
    let value = result.map_err(|e| Error::unavailable(e.message.clone()).with_cause(e))?;
    let place = *ours.place.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((value, place))
}

impl Host for PluginHost {
    fn call(&self, run: &Run, call: Call) -> Result<Value, CallError> {
        match call {
            Call::Pve { method, path, params } => self.pve(run, method, &path, &params),
            Call::ReserveVmid => self.reserve_vmid(run),
            Call::ReleaseVmid { vmid } => self.release_vmid(run, vmid),
            Call::KvGet { key } => self.kv_get(run, &key),
            Call::KvPut { key, value } => self.kv_put(run, &key, value),
            Call::KvDelete { key } => self.kv_delete(run, &key),
            Call::Log { level, text } => {
                log(run, level, &text);
                Ok(Value::Null)
            }
            Call::Now => Ok(json!(self.app.now().as_secs())),
        }
    }
}

impl PluginHost {
    fn new(app: &App) -> Self {
        Self { app: app.clone(), runtime: Handle::current(), place: Mutex::default() }
    }

    fn link(&self, run: &Run) -> Result<(ConnectionId, PveClient, Limits), CallError> {
        let id = run.connection.ok_or_else(|| {
            call_error(CallErrorKind::Forbidden, "This run belongs to no Proxmox connection, so it can't call pve::.")
        })?;
        let (client, limits) = self.app.connections().link(id).map_err(from_error)?;
        Ok((id, client, limits))
    }

    fn pve(&self, run: &Run, method: Method, path: &str, params: &Value) -> Result<Value, CallError> {
        let (_, client, limits) = self.link(run)?;
        if method != Method::Get {
            check_node(&limits, path, params)?;
        }
        let (value, place) =
            self.runtime.block_on(client.call_placed(method.name(), path, params)).map_err(from_pve)?;
        if method != Method::Get {
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        }
        Ok(value)
    }

    /// Finds a number that Proxmox, our rows and other jobs leave free, and keeps it for this job.
    fn reserve_vmid(&self, run: &Run) -> Result<Value, CallError> {
        let job = run.job.ok_or_else(|| call_error(CallErrorKind::Forbidden, "Only a job can reserve a number."))?;
        let (connection, client, limits) = self.link(run)?;
        let (low, high) = limits.vmid_range();
        let mut from = low;
        loop {
            let vmid = self.lowest_free(connection, from, high).map_err(from_error)?.ok_or_else(|| {
                let text = format!("All numbers from {low} to {high} are taken. Widen the range in the settings.");
                call_error(CallErrorKind::Conflict, text)
            })?;
            // Proxmox may know guests that our token can't see.
            match self.runtime.block_on(client.call("GET", "/cluster/nextid", &json!({ "vmid": vmid }))) {
                Ok(_) => {
                    self.app.guests().keep_vmid(connection, vmid, job).map_err(from_error)?;
                    return Ok(json!(vmid));
                }
                Err(e) if e.status == 400 => from = vmid + 1,
                Err(e) => return Err(from_pve(e)),
            }
        }
    }

    fn lowest_free(&self, connection: ConnectionId, from: u32, high: u32) -> Result<Option<u32>> {
        self.app.store().read(|tx| {
            for vmid in from..=high {
                let key = (connection, vmid);
                if tx.get(tables::GUEST_VMIDS, &key)?.is_none() && tx.get(tables::VMID_RESERVATIONS, &key)?.is_none() {
                    return Ok(Some(vmid));
                }
            }
            Ok(None)
        })
    }

    fn release_vmid(&self, run: &Run, vmid: u32) -> Result<Value, CallError> {
        let (connection, _, _) = self.link(run)?;
        let job = run.job.ok_or_else(|| call_error(CallErrorKind::Forbidden, "Only a job can give a number back."))?;
        self.app.guests().release_vmid(connection, vmid, job).map_err(from_error)?;
        Ok(Value::Null)
    }

    fn kv_get(&self, run: &Run, key: &str) -> Result<Value, CallError> {
        let key = kv_key(run, key);
        let value = self.app.store().read(|tx| tx.get(tables::PLUGIN_KV, &key)).map_err(from_error)?;
        Ok(value.map_or(Value::Null, |v| v.0))
    }

    fn kv_put(&self, run: &Run, key: &str, value: Value) -> Result<Value, CallError> {
        if key.is_empty() || key.len() > 200 || value.to_string().len() > KV_LIMIT {
            return Err(call_error(CallErrorKind::Invalid, "A key has 1 to 200 bytes and its value at most 64 KiB."));
        }
        let key = kv_key(run, key);
        self.app.store().write_blocking(move |tx| tx.put(tables::PLUGIN_KV, &key, &Json(value))).map_err(from_error)?;
        Ok(Value::Null)
    }

    fn kv_delete(&self, run: &Run, key: &str) -> Result<Value, CallError> {
        let key = kv_key(run, key);
        self.app.store().write_blocking(move |tx| tx.delete(tables::PLUGIN_KV, &key)).map_err(from_error)?;
        Ok(Value::Null)
    }
}

/// The plugin's name is part of the key: no plugin reads another's.
fn kv_key(run: &Run, key: &str) -> (Name, Name) {
    (Name::new(run.plugin.clone()), Name::new(key.to_owned()))
}

/// Proxmox has no rule that limits nodes, so every change is checked here: the node in the path, and the one
/// that the parameters send a guest to.
fn check_node(limits: &Limits, path: &str, params: &Value) -> Result<(), CallError> {
    let in_path = path.strip_prefix("/nodes/").and_then(|rest| rest.split('/').next());
    let target = params.get("target").and_then(Value::as_str);
    for node in [in_path, target].into_iter().flatten() {
        if !limits.allows_node(node) {
            let text =
                format!("Steward may not change anything on node {node}. An admin can allow it in the settings.");
            return Err(call_error(CallErrorKind::Forbidden, text));
        }
    }
    Ok(())
}

fn log(run: &Run, level: LogLevel, text: &str) {
    let (plugin, hook) = (&run.plugin, &run.hook);
    match level {
        LogLevel::Info => tracing::info!(plugin, hook, "{text}"),
        LogLevel::Warn => tracing::warn!(plugin, hook, "{text}"),
        LogLevel::Error => tracing::error!(plugin, hook, "{text}"),
    }
}

fn call_error(kind: CallErrorKind, message: impl Into<String>) -> CallError {
    CallError { kind, status: 0, message: message.into(), errors: Default::default() }
}

fn from_pve(e: PveError) -> CallError {
    CallError { kind: call_kind(e.kind), status: e.status, message: e.message, errors: e.errors }
}

/// Both floors name the same kinds and know nothing of each other.
fn call_kind(kind: PveErrorKind) -> CallErrorKind {
    match kind {
        PveErrorKind::Unreachable => CallErrorKind::Unreachable,
        PveErrorKind::Auth => CallErrorKind::Auth,
        PveErrorKind::Forbidden => CallErrorKind::Forbidden,
        PveErrorKind::Invalid => CallErrorKind::Invalid,
        PveErrorKind::Locked => CallErrorKind::Locked,
        PveErrorKind::NotFound => CallErrorKind::NotFound,
        PveErrorKind::Conflict => CallErrorKind::Conflict,
        PveErrorKind::Refused => CallErrorKind::Refused,
        PveErrorKind::Timeout => CallErrorKind::Timeout,
        PveErrorKind::Internal => CallErrorKind::Internal,
    }
}

fn from_error(e: Error) -> CallError {
    let kind = match e.kind() {
        Kind::Invalid => CallErrorKind::Invalid,
        Kind::Unauthenticated => CallErrorKind::Auth,
        Kind::Forbidden => CallErrorKind::Forbidden,
        Kind::NotFound => CallErrorKind::NotFound,
        Kind::Conflict => CallErrorKind::Conflict,
        Kind::TooMany | Kind::Unavailable => CallErrorKind::Unreachable,
        Kind::Storage | Kind::Internal => {
            tracing::error!(error = e.chain(), "a host call failed");
            CallErrorKind::Internal
        }
    };
    call_error(kind, e.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_allowed_can_neither_be_changed_nor_be_a_target() {
        let limits = Limits { nodes: vec!["pve1".into()], ..Limits::default() };
        assert!(check_node(&limits, "/nodes/pve1/qemu/100/status/start", &Value::Null).is_ok());
        assert!(check_node(&limits, "/nodes/pve2/qemu/100/status/start", &Value::Null).is_err());
        assert!(check_node(&limits, "/nodes/pve1/qemu/100/clone", &json!({ "target": "pve2" })).is_err());
        assert!(check_node(&limits, "/pools", &Value::Null).is_ok());
    }
}
