//! The snapshots tab of a machine.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::{Form, Page};
use crate::guests::actions::{press, submit};
use crate::guests::impact;
use crate::guests::impact::page::list as list_of;
use crate::guests::one::{Machine, find, head};
use crate::guests::snapshots::page::SnapshotsView;
use app::impact::ProposedAction;
use app::live::GuestLive;
use axum::extract::Path;
use base::{Error, Result};
use maud::Markup;
use model::guests::ActionKind;
use model::guests::actions::TakeSnapshot;

pub async fn list(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    Ok(draw_list(&person, &guest, &person.page(), &Form::new()).await?)
}

async fn draw_list(person: &Person, guest: &GuestLive, p: &Page, form: &Form) -> Result<Markup> {
    let view = view(person, guest).await;
    Ok(page::list(p, &head(person, guest)?, &view, form))
}

async fn view(person: &Person, guest: &GuestLive) -> SnapshotsView {
    let guests = person.web.app.guests();
    let refusal = guests.action_refusal(&person.actor, guest, &ActionKind::Snapshot.empty());
    match guests.snapshots(&person.actor, guest.row.id).await {
        Ok(all) => SnapshotsView {
            refusal: refusal.or_else(|| all.refusal.clone()),
            suggestion: all.suggestion(person.web.now()),
            all: Some(all),
            trouble: String::new(),
        },
        Err(e) => SnapshotsView { all: None, trouble: e.message().to_owned(), refusal, suggestion: String::new() },
    }
}

pub async fn take(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let action = form.action::<TakeSnapshot>();
    let redraw = async |p, form| draw_list(&person, &guest, &p, &form).await;
    submit(&person, &guest, &form, action, &back(&guest), redraw).await
}

fn back(guest: &GuestLive) -> String {
    format!("/machines/{}/snapshots", guest.row.id)
}

pub async fn show(person: Person, Path((text, name)): Path<(String, String)>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let all = person.web.app.guests().snapshots(&person.actor, guest.row.id).await?;
    let one = all.get(&name).ok_or_else(|| Error::not_found("There is no such snapshot."))?;
    let asked = ProposedAction { action: ActionKind::Rollback, snapshot: Some(name.clone()) };
    let lost = list_of(&impact::of(&person, &guest, asked).await?);
    Ok(page::one(&person.page(), &head(&person, &guest)?, &all, one, &lost, &Form::new()))
}

/// What the last word of an address asks for.
pub fn kind(verb: &str) -> Option<ActionKind> {
    Some(match verb {
        "rollback" => ActionKind::Rollback,
        "delete" => ActionKind::DeleteSnapshot,
        "edit" => ActionKind::EditSnapshot,
        _ => return None,
    })
}

pub async fn act(
    person: Person,
    Path((text, name, action)): Path<(String, String, String)>,
    Checked { form, .. }: Checked,
) -> Answer {
    let guest = find(&person, &text)?;
    let kind = kind(&action).ok_or_else(|| Error::not_found("There is nothing at this address."))?;
    let action = kind.read(form.replace("name", name).node());
    press(&person, &guest, action, &back(&guest)).await
}
