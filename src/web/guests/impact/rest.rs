//! What hangs on a machine, for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::body::Asked;
use crate::rest::openapi::FoundProblems;
use crate::rest::words::WeightWord;
use app::impact::Asked as What;
use axum::Json;
use axum::extract::Path;
use base::Error;
use base::ids::GuestId;
use model::guests::ActionKind;
use model::impact::{Hit, HitKind, Impact, Item, Place, Weight};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Look {
    /// What is about to be done.
    action: ActionKind,
    /// The snapshot to go back to; needed for rollback.
    snapshot: Option<String>,
}

/// One of several things in a hit.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImpactItem {
    pub text: String,
    /// The machine's id, when it is one.
    pub guest: Option<String>,
    /// The job's id, when it is one.
    pub job: Option<String>,
    /// A page that a program on the machine serves.
    pub url: Option<String>,
}

impl From<Item> for ImpactItem {
    fn from(i: Item) -> Self {
        let (mut guest, mut job, mut url) = (None, None, None);
        match i.place {
            Some(Place::Guest(id)) => guest = Some(id.to_string()),
            Some(Place::Job(id)) => job = Some(id.to_string()),
            Some(Place::Url(to)) => url = Some(to),
            None => {}
        }
        Self { text: i.text, guest, job, url }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ImpactHit {
    /// steward, protection, linked, jobs, lock, devices, state, software, people, consoles, disks, snapshots, since,
    /// watch, copies or machines.
    #[schema(value_type = String)]
    pub kind: HitKind,
    /// blocks, lost, cut or known.
    #[schema(value_type = WeightWord)]
    pub weight: Weight,
    /// A sentence.
    pub text: String,
    pub items: Vec<ImpactItem>,
    /// How many more there are that are not named: too many, or not for the caller to see.
    pub more: usize,
}

impl From<Hit> for ImpactHit {
    fn from(h: Hit) -> Self {
        let items = h.items.into_iter().map(ImpactItem::from).collect();
        Self { kind: h.kind, weight: h.weight, text: h.text, items, more: h.more }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ImpactView {
    /// The worst first.
    pub hits: Vec<ImpactHit>,
    /// What could not be found out, as sentences.
    pub unknown: Vec<String>,
    /// A person should look at it before they say yes.
    pub asks: bool,
    /// It can't be done as it is.
    pub blocks: bool,
}

impl From<Impact> for ImpactView {
    fn from(i: Impact) -> Self {
        let (asks, blocks) = (i.asks(), i.blocks());
        Self { hits: i.hits.into_iter().map(ImpactHit::from).collect(), unknown: i.unknown, asks, blocks }
    }
}

/// What hangs on a machine: what would be lost, who would be cut off, what stands in the way. Nothing is changed.
///
/// # Errors
/// `NotFound`; `Invalid` on `action` or `snapshot`.
#[utoipa::path(get, path = "/api/v1/guests/{id}/impact", tag = "guests", params(("id" = String, Path), Look),
    responses((status = 200, body = ImpactView), FoundProblems))]
pub async fn show(person: Person, Path(text): Path<String>, Asked(look): Asked<Look>) -> Answer<Json<ImpactView>> {
    let snapshot = look.snapshot.filter(|name| !name.is_empty());
    if look.action == ActionKind::Rollback && snapshot.is_none() {
        return Err(Error::field("snapshot", "Say which snapshot to go back to.").into());
    }
    let what = What { action: look.action, snapshot };
    let impact = person.web.app.impact().of(&person.actor, id::<GuestId>(&text)?, &what).await?;
    Ok(Json(impact.into()))
}
