//! The envelope: `{"data":..}` for what worked, the three forms of `error::Body` for what did not,
//! the text of an error also as reason phrase in the status line.

use crate::error::{ApiError, Body};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, SERVER};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

/// What a handler gives back.
#[derive(Debug, Clone)]
pub enum Reply {
    Data(Value),
    /// Lists that say how many entries there are in all (`total` beside `data`).
    Page(Value, usize),
    /// A whole body made earlier, for the big list, with room for its compressed form once somebody asks.
    Cached(Bytes, Arc<OnceLock<Bytes>>),
}

impl From<Value> for Reply {
    fn from(v: Value) -> Self {
        Self::Data(v)
    }
}

pub type Answer = Result<Reply, ApiError>;

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");
/// Bodies above this many bytes are compressed for clients that accept it.
const COMPRESS_ABOVE: usize = 1024;

/// The answer of a call that worked.
pub fn success(reply: Reply, gzip_accepted: bool) -> Response<Full<Bytes>> {
    let (plain, packed) = match reply {
        Reply::Data(data) => (body_of(&json!({ "data": data })), None),
        Reply::Page(data, total) => (body_of(&json!({ "data": data, "total": total })), None),
        Reply::Cached(plain, packed) => (plain, Some(packed)),
    };
    let pack = || packed.as_ref().map_or_else(|| gzip(&plain), |kept| kept.get_or_init(|| gzip(&plain)).clone());
    let packed = (gzip_accepted && plain.len() > COMPRESS_ABOVE).then(pack);
    let mut response = Response::new(Full::new(packed.clone().unwrap_or(plain)));
    headers(&mut response, JSON);
    if packed.is_some() {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// The answer of a refused call. Every status from 400 up closes the connection.
pub fn failure(e: &ApiError) -> Response<Full<Bytes>> {
    let (body, kind) = match e.body {
        Body::Json => {
            let mut whole = json!({ "data": null, "message": format!("{}\n", e.message) });
            if !e.errors.is_empty() {
                whole["errors"] = json!(e.errors);
            }
            (body_of(&whole), JSON)
        }
        Body::Plain => (Bytes::from(e.message.clone()), HeaderValue::from_static("text/plain")),
        Body::Empty => (Bytes::new(), HeaderValue::from_static("text/plain")),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(e.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    headers(&mut response, kind);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let line: String = e.message.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { ' ' }).collect();
    if let Ok(reason) = ReasonPhrase::try_from(line.trim().as_bytes()) {
        response.extensions_mut().insert(reason);
    }
    response
}

/// Compressed once, at the fastest level: the simulation's answers are big and boring.
fn gzip(plain: &Bytes) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(plain.len() / 4), flate2::Compression::fast());
    match encoder.write_all(plain).and_then(|()| encoder.finish()) {
        Ok(packed) => Bytes::from(packed),
        Err(_) => plain.clone(),
    }
}

fn body_of(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn headers(response: &mut Response<Full<Bytes>>, kind: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(SERVER, HeaderValue::from_static("pve-api-daemon/3.0"));
    headers.insert("cache-control", HeaderValue::from_static("max-age=0"));
}
