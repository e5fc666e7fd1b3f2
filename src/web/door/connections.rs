//! The connections that are open, by address: how many an address may have, how long one may idle, and that a
//! client which reads nothing of its answers is let go. One address alone never takes the places of all others.

use crate::door::limits::household;
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::any::Any;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Open files that are kept back for the store, Proxmox, SSH and consoles.
const RESERVED_FILES: u64 = 256;
/// When the limit can't be read: what Linux gives a process by default.
const USUAL_FILES: u64 = 1024;
/// At most so much of an answer is handed to the connection at once: what it has not sent yet stays in memory.
const PIECE: usize = 32 * 1024;
/// Connections that only the host itself may have: its shell and its proxy get in whoever else is there.
const FOR_THE_HOST: usize = 32;
/// One warning for an address in this time.
const WARN_AGAIN: Duration = Duration::from_secs(600);
/// Addresses that were warned about are remembered up to this many.
const WARNED: usize = 1000;

/// How many connections, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open at the same time, of all addresses. The host itself may have `FOR_THE_HOST` more.
    pub total: usize,
    /// Of one address where nobody is signed in, and of one where somebody is. An IPv6 /64 is one address. A proxy on
    /// this host stands for everybody, so the host itself has no such limit.
    pub stranger: usize,
    pub known: usize,
    /// A connection without a running request is closed after this time.
    pub idle: Duration,
    /// A client that takes nothing of an answer for this time is cut off.
    pub stalled: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: 2048, stranger: 64, known: 512, idle: Duration::from_secs(90), stalled: Duration::from_secs(60) }
    }
}

impl Limits {
    /// Fewer connections where the process may open few files.
    pub fn within_open_files(self) -> Self {
        use nix::sys::resource::{Resource, getrlimit};
        let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(USUAL_FILES, |(soft, _)| soft);
        let room = files.saturating_sub(RESERVED_FILES).max(64);
        Self { total: self.total.min(usize::try_from(room).unwrap_or(usize::MAX)), ..self }
    }
}

/// All open connections.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_address: HashMap<IpAddr, Vec<Arc<Connection>>>,
    total: usize,
    warned: HashMap<IpAddr, Instant>,
}

/// One connection; requests carry it as an extension.
#[derive(Debug)]
pub struct Connection {
    address: IpAddr,
    use_: Mutex<Use>,
    /// Cancelled to make room for another one.
    pub evicted: CancellationToken,
}

#[derive(Debug)]
struct Use {
    /// Somebody was signed in on it.
    known: bool,
    /// Requests whose answer is not sent yet.
    running: usize,
    idle_since: Instant,
    /// For each answer whose last piece is not taken yet: when it was handed over.
    handed: HashMap<u64, Instant>,
    next: u64,
}

/// What a look at a connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    InUse,
    /// Nothing has run for the time of [`Limits::idle`].
    Idle,
    /// The client takes nothing.
    Stalled,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connections {
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, open: Mutex::default() })
    }

    /// Counts a new connection, which may cut off the longest idle one of the same address, or, when all places are
    /// taken, of the address that has the most. `None`: there is no place, close it.
    pub fn admit(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Option<Admitted> {
        let address = household(peer);
        let mut open = lock(&self.open);
        let full = {
            let mine = open.by_address.get(&address).map_or(&[][..], Vec::as_slice);
            let most = if mine.iter().any(|c| lock(&c.use_).known) { self.limits.known } else { self.limits.stranger };
            mine.len() >= most
        };
        let most = self.limits.total + if is_the_host(address) { FOR_THE_HOST } else { 0 };
        if full && !is_the_host(address) {
            open.warn(address, now, "has too many open connections");
            evict(open.by_address.get(&address)?, false)?;
        } else if open.total >= most {
            let mut greedy: Vec<_> = open.by_address.iter().collect();
            greedy.sort_by_key(|(_, c)| Reverse(c.iter().filter(|c| !c.evicted.is_cancelled()).count()));
            let greediest = *greedy.into_iter().find(|(_, theirs)| evict(theirs, true).is_some())?.0;
            open.warn(greediest, now, "has the most of all connections, and there is no room for more");
        }
        let connection = Arc::new(Connection {
            address,
            use_: Mutex::new(Use { known: false, running: 0, idle_since: now, handed: HashMap::new(), next: 0 }),
            evicted: CancellationToken::new(),
        });
        open.by_address.entry(address).or_default().push(connection.clone());
        open.total += 1;
        Some(Admitted { connections: self.clone(), connection })
    }

    pub fn condition(&self, connection: &Connection, now: Instant) -> Condition {
        let use_ = lock(&connection.use_);
        if use_.handed.values().any(|at| now.saturating_duration_since(*at) >= self.limits.stalled) {
            Condition::Stalled
        } else if use_.running == 0 && now.saturating_duration_since(use_.idle_since) >= self.limits.idle {
            Condition::Idle
        } else {
            Condition::InUse
        }
    }

    /// How often a connection is to be looked at.
    pub fn look_every(&self) -> Duration {
        (self.limits.idle.min(self.limits.stalled) / 6).max(Duration::from_millis(50))
    }
}

