//! One action for several machines, for programs.

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::guests::actions::rest::read as read_action;
use crate::guests::impact::rest::ImpactView;
use crate::jobs::rest::JobView;
use crate::rest::body::JsonBody;
use crate::rest::openapi::WriteProblems;
use crate::rest::reading::Node;
use app::guests::bulk::{BulkCheck, BulkDone, BulkRefusal};
use axum::Json;
use axum::response::IntoResponse;
use base::Error;
use base::ids::GuestId;
use http::StatusCode;
use model::guests::{ActionKind, GuestAction};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// Ids of 1 to 500 machines.
    guests: Vec<String>,
    /// What to do with each of them: start, shutdown, reboot, suspend, resume, stop, hibernate, snapshot, tags, migrate,
    /// give or delete.
    #[schema(value_type = GuestAction)]
    action: Node,
    /// Only report what would be done, what would be refused and what depends on it.
    #[serde(default)]
    check: bool,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BulkRefused {
    pub guest: String,
    pub name: String,
    /// A sentence.
    pub why: String,
}

impl From<BulkRefusal> for BulkRefused {
    fn from(r: BulkRefusal) -> Self {
        Self { guest: r.guest.to_string(), name: r.name, why: r.why }
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BulkView {
    /// One for each machine for which it was requested; empty after a check.
    pub jobs: Vec<JobView>,
    /// Machines for which it is done without a job; after a check those for which it could be done.
    pub guests: Vec<String>,
    pub refused: Vec<BulkRefused>,
    /// What depends on them, summed up; only after a check of what takes something from people.
    pub impact: Option<ImpactView>,
}

/// Does one thing with several machines: power, hibernate, snapshot, tags, migrate, give, delete. Each gets a job of
/// its own; what is refused for one is reported and does not hold up the others. A check changes nothing.
#[utoipa::path(post, path = "/api/v1/guests/bulk", tag = "guests", request_body = Bulk,
    responses((status = 202, description = "Accepted", body = BulkView), (status = 200, description = "Checked", body = BulkView), WriteProblems))]
pub async fn act(person: Person, JsonBody(wanted): JsonBody<Bulk>) -> Answer {
    let (guests, action) = (person.web.app.guests(), read_action(wanted.action, ActionKind::bulk())?);
    let (ids, odd) = read(&wanted.guests);
    // If all are invalid, there is nothing to ask the app for.
    let nothing = ids.is_empty() && !odd.is_empty();
    if wanted.check {
        let check = if nothing { BulkCheck::default() } else { guests.bulk_check(&person.actor, &ids, &action)? };
        let fit: Vec<GuestId> = check.fit.iter().map(|g| g.row.id).collect();
        let kind = action.kind();
        let impact =
            kind.has_impact().then(|| person.web.app.impact().of_many(&person.actor, &fit, kind)).transpose()?;
        let view = BulkView {
            jobs: Vec::new(),
            guests: fit.iter().map(GuestId::to_string).collect(),
            refused: odd.into_iter().chain(check.refused.into_iter().map(BulkRefused::from)).collect(),
            impact: impact.map(ImpactView::from),
        };
        return Ok(Json(view).into_response());
    }
    let done = if nothing { BulkDone::default() } else { guests.bulk(&person.actor, &ids, &action).await? };
    let none = done.count() == 0;
    let refused: Vec<BulkRefused> = odd.into_iter().chain(done.refused.into_iter().map(BulkRefused::from)).collect();
    if none {
        return Err(all_refused(refused).into());
    }
    let view = BulkView {
        jobs: done.jobs.into_iter().map(JobView::from).collect(),
        guests: done.done.iter().map(GuestId::to_string).collect(),
        refused,
        impact: None,
    };
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

/// The ids, and what is none.
fn read(texts: &[String]) -> (Vec<GuestId>, Vec<BulkRefused>) {
    let (mut ids, mut odd) = (Vec::new(), Vec::new());
    for text in texts {
        match text.parse() {
            Ok(id) => ids.push(id),
            Err(_) => odd.push(BulkRefused {
                guest: text.clone(),
                name: text.clone(),
                why: "This is not the id of a machine.".to_owned(),
            }),
        }
    }
    (ids, odd)
}

/// The answer when each is refused: a sentence by machine.
fn all_refused(refused: Vec<BulkRefused>) -> Error {
    let e = Error::conflict("It can't be done for any of them.");
    refused.into_iter().fold(e, |e, r| {
        let name = if e.fields().contains_key(&r.name) { format!("{} ({})", r.name, r.guest) } else { r.name };
        e.with_field(&name, r.why)
    })
}
