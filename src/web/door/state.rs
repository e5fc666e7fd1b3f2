//! What every handler can reach: the app behind the door, and the door's own small memory.

use crate::door::assets::Assets;
use crate::door::cache::ResponseCache;
use crate::door::hosts::Hosts;
use crate::door::limits::{Limiter, PerPerson, Rate};
use crate::sse;
use crate::system::metrics::Metrics;
use app::App;
use app::audit::AuditCheck;
use base::Timestamp;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Requests of one person at the same time. A page that opens asks for a dozen things; event streams count too.
const RUNNING: usize = 96;

/// How the door behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Served over TLS: cookies are `Secure`.
    pub secure: bool,
    /// Browsers are told to use TLS only.
    pub hsts: bool,
    /// The names that requests may come under; `None`: any.
    pub hosts: Option<Hosts>,
    /// Origins whose pages may call the REST API. Exact matches; none by default.
    pub origins: Vec<String>,
    /// Sign-ins, set-ups and invite answers from one address.
    pub anonymous_rate: Rate,
    /// REST calls from one address.
    pub api_rate: Rate,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            secure: true,
            hsts: false,
            hosts: None,
            origins: Vec::new(),
            anonymous_rate: Rate { burst: 30.0, per_second: 0.5 },
            api_rate: Rate { burst: 2_000.0, per_second: 1_000.0 },
        }
    }
}

/// Cheap to clone; everything is behind one `Arc`.
#[derive(Clone, Debug)]
pub struct Web(Arc<Inner>);

#[derive(Debug)]
pub struct Inner {
    pub app: App,
    options: Options,
    pub anonymous: Limiter,
    pub api: Limiter,
    pub metrics: Metrics,
    /// Open event streams.
    pub streams: PerPerson,
    /// Requests whose answer is not sent yet.
    pub running: PerPerson,
    /// Open consoles; the stop waits for them.
    pub consoles: TaskTracker,
    /// Long answers, until something changes.
    pub kept: ResponseCache,
    /// The last look at the audit log's whole chain, and when it was.
    pub chain: tokio::sync::Mutex<Option<(Timestamp, AuditCheck)>>,
    /// Cancelled when the service stops; open streams end on it.
    pub stop: CancellationToken,
}

impl Web {
    pub fn new(app: App, options: Options, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            anonymous: Limiter::new(options.anonymous_rate),
            api: Limiter::new(options.api_rate),
            metrics: Metrics::new(),
            streams: PerPerson::new(sse::PER_PERSON),
            running: PerPerson::new(RUNNING),
            consoles: TaskTracker::new(),
            kept: ResponseCache::default(),
            chain: tokio::sync::Mutex::default(),
            app,
            options,
            stop,
        }))
    }

    /// Of the addresses that browsers know us by.
    pub fn scheme(&self) -> &'static str {
        if self.options().secure { "https" } else { "http" }
    }

    pub fn options(&self) -> &Options {
        &self.0.options
    }

    pub fn assets(&self) -> Assets {
        Assets(self.0.app.settings().built_in.assets)
    }

    pub fn now(&self) -> Timestamp {
        self.0.app.now()
    }

    /// Counts an attempt of `address` at something that needs no sign-in.
    pub fn count_anonymous(&self, address: IpAddr) -> base::Result<()> {
        self.0.anonymous.take(address, self.now()).map_err(too_many)
    }

    /// Counts a REST call of `address`.
    pub fn count_api(&self, address: IpAddr) -> base::Result<()> {
        self.0.api.take(address, self.now()).map_err(too_many)
    }
}

fn too_many(seconds: u64) -> base::Error {
    let words = if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") };
    base::Error::too_many(format!("Too many requests from your address. Try again in {words}."), seconds)
}

impl Deref for Web {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
