//! What a refused request still sends.
//!
//! An answer may be ready before the request's body was read: no right, a wrong content type. With HTTP/1.1 the rest
//! of the body stands before the next request then, so the connection would have to be cut, and a program that sends
//! its next request on it would lose that. So a small rest is read to its end before the answer goes out, and with a
//! large one the answer says that the connection closes.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Version, header};
use hyper::body::{Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes that are read for nothing.
const MOST: u64 = 1024 * 1024;
/// For how long.
const PATIENCE: Duration = Duration::from_secs(1);

/// The request's body, kept while its reader may go.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Body>>);

impl SharedBody {
    fn body(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.body()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}

/// The outermost layer.
pub async fn layer(request: Request, next: Next) -> Response {
    // HTTP/2 has a stream for each request.
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return next.run(request).await;
    }
    // A client that waits for `100 Continue` has sent nothing yet; reading would tell it to.
    let waits = request.headers().contains_key(header::EXPECT);
    let (parts, body) = request.into_parts();
    let kept = SharedBody(Arc::new(Mutex::new(body)));
    let mut response = next.run(Request::from_parts(parts, Body::new(kept.clone()))).await;
    // Still read by somebody: it is theirs.
    let theirs = Arc::strong_count(&kept.0) > 1;
    let over = kept.is_end_stream() || theirs;
    if !over && (waits || !tokio::time::timeout(PATIENCE, drain(&kept)).await.unwrap_or(false)) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads to the end; `false` when that is too far away.
async fn drain(kept: &SharedBody) -> bool {
    let mut left = MOST;
    loop {
        if kept.size_hint().lower() > left {
            return false;
        }
        let mut kept = kept.clone();
        match poll_fn(move |cx| Pin::new(&mut kept).poll_frame(cx)).await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                let read = frame.data_ref().map_or(0, Bytes::len) as u64;
                let Some(rest) = left.checked_sub(read) else { return false };
                left = rest;
            }
        }
    }
}
