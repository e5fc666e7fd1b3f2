//! What plugins reach of the world: each host call is checked against the run's connection and its limits,
//! then carried out. Runs on blocking threads only.

use crate::App;
use crate::limits::{self, Change};
use crate::templates::{is_cd, upload_cd};
use base::ids::ConnectionId;
use base::{Error, Kind, Result, Secret, Secrets, without_secrets};
use model::connections::Limits;
use model::jobs::LogLevel;
use plugin::{self, Call, CallError, CallErrorKind, Host, Method, Run, Say, SecretPlaces, SecretText, SshCall};
use remote::pve::{Place, PveClient, PveError, PveErrorKind};
use remote::ssh::{SshError, SshErrorKind};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use store::{Json, Name, Read, tables};
use tokio::runtime::Handle;

/// Plugins' own small store: at most so many bytes of JSON under one key.
const KV_LIMIT: usize = 64 * 1024;

/// The appliance as a plugin sees it.
pub(super) struct PluginHost {
    app: App,
    runtime: Handle,
    /// Where the last changing call was answered: what it gave may be good only there.
    place: Mutex<Option<Place>>,
    /// The secrets of a hook's arguments. Those of a job are read when one is needed.
    secrets: Secrets,
}

impl App {
    /// The host for plugin runs. Call from inside the runtime.
    pub fn plugin_host(&self) -> Arc<dyn Host> {
        Arc::new(PluginHost::new(self, Secrets::default()))
    }
}

/// Calls an effect hook of the connection's plugin on a blocking thread.
pub(super) async fn call(app: &App, connection: ConnectionId, hook: &'static str, args: Vec<Value>) -> Result<Value> {
    call_placed(app, connection, hook, args).await.map(|(value, _)| value)
}

/// As [`call`], with secrets among the arguments, named by their places there: `1/input`.
pub(super) async fn call_with(
    app: &App,
    connection: ConnectionId,
    hook: &'static str,
    args: Vec<Value>,
    secrets: Secrets,
) -> Result<Value> {
    play(app, connection, hook, args, secrets).await.map(|(value, _)| value)
}

/// As [`call`], with the endpoint at which the hook's last change was answered.
pub(super) async fn call_placed(
    app: &App,
    connection: ConnectionId,
    hook: &'static str,
    args: Vec<Value>,
) -> Result<(Value, Option<Place>)> {
    play(app, connection, hook, args, Secrets::default()).await
}

async fn play(
    app: &App,
    connection: ConnectionId,
    hook: &'static str,
    args: Vec<Value>,
    secrets: Secrets,
) -> Result<(Value, Option<Place>)> {
    let name = app.connections().plugin_of(connection)?;
    let plugin = app.plugin_set().get(&name).ok_or_else(|| {
        Error::unavailable(format!("The plugin “{name}” is not usable right now. The Plugins page says why."))
    })?;
    let run = Run {
        plugin: name,
        hook: hook.to_owned(),
        connection: Some(connection),
        job: None,
        guest: None,
        actor: "Steward".to_owned(),
        secrets: plugin::handles(&secrets),
    };
    let ours = Arc::new(PluginHost::new(app, secrets));
    let host: Arc<dyn Host> = ours.clone();
    let result =
        tokio::task::spawn_blocking(move || plugin.call(&host, hook, args, run)).await.map_err(Error::internal)?;
    let value = result.map_err(|e| Error::unavailable(e.message.clone()).with_cause(e))?;
    let place = *ours.place.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((value, place))
}

impl Host for PluginHost {
    fn call(&self, run: &Run, call: Call) -> Result<Value, CallError> {
        match call {
            Call::Pve { method, path, params, secrets } => self.pve(run, method, &path, params, &secrets),
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

/// What the check of the limits asks, for one call of one run.
struct Known<'a> {
    host: &'a PluginHost,
    run: &'a Run,
    connection: ConnectionId,
    client: &'a PveClient,
}

impl limits::Known for Known<'_> {
    fn is_template(&self, vmid: u32) -> bool {
        let snapshot = self.host.app.live().snapshot();
        let mut all = snapshot.guests.iter().filter(|g| g.row.connection == self.connection);
        all.find(|g| g.row.vmid == Some(vmid)).is_none_or(|g| g.state.template)
    }

    fn is_being_made(&self, vmid: u32) -> bool {
        let key = (self.connection, vmid);
        let holder = self.host.app.store().read(|tx| tx.get(tables::VMID_RESERVATIONS, &key));
        self.run.job.is_some() && matches!(holder, Ok(holder) if holder == self.run.job)
    }

    fn storages_of(&self, node: &str, kind: &str, vmid: u32) -> Result<Vec<String>, String> {
        let path = format!("/nodes/{node}/{kind}/{vmid}/config");
        let config = self.host.runtime.block_on(self.client.call("GET", &path, &Value::Null));
        config
            .map(|c| limits::storages_in(&c))
            .map_err(|e| format!("Steward could not see on which storages the disks of {vmid} are: {}", e.message))
    }

    fn is_own_task(&self, upid: &str) -> bool {
        let own = self.host.app.connections().token_id(self.connection);
        // UPID:node:pid:start:time:type:id:user@realm!token:
        own.is_ok_and(|own| upid.split(':').nth(7) == Some(own.as_str()))
    }
}

impl PluginHost {
    fn new(app: &App, secrets: Secrets) -> Self {
        Self { app: app.clone(), runtime: Handle::current(), place: Mutex::default(), secrets }
    }

