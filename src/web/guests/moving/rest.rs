//! What stands in the way of a move, for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::openapi::OneProblems;
use axum::Json;
use axum::extract::Path;
use base::ids::GuestId;
use model::guests::moving::MoveCheck;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct MoveDiskView {
    pub key: String,
    pub storage: String,
    /// 0 when it is not known.
    pub bytes: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MoveNodeView {
    pub name: String,
    /// What stands in the way there, as sentences; empty: it can go there.
    pub problems: Vec<String>,
    /// What should be known before.
    pub warnings: Vec<String>,
    /// Storages there that take the disks that have to be copied.
    pub storages: Vec<String>,
    /// There is one of the same name for each of those disks.
    pub same: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MoveView {
    pub running: bool,
    /// It can move while it runs; else it is stopped here and started there.
    pub live: bool,
    /// What stands in the way wherever it goes.
    pub problems: Vec<String>,
    /// Disks that only its present node has.
    pub disks: Vec<MoveDiskView>,
    pub nodes: Vec<MoveNodeView>,
}

impl From<MoveCheck> for MoveView {
    fn from(c: MoveCheck) -> Self {
        let disks = c.disks.into_iter().map(|d| MoveDiskView { key: d.key, storage: d.storage, bytes: d.bytes });
        let nodes = c.nodes.into_iter().map(|n| MoveNodeView {
            name: n.name,
            problems: n.problems,
            warnings: n.warnings,
            storages: n.storages,
            same: n.same,
        });
        Self { running: c.running, live: c.live, problems: c.problems, disks: disks.collect(), nodes: nodes.collect() }
    }
}

/// What stands in the way of moving a machine to each other node.
///
/// # Errors
/// `NotFound`; `Conflict` when its provider can't move machines; `Unavailable`.
#[utoipa::path(get, path = "/api/v1/guests/{id}/migrate", tag = "guests", params(("id" = String, Path)),
    responses((status = 200, body = MoveView), OneProblems))]
pub async fn check(person: Person, Path(text): Path<String>) -> Answer<Json<MoveView>> {
    let check = person.web.app.guests().migrate_check(&person.actor, id::<GuestId>(&text)?).await?;
    Ok(Json(check.into()))
}
