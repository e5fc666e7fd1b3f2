//! Who the caller is.

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::openapi::ListProblems;
use app::actor::Via;
use axum::Json;
use base::ids::UserId;
use model::sessions::Scope;
use model::users::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Me {
    pub id: Option<UserId>,
    pub login: String,
    pub name: String,
    /// user or admin.
    pub role: Role,
    /// What the token may do: read, operate or full.
    pub scope: Scope,
    /// How the caller proved it: session, jwt or token.
    pub via: String,
}

/// The person behind the token.
#[utoipa::path(get, path = "/api/v1/me", tag = "auth", responses((status = 200, body = Me), ListProblems))]
pub async fn show(person: Person) -> Answer<Json<Me>> {
    let actor = &person.actor;
    Ok(Json(Me {
        id: actor.user_id(),
        login: actor.login().to_owned(),
        name: actor.user().map_or_else(String::new, |u| u.name.clone()),
        role: actor.role(),
        scope: actor.scope().unwrap_or(Scope::Full),
        via: match actor.via() {
            Some(Via::Session(_)) => "session",
            Some(Via::Jwt(_)) => "jwt",
            Some(Via::Token(_)) => "token",
            None => "console",
        }
        .to_owned(),
    }))
}
