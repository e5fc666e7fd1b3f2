//! Snapshots for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::jobs::rest::JobView;
use crate::rest::accepted;
use crate::rest::body::{MaybeSent, Sent};
use crate::rest::openapi::{OneProblems, WriteProblems};
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use base::ids::GuestId;
use base::{Result, Timestamp};
use model::guests::GuestAction;
use model::jobs::Job;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct SnapshotView {
    pub name: String,
    pub description: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// It holds what was in memory too.
    pub memory: bool,
    /// The snapshot that it was made after.
    pub parent: Option<String>,
    /// It broke off while it was made or deleted.
    pub broken: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SnapshotList {
    pub snapshots: Vec<SnapshotView>,
    /// The one that the present state stands on.
    pub parent: Option<String>,
    /// Why none can be taken.
    pub refusal: Option<String>,
}

/// A machine's snapshots.
///
/// # Errors
/// `NotFound`; `Conflict` when its provider has none; `Unavailable`.
#[utoipa::path(get, path = "/api/v1/guests/{id}/snapshots", tag = "guests", params(("id" = String, Path)),
    responses((status = 200, body = SnapshotList), OneProblems))]
pub async fn list(person: Person, Path(text): Path<String>) -> Answer<Json<SnapshotList>> {
    let all = person.web.app.guests().snapshots(&person.actor, id::<GuestId>(&text)?).await?;
    let one = |s: model::guests::snapshots::Snapshot| SnapshotView {
        name: s.name,
        description: s.description,
        time: Timestamp::from_secs(s.time),
        memory: s.memory,
        parent: s.parent,
        broken: s.broken,
    };
    Ok(Json(SnapshotList {
        snapshots: all.snapshots.into_iter().map(one).collect(),
        parent: all.parent,
        refusal: all.refusal,
    }))
}

async fn ask(person: &Person, text: &str, wish: GuestAction) -> Result<Job> {
    person.web.app.guests().request_action(&person.actor, id::<GuestId>(text)?, wish).await
}

fn answer(job: Job) -> Response {
    accepted(&job.id.to_string(), JobView::from(job))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotCreate {
    /// 2 to 40 letters, digits, dashes and underscores, beginning with a letter.
    name: String,
    #[serde(default)]
    description: String,
    /// Also what is in memory; only of a running virtual machine.
    #[serde(default)]
    memory: bool,
}

/// Asks for a snapshot.
///
/// # Errors
/// `Invalid`, `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/snapshots", tag = "guests", params(("id" = String, Path)), request_body = SnapshotCreate,
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn create(person: Person, Path(text): Path<String>, Sent(wanted): Sent<SnapshotCreate>) -> Answer {
    let SnapshotCreate { name, description, memory } = wanted;
    Ok(answer(ask(&person, &text, GuestAction::Snapshot { name, description, memory }).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotChange {
    description: String,
}

/// Asks for another note on a snapshot.
///
/// # Errors
/// `Invalid`, `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(patch, path = "/api/v1/guests/{id}/snapshots/{name}", tag = "guests",
    params(("id" = String, Path), ("name" = String, Path)), request_body = SnapshotChange,
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn edit(
    person: Person,
    Path((text, name)): Path<(String, String)>,
    Sent(wanted): Sent<SnapshotChange>,
) -> Answer {
    let wish = GuestAction::EditSnapshot { name, description: wanted.description };
    Ok(answer(ask(&person, &text, wish).await?))
}

/// Asks to delete a snapshot; the machine stays as it is.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(delete, path = "/api/v1/guests/{id}/snapshots/{name}", tag = "guests",
    params(("id" = String, Path), ("name" = String, Path)),
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn delete(person: Person, Path((text, name)): Path<(String, String)>) -> Answer {
    Ok(answer(ask(&person, &text, GuestAction::DeleteSnapshot { name }).await?))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Start it afterwards. With memory in the snapshot it runs anyway.
    #[serde(default)]
    start: bool,
}

/// Asks to go back to a snapshot: what came after it is lost.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/snapshots/{name}/rollback", tag = "guests",
    params(("id" = String, Path), ("name" = String, Path)), request_body(content = Rollback, description = "May be left out"),
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn rollback(
    person: Person,
    Path((text, name)): Path<(String, String)>,
    MaybeSent(wanted): MaybeSent<Rollback>,
) -> Answer {
    let start = wanted.unwrap_or_default().start;
    Ok(answer(ask(&person, &text, GuestAction::Rollback { name, start }).await?))
}
