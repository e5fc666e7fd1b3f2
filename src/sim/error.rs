//! How a refused call looks: status code, text, and in which of pveproxy's three forms the body comes.

use std::collections::BTreeMap;

/// The body of an error. The real proxy uses all three, and clients that expect only JSON break on the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// `{"data":null,"message":..,"errors":..}`: what the API itself refuses.
    Json,
    /// Plain text: misuse of HTTP (body on GET, chunked, wrong content type).
    Plain,
    /// Nothing; the text is only in the status line: 401, 595 and above, PATCH, HEAD.
    Empty,
}

/// A refused call.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub status: u16,
    /// Without the newline that the JSON body adds.
    pub message: String,
    pub errors: BTreeMap<String, String>,
    pub body: Body,
    /// Seconds (before scaling) that pass until the answer is sent.
    pub delay: f64,
}

impl ApiError {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: BTreeMap::new(), body: Body::Json, delay: 0.0 }
    }

    /// What a Perl `die` becomes: 500 with the text.
    pub fn die(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    /// 400 with one entry in `errors`.
    pub fn param(name: &str, text: impl Into<String>) -> Self {
        Self::params(BTreeMap::from([(name.to_owned(), text.into())]))
    }

    pub fn params(errors: BTreeMap<String, String>) -> Self {
        Self { errors, ..Self::new(400, "Parameter verification failed.") }
    }

    /// 403 that names path and privileges; `sep` is `,` when all are needed and `|` when one of them is.
    pub fn denied(path: &str, privileges: &[&str], sep: &str) -> Self {
        Self::new(403, format!("Permission check failed ({path}, {})", privileges.join(sep)))
    }

    /// 403 that names no path, as for calls that are reserved to the user itself.
    pub fn denied_bare() -> Self {
        Self::new(403, "Permission check failed")
    }

    /// What the API does not have (or the simulation does not do): there is no 404.
    pub fn not_implemented(method: &str, path: &str) -> Self {
        Self::new(501, format!("Method '{method} {path}' not implemented"))
    }

    /// 401: three seconds late, the reason only in the status line.
    pub fn unauthenticated(reason: &str) -> Self {
        Self { body: Body::Empty, delay: 3.0, ..Self::new(401, reason) }
    }

    /// Misuse of HTTP itself: plain text.
    pub fn transport(status: u16, text: &str) -> Self {
        Self { body: Body::Plain, ..Self::new(status, text) }
    }

    /// The proxy between nodes could not deliver: 595 and above, empty.
    pub fn proxy(status: u16, reason: &str) -> Self {
        Self { body: Body::Empty, ..Self::new(status, reason) }
    }
}

/// Helpers shared by calls and tasks fail with a bare text; in a call that is a 500.
impl From<String> for ApiError {
    fn from(text: String) -> Self {
        Self::die(text)
    }
}
