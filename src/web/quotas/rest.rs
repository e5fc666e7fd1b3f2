//! Quotas for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::body::JsonBody;
use crate::rest::openapi::{ListProblems, OneProblems, WriteProblems};
use app::quotas::QuotaView as Found;
use axum::Json;
use axum::extract::Path;
use base::Result;
use base::ids::UserId;
use model::quotas::{Amounts, Quota, UserQuota};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may have, and has.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct QuotaView {
    pub login: String,
    /// What their machines have together, including those being created.
    pub used: Amounts,
    /// The limits for this person; admins have none.
    pub limits: Quota,
    pub own: UserQuota,
}

impl From<Found> for QuotaView {
    fn from(q: Found) -> Self {
        Self { login: q.user.login.clone(), used: q.used, limits: q.quota, own: q.own }
    }
}

/// The caller's own quota and use.
#[utoipa::path(get, path = "/api/v1/me/quota", tag = "auth", responses((status = 200, body = QuotaView), ListProblems))]
pub async fn mine(person: Person) -> Answer<Json<QuotaView>> {
    Ok(Json(person.web.app.quotas().mine(&person.actor)?.into()))
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct QuotaList {
    /// By login.
    pub quotas: Vec<QuotaView>,
}

/// Everybody's quota and use.
#[utoipa::path(get, path = "/api/v1/quotas", tag = "system", responses((status = 200, body = QuotaList), ListProblems))]
pub async fn list(person: Person) -> Answer<Json<QuotaList>> {
    let all = person.web.app.quotas().all(&person.actor)?;
    Ok(Json(QuotaList { quotas: all.into_iter().map(Into::into).collect() }))
}

/// Somebody by login or id. Only admins come here, so nobody tries out logins.
fn user(person: &Person, text: &str) -> Result<UserId> {
    let known = person.web.app.people().by_login(&text.to_lowercase());
    known.map_or_else(|| id::<UserId>(text), |u| Ok(u.id))
}

/// Somebody's quota and use.
#[utoipa::path(get, path = "/api/v1/users/{id}/quota", tag = "system", params(("id" = String, Path, description = "Login or id")),
    responses((status = 200, body = QuotaView), OneProblems))]
pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Json<QuotaView>> {
    Ok(Json(person.web.app.quotas().of(&person.actor, user(&person, &text)?)?.into()))
}

/// Sets the quota of one person. What they already have stays, whatever the numbers.
#[utoipa::path(put, path = "/api/v1/users/{id}/quota", tag = "system",
    params(("id" = String, Path, description = "Login or id")), request_body = UserQuota,
    responses((status = 200, body = QuotaView), WriteProblems))]
pub async fn put(
    person: Person,
    Path(text): Path<String>,
    JsonBody(own): JsonBody<UserQuota>,
) -> Answer<Json<QuotaView>> {
    let (quotas, user) = (person.web.app.quotas(), user(&person, &text)?);
    quotas.set(&person.actor, user, own).await?;
    Ok(Json(quotas.of(&person.actor, user)?.into()))
}

/// The quota for everybody.
#[utoipa::path(get, path = "/api/v1/quota", tag = "system", responses((status = 200, body = Quota), ListProblems))]
pub async fn usual(person: Person) -> Answer<Json<Quota>> {
    person.actor.require_admin()?;
    Ok(Json(person.web.app.quotas().usual()?))
}

/// Sets the quota for everyone; anything left out has no limit.
#[utoipa::path(put, path = "/api/v1/quota", tag = "system", request_body = Quota,
    responses((status = 200, body = Quota), WriteProblems))]
pub async fn put_usual(person: Person, JsonBody(wanted): JsonBody<Quota>) -> Answer<Json<Quota>> {
    person.web.app.quotas().set_usual(&person.actor, wanted).await?;
    Ok(Json(wanted))
}
