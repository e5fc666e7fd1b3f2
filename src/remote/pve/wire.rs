//! One endpoint: a small pool of connections and one exchange at a time over them.

use super::answer::{self, SentRequest, timeout_sentence};
use super::connect::{CONNECT_TIMEOUT, Connector};
use super::encode::{check_path, form};
use super::endpoint::Endpoint;
use super::error::{PveError, PveErrorKind};
use crate::tls::Trust;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use std::error::Error as StdError;
use std::time::Duration;

/// pveproxy closes idle connections after 5 s; ours must be gone before.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// pveproxy itself gives up on its workers and on other nodes after 30 s (596).
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// The largest answer that is read. 1,000 machines are about 300 KB.
pub(super) const MAX_BODY: usize = 32 << 20;

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Auth {
    Nobody,
    /// `PVEAPIToken=user@realm!name=secret`, marked sensitive.
    Token(HeaderValue),
    /// A sign-in: cookie and, for everything but GET, the CSRF token.
    Ticket {
        cookie: HeaderValue,
        csrf: HeaderValue,
    },
}

/// What to send, checked and encoded once for all endpoints that may be tried.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub method: Method,
    pub path: &'a str,
    form: String,
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: &str, path: &'a str, params: &Value) -> Result<Self, PveError> {
        let method = match method {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            other => return Err(PveError::internal(format!("Proxmox's API has no method {other}."))),
        };
        check_path(path)?;
        Ok(Self { method, path, form: form(params)? })
    }

    pub(super) fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

/// Whether a failed exchange may have reached Proxmox.
#[derive(Debug)]
pub(super) enum Miss {
    /// No connection: certainly nothing was sent.
    NotSent(PveError),
    /// The connection broke before the answer came.
    Broken(PveError),
    /// No answer in time.
    Late(PveError),
    /// An answer came and it is an error.
    Answered(PveError),
}

impl Miss {
    pub(super) fn into_error(self) -> PveError {
        match self {
            Self::NotSent(e) | Self::Broken(e) | Self::Late(e) | Self::Answered(e) => e,
        }
    }
}

#[derive(Debug)]
pub(super) struct Wire {
    pub endpoint: Endpoint,
    client: Client<Connector, Full<Bytes>>,
    /// For uploads and consoles, which have a connection of their own.
    pub connector: Connector,
    /// How long an answer may take, after the connection is made.
    patience: Duration,
}

impl Wire {
    pub(super) fn new(endpoint: Endpoint, trust: &Trust, patience: Duration) -> Result<Self, PveError> {
        let connector = Connector::new(endpoint.clone(), trust)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(super::PARALLEL)
            .build(connector.clone());
        Ok(Self { endpoint, client, connector, patience })
    }

    /// Sends once; a GET whose connection broke is sent a second time, as Proxmox closes connections when
    /// it likes (100 requests, a worker's restart, idle time).
    pub(super) async fn exchange(&self, auth: &Auth, ask: &Ask<'_>) -> Result<Value, Miss> {
        match self.once(auth, ask).await {
            Err(Miss::Broken(_)) if !ask.is_write() => self.once(auth, ask).await,
            result => result,
        }
    }

    async fn once(&self, auth: &Auth, ask: &Ask<'_>) -> Result<Value, Miss> {
        let request = self.request(auth, ask).map_err(Miss::NotSent)?;
        let asked = SentRequest { method: ask.method.as_str(), path: ask.path, endpoint: &self.endpoint };
        let whole = async {
            let response = self.client.request(request).await.map_err(|e| broken(asked, &e))?;
            receive(asked, response).await
        };
        match tokio::time::timeout(CONNECT_TIMEOUT + self.patience, whole).await {
            Ok(result) => result,
            Err(_) => Err(Miss::Late(PveError::new(PveErrorKind::Timeout, timeout_sentence(asked, "")))),
        }
    }

    fn request(&self, auth: &Auth, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, PveError> {
        let in_body = ask.method == Method::POST || ask.method == Method::PUT;
        let query = if in_body || ask.form.is_empty() { String::new() } else { format!("?{}", ask.form) };
        let uri = format!("https://{}/api2/json{}{query}", self.endpoint.authority(), ask.path);
        let mut builder = Request::builder().method(ask.method.clone()).uri(uri).header(ACCEPT, "application/json");
        match auth {
            Auth::Nobody => {}
            Auth::Token(value) => builder = builder.header(AUTHORIZATION, value),
            Auth::Ticket { cookie, csrf } => {
                builder = builder.header(COOKIE, cookie);
                if ask.is_write() {
                    builder = builder.header("CSRFPreventionToken", csrf);
                }
            }
        }
        let body = if in_body { Bytes::from(ask.form.clone()) } else { Bytes::new() };
        if in_body {
            // Named even when it is 0: Proxmox refuses chunked bodies and wants a length.
            builder = builder.header(CONTENT_LENGTH, body.len());
        }
        if !body.is_empty() {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        builder.body(Full::new(body)).map_err(|_| PveError::internal("The request can't be written."))
    }
}

pub(super) async fn receive(asked: SentRequest<'_>, response: Response<Incoming>) -> Result<Value, Miss> {
    let status = response.status().as_u16();
    let reason =
        response.extensions().get::<ReasonPhrase>().map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned());
    let body = match Limited::new(response.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) if e.downcast_ref::<http_body_util::LengthLimitError>().is_some() => {
            let message = format!("The answer of Proxmox at {} is larger than 32 MiB.", asked.endpoint);
            return Err(Miss::Answered(PveError::new(PveErrorKind::Refused, message)));
        }
        Err(_) => return Err(Miss::Broken(broken_error(asked))),
    };
    answer::read(asked, status, reason.as_deref(), &body).map_err(Miss::Answered)
}

fn broken(asked: SentRequest<'_>, e: &ClientError) -> Miss {
    if e.is_connect() {
        let mut next: Option<&(dyn StdError + 'static)> = e.source();
        while let Some(cause) = next {
            if let Some(ours) = cause.downcast_ref::<PveError>() {
                return Miss::NotSent(ours.clone());
            }
            next = cause.source();
        }
        return Miss::NotSent(PveError::unreachable(format!("Proxmox at {} does not answer.", asked.endpoint)));
    }
    Miss::Broken(broken_error(asked))
}

/// The connection was there and broke: for a write nobody knows whether it was carried out.
fn broken_error(asked: SentRequest<'_>) -> PveError {
    if asked.is_write() {
        let message = format!(
            "Proxmox at {} closed the connection. The outcome is unknown: it may have been done or not.",
            asked.endpoint
        );
        PveError::new(PveErrorKind::Timeout, message)
    } else {
        PveError::unreachable(format!("Proxmox at {} closed the connection.", asked.endpoint))
    }
}
