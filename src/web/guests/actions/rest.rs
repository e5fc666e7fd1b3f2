//! Actions for programs: any of them by its name, and the addresses of those that belong to something under a machine.
//! What an address says need not be said again in the body.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::jobs::rest::JobView;
use crate::rest::accepted;
use crate::rest::body::OptionalJsonBody;
use crate::rest::openapi::WriteProblems;
use crate::rest::reading::Node;
use axum::extract::Path;
use axum::response::IntoResponse as _;
use base::ids::GuestId;
use base::{Error, Result};
use http::StatusCode;
use model::guests::actions::{
    AddDisk, ChangeSettings, CloneGuest, EditSnapshot, Migrate, NicSpec, RevertSettings, Rollback, TakeSnapshot,
};
use model::guests::{ActionKind, GuestAction};
use std::collections::BTreeMap;

/// What an address contains, by its name in the route table.
type Params = BTreeMap<String, String>;

/// The action that the body names, if it is one of these.
pub fn read(mut body: Node, of: impl Iterator<Item = ActionKind>) -> Result<GuestAction> {
    let names: Vec<&'static str> = of.map(ActionKind::name).collect();
    let name = body.take("action").and_then(Node::text);
    let kind = name.and_then(|name| ActionKind::parse(&name)).filter(|kind| names.contains(&kind.name()));
    let kind = kind.ok_or_else(|| Error::field("action", format!("Choose one of these: {}.", names.join(", "))))?;
    kind.read(body)
}

async fn request(person: &Person, mut params: Params, action: impl FnOnce(Params) -> Result<GuestAction>) -> Answer {
    let guest = id::<GuestId>(&params.remove("id").unwrap_or_default())?;
    let job = person.web.app.guests().request_action(&person.actor, guest, action(params)?).await?;
    Ok(job.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |job| accepted(job.id, JobView::from(job))))
}

fn with(mut body: Node, params: Params) -> Node {
    for (name, value) in params {
        body = body.with(&name, Node::word(value));
    }
    body
}

/// The action of an address. A network card's settings stand bare in the body.
async fn named(kind: ActionKind, person: Person, params: Params, body: Option<Node>) -> Answer {
    let body = body.unwrap_or_else(Node::empty);
    let nic = matches!(kind, ActionKind::AddNic | ActionKind::ChangeNic);
    let body = if nic { Node::empty().with("nic", body) } else { body };
    request(&person, params, |params| kind.read(with(body, params))).await
}

/// Requests any action on a machine. `action` says which one; the other fields belong to that action.
#[utoipa::path(post, path = "/api/v1/guests/{id}/actions", tag = "guests", params(("id" = String, Path)), request_body = GuestAction,
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))),
        (status = 204, description = "Done, without a job"), WriteProblems))]
pub async fn act(person: Person, Path(params): Path<Params>, OptionalJsonBody(body): OptionalJsonBody<Node>) -> Answer {
    let all = ActionKind::ALL.iter().copied();
    request(&person, params, |_| read(body.unwrap_or_else(Node::empty), all)).await
}

/// Requests a power action, named by `action`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/power", tag = "guests", params(("id" = String, Path)), request_body = GuestAction,
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn power(
    person: Person,
    Path(params): Path<Params>,
    OptionalJsonBody(body): OptionalJsonBody<Node>,
) -> Answer {
    request(&person, params, |_| read(body.unwrap_or_else(Node::empty), ActionKind::power())).await
}

/// Requests an action on a disk, named by `action`: grow_disk, move_disk, detach_disk, attach_disk or change_cd.
#[utoipa::path(post, path = "/api/v1/guests/{id}/disks/{disk}", tag = "guests",
    params(("id" = String, Path), ("disk" = String, Path, description = "scsi0, unused0 ...")), request_body = GuestAction,
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn disk(
    person: Person,
    Path(params): Path<Params>,
    OptionalJsonBody(body): OptionalJsonBody<Node>,
) -> Answer {
    use ActionKind as A;
    let of = [A::GrowDisk, A::MoveDisk, A::DetachDisk, A::AttachDisk, A::ChangeCd];
    let body = body.unwrap_or_else(Node::empty);
    request(&person, params, |params| read(with(body, params), of.into_iter())).await
}

macro_rules! addresses {
    ($($(#[$doc:meta])* $handler:ident: $method:ident $path:tt [$($param:tt)*] $kind:ident $(($body:ty))?;)*) => {$(
        $(#[$doc])*
        #[utoipa::path($method, path = $path, tag = "guests", params($(($param = String, Path)),*), $(request_body = $body,)?
            responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
        pub async fn $handler(person: Person, Path(params): Path<Params>, OptionalJsonBody(body): OptionalJsonBody<Node>) -> Answer {
            named(ActionKind::$kind, person, params, body).await
        }
    )*};
}

addresses! {
    /// Requests deleting a machine with its disks. A running one is switched off first, like pulling the plug.
    delete: delete "/api/v1/guests/{id}" ["id"] Delete;
    /// Requests a copy of a machine or template. It belongs to the caller; `guest` of the job is its id. The same request
    /// sent twice gives the same copy while its job is open.
    copy: post "/api/v1/guests/{id}/clone" ["id"] Clone (CloneGuest);
    /// Requests turning a stopped machine into a template, which can't be undone.
    template: post "/api/v1/guests/{id}/template" ["id"] Template;
    /// Requests moving a machine to another node. A running virtual machine keeps running; a running container is stopped
    /// here and started there.
    migrate: post "/api/v1/guests/{id}/migrate" ["id"] Migrate (Migrate);
    /// Requests hibernating a running virtual machine: its memory is saved to disk, and starting it resumes where it left off.
    hibernate: post "/api/v1/guests/{id}/hibernate" ["id"] Hibernate;
    /// Requests a snapshot.
    take_snapshot: post "/api/v1/guests/{id}/snapshots" ["id"] Snapshot (TakeSnapshot);
    /// Requests a new note on a snapshot.
    edit_snapshot: patch "/api/v1/guests/{id}/snapshots/{name}" ["id" "name"] EditSnapshot (EditSnapshot);
    /// Requests deleting a snapshot; the machine stays as it is.
    delete_snapshot: delete "/api/v1/guests/{id}/snapshots/{name}" ["id" "name"] DeleteSnapshot;
    /// Requests a rollback to a snapshot: what came after it is lost.
    rollback: post "/api/v1/guests/{id}/snapshots/{name}/rollback" ["id" "name"] Rollback (Rollback);
    /// Requests new values. Those that the machine can't take while it runs wait for a restart.
    change_settings: patch "/api/v1/guests/{id}/hardware" ["id"] Change (ChangeSettings);
    /// Requests reverting changes that are waiting for a restart.
    revert_settings: post "/api/v1/guests/{id}/hardware/revert" ["id"] Revert (RevertSettings);
    /// Requests a new disk.
    add_disk: post "/api/v1/guests/{id}/disks" ["id"] AddDisk (AddDisk);
    /// Requests deleting an unused disk with all that is on it.
    delete_disk: delete "/api/v1/guests/{id}/disks/{disk}" ["id" "disk"] DeleteDisk;
    /// Requests a new network card.
    add_nic: post "/api/v1/guests/{id}/nics" ["id"] AddNic (NicSpec);
    /// Requests new settings for a network card. MAC and model stay when they are left out; what else is left out gets its default.
    change_nic: put "/api/v1/guests/{id}/nics/{key}" ["id" "key"] ChangeNic (NicSpec);
    /// Requests removing a network card.
    remove_nic: delete "/api/v1/guests/{id}/nics/{key}" ["id" "key"] RemoveNic;
}
