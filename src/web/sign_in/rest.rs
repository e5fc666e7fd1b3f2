//! Short tokens: created from a login or an API token, revoked by id.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person, Visit};
use crate::rest::body::OptionalJsonBody;
use crate::rest::openapi::{OneProblems, WriteProblems};
use app::actor::Via;
use axum::Json;
use base::ids::SessionId;
use base::{Error, Secret, Timestamp};
use http::StatusCode;
use model::sessions::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Login and password. Leave the body out and send an API token as bearer instead.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    login: String,
    #[schema(value_type = String, format = Password)]
    password: Secret<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AccessTokenView {
    /// Send it as `Authorization: Bearer`.
    pub token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// For taking it back.
    pub id: SessionId,
    /// Seconds.
    pub expires_in: i64,
    pub expires_at: Timestamp,
    /// read, operate or full.
    pub scope: Scope,
}

/// Returns a JWT (RFC 7519) that is valid for 15 minutes.
#[utoipa::path(post, path = "/api/v1/auth/token", tag = "auth", security((), ("bearer" = [])), request_body = Option<Login>,
    responses((status = 200, description = "A fresh token", body = AccessTokenView), WriteProblems))]
pub async fn create(visit: Visit, OptionalJsonBody(login): OptionalJsonBody<Login>) -> Answer<Json<AccessTokenView>> {
    let tokens = visit.web.app.tokens();
    let made = match (login, &visit.actor) {
        (Some(login), _) => {
            tokens.from_password(&login.login, login.password, &visit.device, &visit.address_text()).await?
        }
        (None, Some(actor)) => tokens.from_token(actor, &visit.device).await?,
        (None, None) => {
            return Err(Error::unauthenticated("Send login and password, or an API token as bearer.").into());
        }
    };
    let now = visit.web.now();
    Ok(Json(AccessTokenView {
        token: made.text.expose().clone(),
        token_type: "Bearer".to_owned(),
        id: made.id,
        expires_in: made.expires.as_secs() - now.as_secs(),
        expires_at: made.expires,
        scope: made.scope,
    }))
}

/// Revokes a JWT before it expires. Everybody may end the one that they use; another one of the same person
/// needs the scope `full`.
#[utoipa::path(delete, path = "/api/v1/auth/token/{id}", tag = "auth", params(("id" = String, Path, description = "The token's id")),
    responses((status = 204, description = "Revoked: it is refused from now on"), OneProblems))]
pub async fn revoke(person: Person, Id(session): Id<SessionId>) -> Answer<StatusCode> {
    if person.actor.via() != Some(Via::Jwt(session)) {
        person.actor.require_scope(Scope::Full)?;
    }
    person.web.app.sessions().revoke(&person.actor, session).await?;
    Ok(StatusCode::NO_CONTENT)
}
