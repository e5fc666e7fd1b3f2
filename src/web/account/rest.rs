//! Who the caller is.

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::openapi::ListProblems;
use app::actor::Via;
use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub id: Option<String>,
    pub login: String,
    pub name: String,
    /// user or admin.
    pub role: &'static str,
    /// What the token may do: read, operate or full.
    pub scope: &'static str,
    /// How the caller proved it: session, jwt or token.
    pub via: &'static str,
}

/// The person behind the token.
///
/// # Errors
/// None of its own.
#[utoipa::path(get, path = "/api/v1/me", tag = "auth", responses((status = 200, body = Me), ListProblems))]
pub async fn show(person: Person) -> Answer<Json<Me>> {
    let actor = &person.actor;
    Ok(Json(Me {
        id: actor.user_id().map(|id| id.to_string()),
        login: actor.login().to_owned(),
        name: actor.user().map_or_else(String::new, |u| u.name.clone()),
        role: actor.role().name(),
        scope: actor.scope().map_or("full", |s| s.name()),
        via: match actor.via() {
            Some(Via::Session(_)) => "session",
            Some(Via::Jwt(_)) => "jwt",
            Some(Via::Token(_)) => "token",
            None => "console",
        },
    }))
}
