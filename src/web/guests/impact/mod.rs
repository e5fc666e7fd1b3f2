//! What depends on a machine: collected for the pages that show it, and the question before its power is taken.

pub mod page;
pub mod rest;

use crate::door::problem::Answer;
use crate::door::visit::{Person, see_other};
use crate::guests::one::{Machine, head};
use app::impact::ProposedAction;
use app::live::GuestLive;
use axum::extract::Query;
use axum::response::Response;
use base::{Error, Result};
use maud::Markup;
use model::guests::ActionKind;
use model::impact::Impact;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct PowerParams {
    #[serde(default)]
    action: String,
}

/// The question before a machine's power is taken, with what depends on it.
pub async fn power(person: Person, Machine(guest): Machine, Query(wanted): Query<PowerParams>) -> Answer<Markup> {
    let kind = ActionKind::power().find(|kind| kind.name() == wanted.action && kind.has_impact());
    let kind = kind.ok_or_else(|| Error::not_found("There is nothing at this address."))?;
    let refusal = person.web.app.guests().action_refusal(&person.actor, &guest, &kind.empty());
    let impact = of(&person, &guest, kind.into()).await?;
    Ok(page::power(&person.page(), &head(&person, &guest)?, kind, refusal.as_deref(), &impact))
}

/// What depends on a machine.
pub(crate) async fn of(person: &Person, guest: &GuestLive, asked: ProposedAction) -> Result<Impact> {
    person.web.app.impact().of(&person.actor, guest.row.id, &asked).await
}

/// Without script nothing has shown what depends on the machine before the button was pressed: then the question
/// comes now. `None`: nothing is to be asked.
pub(crate) async fn question(person: &Person, guest: &GuestLive, kind: ActionKind) -> Option<Response> {
    let impact = of(person, guest, kind.into()).await.ok()?;
    let asks = kind.always_asks() || impact.asks();
    asks.then(|| see_other(&format!("/machines/{}/power?action={}", guest.row.id, kind.name())))
}
