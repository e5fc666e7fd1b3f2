//! The audit log: a page of it, and the whole as a file.

pub mod page;
pub mod rest;

use crate::audit::page::AuditView;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use app::audit::AuditCheck;
use axum::body::Body;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use base::{Error, Result};
use http::header;
use maud::Markup;
use model::audit::AuditEntry;
use serde::Deserialize;
use std::time::Duration;

/// Entries on one page.
const PAGE: usize = 100;
/// How long a check of the whole chain is shown before it is made again.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// Entries read at once for a file.
const PIECE: usize = 1_000;

#[derive(Debug, Deserialize)]
pub struct AuditPageParams {
    #[serde(default)]
    q: String,
    before: Option<u64>,
}

pub async fn list(person: Person, Query(look): Query<AuditPageParams>) -> Answer<Markup> {
    let app = person.web.app.clone();
    let found = app.audit().page(&person.actor, &look.q, look.before, PAGE)?;
    let check = chain(&person).await?;
    let newest = found.entries.first().map_or(0, |e| e.seq);
    let view = AuditView {
        rows: found.entries,
        filter: look.q,
        next: found.next,
        first_page: look.before.is_none(),
        entries: if check.first_bad.is_none() { check.entries.max(newest) } else { check.entries },
        first_bad: check.first_bad,
    };
    Ok(page::audit(&person.page(), &view))
}

/// The check of the whole chain. Years of entries take seconds to hash, so it is not made for every look at the
/// page, and not on a thread that serves others; one person's look waits for another's.
async fn chain(person: &Person) -> Result<AuditCheck> {
    let mut kept = person.web.chain.lock().await;
    let now = person.web.now();
    if let Some((at, check)) = &*kept
        && at.until(now) < GOOD_FOR
    {
        return Ok(check.clone());
    }
    let (app, actor) = (person.web.app.clone(), person.actor.clone());
    let check = tokio::task::spawn_blocking(move || app.audit().verify(&actor)).await.map_err(Error::internal)??;
    *kept = Some((now, check.clone()));
    Ok(check)
}

pub async fn json_file(person: Person, Query(look): Query<AuditPageParams>) -> Answer {
    Ok(json_stream(&person, look.q))
}

pub async fn csv_file(person: Person, Query(look): Query<AuditPageParams>) -> Answer {
    Ok(csv_stream(&person, look.q))
}

/// The log as one JSON entry a line, the newest first, made while it is sent.
pub fn json_stream(person: &Person, filter: String) -> Response {
    let line = |entry: &AuditEntry| serde_json::to_string(entry).unwrap_or_default() + "\n";
    file("application/x-ndjson", "audit.ndjson", stream(person, filter, String::new(), line))
}

/// The same as a table (RFC 4180).
pub fn csv_stream(person: &Person, filter: String) -> Response {
    let head = "seq,at,actor,action,subject,detail,address,ok\r\n".to_owned();
    file("text/csv; charset=utf-8", "audit.csv", stream(person, filter, head, csv_line))
}

fn csv_line(entry: &AuditEntry) -> String {
    let r = &entry.record;
    let fields = [r.actor.as_str(), &r.action, &r.subject, &r.detail, r.address.as_deref().unwrap_or_default()];
    let fields: Vec<String> = fields.into_iter().map(cell).collect();
    format!("{},{},{},{}\r\n", entry.seq, r.at, fields.join(","), r.ok)
}

/// Reads the log piece by piece as the client takes it, so a long log costs no memory and holds no
/// transaction of the store open.
fn stream(person: &Person, filter: String, head: String, line: fn(&AuditEntry) -> String) -> Body {
    let (app, actor) = (person.web.app.clone(), person.actor.clone());
    let pieces = futures_util::stream::try_unfold((Some(None), head), move |(place, head)| {
        let (app, actor, filter) = (app.clone(), actor.clone(), filter.clone());
        async move {
            let Some(before) = place else { return Ok::<_, Error>(None) };
            let page = app.audit().page(&actor, &filter, before, PIECE)?;
            let text = page.entries.iter().fold(head, |text, entry| text + &line(entry));
            Ok(Some((text, (page.next.map(Some), String::new()))))
        }
    });
    Body::from_stream(pieces)
}

/// One cell of RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front:
/// names in the log come from people.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn file(kind: &'static str, name: &str, body: Body) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_keeps_its_commas() {
        assert_eq!(cell("web-01"), "web-01");
        assert_eq!(cell("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(cell("=1+1"), "'=1+1");
    }
}
