//! Accepts connections and keeps to the real proxy's connection rules: HTTP/1 only, closed after
//! 5 s without a request, after 100 requests, and after every answer from 400 up.

use super::answer::{failure, success};
use super::request;
use crate::console;
use crate::dispatch::{self, Outcome};
use crate::faults::Away;
use crate::world::World;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Not scaled: clients choose their pool's idle time by it.
const IDLE: Duration = Duration::from_secs(5);
const REQUESTS_PER_CONNECTION: u32 = 100;

/// The request is dropped with its connection, without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection cut")]
struct Cut;

/// Serves until the world stops. While the cluster is "away" the listener is closed, so that
/// callers get "connection refused", or it hangs up on everyone.
pub async fn run(world: Arc<World>, listener: TcpListener, address: SocketAddr) {
    let mut listener = Some(listener);
    loop {
        let changed = world.faults.changed();
        if world.faults.away() == Away::Refuse {
            listener = None;
            tokio::select! { () = world.stop.cancelled() => return, () = changed => continue }
        }
        let Some(open) = &listener else {
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            continue;
        };
        tokio::select! {
            () = world.stop.cancelled() => return,
            () = changed => {}
            accepted = open.accept() => if let Ok((stream, peer)) = accepted {
                world.tracker.spawn(connection(Arc::clone(&world), stream, peer));
            },
        }
    }
}

async fn connection(world: Arc<World>, stream: TcpStream, peer: SocketAddr) {
    if world.faults.away() != Away::No {
        return;
    }
    let _ = stream.set_nodelay(true);
    let acceptor = TlsAcceptor::from(Arc::clone(&world.leaf.load().config));
    let Ok(Ok(tls)) = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream)).await else { return };
    let life = Arc::new(Life::new());
    let service = service_fn({
        let (world, life) = (Arc::clone(&world), Arc::clone(&life));
        move |request| one(Arc::clone(&world), Arc::clone(&life), peer, request)
    });
    let conn = hyper::server::conn::http1::Builder::new()
        .max_headers(64)
        .serve_connection(TokioIo::new(tls), service)
        .with_upgrades();
    tokio::pin!(conn);
    let away = world.faults.until_away();
    tokio::select! {
        _ = conn.as_mut() => {}
        () = life.idle() => {}
        () = world.stop.cancelled() => {}
        () = away => {}
    }
}

async fn one(
    world: Arc<World>,
    life: Arc<Life>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let _busy = life.begin();
    let last = life.served.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS_PER_CONNECTION;
    let asked = console::asked(&mut request);
    let mut way = None;
    let (outcome, gzip) = match request::read(request).await {
        Ok(decoded) => {
            let gzip = decoded.gzip;
            way = Some(console::TicketParam::of(&decoded));
            // Its own task: the work must go on when the client hangs up, as in the real daemon.
            let work = world.tracker.spawn(dispatch::handle(Arc::clone(&world), decoded, peer));
            (work.await.unwrap_or(Outcome::Cut), gzip)
        }
        Err(e) => (Outcome::Answer(Err(e)), false),
    };
    if let (Outcome::Answer(Ok(_)), Some(way), Some(asked)) = (&outcome, way, asked) {
        return Ok(console::attach(&world, way, asked).await);
    }
    let mut response = match outcome {
        Outcome::Cut => return Err(Cut),
        Outcome::Answer(Ok(reply)) => success(reply, gzip),
        Outcome::Answer(Err(e)) => {
            tokio::time::sleep(world.scaled(e.delay)).await;
            failure(&e)
        }
    };
    if last {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// When a connection last had something to do.
struct Life {
    served: AtomicU32,
    busy: AtomicU32,
    last: std::sync::Mutex<Instant>,
}

struct Busy(Arc<Life>);

impl Life {
    fn new() -> Self {
        Self { served: AtomicU32::new(0), busy: AtomicU32::new(0), last: std::sync::Mutex::new(Instant::now()) }
    }

    fn begin(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::SeqCst);
        Busy(Arc::clone(self))
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Returns when nothing has been asked for `IDLE`.
    async fn idle(&self) {
        loop {
            let due = if self.busy.load(Ordering::SeqCst) == 0 { self.last() + IDLE } else { Instant::now() + IDLE };
            if due <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}
