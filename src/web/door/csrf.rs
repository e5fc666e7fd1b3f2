//! Forms that change something. Two independent checks: the request must come from our own origin, and
//! the form must hold a token bound to the session (or to the anonymous form's cookie).
//!
//! The guard makes both before a handler is reached: whoever sends a form from elsewhere does not even learn what
//! there is. [`Checked`] is the only way to read a form's body, and can't be had without them. A form with a file is
//! too large for that: [`CheckedFile`](crate::door::upload::CheckedFile) makes the second check itself.

use crate::door::problem::refuse;
use crate::door::sign;
use crate::door::visit::Visit;
use crate::frame::Form;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use base::{Error, Result};
use bytes::Bytes;
use http::{HeaderMap, Uri, header};
use serde::de::DeserializeOwned;
use url::Url;

/// The mark that forms of this session carry.
pub fn session_mark(key: &[u8], cookie: &str) -> [u8; sign::MARK] {
    sign::mark(key, "form of a session", cookie.as_bytes())
}

/// The mark that forms carry while nobody is signed in: the other half of the `form` cookie.
pub fn anonymous_mark(key: &[u8], cookie: &str) -> [u8; sign::MARK] {
    sign::mark(key, "form of nobody", cookie.as_bytes())
}

/// Did our own page send this? Browsers say so in `Sec-Fetch-Site`, older ones in `Origin` (RFC 6454: scheme, host
/// and port, where a scheme's default port may be left out on either side). `None`: the client said neither.
pub fn same_origin(scheme: &str, uri: &Uri, headers: &HeaderMap) -> Option<bool> {
    if let Some(site) = headers.get("sec-fetch-site") {
        return Some(matches!(site.as_bytes(), b"same-origin" | b"none"));
    }
    let origin = Url::parse(headers.get(header::ORIGIN)?.to_str().unwrap_or("null"));
    let host = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default(),
    };
    let own = Url::parse(&format!("{scheme}://{host}"));
    Some(matches!((origin, own), (Ok(origin), Ok(own)) if origin.origin() == own.origin()))
}

pub fn refused() -> Error {
    Error::forbidden("This form is too old or was sent from another site. Reload the page and send it again.")
}

/// A form that was sent by our own page for this session.
#[derive(Debug)]
pub struct Checked<T = Form> {
    pub visit: Visit,
    pub form: T,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Checked<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        let visit = Visit::of(request.extensions()).map_err(refuse)?;
        request.extensions().get::<TokenSeen>().ok_or_else(|| refuse(refused()))?;
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let form = serde_urlencoded::from_bytes(&body)
            .map_err(|e| refuse(Error::invalid("The form could not be read.").with_cause(e)))?;
        Ok(Self { visit, form })
    }
}

/// The guard has seen the form's token.
#[derive(Clone, Copy, Debug)]
struct TokenSeen;

/// The same request and its body, when its form (or a header, for our script) holds the token of this session.
///
/// # Errors
/// The answer that refuses it.
pub async fn with_token(request: Request, mark: [u8; sign::MARK]) -> std::result::Result<(Request, Bytes), Response> {
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let body = Bytes::from_request(whole, &()).await.map_err(IntoResponse::into_response)?;
    let header = parts.headers.get("x-csrf-token").and_then(|v| v.to_str().ok());
    check(&body, header, mark).map_err(refuse)?;
    let mut request = Request::from_parts(parts, Body::from(body.clone()));
    request.extensions_mut().insert(TokenSeen);
    Ok((request, body))
}

/// Whether a form's token belongs to this session, for forms that are read in another way.
pub fn check_token(given: &str, mark: [u8; sign::MARK]) -> bool {
    sign::is_masked(given, mark)
}

fn check(body: &[u8], header: Option<&str>, mark: [u8; sign::MARK]) -> Result<()> {
    let in_body =
        url::form_urlencoded::parse(body).find(|(name, _)| name == "csrf").map(|(_, value)| value.into_owned());
    let given = in_body.as_deref().or(header).unwrap_or_default();
    if sign::is_masked(given, mark) { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (http::HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_form_without_the_sessions_token_is_refused() {
        let mark = session_mark(b"key", "cookie of mira");
        let good = format!("login=x&csrf={}", sign::mask(mark));
        assert!(check(good.as_bytes(), None, mark).is_ok());
        assert!(check(b"login=x", None, mark).is_err());
        assert!(check(b"login=x&csrf=", None, mark).is_err());
        assert!(check(good.as_bytes(), None, session_mark(b"key", "cookie of jon")).is_err());
        assert!(check(good.as_bytes(), None, anonymous_mark(b"key", "cookie of mira")).is_err());
    }

    #[test]
    fn a_script_may_send_the_token_as_a_header() {
        let mark = session_mark(b"key", "c");
        assert!(check(b"", Some(&sign::mask(mark)), mark).is_ok());
    }

    #[test]
    fn another_site_is_seen_by_its_origin() {
        let uri = Uri::from_static("/sign-in");
        let same = |pairs| same_origin("https", &uri, &headers(pairs));
        assert_eq!(same(&[("sec-fetch-site", "same-origin"), ("host", "h")]), Some(true));
        assert_eq!(same(&[("sec-fetch-site", "cross-site"), ("origin", "https://h"), ("host", "h")]), Some(false));
        assert_eq!(same(&[("sec-fetch-site", "same-site"), ("host", "h")]), Some(false));
        assert_eq!(same(&[("origin", "https://h:8443"), ("host", "h:8443")]), Some(true));
        assert_eq!(same(&[("origin", "https://h"), ("host", "h:8443")]), Some(false));
        assert_eq!(same(&[("origin", "https://h"), ("host", "h:443")]), Some(true), "443 is https' own port");
        assert_eq!(same(&[("origin", "https://H:443"), ("host", "h")]), Some(true));
        assert_eq!(same(&[("origin", "http://h"), ("host", "h")]), Some(false), "a page that anybody on the way wrote");
        assert_eq!(same(&[("origin", "http://h:443"), ("host", "h:443")]), Some(false));
        assert_eq!(same(&[("origin", "https://h"), ("host", "")]), Some(false));
        assert_eq!(same(&[("origin", "null"), ("host", "h")]), Some(false));
        assert_eq!(same(&[("host", "h")]), None);
    }
}
