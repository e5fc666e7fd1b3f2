//! The outermost layers: an id and a span for every request, its count, and errors written as what the
//! caller can read.

use crate::door::cookies::Cookies;
use crate::door::guard;
use crate::door::problem;
use crate::door::problem::refuse;
use crate::door::problem::{Problem, Reader};
use crate::door::sign;
use crate::door::state::Web;
use crate::door::visit::{Visit, VisitData, see_other};
use crate::frame as page;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, Method, header};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tracing::Instrument;

/// The request's id, in the answer's `X-Request-Id`, in problems and in the log.
#[derive(Clone, Debug)]
struct RequestId(Arc<str>);

/// Gives the request its id and span, and counts it. Only the route's pattern is logged: query strings and
/// real paths hold what people typed.
pub async fn layer(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId(base::random::token::<9>().into());
    request.extensions_mut().insert(id.clone());
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".into(), |p| Arc::<str>::from(p.as_str()));
    let method = request.method().clone();
    let span = tracing::info_span!("http", request.id = %id.0, %method, %route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let took = began.elapsed();
    let status = response.status().as_u16();
    web.metrics.count(&route, &method, status, took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(status, duration_ms, "answered"));
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

/// Writes the body of every problem in the form that the caller can read.
pub async fn problems(State(web): State<Web>, request: Request, next: Next) -> Response {
    let reader = Reader::of(request.uri().path(), request.headers());
    let id = request.extensions().get::<RequestId>().map(|i| i.0.clone());
    let looks = *request.method() == Method::GET;
    // Kept for a page about an address that no route knows; cheap, values are shared.
    let stray = (reader == Reader::Page).then(|| {
        (
            request.headers().get_all(header::COOKIE).iter().cloned().collect::<Vec<_>>(),
            request.uri().path().to_owned(),
            guard::peer(request.extensions()),
        )
    });
    let response = next.run(request).await;
    let Some(problem) = problem::found_in(&response) else { return response };
    match stray {
        // Whoever comes back to what is gone reads there what became of it.
        Some(_) if looks && let Some(job) = problem.job => see_other(&format!("/jobs/{job}")),
        None => {
            let body = problem::json(&problem, id.as_deref().unwrap_or_default());
            problem::finish(&problem, response, body, "application/problem+json")
        }
        Some((cookies, path, address)) => {
            let visit = response.extensions().get::<Visit>().cloned();
            let visit = visit.unwrap_or_else(|| stranger(&web, cookies, path, address));
            let body = error_page(&visit, &problem, id.as_deref().unwrap_or_default());
            problem::finish(&problem, response, body, "text/html; charset=utf-8")
        }
    }
}

fn error_page(visit: &Visit, problem: &Problem, id: &str) -> String {
    let view = page::error::ErrorView {
        status: problem.status.as_u16(),
        message: problem.detail.clone(),
        job: problem.job,
        request_id: (!id.is_empty()).then(|| id.to_owned()),
    };
    page::error::error(&visit.page(), &view).into_string()
}

/// A visitor of an address that no route knows: signed in or not, so that the page has its frame.
fn stranger(web: &Web, values: Vec<HeaderValue>, path: String, address: std::net::IpAddr) -> Visit {
    let headers = values.into_iter().map(|v| (header::COOKIE, v)).collect();
    let cookies = Cookies::of(&headers, web.options().secure);
    let actor = cookies.session.as_deref().and_then(|c| web.app.sessions().authenticate(c, &address.to_string()).ok());
    let form_mark = match (&actor, &cookies.session) {
        (Some(_), Some(cookie)) => crate::door::csrf::session_mark(web.app.form_key().expose(), cookie),
        _ => [0; sign::MARK],
    };
    Visit::new(VisitData {
        web: web.clone(),
        actor,
        address,
        path,
        after: 0,
        fragment: false,
        device: String::new(),
        origin: String::new(),
        cookies,
        form_mark,
    })
}

/// A panic in a handler is a fault of ours, not the end of the service.
pub fn panicked(web: &Web, panic: &(dyn Any + Send)) -> Response {
    web.metrics.panics.fetch_add(1, Ordering::Relaxed);
    let text =
        panic.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    let cause = format!("a handler panicked: {}", text.unwrap_or_else(|| "no text".to_owned()));
    refuse(base::Error::internal(cause))
}