    /// The secrets for these texts of a call.
    fn secrets<'a>(
        &self,
        run: &Run,
        texts: impl IntoIterator<Item = &'a SecretText>,
    ) -> Result<(Secrets, Vec<Secret<String>>), CallError> {
        let texts: Vec<&SecretText> = texts.into_iter().filter(|text| text.names().next().is_some()).collect();
        let all = match run.job {
            _ if texts.is_empty() => Secrets::default(),
            Some(job) => self.app.jobs().secrets(job).map_err(from_error)?,
            None => self.secrets.clone(),
        };
        let hidden = texts.iter().flat_map(|text| text.hidden(&all)).collect();
        Ok((all, hidden))
    }

    fn link(&self, run: &Run) -> Result<(ConnectionId, PveClient, Limits), CallError> {
        let id = run.connection.ok_or_else(|| {
            call_error(CallErrorKind::Forbidden, "This run belongs to no Proxmox connection, so it can't call pve::.")
        })?;
        let (client, limits) = self.app.connections().link(id).map_err(from_error)?;
        Ok((id, client, limits))
    }

    /// The lines come from the runtime's threads and are written by this one, several at a time: each write is
    /// a commit.
    fn ssh(&self, run: &Run, call: SshCall, say: &Say<'_>) -> Result<Value, CallError> {
        let place = self.app.ssh().place(run)?;
        let (secrets, hidden) = self.secrets(run, call.secret_text())?;
        let call = call.resolve(&secrets)?;
        drop(secrets);
        let (send, receive) = std::sync::mpsc::channel::<String>();
        let (app, job) = (self.app.clone(), run.job);
        let work = self.runtime.spawn(async move {
            let mut each = |line: &str| {
                // The receiver lives until this is over.
                let _ = send.send(line.to_owned());
            };
            app.ssh().call(place, job, call, &mut each).await
        });
        while let Ok(first) = receive.recv() {
            let lines: Vec<_> = std::iter::once(first).chain(receive.try_iter()).collect();
            say(&lines.iter().map(|line| (LogLevel::Info, without_secrets(line, &hidden))).collect::<Vec<_>>());
        }
        let done = self.runtime.block_on(work);
        let done = done.map_err(|e| call_error(CallErrorKind::Internal, e.to_string()))?.map_err(from_ssh);
        without(done, &hidden)
    }

    /// The agent keeps what a command writes until its end, so the lines come at once.
    fn agent(&self, run: &Run, call: SshCall, say: &Say<'_>) -> Result<Value, CallError> {
        let guest = self.app.agent().guest_of(run)?;
        let (secrets, hidden) = self.secrets(run, call.secret_text())?;
        let call = call.resolve(&secrets)?;
        drop(secrets);
        match self.runtime.block_on(self.app.agent().call(guest, run.job, call)) {
            Ok(told) => {
                let line = |text: &String| (LogLevel::Info, without_secrets(text, &hidden));
                if !told.lines.is_empty() {
                    say(&told.lines.iter().map(line).collect::<Vec<_>>());
                }
                without(Ok(told.value), &hidden)
            }
            Err(e) => without(Err(e), &hidden),
        }
    }

    fn pve(
        &self,
        run: &Run,
        method: Method,
        path: &str,
        mut params: Value,
        places: &SecretPlaces,
    ) -> Result<Value, CallError> {
        let (connection, client, limits) = self.link(run)?;
        if method != Method::Get {
            let known = Known { host: self, run, connection, client: &client };
            let change = Change { path, params: &params, delete: method == Method::Delete };
            limits::check(&limits, &change, &known).map_err(|text| call_error(CallErrorKind::Forbidden, text))?;
        }
        let (secrets, hidden) = self.secrets(run, places.values())?;
        fill_in(method, &mut params, places, &secrets)?;
        if is_cd(method.name(), path, &params) {
            let done = self.runtime.block_on(upload_cd(&client, path, &params)).map_err(from_pve);
            return without(done, &hidden);
        }
        let done = self.runtime.block_on(client.call_placed(method.name(), path, &params)).map_err(from_pve);
        let (value, place) = match done {
            Ok(done) => done,
            Err(e) => return without(Err(e), &hidden),
        };
        if method != Method::Get {
            *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        }
        without(Ok(value), &hidden)
    }

