//! The software menu for programs: what there is, what is on a machine, asking for more.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::accepted;
use crate::rest::body::JsonBody;
use crate::rest::openapi::{ListProblems, OneProblems, WriteProblems};
use app::software::{KeyView, LetIn, MenuItem, SoftwareView};
use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use base::Error;
use base::ids::GuestId;
use http::StatusCode;
use model::software::SoftwareRequest;

/// What can be installed on machines.
#[utoipa::path(get, path = "/api/v1/software", tag = "software", responses((status = 200, body = Vec<MenuItem>), ListProblems))]
pub async fn menu(person: Person) -> Json<Vec<MenuItem>> {
    Json(person.web.app.software().menu(&person.actor))
}

/// What is (to be) installed on a machine.
#[utoipa::path(get, path = "/api/v1/guests/{id}/software", tag = "software", params(("id" = String, Path)),
    responses((status = 200, body = Vec<SoftwareView>), OneProblems))]
pub async fn list(person: Person, Id(id): Id<GuestId>) -> Answer<Json<Vec<SoftwareView>>> {
    Ok(Json(person.web.app.software().of_guest(&person.actor, id).await?))
}

/// Requests a recipe on a machine. Its job begins when nothing else is working on the machine; until then `job` is
/// null.
#[utoipa::path(post, path = "/api/v1/guests/{id}/software", tag = "software", params(("id" = String, Path)), request_body = SoftwareRequest,
    responses((status = 202, description = "Accepted", body = SoftwareView, headers(("Location" = String, description = "The job, when it was made at once"))), WriteProblems))]
pub async fn install(person: Person, Id(id): Id<GuestId>, JsonBody(wanted): JsonBody<SoftwareRequest>) -> Answer {
    let asked = person.web.app.software().request_install(&person.actor, id, wanted).await?;
    match asked.job {
        Some(job) => Ok(accepted(job, asked)),
        None => Ok((StatusCode::ACCEPTED, Json(asked)).into_response()),
    }
}

/// Removes a recipe from a machine's list. What is installed stays on the machine.
#[utoipa::path(delete, path = "/api/v1/guests/{id}/software/{recipe}", tag = "software",
    params(("id" = String, Path), ("recipe" = String, Path)), responses((status = 204, description = "Remove from list"), WriteProblems))]
pub async fn remove(person: Person, Path((text, recipe)): Path<(String, String)>) -> Answer<StatusCode> {
    person.web.app.software().remove(&person.actor, id::<GuestId>(&text)?, &recipe).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How Steward signs in to a machine.
#[utoipa::path(get, path = "/api/v1/guests/{id}/ssh", tag = "software", params(("id" = String, Path)),
    responses((status = 200, body = KeyView), OneProblems))]
pub async fn ssh(person: Person, Id(id): Id<GuestId>) -> Answer<Json<KeyView>> {
    let key = person.web.app.software().key(&person.actor, id)?;
    let key = key.ok_or_else(|| Error::not_found("Steward has no key for this machine."))?;
    Ok(Json(key))
}

/// Creates a key for a machine, or keeps the one it has, and installs it with a password if one is given.
#[utoipa::path(put, path = "/api/v1/guests/{id}/ssh", tag = "software", params(("id" = String, Path)), request_body = LetIn,
    responses((status = 200, body = KeyView), WriteProblems))]
pub async fn let_in(person: Person, Id(id): Id<GuestId>, JsonBody(wanted): JsonBody<LetIn>) -> Answer<Json<KeyView>> {
    let key = person.web.app.software().let_in(&person.actor, id, wanted).await?;
    Ok(Json(key))
}

/// Forgets the host key that was seen first, for a machine that was reinstalled.
#[utoipa::path(delete, path = "/api/v1/guests/{id}/ssh/host-key", tag = "software", params(("id" = String, Path)),
    responses((status = 204, description = "Forgotten"), WriteProblems))]
pub async fn forget_host_key(person: Person, Id(id): Id<GuestId>) -> Answer<StatusCode> {
    person.web.app.software().forget_host_key(&person.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
