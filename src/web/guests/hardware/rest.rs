//! Hardware and options for programs.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::body::JsonBody;
use crate::rest::openapi::{OneProblems, WriteProblems};
use axum::Json;
use base::ids::GuestId;
use model::guests::actions::ChangeSettings;
use model::guests::hardware::{self, Plan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SettingView {
    /// cores, memory, tags, start_at_boot ... The same keys are used to change it.
    pub key: String,
    pub label: String,
    pub group: String,
    pub unit: String,
    pub help: String,
    /// What it runs with now.
    pub current: String,
    /// The same in words: with its unit, or what it stands for (`none` for a limit of 0).
    #[serde(default)]
    pub words: String,
    /// Its value after the next restart, if different.
    pub pending: Option<String>,
    /// A change now takes effect at once.
    pub live: bool,
    /// Why not at once, or what to mind.
    pub why: String,
    /// Why it can't be changed at all.
    #[serde(default)]
    pub refused: Option<String>,
    /// What can be chosen, where that is a list.
    pub options: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HardwareView {
    /// Differs after every change to the machine; send it back to be sure that nobody else changed it first.
    pub digest: String,
    pub running: bool,
    pub settings: Vec<SettingView>,
    pub disks: Vec<hardware::Disk>,
    pub nics: Vec<hardware::Nic>,
    /// The provider's names for what is waiting for a restart.
    pub waiting: Vec<String>,
}

/// A machine's hardware and options.
#[utoipa::path(get, path = "/api/v1/guests/{id}/hardware", tag = "guests", params(("id" = String, Path)),
    responses((status = 200, body = HardwareView), OneProblems))]
pub async fn show(person: Person, Id(id): Id<GuestId>) -> Answer<Json<HardwareView>> {
    let guests = person.web.app.guests();
    let all = guests.hardware(&person.actor, id).await?;
    let guest = guests.get(&person.actor, id)?;
    let settings = guests.settings(&guest);
    let setting = |v: hardware::HardwareValue| {
        let spec = settings.find(&v.key)?;
        Some(SettingView {
            label: spec.label.clone(),
            group: spec.group.clone(),
            unit: spec.unit.clone(),
            help: spec.help.clone(),
            key: v.key,
            words: spec.words_of(&v.current),
            current: v.current,
            pending: v.pending,
            live: v.live,
            why: v.why,
            refused: v.refused,
            options: spec.choices.iter().map(|(value, _)| value.clone()).collect(),
        })
    };
    Ok(Json(HardwareView {
        digest: all.digest,
        running: all.running,
        settings: all.values.into_iter().filter_map(setting).collect(),
        disks: all.disks,
        nics: all.nics,
        waiting: all.waiting,
    }))
}

/// What new values would do, without doing it.
#[utoipa::path(post, path = "/api/v1/guests/{id}/hardware/plan", tag = "guests", params(("id" = String, Path)), request_body = ChangeSettings,
    responses((status = 200, body = Plan), WriteProblems))]
pub async fn plan(
    person: Person,
    Id(id): Id<GuestId>,
    JsonBody(wanted): JsonBody<ChangeSettings>,
) -> Answer<Json<Plan>> {
    Ok(Json(person.web.app.guests().plan_change(&person.actor, id, &wanted.values).await?))
}