/// Its own names, not all of 127.0.0.0/8.
fn is_the_host(address: IpAddr) -> bool {
    address == IpAddr::V4(Ipv4Addr::LOCALHOST) || address == household(IpAddr::V6(Ipv6Addr::LOCALHOST))
}

/// Cuts off the longest idle one, those without anybody signed in first. `None`: all are at work. With `at_work`, a
/// stranger's may go that is at work: whoever sends a request slowly would keep a place for as long as they like.
fn evict(of: &[Arc<Connection>], at_work: bool) -> Option<()> {
    let may_go = of.iter().filter(|c| {
        let use_ = lock(&c.use_);
        !c.evicted.is_cancelled() && (use_.running == 0 || (at_work && !use_.known))
    });
    let longest = may_go.min_by_key(|c| {
        let use_ = lock(&c.use_);
        (use_.running > 0, use_.known, use_.idle_since)
    });
    longest.map(|c| c.evicted.cancel())
}

impl Open {
    fn warn(&mut self, address: IpAddr, now: Instant, what: &str) {
        self.warned.retain(|_, at| now.saturating_duration_since(*at) < WARN_AGAIN);
        if self.warned.len() < WARNED && !self.warned.contains_key(&address) {
            self.warned.insert(address, now);
            tracing::warn!(%address, "this address {what}; its idle ones are closed");
        }
    }
}

/// A counted connection; counted off when it is dropped.
#[derive(Debug)]
pub struct Admitted {
    connections: Arc<Connections>,
    pub connection: Arc<Connection>,
}

impl Admitted {
    pub fn condition(&self, now: Instant) -> Condition {
        self.connections.condition(&self.connection, now)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = lock(&self.connections.open);
        let address = self.connection.address;
        if let Some(mine) = open.by_address.get_mut(&address) {
            mine.retain(|c| !Arc::ptr_eq(c, &self.connection));
            if mine.is_empty() {
                open.by_address.remove(&address);
            }
            open.total -= 1;
        }
    }
}

impl Connection {
    /// Somebody is signed in on it: its address may have more connections, and it goes last.
    pub fn is_known(&self) {
        lock(&self.use_).known = true;
    }

    /// A request begins; it runs until the answer's body is dropped.
    pub fn begin(self: &Arc<Self>) -> Running {
        let mut use_ = lock(&self.use_);
        use_.running += 1;
        use_.next += 1;
        Running { connection: self.clone(), number: use_.next }
    }
}

/// A request whose answer is not sent yet.
#[derive(Debug)]
pub struct Running {
    connection: Arc<Connection>,
    number: u64,
}

impl Running {
    /// The answer, sent in pieces that are watched. `held` is dropped with it.
    pub fn watch(self, response: Response<Body>, held: Option<Arc<dyn Any + Send + Sync>>) -> Response<WatchedBody> {
        response.map(|inner| WatchedBody { inner, rest: Bytes::new(), running: self, _held: held })
    }

    fn handed(&self) {
        lock(&self.connection.use_).handed.insert(self.number, Instant::now());
    }

    fn taken(&self) {
        lock(&self.connection.use_).handed.remove(&self.number);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut use_ = lock(&self.connection.use_);
        use_.handed.remove(&self.number);
        use_.running -= 1;
        use_.idle_since = Instant::now();
    }
}

