//! Reading what a caller sent, with the name of the field that is wrong.

use crate::base::{Error, Result};
use crate::web::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

/// A JSON body. Types refuse unknown fields (`deny_unknown_fields`), so a misspelt name is no silent default.
#[derive(Debug)]
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        if !is_json(request.headers()) {
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json.");
            return Err(problem.into_response());
        }
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        parse(&body).map(Self).map_err(IntoResponse::into_response)
    }
}

/// As [`Sent`], but an empty body is `None`.
#[derive(Debug)]
pub struct MaybeSent<T>(pub Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for MaybeSent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Response> {
        let json = is_json(request.headers());
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        if !json {
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json.");
            return Err(problem.into_response());
        }
        parse(&body).map(|value| Self(Some(value))).map_err(IntoResponse::into_response)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json"))
}

/// # Errors
/// `Invalid`, beside the field where one can be named.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|e| {
        let path = e.path().to_string();
        let inner = e.into_inner();
        if inner.is_syntax() || inner.is_eof() {
            return Error::invalid(format!("The body is not JSON: {inner}."));
        }
        named(&path, &inner.to_string())
    })?;
    reader.end().map_err(|e| Error::invalid(format!("The body has more than one JSON value: {e}.")))?;
    Ok(value)
}

/// The field in `path`, or the one that serde names in backticks for a missing or unknown field.
fn named(path: &str, text: &str) -> Error {
    let sentence = sentence(text);
    let quoted =
        text.split('`').nth(1).filter(|_| text.starts_with("missing field") || text.starts_with("unknown field"));
    let parent = if path == "." { "" } else { path };
    let field = match quoted {
        Some(name) if parent.is_empty() || parent.ends_with(name) => name.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None if parent.is_empty() => return Error::invalid(format!("The body does not fit: {sentence}")),
        None => parent.to_owned(),
    };
    Error::field(&field, sentence)
}

/// serde's words without the place, as a sentence.
fn sentence(text: &str) -> String {
    let text = text.split(" at line ").next().unwrap_or(text).trim();
    let text: String = text
        .split('`')
        .enumerate()
        .map(|(i, part)| if i % 2 == 1 { format!("“{part}”") } else { part.to_owned() })
        .collect();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => text,
    }
}

/// Query parameters, with the name of the one that is wrong.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, Response> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(e) => {
                // axum's text is "Failed to deserialize query string: limit: invalid digit ...".
                let text = e.body_text();
                let text = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
                let (path, text) = text.split_once(": ").unwrap_or((".", text));
                Err(named(path, text).into_response())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[expect(dead_code, reason = "only its reading is looked at")]
        cores: u32,
        #[expect(dead_code, reason = "only its reading is looked at")]
        size: Option<Size>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Size {
        #[expect(dead_code, reason = "only its reading is looked at")]
        gib: u64,
    }

    fn wrong(body: &str) -> Vec<(String, String)> {
        parse::<Wanted>(body.as_bytes()).unwrap_err().fields().clone().into_iter().collect()
    }

    #[test]
    fn the_wrong_field_is_named() {
        assert_eq!(wrong(r#"{"cores":"two"}"#)[0].0, "cores");
        assert!(wrong(r#"{"cores":"two"}"#)[0].1.starts_with("Invalid type: string \"two\", expected u32"));
        assert_eq!(wrong(r#"{"cores":1,"colour":"red"}"#)[0].0, "colour");
        assert_eq!(wrong("{}")[0].0, "cores");
        assert_eq!(wrong(r#"{"cores":1,"size":{"gib":-1}}"#)[0].0, "size.gib");
    }

    #[test]
    fn what_is_no_json_is_said_so() {
        assert!(parse::<Wanted>(b"{").unwrap_err().message().contains("not JSON"));
        assert!(parse::<Wanted>(br#"{"cores":1} {}"#).unwrap_err().message().contains("more than one"));
    }
}
