//! Snapshots for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::openapi::OneProblems;
use axum::Json;
use axum::extract::Path;
use base::Timestamp;
use base::ids::GuestId;
use serde::Serialize;
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
