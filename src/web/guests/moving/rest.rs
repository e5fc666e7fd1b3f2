//! What prevents a move, for programs.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::openapi::OneProblems;
use axum::Json;
use base::ids::GuestId;
use model::guests::moving::MoveCheck;

/// What prevents moving a machine to each of the other nodes.
#[utoipa::path(get, path = "/api/v1/guests/{id}/migrate", tag = "guests", params(("id" = String, Path)),
    responses((status = 200, body = MoveCheck), OneProblems))]
pub async fn check(person: Person, Id(id): Id<GuestId>) -> Answer<Json<MoveCheck>> {
    Ok(Json(person.web.app.guests().migrate_check(&person.actor, id).await?))
}
