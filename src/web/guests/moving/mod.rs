//! Copying a machine, making a template of it, moving it to another node.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::{Form, Page};
use crate::guests::actions::submit;
use crate::guests::impact;
use crate::guests::impact::page::list;
use crate::guests::moving::page::{CloneView, MoveView};
use crate::guests::one::{Machine, head};
use app::live::GuestLive;
use base::Result;
use maud::{Markup, html};
use model::guests::actions::{CloneGuest, MakeTemplate, Migrate};
use model::guests::{ActionKind, GuestKind};
use model::providers::Feature;

pub async fn clone_page(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    Ok(draw_clone(&person, &guest, &person.page(), &Form::new()).await?)
}

async fn draw_clone(person: &Person, guest: &GuestLive, p: &Page, form: &Form) -> Result<Markup> {
    let view = clone_view(person, guest).await;
    Ok(page::copy(p, &head(person, guest)?, &view, form))
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
    let present = guest.row.kind == GuestKind::Vm || guest.state.status != "running";
    // Without an answer all nodes are offered; the job says what can't be.
    let tied = match features.contains(&Feature::Migrate) {
        true => guests.migrate_check(actor, id).await.map(|c| c.disks).unwrap_or_default(),
        false => Vec::new(),
    };
    let snapshot = names.first().filter(|_| !present).cloned();
    let action = CloneGuest { snapshot, ..CloneGuest::default() }.into();
    CloneView {
        refusal: guests.action_refusal(actor, guest, &action),
        suggestion: guests.free_name(guest),
        nodes: if tied.is_empty() { guests.nodes_for(guest) } else { vec![here.clone()] },
        tied: tied.into_iter().map(|d| d.storage).collect(),
        storages: guests.storages_for(guest, here),
        linked: guest.state.template && features.contains(&Feature::LinkedClone),
        snapshots: names,
        present,
    }
}

pub async fn copy(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let here = |node: &String| *node == guest.state.node;
    let action = form.action::<CloneGuest>().map(|c| CloneGuest { node: c.node.filter(|n| !here(n)), ..c });
    let redraw = async |p, form| draw_clone(&person, &guest, &p, &form).await;
    submit(&person, &guest, &form, action, "", redraw).await
}

pub async fn template_page(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    Ok(draw_template(&person, &guest, &person.page(), &Form::new()).await?)
}

async fn draw_template(person: &Person, guest: &GuestLive, p: &Page, form: &Form) -> Result<Markup> {
    let refusal = person.web.app.guests().action_refusal(&person.actor, guest, &ActionKind::Template.empty());
    let lost = html! {
        ul.plain {
            li { "It can't be started any more; it only serves to create other machines." }
            li { "Its disks can't be changed any more, and it can't have snapshots." }
            li { "This can't be undone. A full copy of the template is a machine again." }
        }
        (list(&impact::of(person, guest, ActionKind::Template.into()).await?))
    };
    Ok(page::template(p, &head(person, guest)?, refusal.as_deref(), &lost, form))
}

pub async fn template(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let back = format!("/machines/{}", guest.row.id);
    let redraw = async |p, form| draw_template(&person, &guest, &p, &form).await;
    submit(&person, &guest, &form, Ok(MakeTemplate {}), &back, redraw).await
}

pub async fn move_page(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    Ok(draw_move(&person, &guest, &person.page(), &Form::new()).await?)
}

async fn draw_move(person: &Person, guest: &GuestLive, p: &Page, form: &Form) -> Result<Markup> {
    let guests = person.web.app.guests();
    let refusal = guests.action_refusal(&person.actor, guest, &ActionKind::Migrate.empty());
    let view = match guests.migrate_check(&person.actor, guest.row.id).await {
        Ok(check) => MoveView { check: Some(check), trouble: String::new(), refusal },
        Err(e) => MoveView { check: None, trouble: e.message().to_owned(), refusal },
    };
    let hit = list(&impact::of(person, guest, ActionKind::Migrate.into()).await?);
    Ok(page::migrate(p, &head(person, guest)?, &view, &hit, form))
}

pub async fn migrate(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let back = format!("/machines/{}/migrate", guest.row.id);
    let action = form.action::<Migrate>();
    let redraw = async |p, form| draw_move(&person, &guest, &p, &form).await;
    submit(&person, &guest, &form, action, &back, redraw).await
}
