//! The audit log for programs.

use crate::audit::{csv_stream, json_stream};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::body::QueryParams;
use crate::rest::limit;
use crate::rest::openapi::ListProblems;
use app::audit::AuditPage;
use axum::Json;
use base::Error;
use serde::Deserialize;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditListParams {
    /// Filter words: bare words, `actor:`, `action:`, `subject:`, `address:`, `ok:yes|no`.
    #[serde(default)]
    q: String,
    /// 1 to 1000, 100 when left out.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<u64>,
}

/// Entries, the newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "system", params(AuditListParams), responses((status = 200, body = AuditPage), ListProblems))]
pub async fn list(person: Person, QueryParams(look): QueryParams<AuditListParams>) -> Answer<Json<AuditPage>> {
    Ok(Json(person.web.app.audit().page(&person.actor, &look.q, look.cursor, limit(look.limit)?)?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Export {
    /// `csv` (RFC 4180) or `ndjson` (one entry a line).
    #[serde(default)]
    format: String,
    #[serde(default)]
    q: String,
}

/// The whole log as one file, streamed.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "system", params(Export),
    responses((status = 200, description = "The log, newest first", content_type = "text/csv"), ListProblems))]
pub async fn export(person: Person, QueryParams(look): QueryParams<Export>) -> Answer {
    match look.format.as_str() {
        "" | "csv" => Ok(csv_stream(&person, look.q)),
        "ndjson" => Ok(json_stream(&person, look.q)),
        _ => Err(Error::field("format", "Choose csv or ndjson.").into()),
    }
}
