//! The audit log for programs.

use crate::audit::{csv_stream, json_stream};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::body::Asked;
use crate::rest::limit;
use crate::rest::openapi::ListProblems;
use axum::Json;
use base::{Error, Timestamp};
use model::audit::AuditEntry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Look {
    /// Filter words: bare words, `actor:`, `action:`, `subject:`, `address:`, `ok:yes|no`.
    #[serde(default)]
    q: String,
    /// 1 to 1000, 100 when left out.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EntryView {
    pub seq: u64,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub actor: String,
    pub actor_id: Option<String>,
    /// A dotted name: `guest.create`.
    pub action: String,
    pub subject: String,
    pub detail: String,
    pub address: Option<String>,
    pub ok: bool,
    /// Hex; over the hash before it, `seq` and the record.
    pub hash: String,
}

impl From<AuditEntry> for EntryView {
    fn from(entry: AuditEntry) -> Self {
        let r = entry.record;
        Self {
            seq: entry.seq,
            at: r.at,
            actor: r.actor,
            actor_id: r.actor_id.map(|id| id.to_string()),
            action: r.action,
            subject: r.subject,
            detail: r.detail,
            address: r.address,
            ok: r.ok,
            hash: hex::encode(&entry.hash),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// The newest first.
    pub entries: Vec<EntryView>,
    /// Ask again with this as `cursor`; `null` at the end.
    pub next: Option<u64>,
}

/// Entries, the newest first.
///
/// # Errors
/// `Forbidden`; `Invalid` on a parameter.
#[utoipa::path(get, path = "/api/v1/audit", tag = "house", params(Look), responses((status = 200, body = AuditPage), ListProblems))]
pub async fn list(person: Person, Asked(look): Asked<Look>) -> Answer<Json<AuditPage>> {
    let page = person.web.app.audit().page(&person.actor, &look.q, look.cursor, limit(look.limit)?)?;
    Ok(Json(AuditPage { entries: page.entries.into_iter().map(EntryView::from).collect(), next: page.next }))
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
///
/// # Errors
/// `Forbidden`; `Invalid` on `format`.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "house", params(Export),
    responses((status = 200, description = "The log, the newest first", content_type = "text/csv"), ListProblems))]
pub async fn export(person: Person, Asked(look): Asked<Export>) -> Answer {
    match look.format.as_str() {
        "" | "csv" => Ok(csv_stream(&person, look.q)),
        "ndjson" => Ok(json_stream(&person, look.q)),
        _ => Err(Error::field("format", "Choose csv or ndjson.").into()),
    }
}
