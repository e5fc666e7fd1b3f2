//! Hardware profiles for programs.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::jobs::rest::JobView;
use crate::rest::accepted;
use crate::rest::body::JsonBody;
use crate::rest::openapi::{ListProblems, OneProblems, WriteProblems};
use app::guests::profile::ApplyPlan;
use axum::Json;
use axum::response::IntoResponse;
use base::Error;
use base::ids::{GuestId, ProfileId};
use http::{HeaderValue, StatusCode, header};
use model::guests::actions::ApplyProfile;
use model::guests::hardware::Planned;
use model::profiles::{MoreDisk, Profile, ProfileRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProfileView {
    #[serde(flatten)]
    pub profile: Profile,
    /// Its sizes in words.
    pub summary: String,
    /// Machines that the caller sees and that have it.
    pub machines: usize,
}

fn view(person: &Person, profile: Profile) -> ProfileView {
    let machines = person.web.app.hardware_profiles().used_by(&person.actor, profile.id).len();
    ProfileView { summary: profile.summary(&person.web.app.hardware_profiles().settings()), machines, profile }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProfileList {
    pub profiles: Vec<ProfileView>,
    /// Everyone except admins must choose one for a new machine.
    pub required: bool,
}

/// All hardware profiles.
#[utoipa::path(get, path = "/api/v1/profiles", tag = "profiles", responses((status = 200, body = ProfileList), ListProblems))]
pub async fn list(person: Person) -> Answer<Json<ProfileList>> {
    let profiles = person.web.app.hardware_profiles();
    let all = profiles.list(&person.actor)?.into_iter().map(|p| view(&person, p)).collect();
    Ok(Json(ProfileList { profiles: all, required: profiles.required()? }))
}

/// One hardware profile.
#[utoipa::path(get, path = "/api/v1/profiles/{id}", tag = "profiles", params(("id" = String, Path)),
    responses((status = 200, body = ProfileView), OneProblems))]
pub async fn show(person: Person, Id(id): Id<ProfileId>) -> Answer<Json<ProfileView>> {
    let found = person.web.app.hardware_profiles().get(&person.actor, id)?;
    Ok(Json(view(&person, found)))
}

/// Makes a hardware profile.
#[utoipa::path(post, path = "/api/v1/profiles", tag = "profiles", request_body = ProfileRequest,
    responses((status = 201, description = "Created", body = ProfileView, headers(("Location" = String, description = "The profile"))), WriteProblems))]
pub async fn create(person: Person, JsonBody(wanted): JsonBody<ProfileRequest>) -> Answer {
    let made = person.web.app.hardware_profiles().put(&person.actor, None, wanted).await?;
    let place = format!("/api/v1/profiles/{}", made.id);
    let mut response = (StatusCode::CREATED, Json(view(&person, made))).into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_str(&place).map_err(Error::internal)?);
    Ok(response)
}

/// Replaces a hardware profile. Machines that have it stay as they are; what it fixes takes effect at once.
#[utoipa::path(put, path = "/api/v1/profiles/{id}", tag = "profiles", params(("id" = String, Path)), request_body = ProfileRequest,
    responses((status = 200, body = ProfileView), WriteProblems))]
pub async fn put(
    person: Person,
    Id(id): Id<ProfileId>,
    JsonBody(wanted): JsonBody<ProfileRequest>,
) -> Answer<Json<ProfileView>> {
    let changed = person.web.app.hardware_profiles().put(&person.actor, Some(id), wanted).await?;
    Ok(Json(view(&person, changed)))
}

/// Deletes a hardware profile. Machines that have it stay as they are; what it fixed can be changed again.
#[utoipa::path(delete, path = "/api/v1/profiles/{id}", tag = "profiles", params(("id" = String, Path)),
    responses((status = 204, description = "Gone"), OneProblems))]
pub async fn delete(person: Person, Id(id): Id<ProfileId>) -> Answer<StatusCode> {
    let profiles = person.web.app.hardware_profiles();
    // The page asks for the name to be typed; here the id stands for it.
    let name = profiles.get(&person.actor, id)?.name;
    profiles.remove(&person.actor, id, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfilePolicy {
    /// Everyone except admins must choose a profile for a new machine.
    pub required: bool,
}

/// Sets whether a profile must be chosen.
#[utoipa::path(put, path = "/api/v1/profile-policy", tag = "profiles", request_body = ProfilePolicy,
    responses((status = 200, body = ProfilePolicy), WriteProblems))]
pub async fn policy(person: Person, JsonBody(wanted): JsonBody<ProfilePolicy>) -> Answer<Json<ProfilePolicy>> {
    person.web.app.hardware_profiles().set_required(&person.actor, wanted.required).await?;
    Ok(Json(wanted))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileApply {
    /// The profile's id or name.
    profile: String,
    /// Also enlarge the first disk and add missing further disks. Disks never get smaller.
    #[serde(default)]
    disks: bool,
    /// Only say what would change.
    #[serde(default)]
    preview: bool,
    /// The digest of the state you looked at; if it differs by now, the job ends without a change.
    digest: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DiskGrowthView {
    pub disk: String,
    /// GiB.
    pub from: u64,
    pub to: u64,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct StaysView {
    pub key: String,
    pub why: String,
}

/// What applying a profile would do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProfilePlanView {
    pub digest: String,
    /// Values that are as requested already are left out.
    pub changes: Vec<Planned>,
    pub grow: Option<DiskGrowthView>,
    /// Disks that are added.
    pub add: Vec<MoreDisk>,
    /// What the profile sets and the machine keeps.
    pub stays: Vec<StaysView>,
}

impl From<ApplyPlan> for ProfilePlanView {
    fn from(p: ApplyPlan) -> Self {
        Self {
            digest: p.digest,
            changes: p.changes,
            grow: p.grow.map(|(g, from)| DiskGrowthView { disk: g.disk, from, to: g.gib }),
            add: p.add,
            stays: p.stays.into_iter().map(|(key, why)| StaysView { key, why }).collect(),
        }
    }
}

/// Applies a hardware profile to a machine, or says what that would do (`preview`).
#[utoipa::path(post, path = "/api/v1/guests/{id}/profile", tag = "guests", params(("id" = String, Path)), request_body = ProfileApply,
    responses((status = 200, description = "With `preview`: what it would do", body = ProfilePlanView),
        (status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn apply(person: Person, Id(guest): Id<GuestId>, JsonBody(wanted): JsonBody<ProfileApply>) -> Answer {
    let app = &person.web.app;
    let guests = app.guests();
    let ProfileApply { profile, disks, preview, digest } = wanted;
    if preview {
        guests.may_apply(&person.actor, guest)?;
        let profile = app.hardware_profiles().find(&person.actor, &profile)?.id;
        let plan = guests.plan_profile(&person.actor, guest, profile, disks).await?;
        return Ok(Json(ProfilePlanView::from(plan)).into_response());
    }
    let job = guests.request_action(&person.actor, guest, ApplyProfile { profile, disks, digest }).await?;
    let job = job.ok_or_else(|| Error::internal("a profile is applied by a job"))?;
    Ok(accepted(job.id, JobView::from(job)))
}
