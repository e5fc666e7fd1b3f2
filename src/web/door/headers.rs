//! The headers that every answer carries, and the permission for other origins to call the API.

use crate::door::state::Web;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// What a page may load and do: only our own files, no inline script, no inline style, no frames.
pub const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=()";

/// Headers whose value never changes. A handler that set one of them itself keeps its own.
const ALWAYS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    (header::CACHE_CONTROL, "no-store"),
];

/// Two years. Browsers heed it only over a certificate that they trust (RFC 6797 section 8.1).
const HSTS: &str = "max-age=63072000";

pub async fn layer(State(web): State<Web>, request: Request, next: Next) -> Response {
    let origin = allowed_origin(&web.options().origins, request.uri().path(), request.headers());
    let preflight = request.method() == Method::OPTIONS
        && origin.is_some()
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    secure(headers, web.options().secure && web.options().hsts);
    if let Some(origin) = origin {
        allow(headers, origin, preflight);
    }
    response
}

fn secure(headers: &mut HeaderMap, hsts: bool) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
}

/// The request's origin when it is in the list, and the path is the API's. Origins match exactly: scheme,
/// host and port. Without a list nobody else may read an answer.
fn allowed_origin(list: &[String], path: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    let known = list.iter().any(|o| o.as_bytes() == origin.as_bytes());
    (known && path.starts_with("/api/")).then(|| origin.clone())
}

/// No `Allow-Credentials`: other origins bring a token, never our cookie.
fn allow(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers
        .insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("location, retry-after, x-request-id"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    if preflight {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type, idempotency-key"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_not_run_inline_script_nor_be_framed() {
        let mut headers = HeaderMap::new();
        secure(&mut headers, true);
        let csp = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(csp.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{csp}");
        assert!(csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe"));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }

    #[test]
    fn a_handler_keeps_its_own_cache_control() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
        secure(&mut headers, false);
        assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=1");
        assert!(!headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }

    #[test]
    fn only_a_listed_origin_may_read_the_api_and_nothing_else() {
        let list = ["https://grafana.home.example".to_owned()];
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://grafana.home.example"));
        assert!(allowed_origin(&list, "/api/v1/guests", &headers).is_some());
        assert!(allowed_origin(&list, "/machines", &headers).is_none());
        assert!(allowed_origin(&[], "/api/v1/guests", &headers).is_none());
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://grafana.home.example.evil.example"));
        assert!(allowed_origin(&list, "/api/v1/guests", &headers).is_none());
    }
}
