//! `GET /search.json`: what the command palette finds.

use crate::door::problem::Answer;
use crate::door::visit::Person;
use axum::Json;
use axum::extract::Query;
use serde::Deserialize;
use serde_json::{Value, json};

const MOST: usize = 20;

#[derive(Debug, Deserialize)]
pub struct SearchParams {
    #[serde(default)]
    q: String,
}

pub async fn find(person: Person, Query(look): Query<SearchParams>) -> Answer<Json<Value>> {
    let hits = person.web.app.search().find(&person.actor, &look.q)?;
    let items: Vec<Value> = hits
        .into_iter()
        .take(MOST)
        .map(|h| json!({ "kind": h.kind, "title": h.title, "hint": h.detail, "href": h.url }))
        .collect();
    Ok(Json(json!({ "items": items })))
}
