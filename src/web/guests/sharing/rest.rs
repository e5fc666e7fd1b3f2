//! Who may do what with a machine, for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::body::JsonBody;
use crate::rest::openapi::{OneProblems, WriteProblems};
use app::guests::sharing::GrantView;
use axum::Json;
use axum::extract::Path;
use base::Error;
use base::ids::GuestId;
use http::StatusCode;
use model::access::GuestRight;
use model::guests::actions::Give;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct GrantList {
    /// The owner's login; they may do everything.
    pub owner: Option<String>,
    pub grants: Vec<GrantView>,
}

/// Who a machine is shared with. For those who manage it.
#[utoipa::path(get, path = "/api/v1/guests/{id}/grants", tag = "guests", params(("id" = String, Path)),
    responses((status = 200, body = GrantList), OneProblems))]
pub async fn list(person: Person, Id(id): Id<GuestId>) -> Answer<Json<GrantList>> {
    let app = &person.web.app;
    let grants = app.guests().shared(&person.actor, id)?;
    let owner = app.guests().get(&person.actor, id)?.row.owner;
    let owner = owner.and_then(|o| app.people().get(o)).map(|u| u.login.clone());
    Ok(Json(GrantList { owner, grants }))
}

/// One person's grant.
#[utoipa::path(get, path = "/api/v1/guests/{id}/grants/{user}", tag = "guests",
    params(("id" = String, Path), ("user" = String, Path, description = "Login or id")),
    responses((status = 200, body = GrantView), OneProblems))]
pub async fn show(person: Person, Path((text, user)): Path<(String, String)>) -> Answer<Json<GrantView>> {
    let grants = person.web.app.guests().shared(&person.actor, id::<GuestId>(&text)?)?;
    let found = grants.into_iter().find(|g| g.login == user.to_lowercase() || g.user.to_string() == user);
    found.map(Json).ok_or_else(|| Error::not_found("It is not shared with them.").into())
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantPut {
    /// see, use or manage.
    pub right: GuestRight,
}

/// Shares a machine with somebody, or changes what they may do with it.
#[utoipa::path(put, path = "/api/v1/guests/{id}/grants/{user}", tag = "guests", request_body = GrantPut,
    params(("id" = String, Path), ("user" = String, Path, description = "Login or id")),
    responses((status = 200, body = GrantView), WriteProblems))]
pub async fn put(
    person: Person,
    Path((text, user)): Path<(String, String)>,
    JsonBody(wanted): JsonBody<GrantPut>,
) -> Answer<Json<GrantView>> {
    let (guests, id) = (person.web.app.guests(), id::<GuestId>(&text)?);
    let with = guests.person_for_sharing(&person.actor, id, "login", &user)?;
    Ok(Json(guests.share(&person.actor, id, with, wanted.right).await?))
}

/// Stops sharing a machine with somebody; people may always give back their own access.
#[utoipa::path(delete, path = "/api/v1/guests/{id}/grants/{user}", tag = "guests",
    params(("id" = String, Path), ("user" = String, Path, description = "Login or id")),
    responses((status = 204, description = "It is no longer shared with them."), WriteProblems))]
pub async fn delete(person: Person, Path((text, user)): Path<(String, String)>) -> Answer<StatusCode> {
    let (guests, id) = (person.web.app.guests(), id::<GuestId>(&text)?);
    let own = person.actor.user().filter(|u| u.login == user.to_lowercase() || u.id.to_string() == user);
    let with = match own {
        Some(me) => me.id,
        None => guests.person_for_sharing(&person.actor, id, "login", &user)?,
    };
    guests.unshare(&person.actor, id, with).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hands a machine over. Its owner and admins may; it counts towards the new owner's quota.
#[utoipa::path(put, path = "/api/v1/guests/{id}/owner", tag = "guests", request_body = Give,
    params(("id" = String, Path)), responses((status = 204, description = "Handed over"), WriteProblems))]
pub async fn owner(person: Person, Id(id): Id<GuestId>, JsonBody(give): JsonBody<Give>) -> Answer<StatusCode> {
    person.web.app.guests().request_action(&person.actor, id, give).await?;
    Ok(StatusCode::NO_CONTENT)
}
