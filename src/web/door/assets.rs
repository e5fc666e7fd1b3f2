//! Scripts, styles and pictures: built by build.rs into assets/dist, embedded, served for ever.
//!
//! A file's name holds a hash of its content, so browsers may keep it for a year and never ask again.

use axum::body::Body;
use axum::response::Response;
use base::files::Files;
use http::{HeaderValue, StatusCode, header};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The files that browsers get. Without any (a build with STEWARD_WEB=skip) all addresses answer 404.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assets(pub Files);

impl Assets {
    /// The address of a file by the name it has in assets/: `style.css` is at `/assets/style-1A2B3C4D.css`.
    pub fn address(self, name: &str) -> String {
        format!("/assets/{}", self.manifest().get(name).map_or(name, String::as_str))
    }

    fn manifest(self) -> BTreeMap<String, String> {
        let file = self.0.get("manifest.json");
        file.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Answers `GET /assets/{name}`: the smallest form that the browser takes (RFC 9110 section 12.5.3), with
    /// an entity tag and a year of caching.
    pub fn serve(self, name: &str, accept_encoding: Option<&str>, if_none_match: Option<&str>) -> Response {
        let known = !name.ends_with(".br") && !name.ends_with(".gz") && name != "manifest.json";
        let Some((file, encoding)) = known.then(|| self.pick(name, accept_encoding.unwrap_or_default())).flatten()
        else {
            return answer(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", Body::from("There is no such file.\n"));
        };
        // The name holds a hash of the content; each coding is another representation and has a tag of its own.
        let tag = format!("\"{name}{encoding}\"");
        let fresh = if_none_match.is_some_and(|tags| tags.split(',').any(|t| t.trim() == tag || t.trim() == "*"));
        let mut response = if fresh {
            answer(StatusCode::NOT_MODIFIED, content_type(name), Body::empty())
        } else {
            answer(StatusCode::OK, content_type(name), body(file))
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        if !encoding.is_empty() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }

    /// The picture for browsers that ask for `/favicon.ico` unasked. It may change, so it is kept for a day only.
    pub fn favicon(self) -> Response {
        let Some(file) = self.manifest().get("steward.svg").and_then(|name| self.0.get(name)) else {
            return answer(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", Body::empty());
        };
        let mut response = answer(StatusCode::OK, "image/svg+xml", body(file));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
        response
    }

    fn pick(self, name: &str, accept: &str) -> Option<(Cow<'static, [u8]>, &'static str)> {
        for (encoding, ending) in [("br", "br"), ("gzip", "gz")] {
            if takes(accept, encoding)
                && let Some(file) = self.0.get(&format!("{name}.{ending}"))
            {
                return Some((file, encoding));
            }
        }
        self.0.get(name).map(|file| (file, ""))
    }
}

/// Does `Accept-Encoding` name this coding without forbidding it by `q=0`?
pub(crate) fn takes(accept: &str, encoding: &str) -> bool {
    accept.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let named = words.next().is_some_and(|w| w.eq_ignore_ascii_case(encoding));
        let refused = words.any(|w| matches!(w, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        named && !refused
    })
}

fn body(data: Cow<'static, [u8]>) -> Body {
    match data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    }
}

fn answer(status: StatusCode, kind: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSETS: Assets = Assets(embedded::FILES.assets);

    fn file(logical: &str) -> String {
        ASSETS.address(logical).trim_start_matches("/assets/").to_owned()
    }

    #[test]
    fn a_file_is_served_small_and_for_ever_under_its_hashed_name() {
        let name = file("style.css");
        assert!(name.len() > "style.css".len(), "{name} holds a hash");
        let plain = ASSETS.serve(&name, None, None);
        assert_eq!(plain.status(), StatusCode::OK);
        assert_eq!(plain.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        let small = ASSETS.serve(&name, Some("gzip, deflate, br"), None);
        assert_eq!(small.headers()[header::CONTENT_ENCODING], "br");
        assert!(small.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        assert_ne!(small.headers()[header::ETAG], plain.headers()[header::ETAG]);
    }

    #[test]
    fn a_browser_that_has_the_file_gets_304() {
        let name = file("app.js");
        let first = ASSETS.serve(&name, Some("gzip"), None);
        assert_eq!(first.headers()[header::CONTENT_ENCODING], "gzip");
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(ASSETS.serve(&name, Some("gzip"), Some(&tag)).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(ASSETS.serve(&name, Some("gzip"), Some("\"other\"")).status(), StatusCode::OK);
    }

    #[test]
    fn what_is_not_listed_is_not_served() {
        for name in ["nothing.js", "manifest.json", "sources.txt", "../package.json", &format!("{}.br", file("app.js"))]
        {
            assert_eq!(ASSETS.serve(name, Some("br"), None).status(), StatusCode::NOT_FOUND, "{name}");
        }
    }

    #[test]
    fn a_coding_refused_by_q_0_is_not_used() {
        assert!(takes("gzip;q=0.5, br", "gzip"));
        assert!(!takes("br;q=0, gzip", "br"));
    }
}
