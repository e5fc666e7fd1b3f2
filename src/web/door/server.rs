//! Listening: TCP, TLS, HTTP/1.1 and HTTP/2, limits, and an orderly end.
//!
//! The end has two stages. When `stop` is cancelled no connection is accepted any more and open streams
//! end by themselves; running requests get `drain` to finish, then what is left is cut.

use crate::door::certificate::Certificates;
use crate::door::connections::{Admitted, Condition, Connections, Limits};
use crate::door::limits::PersonSlot;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use base::{Error, Result};
use http::uri::Authority;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// A client that does not finish its handshake in this time is disconnected.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The time for a request's head; also how long an idle HTTP/1.1 connection is kept.
const HEAD: Duration = Duration::from_secs(30);

/// Where and how to listen.
#[derive(Clone, Debug)]
pub struct Options {
    /// One or more addresses; port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// `None`: plain HTTP, which is refused on anything but loopback.
    pub tls: Option<Arc<Certificates>>,
    /// A plain HTTP listener that only sends browsers to the first address of `listen`.
    pub redirect: Option<SocketAddr>,
    /// How many connections, and how long they may idle.
    pub limits: Limits,
    /// How long running requests may go on after the stop.
    pub drain: Duration,
}

impl Options {
    pub fn new(listen: Vec<SocketAddr>, tls: Option<Arc<Certificates>>) -> Self {
        Self {
            listen,
            tls,
            redirect: None,
            limits: Limits::default().within_open_files(),
            drain: Duration::from_secs(8),
        }
    }
}

/// Bound sockets that do not answer yet: a taken port is reported before anything else starts.
#[derive(Debug)]
pub struct Listening {
    sockets: Vec<TcpListener>,
    redirect: Option<TcpListener>,
    options: Options,
}

/// Binds all addresses.
pub async fn bind(options: Options) -> Result<Listening> {
    if options.tls.is_none()
        && let Some(open) = options.listen.iter().find(|a| !a.ip().is_loopback())
    {
        return Err(Error::invalid(format!(
            "Plain HTTP is only for loopback addresses, and {open} is not one. Leave TLS on or listen on 127.0.0.1."
        )));
    }
    let mut sockets = Vec::new();
    for address in &options.listen {
        sockets.push(listener(*address).await?);
    }
    let redirect = match options.redirect {
        Some(address) => Some(listener(address).await?),
        None => None,
    };
    Ok(Listening { sockets, redirect, options })
}

async fn listener(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        Error::conflict(format!("Can't listen on {address}: {e}. Is another service using this port?")).with_cause(e)
    })
}

impl Listening {
    /// The real addresses, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|s| s.local_addr().ok()).collect()
    }

    /// Serves until `stop`, then drains. Returns when every connection is closed or cut.
    pub async fn serve(self, router: Router, stop: CancellationToken) -> Result<()> {
        let port = self.addresses().first().map_or(443, SocketAddr::port);
        let acceptor = match &self.options.tls {
            Some(certificates) => Some(TlsAcceptor::from(tls_config(certificates.clone())?)),
            None => None,
        };
        let door = Arc::new(Door {
            acceptor,
            builder: http_builder(),
            router,
            connections: Connections::new(self.options.limits),
            open: TaskTracker::new(),
            stop: stop.clone(),
            cut: CancellationToken::new(),
        });
        let mut accepting = JoinSet::new();
        for socket in self.sockets {
            accepting.spawn(accept_loop(socket, door.clone()));
        }
        if let Some(socket) = self.redirect {
            accepting.spawn(redirect_loop(socket, port, stop.clone()));
        }
        while accepting.join_next().await.is_some() {}
        door.open.close();
        if tokio::time::timeout(self.options.drain, door.open.wait()).await.is_err() {
            tracing::warn!("cutting connections that did not end in time");
        }
        door.cut.cancel();
        Ok(())
    }
}

/// What every connection shares.
struct Door {
    acceptor: Option<TlsAcceptor>,
    builder: auto::Builder<TokioExecutor>,
    router: Router,
    connections: Arc<Connections>,
    /// The tasks of the connections.
    open: TaskTracker,
    /// Running requests finish, new ones are not taken.
    stop: CancellationToken,
    /// Cuts what is still open after the drain time.
    cut: CancellationToken,
}

fn tls_config(certificates: Arc<Certificates>) -> Result<Arc<rustls::ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn http_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // A time-out without a timer panics in hyper, so both are set for each protocol.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(128)
        .max_header_list_size(32 * 1024);
    builder
}

