//! Errors become answers here and nowhere else: one table from kind to status, one place that logs, and
//! three forms (page, fragment, `application/problem+json` of RFC 9457).
//!
//! Handlers return an [`Answer`]; its error travels as a [`Problem`] in the answer's extensions until the
//! outermost layer, which knows what the caller wants to read, writes the body.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base::ids::JobId;
use base::{Error, Kind};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The only table from kind to status.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Storage => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The short name of a status, the same every time it occurs (RFC 9457 section 3.1.3).
pub fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNPROCESSABLE_ENTITY => "The input is not valid",
        StatusCode::UNAUTHORIZED => "Please sign in",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::METHOD_NOT_ALLOWED => "This address does not support that method",
        StatusCode::CONFLICT => "It conflicts with the current state",
        StatusCode::PAYLOAD_TOO_LARGE => "Too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "This content type is not supported",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
        StatusCode::REQUEST_TIMEOUT => "Took too long",
        StatusCode::INSUFFICIENT_STORAGE => "The disk is full",
        StatusCode::BAD_REQUEST => "Not understood",
        StatusCode::MISDIRECTED_REQUEST => "Not a name of this Steward",
        _ => "Something went wrong",
    }
}

/// What the caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub detail: String,
    /// Sentences by field.
    pub fields: BTreeMap<String, String>,
    /// Seconds.
    pub retry_after: Option<u64>,
    /// The job that tells the rest.
    pub job: Option<JobId>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), fields: BTreeMap::new(), retry_after: None, job: None }
    }
}

impl From<&Error> for Problem {
    fn from(e: &Error) -> Self {
        Self {
            status: status(e.kind()),
            detail: e.message().to_owned(),
            fields: e.fields().clone(),
            retry_after: e.retry_after(),
            job: e.job(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// What a handler returns.
pub type Answer<T = Response> = Result<T, Refusal>;

/// An error on its way out of a handler.
#[derive(Debug)]
pub struct Refusal(pub Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// This is where a failure is logged, once: our own faults as errors, a full disk and absent machines as
/// warnings, what callers did wrong only for debugging.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = &self.0;
        match error.kind() {
            Kind::Internal => tracing::error!(error = %error.chain(), "a request failed"),
            Kind::Storage | Kind::Unavailable => tracing::warn!(error = %error.chain(), "a request failed"),
            _ => tracing::debug!(kind = ?error.kind(), error = %error.chain(), "a request was refused"),
        }
        Problem::from(error).into_response()
    }
}

/// An error as the answer of something that is not a handler.
pub fn refuse(error: Error) -> Response {
    Refusal(error).into_response()
}

/// What the caller can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A browser that shows a page.
    Page,
    /// Anything else: the API, our own script (`X-Fragment`), data addresses.
    Json,
}

impl Reader {
    pub fn of(path: &str, headers: &HeaderMap) -> Self {
        let data = path.starts_with("/api/")
            || [".json", ".csv", "/console/ws"].iter().any(|end| path.ends_with(end))
            || matches!(path, "/api" | "/events" | "/metrics" | "/healthz" | "/readyz")
            || headers.contains_key("x-fragment");
        if data { Self::Json } else { Self::Page }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    /// The request's id, to find it in the log.
    #[serde(skip_serializing_if = "str::is_empty")]
    instance: &'a str,
}

/// The body of RFC 9457. `request_id` is in `instance`.
pub fn json(problem: &Problem, request_id: &str) -> String {
    let document = Document {
        r#type: "about:blank",
        title: title(problem.status),
        status: problem.status.as_u16(),
        detail: &problem.detail,
        errors: &problem.fields,
        job: problem.job,
        instance: request_id,
    };
    serde_json::to_string(&document).unwrap_or_default()
}

/// Writes the head that every problem has: `Retry-After`, `WWW-Authenticate`, content type.
pub fn finish(problem: &Problem, mut response: Response, body: String, kind: &'static str) -> Response {
    *response.status_mut() = problem.status;
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(seconds) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"steward\""));
    }
    response
}

/// The problem in `response`: one that a handler left, or one made up for a bare refusal of a library
/// (wrong method, too large, not found).
pub fn found_in(response: &Response) -> Option<Arc<Problem>> {
    if let Some(problem) = response.extensions().get::<Arc<Problem>>() {
        return Some(problem.clone());
    }
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let bare =
        (status.is_client_error() || status.is_server_error()) && (kind.is_empty() || kind.starts_with("text/plain"));
    bare.then(|| Arc::new(Problem::new(status, sentence(status))))
}

fn sentence(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::METHOD_NOT_ALLOWED => "The Allow header lists the methods that this address supports.",
        StatusCode::PAYLOAD_TOO_LARGE => "The request is larger than this address allows.",
        StatusCode::REQUEST_TIMEOUT => "The request took too long to arrive or to be answered.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Send application/json.",
        s if s.is_client_error() => "The request could not be understood.",
        _ => "Something went wrong inside Steward. The log of the service says what.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status() {
        let table = [
            (Kind::Invalid, 422),
            (Kind::Unauthenticated, 401),
            (Kind::Forbidden, 403),
            (Kind::NotFound, 404),
            (Kind::Conflict, 409),
            (Kind::TooMany, 429),
            (Kind::Unavailable, 503),
            (Kind::Storage, 507),
            (Kind::Internal, 500),
        ];
        for (kind, code) in table {
            assert_eq!(status(kind).as_u16(), code, "{kind:?}");
            assert_ne!(title(status(kind)), "", "{kind:?}");
        }
    }

    #[test]
    fn the_document_has_the_fields_and_not_the_cause() {
        let e = Error::field("name", "Too long.").with_cause(std::io::Error::other("row 7"));
        let text = json(&Problem::from(&e), "r1");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["status"], 422);
        assert_eq!(value["errors"]["name"], "Too long.");
        assert_eq!(value["instance"], "r1");
        assert!(!text.contains("row 7"));
    }

    #[test]
    fn a_wait_is_told_in_seconds() {
        let problem = Problem::from(&Error::too_many("Wait.", 7));
        let response = finish(&problem, Response::default(), String::new(), "text/plain");
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn the_api_and_our_script_read_json_and_browsers_pages() {
        let none = HeaderMap::new();
        assert_eq!(Reader::of("/machines", &none), Reader::Page);
        for path in ["/api/v1/guests", "/api", "/search.json", "/events"] {
            assert_eq!(Reader::of(path, &none), Reader::Json, "{path}");
        }
        let mut script = HeaderMap::new();
        script.insert("x-fragment", HeaderValue::from_static("1"));
        assert_eq!(Reader::of("/machines", &script), Reader::Json);
    }
}
