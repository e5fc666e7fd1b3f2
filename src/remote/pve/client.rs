//! The client of one connection: a token, one or several endpoints, a limit on parallel requests.

use super::endpoint::{Choice, Endpoint};
use super::error::{PveError, PveErrorKind};
use super::socket;
use super::task::{self, TaskLine, TaskStatus, Upid};
use super::wire::{ANSWER_TIMEOUT, Ask, Auth, Miss, Wire};
use crate::tls::{CertificateInfo, Trust};
use base::Secret;
use http::HeaderValue;
use serde_json::{Value, json};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::client::TlsStream;

/// Requests at once per connection: pveproxy has three workers and people use it too.
pub const PARALLEL: usize = 5;
/// How long a request waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(60);

/// The endpoint that answered a call, for a second call that must go to the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointIndex(usize);

/// A certificate that an address showed and that is not one to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedCertificate {
    /// `host:port`
    pub endpoint: String,
    pub certificate: CertificateInfo,
}

/// What is needed to reach a cluster.
#[derive(Clone)]
pub struct Target {
    /// `https://host:8006`, at least one; the first that answers is used.
    pub endpoints: Vec<String>,
    pub trust: Trust,
    /// `user@realm!name`.
    pub token_id: String,
    pub token_secret: Secret<String>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("endpoints", &self.endpoints)
            .field("token_id", &self.token_id)
            .finish_non_exhaustive()
    }
}

/// A client for one Proxmox cluster. Clones share connections, limits and the choice of the endpoint.
#[derive(Clone)]
pub struct PveClient(Arc<Inner>);

struct Inner {
    token_id: String,
    auth: Auth,
    wires: Vec<Wire>,
    choice: Mutex<Choice>,
    turns: Semaphore,
}

impl fmt::Debug for PveClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.0.wires.iter().map(|w| w.endpoint.to_string()).collect();
        f.debug_struct("PveClient")
            .field("endpoints", &endpoints)
            .field("token_id", &self.0.token_id)
            .finish_non_exhaustive()
    }
}

impl PveClient {
    /// Checks the target and prepares; nothing is sent yet.
    ///
    /// # Errors
    /// `Invalid` when an address, the CA or the token is malformed.
    pub fn new(target: Target) -> Result<Self, PveError> {
        Self::with_patience(target, ANSWER_TIMEOUT)
    }

    /// As [`Self::new`], waiting `patience` for answers instead of 35 s.
    pub fn with_patience(target: Target, patience: Duration) -> Result<Self, PveError> {
        let auth = token_header(&target.token_id, &target.token_secret)?;
        if target.endpoints.is_empty() {
            return Err(PveError::new(PveErrorKind::Invalid, "Give at least one address of a Proxmox node."));
        }
        let wires = target
            .endpoints
            .iter()
            .map(|text| Wire::new(text.parse::<Endpoint>()?, &target.trust, patience))
            .collect::<Result<Vec<_>, PveError>>()?;
        let choice = Mutex::new(Choice::new(wires.len()));
        let turns = Semaphore::new(PARALLEL);
        Ok(Self(Arc::new(Inner { token_id: target.token_id, auth, wires, choice, turns })))
    }

    /// `user@realm!name`
    pub fn token_id(&self) -> &str {
        &self.0.token_id
    }

    /// One call: `method` GET, POST, PUT or DELETE, `path` like `/nodes/pve1/qemu/100/config`, `params` an
    /// object or null. Returns the content of `data`.
    ///
    /// Goes to the next endpoint when this one can't be connected (nothing was sent then), and for a GET
    /// also when its proxy has trouble (595 to 599) or the connection breaks. A write is never sent twice.
    ///
    /// # Errors
    /// See [`PveErrorKind`]. `Timeout` on a write means that it may have been done: read before going on.
    pub async fn call(&self, method: &str, path: &str, params: &Value) -> Result<Value, PveError> {
        self.call_placed(method, path, params).await.map(|(value, _)| value)
    }

    /// As [`Self::call`], with the endpoint that answered.
    pub async fn call_placed(
        &self,
        method: &str,
        path: &str,
        params: &Value,
    ) -> Result<(Value, EndpointIndex), PveError> {
        let ask = Ask::new(method, path, params)?;
        let turn = tokio::time::timeout(TURN_TIMEOUT, self.0.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(PveError::unreachable("Too many requests wait for Proxmox. Try again in a minute."));
        };
        let order = self.choice(|c| c.order(Instant::now()));
        let mut last = PveError::internal("No address was tried.");
        for index in order {
            match self.0.wires[index].exchange(&self.0.auth, &ask).await {
                Ok(value) => {
                    self.choice(|c| c.worked(index));
                    return Ok((value, EndpointIndex(index)));
                }
                Err(miss) => {
                    let go_on = self.note(index, &miss, ask.is_write());
                    last = miss.into_error();
                    if !go_on {
                        return Err(last);
                    }
                }
            }
        }
        Err(last)
    }