async fn accept_loop(socket: TcpListener, door: Arc<Door>) {
    loop {
        let (stream, peer) = match door.stop.run_until_cancelled(socket.accept()).await {
            None => return,
            Some(Ok(accepted)) => accepted,
            Some(Err(e)) => {
                // Too many open files or a connection that died in the queue: neither ends the service.
                tracing::warn!(error = %e, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(admitted) = door.connections.admit(peer.ip(), Instant::now()) else { continue };
        let task = door.clone();
        door.open.spawn(async move {
            let connection = admitted.connection.clone();
            let served = Box::pin(one_connection(stream, peer, &task, &admitted));
            let served = connection.evicted.run_until_cancelled(served);
            let _ = task.cut.run_until_cancelled(served).await;
        });
    }
}

async fn one_connection(stream: TcpStream, peer: SocketAddr, door: &Door, admitted: &Admitted) {
    // Small answers leave at once; without this they can wait 40 ms for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = &door.acceptor else {
        return http_connection(stream, peer, door, admitted).await;
    };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(tls)) => http_connection(tls, peer, door, admitted).await,
        // Browsers that do not trust the certificate yet end here too, so it is not a warning.
        Ok(Err(e)) => tracing::debug!(%peer, error = %e, "no TLS connection"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn http_connection<I>(io: I, peer: SocketAddr, door: &Door, admitted: &Admitted)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (router, open) = (door.router.clone(), admitted.connection.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(open.clone());
        let running = open.begin();
        let answer = router.clone().call(request.map(Body::new));
        async move {
            let mut response = answer.await?;
            let held = response.extensions_mut().remove::<Arc<PersonSlot>>().map(|slot| slot as _);
            Ok::<_, Infallible>(running.watch(response, held))
        }
    });
    let served = door.builder.serve_connection_with_upgrades(TokioIo::new(io), service).into_owned();
    let mut served = pin!(served);
    let mut look = tokio::time::interval(door.connections.look_every());
    let mut closing = false;
    loop {
        tokio::select! {
            ended = served.as_mut() => {
                if let Err(e) = ended {
                    tracing::debug!(%peer, error = %e, "a connection ended early");
                }
                return;
            }
            () = door.stop.cancelled(), if !closing => {
                closing = true;
                served.as_mut().graceful_shutdown();
            }
            _ = look.tick() => match admitted.condition(Instant::now()) {
                Condition::InUse => {}
                Condition::Idle if !closing => {
                    closing = true;
                    served.as_mut().graceful_shutdown();
                }
                // It was asked to close and does not.
                Condition::Idle => return,
                Condition::Stalled => {
                    tracing::debug!(%peer, "a client takes nothing of its answer");
                    return;
                }
            }
        }
    }
}

/// Answers plain HTTP only with the way to the real door.
async fn redirect_loop(socket: TcpListener, port: u16, stop: CancellationToken) {
    let router = Router::new().fallback(move |request: Request<Body>| async move { to_https(&request, port) });
    let served = axum::serve(socket, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(e) = served {
        tracing::warn!(error = %e, "the plain HTTP listener ended");
    }
}

fn to_https(request: &Request<Body>, port: u16) -> Response<Body> {
    let host =
        request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).and_then(|h| h.parse::<Authority>().ok());
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    let location = host.map(|h| match port {
        443 => format!("https://{}{path}", h.host()),
        _ => format!("https://{}:{port}{path}", h.host()),
    });
    let mut response = Response::new(Body::empty());
    match location.and_then(|l| l.parse().ok()) {
        Some(location) => {
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(header::LOCATION, location);
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn asked(host: &str, path: &str) -> Request<Body> {
        Request::get(path).header(header::HOST, host).body(Body::empty()).unwrap()
    }

    #[test]
    fn plain_http_is_sent_to_https_on_the_same_host() {
        let answer = to_https(&asked("steward.home.example:80", "/machines?q=a"), 8443);
        assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(answer.headers()[header::LOCATION], "https://steward.home.example:8443/machines?q=a");
        assert_eq!(to_https(&asked("h", "/"), 443).headers()[header::LOCATION], "https://h/");
        assert_eq!(to_https(&asked("not a host", "/"), 443).status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn plain_http_beyond_loopback_is_refused() {
        let options = Options::new(vec!["0.0.0.0:0".parse().unwrap()], None);
        assert!(bind(options).await.unwrap_err().message().contains("loopback"));
    }

    #[tokio::test]
    async fn the_stop_lets_a_running_request_finish() {
        let options = Options::new(vec!["127.0.0.1:0".parse().unwrap()], None);
        let listening = bind(options).await.unwrap();
        let address = listening.addresses()[0];
        let slow = Router::new().fallback(|| async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "done"
        });
        let stop = CancellationToken::new();
        let server = tokio::spawn(listening.serve(slow, stop.clone()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
