//! Copying a machine, making a template of it, moving it to another node, hibernating it.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::guests::impact;
use crate::guests::impact::page::list;
use crate::guests::moving::page::{CloneView, MoveView};
use crate::guests::one::{find, head};
use app::live::GuestLive;
use axum::extract::Path;
use maud::{Markup, html};
use model::guests::{GuestAction, GuestKind};
use model::impact::Deed;
use model::providers::Feature;

/// # Errors
/// `NotFound`.
pub async fn clone_page(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let view = clone_view(&person, &guest).await;
    Ok(page::copy(&person.page(), &head(&person, &guest)?, &view, &Form::new()))
}

async fn clone_view(person: &Person, guest: &GuestLive) -> CloneView {
    let guests = person.web.app.guests();
    let (actor, id, here) = (&person.actor, guest.row.id, &guest.state.node);
    let features = guests.features(guest);
    let snapshots = match features.contains(&Feature::Snapshots) && !guest.state.template {
        true => guests.snapshots(actor, id).await.map(|all| all.snapshots).unwrap_or_default(),
        false => Vec::new(),
    };
    let names: Vec<String> = snapshots.into_iter().filter(|s| !s.broken).map(|s| s.name).collect();
    // A running container can be copied only as it was at a snapshot.
    let present = guest.row.kind == GuestKind::Qemu || guest.state.status != "running";
    // Without an answer all nodes are offered; the job says what can't be.
    let tied = match features.contains(&Feature::Migrate) {
        true => guests.migrate_check(actor, id).await.map(|c| c.disks).unwrap_or_default(),
        false => Vec::new(),
    };
    let wish = GuestAction::Clone {
        name: "copy".to_owned(),
        node: None,
        full: true,
        storage: None,
        snapshot: names.first().filter(|_| !present).cloned(),
        description: String::new(),
        start: false,
    };
    CloneView {
        refusal: guests.action_refusal(actor, guest, &wish),
        suggestion: guests.free_name(guest),
        nodes: if tied.is_empty() { guests.nodes_for(guest) } else { vec![here.clone()] },
        tied: tied.into_iter().map(|d| d.storage).collect(),
        storages: guests.storages_for(guest, here),
        linked: guest.state.template && features.contains(&Feature::LinkedClone),
        snapshots: names,
        present,
    }
}

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn copy(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    let form = Form::from_pairs(form);
    let wish = GuestAction::Clone {
        name: form.value("name").trim().to_owned(),
        node: chosen(&form, "node").filter(|n| *n != guest.state.node),
        full: form.value("full") != "linked",
        storage: chosen(&form, "storage"),
        snapshot: chosen(&form, "snapshot"),
        description: form.value("description").replace('\r', "").trim().to_owned(),
        start: form.on("start", false),
    };
    match person.web.app.guests().request_clone(&person.actor, guest.row.id, wish).await {
        Ok((copy, job)) => {
            Ok(finished(&person, &format!("/machines/{}", copy.id), &format!("{}: asked for.", job.title)))
        }
        Err(e) => {
            let (view, head) = (clone_view(&person, &guest).await, head(&person, &guest)?);
            again(&person, form, e, |p, form| page::copy(p, &head, &view, form))
        }
    }
}

fn chosen(form: &Form, field: &str) -> Option<String> {
    Some(form.value(field).trim().to_owned()).filter(|v| !v.is_empty())
}

/// # Errors
/// `NotFound`.
pub async fn template_page(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    draw_template(&person, &guest, &Form::new()).await
}

async fn draw_template(person: &Person, guest: &GuestLive, form: &Form) -> Answer<Markup> {
    let refusal = person.web.app.guests().action_refusal(&person.actor, guest, &GuestAction::Template);
    let lost = html! {
        ul.plain {
            li { "It can't be started any more: machines are made from it." }
            li { "Its disks can't be changed any more, and it can have no snapshots." }
            li { "There is no way back. A full copy of the template is a machine again." }
        }
        (list(&impact::of(person, guest, Deed::Template.into()).await?))
    };
    Ok(page::template(&person.page(), &head(person, guest)?, refusal.as_deref(), &lost, form))
}

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn template(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    let back = format!("/machines/{}", guest.row.id);
    match person.web.app.guests().request_action(&person.actor, guest.row.id, GuestAction::Template).await {
        Ok(job) => Ok(finished(&person, &back, &format!("{}: asked for.", job.title))),
        Err(e) => {
            let drawn = draw_template(&person, &guest, &Form::from_pairs(form).fail(&e)).await?;
            again(&person, Form::new(), e, |_, _| drawn)
        }
    }
}

/// # Errors
/// `NotFound`.
pub async fn move_page(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let view = move_view(&person, &guest).await;
    let hit = list(&impact::of(&person, &guest, Deed::Migrate.into()).await?);
    Ok(page::migrate(&person.page(), &head(&person, &guest)?, &view, &hit, &Form::new()))
}

async fn move_view(person: &Person, guest: &GuestLive) -> MoveView {
    let guests = person.web.app.guests();
    let wish = GuestAction::Migrate { node: String::new(), disks: false, storage: None };
    let refusal = guests.action_refusal(&person.actor, guest, &wish);
    match guests.migrate_check(&person.actor, guest.row.id).await {
        Ok(check) => MoveView { check: Some(check), trouble: String::new(), refusal },
        Err(e) => MoveView { check: None, trouble: e.message().to_owned(), refusal },
    }
}

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn migrate(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    let form = Form::from_pairs(form);
    let wish = GuestAction::Migrate {
        node: form.value("node").to_owned(),
        disks: form.on("disks", false),
        storage: chosen(&form, "storage"),
    };
    match person.web.app.guests().request_action(&person.actor, guest.row.id, wish).await {
        Ok(job) => {
            let back = format!("/machines/{}/migrate", guest.row.id);
            Ok(finished(&person, &back, &format!("{}: asked for.", job.title)))
        }
        Err(e) => {
            let (view, head) = (move_view(&person, &guest).await, head(&person, &guest)?);
            let hit = list(&impact::of(&person, &guest, Deed::Migrate.into()).await?);
            again(&person, form, e, |p, form| page::migrate(p, &head, &view, &hit, form))
        }
    }
}

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn hibernate(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    let back = format!("/machines/{}", guest.row.id);
    let sure = person.fragment || Form::from_pairs(form).has("sure");
    if !sure && let Some(question) = impact::question(&person, &guest, Deed::Hibernate).await {
        return Ok(question);
    }
    match person.web.app.guests().request_action(&person.actor, guest.row.id, GuestAction::Hibernate).await {
        Ok(job) => Ok(finished(&person, &back, &format!("{}: asked for.", job.title))),
        Err(e) => refused(&person, &back, e),
    }
}
