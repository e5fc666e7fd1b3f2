//! Reading what a caller sent, with the name of the field that is wrong.

use crate::door::problem::Problem;
use crate::door::problem::refuse;
use crate::rest::reading::Node;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use base::{Error, Secret};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

/// A JSON body. Types refuse unknown fields (`deny_unknown_fields`), so a misspelt name does not silently become a default.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = node(request, state).await?.ok_or_else(empty)?;
        body.read().map(Self).map_err(refuse)
    }
}

/// As [`JsonBody`], with a text that is the same for the same content only. It may hold secrets.
#[derive(Debug)]
pub struct JsonBodyWithText<T>(pub T, pub Secret<String>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBodyWithText<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let body = node(request, state).await?.ok_or_else(empty)?;
        let whole = Secret::new(format!("{body:?}"));
        body.read().map(|value| Self(value, whole)).map_err(refuse)
    }
}

/// As [`JsonBody`], but an empty body is `None`.
#[derive(Debug)]
pub struct OptionalJsonBody<T>(pub Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let Some(body) = node(request, state).await? else { return Ok(Self(None)) };
        body.read().map(|value| Self(Some(value))).map_err(refuse)
    }
}

/// `None` for an empty body.
async fn node<S: Send + Sync>(request: Request, state: &S) -> Result<Option<Node>, Response> {
    let json = is_json(request.headers());
    let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
    match (body.is_empty(), json) {
        (true, _) => Ok(None),
        (_, true) => Node::of_json(&body).map(Some).map_err(refuse),
        (_, false) => {
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json.");
            Err(problem.into_response())
        }
    }
}

fn empty() -> Response {
    refuse(Error::invalid("The body is empty. Send a JSON object, at least {}."))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json"))
}

/// Query parameters, with the name of the one that is wrong.
#[derive(Debug)]
pub struct QueryParams<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let query = Node::of_query(parts.uri.query().unwrap_or_default());
        query.and_then(Node::read).map(Self).map_err(refuse)
    }
}
