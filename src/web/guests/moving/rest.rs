//! Copies, templates, moves and hibernation for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::guests::rest::Created;
use crate::jobs::rest::JobView;
use crate::rest::accepted;
use crate::rest::body::Sent;
use crate::rest::openapi::{OneProblems, WriteProblems};
use axum::Json;
use axum::extract::Path;
use base::ids::GuestId;
use model::guests::GuestAction;
use model::guests::moving::MoveCheck;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

fn yes() -> bool {
    true
}

/// A wanted copy.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuestClone {
    /// 1 to 63 letters, digits and dashes.
    name: String,
    /// Where the copy goes; left out: the same node. Another one only when all disks are on shared storages.
    node: Option<String>,
    /// `false`: shares the template's disks; only of a template.
    #[serde(default = "yes")]
    full: bool,
    /// Where the copied disks go; left out: where they are.
    storage: Option<String>,
    /// The machine as it was at this snapshot. A running container can be copied only so.
    snapshot: Option<String>,
    /// Left out: the notes of the machine.
    #[serde(default)]
    description: String,
    /// Start it when it is made.
    #[serde(default)]
    start: bool,
}

/// Asks for a copy of a machine or template. It belongs to the caller and can be read at once. The same request
/// sent twice gives the same copy while its job is open.
///
/// # Errors
/// `Invalid` with the fields; `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/clone", tag = "guests", params(("id" = String, Path)), request_body = GuestClone,
    responses((status = 202, description = "Asked for", body = Created, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn copy(person: Person, Path(text): Path<String>, Sent(wanted): Sent<GuestClone>) -> Answer {
    let GuestClone { name, node, full, storage, snapshot, description, start } = wanted;
    let wish = GuestAction::Clone { name, node, full, storage, snapshot, description, start };
    let (guest, job) = person.web.app.guests().request_clone(&person.actor, id::<GuestId>(&text)?, wish).await?;
    let place = job.id.to_string();
    Ok(accepted(&place, Created { guest: guest.id.to_string(), job: JobView::from(job) }))
}

async fn ask(person: &Person, text: &str, wish: GuestAction) -> Answer {
    let job = person.web.app.guests().request_action(&person.actor, id::<GuestId>(text)?, wish).await?;
    Ok(accepted(&job.id.to_string(), JobView::from(job)))
}

/// Asks to make a template of a stopped machine, for good.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/template", tag = "guests", params(("id" = String, Path)),
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn template(person: Person, Path(text): Path<String>) -> Answer {
    ask(&person, &text, GuestAction::Template).await
}

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

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuestMove {
    /// The node to go to.
    node: String,
    /// Take the disks along that only its present node has.
    #[serde(default)]
    disks: bool,
    /// Where they go there; left out: a storage of the same name.
    storage: Option<String>,
}

/// Asks to move a machine to another node. A running virtual machine goes on running; a running container is
/// stopped here and started there.
///
/// # Errors
/// `Invalid` with the fields; `NotFound`, `Forbidden`; `Conflict` with what stands in the way; `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/migrate", tag = "guests", params(("id" = String, Path)), request_body = GuestMove,
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn migrate(person: Person, Path(text): Path<String>, Sent(wanted): Sent<GuestMove>) -> Answer {
    let GuestMove { node, disks, storage } = wanted;
    ask(&person, &text, GuestAction::Migrate { node, disks, storage }).await
}

/// Asks to hibernate a running virtual machine: memory goes to a disk, and a start goes on where it was.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/hibernate", tag = "guests", params(("id" = String, Path)),
    responses((status = 202, description = "Asked for", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn hibernate(person: Person, Path(text): Path<String>) -> Answer {
    ask(&person, &text, GuestAction::Hibernate).await
}
