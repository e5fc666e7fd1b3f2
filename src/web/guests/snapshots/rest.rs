//! Snapshots for programs.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::openapi::OneProblems;
use axum::Json;
use base::ids::GuestId;
use model::guests::snapshots::Snapshots;

/// A machine's snapshots.
#[utoipa::path(get, path = "/api/v1/guests/{id}/snapshots", tag = "guests", params(("id" = String, Path)),
    responses((status = 200, body = Snapshots), OneProblems))]
pub async fn list(person: Person, Id(id): Id<GuestId>) -> Answer<Json<Snapshots>> {
    Ok(Json(person.web.app.guests().snapshots(&person.actor, id).await?))
}
