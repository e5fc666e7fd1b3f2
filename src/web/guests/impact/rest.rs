//! What depends on a machine, for programs.

use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::rest::body::QueryParams;
use crate::rest::openapi::FoundProblems;
use app::impact::ProposedAction;
use axum::Json;
use base::Error;
use base::ids::GuestId;
use model::guests::ActionKind;
use model::impact::{Hit, Impact};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImpactParams {
    /// What is about to be done.
    action: ActionKind,
    /// The snapshot to go back to; needed for rollback.
    snapshot: Option<String>,
}

/// What depends on it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImpactView {
    /// The worst first.
    pub hits: Vec<Hit>,
    /// What could not be determined, as sentences.
    pub unknown: Vec<String>,
    /// A person should read it before they confirm.
    pub asks: bool,
    /// It can't be done as it is.
    pub blocks: bool,
}

impl From<Impact> for ImpactView {
    fn from(i: Impact) -> Self {
        let (asks, blocks) = (i.asks(), i.blocks());
        Self { hits: i.hits, unknown: i.unknown, asks, blocks }
    }
}

/// What depends on a machine: what would be lost, who would be cut off, what prevents it. Nothing is changed.
#[utoipa::path(get, path = "/api/v1/guests/{id}/impact", tag = "guests", params(("id" = String, Path), ImpactParams),
    responses((status = 200, body = ImpactView), FoundProblems))]
pub async fn show(
    person: Person,
    Id(id): Id<GuestId>,
    QueryParams(look): QueryParams<ImpactParams>,
) -> Answer<Json<ImpactView>> {
    let snapshot = look.snapshot.filter(|name| !name.is_empty());
    if look.action == ActionKind::Rollback && snapshot.is_none() {
        return Err(Error::field("snapshot", "Choose the snapshot to roll back to.").into());
    }
    let what = ProposedAction { action: look.action, snapshot };
    let impact = person.web.app.impact().of(&person.actor, id, &what).await?;
    Ok(Json(impact.into()))
}
