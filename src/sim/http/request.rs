//! One request, read and judged as pve-http-server does before the API sees it.

use super::form::{RawParams, decode_form, decode_json};
use super::multipart::{self, File};
use crate::error::{ApiError, Body};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

/// The real proxy's limit on bodies that are not uploads.
const BODY_LIMIT: usize = 512 * 1024;
/// Uploads are kept in memory here, so they must be small.
const UPLOAD_LIMIT: usize = 64 << 20;

/// A request with its parameters decoded: query over body.
#[derive(Debug)]
pub struct Decoded {
    pub method: String,
    /// As sent, still percent-encoded.
    pub path: String,
    pub params: RawParams,
    /// The body's bytes, for the control calls of the simulation itself.
    pub body: Bytes,
    pub authorization: Option<String>,
    pub cookie: Option<String>,
    pub csrf: Option<String>,
    pub gzip: bool,
    /// An uploaded file.
    pub file: Option<File>,
}

/// Reads the request or says which rule of HTTP use it breaks.
pub async fn read(request: Request<Incoming>) -> Result<Decoded, ApiError> {
    let (head, body) = request.into_parts();
    let takes_body = match head.method {
        Method::GET | Method::DELETE => false,
        Method::POST | Method::PUT => true,
        _ => return Err(ApiError { body: Body::Empty, ..ApiError::new(501, "Not Implemented") }),
    };
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return Err(ApiError::transport(501, "chunked transfer encoding not supported"));
    }
    let length = text(&head.headers, CONTENT_LENGTH).and_then(|l| l.parse::<usize>().ok()).unwrap_or(0);
    if length > 0 && !takes_body {
        return Err(ApiError::transport(501, &format!("Unexpected content for method '{}'", head.method)));
    }
    let kind = text(&head.headers, CONTENT_TYPE).unwrap_or_default();
    let upload = head.uri.path().ends_with("/upload") && kind.starts_with("multipart/form-data");
    let limit = if upload { UPLOAD_LIMIT } else { BODY_LIMIT };
    if length > limit {
        return Err(ApiError::transport(501, "for data larger than 512 KiB use the upload call"));
    }
    let multipart = kind.clone();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json";
    if length > 0 && !upload && !is_json && !kind.is_empty() && kind != "application/x-www-form-urlencoded" {
        return Err(ApiError::transport(506, &format!("upload '{kind}' not implemented")));
    }
    let body = match Limited::new(body, limit).collect().await {
        Ok(all) => all.to_bytes(),
        Err(_) => return Err(ApiError::transport(501, "the body could not be read")),
    };
    let (mut params, file) = if upload {
        multipart::parse(&multipart, &body)?
    } else if is_json {
        (decode_json(&body)?, None)
    } else {
        (decode_form(&String::from_utf8_lossy(&body)), None)
    };
    params.extend(decode_form(head.uri.query().unwrap_or_default()));
    Ok(Decoded {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        params,
        body,
        authorization: text(&head.headers, AUTHORIZATION),
        cookie: text(&head.headers, COOKIE),
        csrf: head.headers.get("csrfpreventiontoken").and_then(|v| v.to_str().ok()).map(str::to_owned),
        gzip: text(&head.headers, ACCEPT_ENCODING).is_some_and(|v| v.contains("gzip")),
        file,
    })
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}
