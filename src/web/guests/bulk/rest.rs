//! One wish for several machines, for programs.

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::guests::impact::rest::ImpactView;
use crate::jobs::rest::JobView;
use crate::rest::body::Sent;
use crate::rest::openapi::WriteProblems;
use crate::rest::words::{PowerWord, RightWord};
use app::guests::bulk::{BulkCheck, BulkDone, BulkRefusal};
use axum::Json;
use axum::response::IntoResponse;
use base::Error;
use base::ids::GuestId;
use http::StatusCode;
use model::access::GuestRight;
use model::guests::PowerAction;
use model::guests::bulk::BulkWish;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What to do with each of them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum BulkAction {
    Power {
        /// start, shutdown, reboot, suspend, resume or stop.
        #[schema(value_type = PowerWord)]
        action: PowerAction,
    },
    Hibernate {},
    /// The same name for all; without memory.
    Snapshot {
        name: String,
        #[serde(default)]
        description: String,
    },
    Tags {
        #[serde(default)]
        add: Vec<String>,
        #[serde(default)]
        remove: Vec<String>,
    },
    Migrate {
        node: String,
        /// Take disks along that only the present node has.
        #[serde(default)]
        disks: bool,
    },
    Delete {},
    Give {
        /// Login or id of the new owner.
        owner: String,
        /// see, use or manage: what the old owner may still do; nothing when left out.
        #[schema(value_type = Option<RightWord>)]
        keep: Option<GuestRight>,
    },
}

impl From<BulkAction> for BulkWish {
    fn from(action: BulkAction) -> Self {
        match action {
            BulkAction::Power { action } => Self::Power(action),
            BulkAction::Hibernate {} => Self::Hibernate,
            BulkAction::Snapshot { name, description } => Self::Snapshot { name, description },
            BulkAction::Tags { add, remove } => Self::Tags { add, remove },
            BulkAction::Migrate { node, disks } => Self::Migrate { node, disks },
            BulkAction::Delete {} => Self::Delete,
            BulkAction::Give { owner, keep } => Self::Give { owner, keep },
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// Ids of 1 to 500 machines.
    guests: Vec<String>,
    action: BulkAction,
    /// Only say what would be done, what would be refused and what hangs on it.
    #[serde(default)]
    check: bool,
}

#[derive(Debug, Serialize, ToSchema)]
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

#[derive(Debug, Serialize, ToSchema)]
pub struct BulkView {
    /// One for each machine for which it was asked; empty after a check.
    pub jobs: Vec<JobView>,
    /// Machines for which it is done without a job; after a check those for which it could be done.
    pub guests: Vec<String>,
    pub refused: Vec<BulkRefused>,
    /// What hangs on them, summed up; only after a check of what takes something from people.
    pub impact: Option<ImpactView>,
}

/// Does one thing to several machines: power, hibernate, snapshot, tags, migrate, delete, give. Each gets a job of
/// its own; what is refused for one is told and does not hold up the others. A check changes nothing.
///
/// # Errors
/// `Invalid` on `guests` or a part of the action; `Forbidden`; `Conflict` with a sentence for each machine when it can't
/// be done for any of them.
#[utoipa::path(post, path = "/api/v1/guests/bulk", tag = "guests", request_body = Bulk,
    responses((status = 202, description = "Asked for", body = BulkView), (status = 200, description = "Checked", body = BulkView), WriteProblems))]
pub async fn act(person: Person, Sent(wanted): Sent<Bulk>) -> Answer {
    let (guests, wish) = (person.web.app.guests(), BulkWish::from(wanted.action));
    wish.check()?;
    let (ids, odd) = read(&wanted.guests);
    // With odd ones only, there is nothing to ask the house for.
    let nothing = ids.is_empty() && !odd.is_empty();
    if wanted.check {
        let check = if nothing { BulkCheck::default() } else { guests.bulk_check(&person.actor, &ids, &wish)? };
        let fit: Vec<GuestId> = check.fit.iter().map(|g| g.row.id).collect();
        let impact = wish.deed().map(|deed| person.web.app.impact().of_many(&person.actor, &fit, deed)).transpose()?;
        let view = BulkView {
            jobs: Vec::new(),
            guests: fit.iter().map(GuestId::to_string).collect(),
            refused: odd.into_iter().chain(check.refused.into_iter().map(BulkRefused::from)).collect(),
            impact: impact.map(ImpactView::from),
        };
        return Ok(Json(view).into_response());
    }
    let done = if nothing { BulkDone::default() } else { guests.bulk(&person.actor, &ids, &wish).await? };
    let none = done.count() == 0;
    let refused: Vec<BulkRefused> = odd.into_iter().chain(done.refused.into_iter().map(BulkRefused::from)).collect();
    if none {
        return Err(in_vain(refused).into());
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
                why: "This is no id of a machine.".to_owned(),
            }),
        }
    }
    (ids, odd)
}

/// The answer when each is refused: a sentence by machine.
fn in_vain(refused: Vec<BulkRefused>) -> Error {
    let e = Error::conflict("It can't be done for any of them.");
    refused.into_iter().fold(e, |e, r| {
        let name = if e.fields().contains_key(&r.name) { format!("{} ({})", r.name, r.guest) } else { r.name };
        e.with_field(&name, r.why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_for_many_is_read_and_what_it_does_not_know_is_refused() {
        let read = |text: &str| serde_json::from_str::<BulkAction>(text).map(BulkWish::from);
        assert_eq!(read(r#"{"do":"power","action":"stop"}"#).unwrap(), BulkWish::Power(PowerAction::Stop));
        assert_eq!(read(r#"{"do":"delete"}"#).unwrap(), BulkWish::Delete);
        let tags = BulkWish::Tags { add: vec!["a".into()], remove: Vec::new() };
        assert_eq!(read(r#"{"do":"tags","add":["a"]}"#).unwrap(), tags);
        assert!(read(r#"{"do":"delete","all":true}"#).is_err());
        assert!(read(r#"{"do":"migrate"}"#).is_err());
    }
}