    /// A new connection to the first address that takes one, for an upload.
    pub(super) async fn connected(&self) -> Result<(&Auth, &Wire, TlsStream<TcpStream>), PveError> {
        let mut last = PveError::internal("No address was tried.");
        for index in self.choice(|c| c.order(Instant::now())) {
            let wire = &self.0.wires[index];
            match wire.connector.open().await {
                Ok(stream) => return Ok((&self.0.auth, wire, stream)),
                Err(e) => {
                    self.choice(|c| c.failed(index, Instant::now()));
                    last = e;
                }
            }
        }
        Err(last)
    }

    /// The certificates that its addresses showed last and that are not accepted. Nothing is sent for this.
    pub fn refused_certificates(&self) -> Vec<RefusedCertificate> {
        let one = |wire: &Wire| {
            let shown = wire.connector.shown().filter(|chain| !chain.accepted)?;
            Some(RefusedCertificate { endpoint: wire.endpoint.to_string(), certificate: shown.describe()? })
        };
        self.0.wires.iter().filter_map(one).collect()
    }

    /// Opens a websocket at the endpoint that gave its ticket; see `remote/pve/socket.rs`. Dropping the stream ends it.
    ///
    /// # Errors
    /// `Unreachable` when it can't be opened within ten seconds; what Proxmox says otherwise.
    pub async fn websocket(&self, at: EndpointIndex, path: &str, params: &Value) -> Result<DuplexStream, PveError> {
        let wire = self.0.wires.get(at.0).ok_or_else(|| PveError::internal("This endpoint is gone."))?;
        socket::open(wire, &self.0.auth, path, params).await
    }

    /// Remembers what happened and says whether another endpoint may be asked.
    fn note(&self, index: usize, miss: &Miss, is_write: bool) -> bool {
        self.choice(|c| match miss {
            Miss::NotSent(_) => {
                c.failed(index, Instant::now());
                true
            }
            Miss::Broken(_) | Miss::Late(_) => {
                c.failed(index, Instant::now());
                !is_write && matches!(miss, Miss::Broken(_))
            }
            Miss::Answered(e) if e.status >= 595 => {
                c.move_on(index);
                !is_write
            }
            Miss::Answered(_) => {
                c.worked(index);
                false
            }
        })
    }

    fn choice<T>(&self, f: impl FnOnce(&mut Choice) -> T) -> T {
        // At worst, a panic elsewhere leaves an older choice behind.
        f(&mut self.0.choice.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state of a task. The task's own node is asked, through whichever endpoint works.
    ///
    /// # Errors
    /// `Invalid` for a text that is not a UPID, `NotFound` when Proxmox no longer knows the task.
    pub async fn task(&self, upid: &str) -> Result<TaskStatus, PveError> {
        let upid: Upid = upid.parse()?;
        task::status(&self.call("GET", &upid.path("status"), &Value::Null).await?)
    }

    /// Lines of a task's log from line `start` (0 is the first), at most `limit` (0: all).
    pub async fn task_log(&self, upid: &str, start: u64, limit: u64) -> Result<Vec<TaskLine>, PveError> {
        let upid: Upid = upid.parse()?;
        // Proxmox takes 0 for "all" too, not everything that speaks its API does.
        let limit = if limit == 0 { 1_000_000 } else { limit };
        let answer = self.call("GET", &upid.path("log"), &json!({"start": start, "limit": limit})).await?;
        Ok(task::lines(&answer))
    }

    /// Polls a task every `every` until it is over. Short outages (`Unreachable`, `Timeout`) are waited out
    /// until `limit` has passed; durable jobs poll by themselves and do not use this.
    ///
    /// # Errors
    /// As [`Self::task`]; `Timeout` when the task still runs at the end of `limit`.
    pub async fn wait_task(&self, upid: &str, every: Duration, limit: Duration) -> Result<TaskStatus, PveError> {
        let end = Instant::now() + limit;
        loop {
            match self.task(upid).await {
                Ok(status) if !status.running => return Ok(status),
                Ok(_) if Instant::now() >= end => {
                    return Err(PveError::new(
                        PveErrorKind::Timeout,
                        "The Proxmox task is still running. Its outcome is unknown.",
                    ));
                }
                Err(e)
                    if Instant::now() >= end
                        || !matches!(e.kind, PveErrorKind::Unreachable | PveErrorKind::Timeout) =>
                {
                    return Err(e);
                }
                _ => tokio::time::sleep(every).await,
            }
        }
    }
}

/// `PVEAPIToken=user@realm!name=secret` (for Proxmox VE the separator is `=`).
fn token_header(id: &str, secret: &Secret<String>) -> Result<Auth, PveError> {
    let bad = |message: &str| PveError::new(PveErrorKind::Invalid, message);
    let well_formed = id.split_once('!').is_some_and(|(user, name)| user.contains('@') && name.len() >= 2);
    if !well_formed || id.contains(['=', ' ']) {
        return Err(bad("Give the token's id as user@realm!name, like steward@pve!appliance."));
    }
    if secret.expose().is_empty() {
        return Err(bad("The token's secret is missing."));
    }
    let mut value = HeaderValue::from_str(&format!("PVEAPIToken={id}={}", secret.expose()))
        .map_err(|_| bad("The token's secret has characters that can't be part of one."))?;
    value.set_sensitive(true);
    Ok(Auth::Token(value))
}