    /// Finds a number that Proxmox, our rows and other jobs leave free, and keeps it for this job.
    fn reserve_vmid(&self, run: &Run) -> Result<Value, CallError> {
        let job = run.job.ok_or_else(|| call_error(CallErrorKind::Forbidden, "Only a job can reserve a number."))?;
        let connection = run.connection.ok_or_else(|| {
            call_error(CallErrorKind::Forbidden, "This run belongs to no connection, so it can't reserve a number.")
        })?;
        // A host by SSH has no numbers of its own: ours are all that count.
        let by_ssh = self.app.connections().ssh_access(connection).is_ok();
        let limits = self.app.connections().limits(connection).map_err(from_error)?;
        let (low, high) = limits.vmid_range();
        let mut from = low;
        loop {
            let vmid = self.lowest_free(connection, from, high).map_err(from_error)?.ok_or_else(|| {
                let text = format!("All numbers from {low} to {high} are taken. Widen the range in the settings.");
                call_error(CallErrorKind::Conflict, text)
            })?;
            if by_ssh {
                self.app.guests().keep_vmid(connection, vmid, job).map_err(from_error)?;
                return Ok(json!(vmid));
            }
            let (_, client, _) = self.link(run)?;
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
        let connection = run.connection.ok_or_else(|| {
            call_error(CallErrorKind::Forbidden, "This run belongs to no connection, so it has no numbers.")
        })?;
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

/// Parameters that may be a secret: what Proxmox hands on to a machine. No limit looks at them, so the check of the
/// limits has seen all that counts.
const SECRET_PARAMS: [&str; 3] = ["/cipassword", "/input-data", "/content"];

fn fill_in(method: Method, params: &mut Value, places: &SecretPlaces, secrets: &Secrets) -> Result<(), CallError> {
    for (at, text) in places {
        let fits = SECRET_PARAMS.contains(&at.as_str()) || at.starts_with("/files/");
        let place = params.pointer_mut(at).filter(|_| fits && matches!(method, Method::Post | Method::Put));
        let wrong =
            || call_error(CallErrorKind::Forbidden, format!("A secret can't be sent to Proxmox as “{}”.", &at[1..]));
        *place.ok_or_else(wrong)? = json!(text.resolve(secrets)?.expose());
    }
    Ok(())
}

/// The answer to a call that carried secrets. Scripts and logs get what a machine prints, and a program may print what
/// it was given (psql quotes the statement that failed): exactly those secrets are taken out of exactly this answer.
fn without(answer: Result<Value, CallError>, hidden: &[Secret<String>]) -> Result<Value, CallError> {
    fn clean(value: Value, hidden: &[Secret<String>]) -> Value {
        match value {
            Value::String(text) => Value::String(without_secrets(&text, hidden)),
            Value::Array(list) => list.into_iter().map(|v| clean(v, hidden)).collect(),
            Value::Object(map) => map.into_iter().map(|(k, v)| (k, clean(v, hidden))).collect(),
            other => other,
        }
    }
    let text = |text: String| without_secrets(&text, hidden);
    match answer {
        answer if hidden.is_empty() => answer,
        Ok(value) => Ok(clean(value, hidden)),
        Err(e) => {
            let errors = e.errors.into_iter().map(|(name, why)| (name, text(why))).collect();
            Err(CallError { message: text(e.message), errors, ..e })
        }
    }
}

/// The plugin's name is part of the key: no plugin reads another's.
fn kv_key(run: &Run, key: &str) -> (Name, Name) {
    (Name::new(run.plugin.clone()), Name::new(key.to_owned()))
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

fn from_ssh(e: SshError) -> CallError {
    let kind = match e.kind {
        SshErrorKind::Unreachable => CallErrorKind::Unreachable,
        SshErrorKind::Auth | SshErrorKind::HostKey => CallErrorKind::Auth,
        SshErrorKind::Invalid => CallErrorKind::Invalid,
        SshErrorKind::NotFound => CallErrorKind::NotFound,
        SshErrorKind::Refused => CallErrorKind::Refused,
        SshErrorKind::Timeout => CallErrorKind::Timeout,
        SshErrorKind::Internal => CallErrorKind::Internal,
    };
    call_error(kind, e.message)
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
