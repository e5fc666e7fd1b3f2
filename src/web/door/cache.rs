//! Long answers that stay the same until something changes: made and compressed once, then sent as they are.
//!
//! A thousand machines as rows are 1 MB of HTML. Making and compressing that costs more than everything else
//! in such a request, and between two looks at Proxmox every caller would get the same again.

use crate::door::assets::takes;
use crate::door::problem::Answer;
use crate::door::state::Web;
use crate::door::visit::Person;
use app::live::LiveView;
use axum::body::Body;
use axum::response::Response;
use base::ids::UserId;
use base::{Error, Result};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, header};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The most answers that are kept; others are built each time.
const MOST: usize = 128;

/// The kept answers of one appliance.
#[derive(Default)]
pub struct ResponseCache(Mutex<HashMap<Key, Arc<Entry>>>);

/// For whom, which address with its query, and whether compressed.
type Key = (Option<UserId>, String, bool);

struct Entry {
    /// The live picture it was made from. Held, so that its place in memory can't be another one's.
    snapshot: Arc<LiveView>,
    /// The newest event then: rights, owners, jobs and names change only together with one.
    event: u64,
    /// What was shared then: a grant counts a moment after its event.
    grants: u64,
    bytes: OnceCell<Bytes>,
}

impl std::fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

impl ResponseCache {
    /// The place for an answer: the one that is there, while nothing changed since it was made.
    fn entry(&self, web: &Web, key: Key) -> Arc<Entry> {
        let snapshot = web.app.live().snapshot();
        let event = *web.app.bell().borrow();
        let grants = web.app.grants().version();
        let is_new = |e: &Entry| Arc::ptr_eq(&e.snapshot, &snapshot) && e.event == event && e.grants == grants;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = kept.get(&key).filter(|e| is_new(e)) {
            return Arc::clone(entry);
        }
        kept.retain(|_, e| is_new(e));
        let entry = Arc::new(Entry { snapshot: Arc::clone(&snapshot), event, grants, bytes: OnceCell::new() });
        if kept.len() < MOST {
            kept.insert(key, Arc::clone(&entry));
        }
        entry
    }
}

/// Answers with what `make` gives, or with what it gave this person at this address since the last change.
/// `make` may see only what the person may see; it runs on a blocking thread, once for all who wait for it.
pub async fn answer(
    person: &Person,
    headers: &HeaderMap,
    address: String,
    kind: &'static str,
    make: impl FnOnce(&Person) -> Result<Vec<u8>> + Send + 'static,
) -> Answer {
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let small = takes(accepts, "gzip");
    let entry = person.web.kept.entry(&person.web, (person.actor.user_id(), address, small));
    let made = entry.bytes.get_or_try_init(|| async {
        let person = person.clone();
        let work = move || make(&person).and_then(|plain| if small { compressed(&plain) } else { Ok(plain) });
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)?.map(Bytes::from)
    });
    let mut response = Response::new(Body::from(made.await?.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if small {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn compressed(plain: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 8), Compression::new(4));
    encoder.write_all(plain).and_then(|()| encoder.finish()).map_err(Error::internal)
}
