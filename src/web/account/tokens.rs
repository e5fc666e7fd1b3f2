//! A person's own API tokens: list, create, rotate, revoke.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::body::{JsonBody, OptionalJsonBody};
use crate::rest::openapi::{ListProblems, OneProblems, WriteProblems};
use app::actor::Via;
use app::tokens::TokenView;
use axum::Json;
use axum::response::{IntoResponse, Response};
use base::Secret;
use base::ids::TokenId;
use http::{HeaderValue, StatusCode, header};
use model::sessions::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An API token without its text.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    #[serde(flatten)]
    pub about: TokenView,
    /// It is the one that asks.
    pub current: bool,
}

fn view(person: &Person, about: TokenView) -> ApiToken {
    ApiToken { current: person.actor.via() == Some(Via::Token(about.id)), about }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiTokenList {
    pub tokens: Vec<ApiToken>,
}

/// The caller's API tokens, without their texts.
#[utoipa::path(get, path = "/api/v1/me/tokens", tag = "auth", responses((status = 200, body = ApiTokenList), ListProblems))]
pub async fn list(person: Person) -> Answer<Json<ApiTokenList>> {
    let found = person.web.app.tokens().list(&person.actor)?;
    Ok(Json(ApiTokenList { tokens: found.into_iter().map(|t| view(&person, t)).collect() }))
}

/// A wanted API token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCreate {
    /// What it is for, 1 to 60 characters.
    pub name: String,
    /// read, operate or full.
    pub scope: Scope,
    /// 1 to 3650; left out: no end.
    pub days: Option<u32>,
}

/// A fresh API token. Its text is in this answer and nowhere else, ever.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FreshToken {
    /// `stw_…`; send it as `Authorization: Bearer`.
    pub token: String,
    #[serde(flatten)]
    pub about: ApiToken,
}

fn fresh(person: &Person, status: StatusCode, made: TokenView, text: &Secret<String>) -> Response {
    let place = HeaderValue::from_str(&format!("/api/v1/me/tokens/{}", made.id));
    let body = FreshToken { token: text.expose().clone(), about: view(person, made) };
    let mut response = (status, Json(body)).into_response();
    if let (StatusCode::CREATED, Ok(place)) = (status, place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// Makes an API token. A token of a smaller scope can't make tokens.
#[utoipa::path(post, path = "/api/v1/me/tokens", tag = "auth", request_body = TokenCreate,
    responses((status = 201, description = "Created; the token is shown only here", body = FreshToken), WriteProblems))]
pub async fn create(person: Person, JsonBody(wanted): JsonBody<TokenCreate>) -> Answer {
    let tokens = person.web.app.tokens();
    let (made, text) = tokens.create(&person.actor, &wanted.name, wanted.scope, wanted.days).await?;
    Ok(fresh(&person, StatusCode::CREATED, made, &text))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRotate {
    /// A new end, 1 to 3650 days from now; needs the scope `full`. Left out: the end stays.
    days: Option<u32>,
}

/// Gives a token a new text; the old one is refused from then on. Every token may do this for itself.
#[utoipa::path(post, path = "/api/v1/me/tokens/{id}/rotate", tag = "auth", params(("id" = String, Path)),
    request_body = Option<TokenRotate>,
    responses((status = 200, description = "The new token is shown only here", body = FreshToken), WriteProblems))]
pub async fn rotate(
    person: Person,
    Id(id): Id<TokenId>,
    OptionalJsonBody(wanted): OptionalJsonBody<TokenRotate>,
) -> Answer {
    let days = wanted.unwrap_or_default().days;
    let (made, secret) = person.web.app.tokens().rotate(&person.actor, id, days).await?;
    Ok(fresh(&person, StatusCode::OK, made, &secret))
}

/// Revokes a token. Every token may revoke itself; revoking others needs the scope `full`.
#[utoipa::path(delete, path = "/api/v1/me/tokens/{id}", tag = "auth", params(("id" = String, Path)),
    responses((status = 204, description = "Revoked: it is refused from now on"), OneProblems))]
pub async fn revoke(person: Person, Id(id): Id<TokenId>) -> Answer<StatusCode> {
    person.web.app.tokens().revoke(&person.actor, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
