//! What hangs on a machine: collected for the pages that show it, and the question before its power is taken.

pub mod page;
pub mod rest;

use crate::door::problem::Answer;
use crate::door::visit::{Person, see_other};
use crate::guests::one::{find, head};
use app::impact::Asked;
use app::live::GuestLive;
use axum::extract::{Path, Query};
use axum::response::Response;
use base::{Error, Result};
use maud::Markup;
use model::guests::GuestAction;
use model::impact::{Deed, Impact};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    action: String,
}

/// Stop, shut down, reboot, suspend or hibernate? With what hangs on it.
///
/// # Errors
/// `NotFound`.
pub async fn power(person: Person, Path(text): Path<String>, Query(wanted): Query<Wanted>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let deed = Deed::parse(&wanted.action).filter(|d| d.power().is_some() || *d == Deed::Hibernate);
    let deed = deed.ok_or_else(|| Error::not_found("There is nothing at this address."))?;
    let guests = person.web.app.guests();
    let refusal = match deed.power() {
        Some(action) => {
            guests.actions(&person.actor, &guest).into_iter().find(|a| a.action == action).and_then(|a| a.refusal)
        }
        None => guests.action_refusal(&person.actor, &guest, &GuestAction::Hibernate),
    };
    let impact = of(&person, &guest, deed.into()).await?;
    Ok(page::power(&person.page(), &head(&person, &guest)?, deed, refusal.as_deref(), &impact))
}

/// What hangs on a machine.
pub(crate) async fn of(person: &Person, guest: &GuestLive, asked: Asked) -> Result<Impact> {
    person.web.app.impact().of(&person.actor, guest.row.id, &asked).await
}

/// Without script nothing has shown what hangs on the machine before the button was pressed: then the question
/// comes now. `None`: nothing is to be asked.
pub(crate) async fn question(person: &Person, guest: &GuestLive, deed: Deed) -> Option<Response> {
    let impact = of(person, guest, deed.into()).await.ok()?;
    let asks = deed == Deed::Stop || impact.asks();
    asks.then(|| see_other(&format!("/machines/{}/power?action={}", guest.row.id, deed.name())))
}
