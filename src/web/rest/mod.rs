//! The REST API under `/api/v1`: JSON in, JSON out, every error `application/problem+json`.
//!
//! What each room's `rest.rs` shares. A room shows the model's types; a separate view exists only where something is
//! hidden or joined.

pub mod body;
pub mod openapi;
pub mod reading;

use axum::Json;
use axum::response::{IntoResponse, Response};
use base::ids::JobId;
use base::{Error, Result};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

/// The longest page of a list.
pub const MOST: usize = 1_000;
/// How many entries a list returns by default.
pub const USUAL: usize = 100;

/// 1 to 1000; Defaults to 100.
pub fn limit(asked: Option<usize>) -> Result<usize> {
    match asked.unwrap_or(USUAL) {
        n @ 1..=MOST => Ok(n),
        _ => Err(Error::field("limit", "Choose 1 to 1000.")),
    }
}

/// 202 with the job's address in `Location`.
pub fn accepted(job: JobId, body: impl Serialize) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/jobs/{job}")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// A JSON object with free content, for job arguments and results.
pub fn object(value: &Value) -> Value {
    if value.is_null() { Value::Object(Map::new()) } else { value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_1000_entries() {
        assert_eq!(limit(None).unwrap(), 100);
        assert_eq!(limit(Some(1000)).unwrap(), 1000);
        assert!(limit(Some(0)).is_err() && limit(Some(1001)).is_err());
    }
}
