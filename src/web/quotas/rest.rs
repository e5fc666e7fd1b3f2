//! Quotas for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::body::Sent;
use crate::rest::openapi::{ListProblems, OneProblems, WriteProblems};
use app::quotas::QuotaView as Found;
use axum::Json;
use axum::extract::Path;
use base::Result;
use base::ids::UserId;
use model::quotas::{Allowance, Quota, Resource, UserQuota};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Limits; `null` is none.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaLimits {
    pub machines: Option<u64>,
    pub cores: Option<u64>,
    /// MiB.
    pub memory: Option<u64>,
    /// GiB.
    pub disk: Option<u64>,
}

impl From<Quota> for QuotaLimits {
    fn from(q: Quota) -> Self {
        Self { machines: q.machines, cores: q.cores, memory: q.memory, disk: q.disk }
    }
}

/// What machines have together, those that are being made too.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct QuotaUse {
    pub machines: u64,
    pub cores: u64,
    /// MiB.
    pub memory: u64,
    /// GiB.
    pub disk: u64,
}

/// `usual`: as for everybody. `unlimited`: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Words {
    Usual,
    Unlimited,
}

/// A number, or `usual` or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "give a whole number, 0 or more, or “usual” or “unlimited”")]
pub enum Own {
    AtMost(u64),
    Words(Words),
}

impl Default for Own {
    fn default() -> Self {
        Self::Words(Words::Usual)
    }
}

impl From<Allowance> for Own {
    fn from(a: Allowance) -> Self {
        match a {
            Allowance::Usual => Self::Words(Words::Usual),
            Allowance::NoLimit => Self::Words(Words::Unlimited),
            Allowance::AtMost(n) => Self::AtMost(n),
        }
    }
}

impl From<Own> for Allowance {
    fn from(own: Own) -> Self {
        match own {
            Own::Words(Words::Usual) => Self::Usual,
            Own::Words(Words::Unlimited) => Self::NoLimit,
            Own::AtMost(n) => Self::AtMost(n),
        }
    }
}

/// What is set for one person; what is left out is as usual.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OwnQuota {
    pub machines: Own,
    pub cores: Own,
    /// MiB.
    pub memory: Own,
    /// GiB.
    pub disk: Own,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct QuotaView {
    pub login: String,
    pub used: QuotaUse,
    /// What counts for this person; admins have no limit.
    pub limits: QuotaLimits,
    pub own: OwnQuota,
}

impl From<Found> for QuotaView {
    fn from(q: Found) -> Self {
        let (used, own) = (q.used, q.own);
        Self {
            login: q.user.login.clone(),
            used: QuotaUse { machines: used.machines, cores: used.cores, memory: used.memory, disk: used.disk },
            limits: q.quota.into(),
            own: OwnQuota {
                machines: own.machines.into(),
                cores: own.cores.into(),
                memory: own.memory.into(),
                disk: own.disk.into(),
            },
        }
    }
}

/// The caller's own quota and use.
///
/// # Errors
/// None of its own.
#[utoipa::path(get, path = "/api/v1/me/quota", tag = "auth", responses((status = 200, body = QuotaView), ListProblems))]
pub async fn mine(person: Person) -> Answer<Json<QuotaView>> {
    Ok(Json(person.web.app.quotas().mine(&person.actor)?.into()))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct QuotaList {
    /// By login.
    pub quotas: Vec<QuotaView>,
}

/// Everybody's quota and use.
///
/// # Errors
/// `Forbidden`.
#[utoipa::path(get, path = "/api/v1/quotas", tag = "house", responses((status = 200, body = QuotaList), ListProblems))]
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
///
/// # Errors
/// `Forbidden`, `NotFound`.
#[utoipa::path(get, path = "/api/v1/users/{id}/quota", tag = "house", params(("id" = String, Path, description = "Login or id")),
    responses((status = 200, body = QuotaView), OneProblems))]
pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Json<QuotaView>> {
    Ok(Json(person.web.app.quotas().of(&person.actor, user(&person, &text)?)?.into()))
}

/// Sets what counts for one person. What they have already stays, whatever the numbers.
///
/// # Errors
/// `Forbidden`, `NotFound`; `Invalid` on a field.
#[utoipa::path(put, path = "/api/v1/users/{id}/quota", tag = "house",
    params(("id" = String, Path, description = "Login or id")), request_body = OwnQuota,
    responses((status = 200, body = QuotaView), WriteProblems))]
pub async fn put(person: Person, Path(text): Path<String>, Sent(own): Sent<OwnQuota>) -> Answer<Json<QuotaView>> {
    let (quotas, user) = (person.web.app.quotas(), user(&person, &text)?);
    let mut wanted = UserQuota::default();
    wanted.set(Resource::Machines, own.machines.into());
    wanted.set(Resource::Cores, own.cores.into());
    wanted.set(Resource::Memory, own.memory.into());
    wanted.set(Resource::Disk, own.disk.into());
    quotas.set(&person.actor, user, wanted).await?;
    Ok(Json(quotas.of(&person.actor, user)?.into()))
}

/// The quota for everybody.
///
/// # Errors
/// `Forbidden`.
#[utoipa::path(get, path = "/api/v1/quota", tag = "house", responses((status = 200, body = QuotaLimits), ListProblems))]
pub async fn usual(person: Person) -> Answer<Json<QuotaLimits>> {
    person.actor.require_admin()?;
    Ok(Json(person.web.app.quotas().usual()?.into()))
}

/// Sets the quota for everybody; what is left out has no limit.
///
/// # Errors
/// `Forbidden`; `Invalid` on a field.
#[utoipa::path(put, path = "/api/v1/quota", tag = "house", request_body = QuotaLimits,
    responses((status = 200, body = QuotaLimits), WriteProblems))]
pub async fn put_usual(person: Person, Sent(wanted): Sent<QuotaLimits>) -> Answer<Json<QuotaLimits>> {
    let QuotaLimits { machines, cores, memory, disk } = wanted;
    person.web.app.quotas().set_usual(&person.actor, Quota { machines, cores, memory, disk }).await?;
    Ok(Json(wanted))
}
