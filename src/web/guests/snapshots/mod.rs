//! The snapshots tab of a machine.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::guests::impact;
use crate::guests::impact::page::list as list_of;
use crate::guests::one::{find, head};
use crate::guests::snapshots::page::SnapshotsView;
use app::impact::Asked;
use app::live::GuestLive;
use axum::extract::Path;
use base::Error;
use maud::Markup;
use model::guests::GuestAction;
use model::guests::snapshots::Snapshots;
use model::impact::Deed;

/// # Errors
/// `NotFound`.
pub async fn list(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let view = view(&person, &guest).await;
    Ok(page::list(&person.page(), &head(&person, &guest)?, &view, &Form::new()))
}

async fn view(person: &Person, guest: &GuestLive) -> SnapshotsView {
    let guests = person.web.app.guests();
    let wish = GuestAction::Snapshot { name: "s1".to_owned(), description: String::new(), memory: false };
    let refusal = guests.action_refusal(&person.actor, guest, &wish);
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

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn take(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    let form = Form::from_pairs(form);
    let wish = GuestAction::Snapshot {
        name: form.value("name").trim().to_owned(),
        description: form.value("description").replace('\r', "").trim().to_owned(),
        memory: form.on("memory", false),
    };
    match person.web.app.guests().request_action(&person.actor, guest.row.id, wish).await {
        Ok(job) => Ok(finished(&person, &back(&guest), &format!("{}: asked for.", job.title))),
        Err(e) => {
            let (view, head) = (view(&person, &guest).await, head(&person, &guest)?);
            again(&person, form, e, |p, form| page::list(p, &head, &view, form))
        }
    }
}

fn back(guest: &GuestLive) -> String {
    format!("/machines/{}/snapshots", guest.row.id)
}

/// # Errors
/// `NotFound`; `Unavailable` when the provider does not answer.
pub async fn show(person: Person, Path((text, name)): Path<(String, String)>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let all = person.web.app.guests().snapshots(&person.actor, guest.row.id).await?;
    draw(&person, &guest, &all, &name).await
}

async fn draw(person: &Person, guest: &GuestLive, all: &Snapshots, name: &str) -> Answer<Markup> {
    let one = all.get(name).ok_or_else(|| Error::not_found("There is no such snapshot (any more)."))?;
    let asked = Asked { deed: Deed::Rollback, snapshot: Some(name.to_owned()) };
    let lost = list_of(&impact::of(person, guest, asked).await?);
    Ok(page::one(&person.page(), &head(person, guest)?, all, one, &lost, &Form::new()))
}

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn act(
    person: Person,
    Path((text, name, action)): Path<(String, String, String)>,
    Checked { form, .. }: Checked<Pairs>,
) -> Answer {
    let guest = find(&person, &text)?;
    let form = Form::from_pairs(form);
    let wish = match action.as_str() {
        "rollback" => GuestAction::Rollback { name: name.clone(), start: form.on("start", false) },
        "delete" => GuestAction::DeleteSnapshot { name: name.clone() },
        "edit" => GuestAction::EditSnapshot {
            name: name.clone(),
            description: form.value("description").replace('\r', "").trim().to_owned(),
        },
        _ => return Err(Error::not_found("There is nothing at this address.").into()),
    };
    match person.web.app.guests().request_action(&person.actor, guest.row.id, wish).await {
        Ok(job) => Ok(finished(&person, &back(&guest), &format!("{}: asked for.", job.title))),
        Err(e) => refused(&person, &format!("{}/{name}", back(&guest)), e),
    }
}