/// An answer's body in pieces. The connection asks for the next one when the client has made room, so a piece that
/// was handed over long ago means that the client reads nothing.
pub struct WatchedBody {
    inner: Body,
    rest: Bytes,
    running: Running,
    _held: Option<Arc<dyn Any + Send + Sync>>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.running.taken();
        if self.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let most = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(most);
        self.running.handed();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(total: usize, stranger: usize) -> Arc<Connections> {
        let limits = Limits { total, stranger, known: 2 * stranger, ..Limits::default() };
        Connections::new(limits)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_displaces_its_own_idle_connections_only() {
        let all = connections(100, 2);
        let now = Instant::now();
        let first = all.admit(address("192.0.2.1"), now).unwrap();
        let second = all.admit(address("192.0.2.1"), now + Duration::from_secs(1)).unwrap();
        let other = all.admit(address("192.0.2.2"), now).unwrap();
        let third = all.admit(address("192.0.2.1"), now + Duration::from_secs(2)).unwrap();
        assert!(first.connection.evicted.is_cancelled(), "the longest idle one goes");
        assert!(!second.connection.evicted.is_cancelled() && !other.connection.evicted.is_cancelled());
        drop(first);
        let _work = (second.connection.begin(), third.connection.begin());
        assert!(all.admit(address("192.0.2.1"), now).is_none(), "those at work are not cut off");
        assert!(all.admit(address("127.0.0.1"), now).is_some(), "the host's own shell gets in");
    }

    #[test]
    fn where_somebody_is_signed_in_there_is_room_for_more_and_theirs_goes_last() {
        let all = connections(100, 2);
        let now = Instant::now();
        let mine = all.admit(address("192.0.2.1"), now).unwrap();
        mine.connection.is_known();
        let more: Vec<_> = (0..3).map(|_| all.admit(address("192.0.2.1"), now).unwrap()).collect();
        assert!(more.iter().all(|c| !c.connection.evicted.is_cancelled()));
        let _fifth = all.admit(address("192.0.2.1"), now).unwrap();
        assert!(!mine.connection.evicted.is_cancelled(), "a stranger's goes before it");
        assert_eq!(more.iter().filter(|c| c.connection.evicted.is_cancelled()).count(), 1);
    }

    #[test]
    fn when_all_places_are_taken_the_greediest_address_gives_one() {
        let all = connections(4, 4);
        let now = Instant::now();
        let greedy: Vec<_> = (0..3).map(|_| all.admit(address("192.0.2.1"), now).unwrap()).collect();
        let modest = all.admit(address("192.0.2.2"), now).unwrap();
        assert!(all.admit(address("192.0.2.3"), now).is_some());
        assert_eq!(greedy.iter().filter(|c| c.connection.evicted.is_cancelled()).count(), 1);
        assert!(!modest.connection.evicted.is_cancelled());
        let _host: Vec<_> = (0..FOR_THE_HOST).map(|_| all.admit(address("127.0.0.1"), now).unwrap()).collect();
        assert_eq!(greedy.iter().filter(|c| c.connection.evicted.is_cancelled()).count(), 1, "these are kept back");
    }

    #[test]
    fn strangers_who_send_slowly_do_not_keep_all_places_and_people_do_not_lose_theirs() {
        let all = connections(4, 2);
        let now = Instant::now();
        let person = all.admit(address("192.0.2.9"), now).unwrap();
        person.connection.is_known();
        let slow: Vec<_> =
            ["192.0.2.1", "192.0.2.1", "192.0.2.2"].map(|a| all.admit(address(a), now).unwrap()).into_iter().collect();
        let _work: Vec<_> = slow.iter().chain([&person]).map(|c| c.connection.begin()).collect();
        assert!(all.admit(address("192.0.2.3"), now).is_some());
        assert_eq!(slow.iter().filter(|c| c.connection.evicted.is_cancelled()).count(), 1);
        assert!(!person.connection.evicted.is_cancelled());
    }

    #[test]
    fn idle_and_stalled_are_told_apart() {
        let all = connections(4, 4);
        let now = Instant::now();
        let one = all.admit(address("192.0.2.1"), now).unwrap();
        let later = now + Duration::from_secs(3600);
        assert_eq!((one.condition(now), one.condition(later)), (Condition::InUse, Condition::Idle));
        let running = one.connection.begin();
        assert_eq!(one.condition(later), Condition::InUse, "a long answer is no idling");
        running.handed();
        assert_eq!(one.condition(later), Condition::Stalled);
        running.taken();
        assert_eq!(one.condition(later), Condition::InUse);
    }

    #[tokio::test]
    async fn a_body_is_handed_over_in_pieces_and_keeps_its_length() {
        let all = connections(4, 4);
        let one = all.admit(address("192.0.2.1"), Instant::now()).unwrap();
        let text = "x".repeat(3 * PIECE + 1);
        let mut body = one.connection.begin().watch(Response::new(Body::from(text.clone())), None).into_body();
        assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
        let mut sizes = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            sizes.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(sizes, [PIECE, PIECE, PIECE, 1]);
        assert!(body.is_end_stream());
        drop(body);
        assert_eq!(lock(&one.connection.use_).running, 0);
    }
}
