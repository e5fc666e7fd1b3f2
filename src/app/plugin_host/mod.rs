//! What plugins can reach outside: each host call is checked against the run's connection and its limits,
//! then carried out. One file for each host module. Runs on blocking threads only.

mod errors;
mod guests;
mod kv;
mod machine;
mod pve;
mod secrets;

use crate::App;
use base::ids::ConnectionId;
use base::{Error, Result, Secrets};
use errors::call_error;
use model::jobs::LogLevel;
use plugin::{Call, CallError, CallErrorKind, Host, Run, Say};
use remote::pve::EndpointIndex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// The appliance as a plugin sees it.
struct PluginHost {
    app: App,
    runtime: Handle,
    /// Where the last changing call was answered: what it returned may be valid only there.
    answered_at: Mutex<Option<EndpointIndex>>,
    /// The secrets of a hook's arguments. Those of a job are read when one is needed.
    secrets: Secrets,
}

impl App {
    /// The host for plugin runs. Call from inside the runtime.
    pub fn plugin_host(&self) -> Arc<dyn Host> {
        Arc::new(PluginHost::new(self, Secrets::default()))
    }
}

/// Calls an effect hook of the connection's plugin on a blocking thread, and reads its answer.
pub(crate) async fn call<T: DeserializeOwned>(
    app: &App,
    connection: ConnectionId,
    hook: &'static str,
    args: Vec<Value>,
) -> Result<T> {
    call_with_endpoint(app, connection, hook, args).await.map(|(value, _)| value)
}

/// As [`call`], with secrets among the arguments, named by their places there: `1/input`.
pub(crate) async fn call_with(
    app: &App,
    connection: ConnectionId,
    hook: &'static str,
    args: Vec<Value>,
    secrets: Secrets,
) -> Result<Value> {
    run_hook(app, connection, hook, args, secrets).await.map(|(value, _)| value)
}

/// As [`call`], with the endpoint at which the hook's last change was answered.
pub(crate) async fn call_with_endpoint<T: DeserializeOwned>(
    app: &App,
    connection: ConnectionId,
    hook: &'static str,
    args: Vec<Value>,
) -> Result<(T, Option<EndpointIndex>)> {
    let (value, endpoint) = run_hook(app, connection, hook, args, Secrets::default()).await?;
    let read = serde_path_to_error::deserialize(value).map_err(|e| {
        Error::unavailable("The plugin gave an answer that can't be read. See the Plugins page.").with_cause(e)
    })?;
    Ok((read, endpoint))
}

async fn run_hook(
    app: &App,
    connection: ConnectionId,
    hook: &'static str,
    args: Vec<Value>,
    secrets: Secrets,
) -> Result<(Value, Option<EndpointIndex>)> {
    let name = app.connections().plugin_of(connection)?;
    let plugin = app.plugin_set().get(&name).ok_or_else(|| unusable(&name))?;
    let run = Run {
        connection: Some(connection),
        actor: "Steward".to_owned(),
        secrets: plugin::handles(&secrets),
        ..Run::default()
    };
    let ours = Arc::new(PluginHost::new(app, secrets));
    let host: Arc<dyn Host> = ours.clone();
    let result =
        tokio::task::spawn_blocking(move || plugin.call(&host, hook, args, run)).await.map_err(Error::internal)?;
    let value = result.map_err(|e| Error::unavailable(e.message.clone()).with_cause(e))?;
    let endpoint = *ours.answered_at.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((value, endpoint))
}

/// The error of a plugin that is broken or missing.
pub(crate) fn unusable(plugin: &str) -> Error {
    Error::unavailable(format!("The plugin “{plugin}” is not usable right now. The Plugins page says why."))
}

impl Host for PluginHost {
    fn call(&self, run: &Run, call: Call) -> Result<Value, CallError> {
        match call {
            Call::Pve { method, path, params, secrets } => self.pve(run, method, &path, params, &secrets),
            Call::UploadCd(cd) => self.upload_cd(run, &cd),
            Call::Ssh(call) => self.ssh(run, call, &|_| {}),
            Call::Agent(call) => self.agent(run, call, &|_| {}),
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

    fn call_live(&self, run: &Run, call: Call, say: &Say<'_>) -> Result<Value, CallError> {
        match call {
            Call::Ssh(call) => self.ssh(run, call, say),
            Call::Agent(call) => self.agent(run, call, say),
            call => self.call(run, call),
        }
    }
}

impl PluginHost {
    fn new(app: &App, secrets: Secrets) -> Self {
        Self { app: app.clone(), runtime: Handle::current(), answered_at: Mutex::default(), secrets }
    }
}

/// The run's connection; `what` needs one.
fn connection_of(run: &Run, what: &str) -> Result<ConnectionId, CallError> {
    run.connection.ok_or_else(|| {
        call_error(CallErrorKind::Forbidden, format!("This run belongs to no connection, so it can't {what}."))
    })
}

fn log(run: &Run, level: LogLevel, text: &str) {
    let (plugin, hook) = (&run.plugin, &run.hook);
    match level {
        LogLevel::Info => tracing::info!(plugin, hook, "{text}"),
        LogLevel::Warn => tracing::warn!(plugin, hook, "{text}"),
        LogLevel::Error => tracing::error!(plugin, hook, "{text}"),
    }
}
