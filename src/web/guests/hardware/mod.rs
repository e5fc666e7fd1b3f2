//! The hardware tab of a machine and its forms.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{self, finished};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::options::typed_text;
use crate::frame::{Form, Page};
use crate::guests::actions::{confirmed, press, submit};
use crate::guests::one::{Machine, find, head};
use crate::rest::reading::Node;
use app::live::GuestLive;
use axum::extract::Path;
use axum::response::IntoResponse;
use base::{Error, Result};
use maud::Markup;
use model::guests::ActionKind;
use model::guests::actions::{ChangeSettings, RevertSettings};
use model::guests::hardware::Hardware;
use model::guests::settings::MachineSettings;
use model::nodes::Choices;
use model::options::When;
use std::collections::BTreeMap;

pub async fn show(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    let all = person.web.app.guests().hardware(&person.actor, guest.row.id).await;
    let told = all.as_ref().map_err(Error::message);
    Ok(page::hardware(&person.page(), &head(&person, &guest)?, told))
}

/// The group with this word in its address.
fn group(settings: &MachineSettings, slug: &str) -> Result<String> {
    let found = settings.groups().into_iter().find(|group| page::slug(group) == slug);
    found.map(str::to_owned).ok_or_else(|| Error::not_found("There is nothing at this address."))
}

pub async fn edit_page(person: Person, Path((text, slug)): Path<(String, String)>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let head = head(&person, &guest)?;
    let group = group(&head.settings, &slug)?;
    let all = person.web.app.guests().hardware(&person.actor, guest.row.id).await?;
    Ok(page::edit(&person.page(), &head, &group, &all, &Form::new()))
}

/// The new values of the form: only values that differ from what is stored.
fn changes(settings: &MachineSettings, group: &str, all: &Hardware, form: &Form) -> BTreeMap<String, String> {
    let mine = page::of_group(settings, group, all).into_iter().filter(|(s, _)| s.when != When::New);
    let typed = mine.filter_map(|(s, now)| Some((s, typed_text(form, &s.key, s)?, now)));
    // What does not fit goes on as it was typed, to be told beside its field.
    let read = typed.map(|(s, text, now)| (&s.key, s.read_text(&text).unwrap_or(text), now));
    read.filter(|(_, value, now)| value != now.wanted()).map(|(key, value, _)| (key.clone(), value)).collect()
}

/// Preview, then change.
pub async fn edit(person: Person, Path((text, slug)): Path<(String, String)>, Checked { form, .. }: Checked) -> Answer {
    let guest = find(&person, &text)?;
    let guests = person.web.app.guests();
    let all = guests.hardware(&person.actor, guest.row.id).await?;
    let shown = head(&person, &guest)?;
    let group = group(&shown.settings, &slug)?;
    let values = changes(&shown.settings, &group, &all, &form);
    let redraw = async |p: Page, form: Form| Ok(page::edit(&p, &shown, &group, &all, &form));
    match form.value("go") {
        "back" => Ok(page::edit(&person.page(), &shown, &group, &all, &form).into_response()),
        _ if values.is_empty() => Ok(finished(&person, &back(&guest), "Nothing has changed.")),
        "change" => {
            let digest = Some(form.value("digest").to_owned()).filter(|d| !d.is_empty());
            let action = Ok(ChangeSettings { values, digest });
            submit(&person, &guest, &form, action, &back(&guest), redraw).await
        }
        _ => {
            let planned = async {
                let plan = guests.good_plan(&person.actor, guest.row.id, &values).await?;
                Ok(page::preview(&person.page(), &shown, &slug, &plan, &form).into_response())
            };
            forms::submit(&person, &form, planned, redraw).await
        }
    }
}

fn back(guest: &GuestLive) -> String {
    format!("/machines/{}/hardware", guest.row.id)
}

pub fn revert_kind(_: &str) -> Option<ActionKind> {
    Some(ActionKind::Revert)
}

pub async fn revert(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let keys = form.values("key").to_vec();
    press(&person, &guest, Ok(RevertSettings { keys }), &back(&guest)).await
}

async fn choices(person: &Person, guest: &GuestLive) -> Choices {
    // Without an answer the lists are empty; the provider's refusal is the last word anyway.
    person.web.app.guests().choices(&person.actor, guest).await.unwrap_or_default()
}

pub async fn disk_page(person: Person, Path((text, key)): Path<(String, String)>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    Ok(draw_disk(&person, &guest, &key, &person.page(), &Form::new()).await?)
}

async fn draw_disk(person: &Person, guest: &GuestLive, key: &str, p: &Page, form: &Form) -> Result<Markup> {
    let all = person.web.app.guests().hardware(&person.actor, guest.row.id).await?;
    let choices = choices(person, guest).await;
    let disk = all.disks.iter().find(|d| d.key == key);
    if disk.is_none() && key != "new" {
        return Err(Error::not_found("The machine has no such disk."));
    }
    Ok(page::disk(p, &head(person, guest)?, &all, disk, &choices, form))
}

/// What the last word of an address asks for.
pub fn disk_kind(verb: &str) -> Option<ActionKind> {
    Some(match verb {
        "add" => ActionKind::AddDisk,
        "grow" => ActionKind::GrowDisk,
        "move" => ActionKind::MoveDisk,
        "detach" => ActionKind::DetachDisk,
        "attach" => ActionKind::AttachDisk,
        "delete" => ActionKind::DeleteDisk,
        "image" => ActionKind::ChangeCd,
        _ => return None,
    })
}

pub async fn disk(
    person: Person,
    Path((text, key, what)): Path<(String, String, String)>,
    Checked { form, .. }: Checked,
) -> Answer {
    let guest = find(&person, &text)?;
    let kind = disk_kind(&what).ok_or_else(|| Error::not_found("There is nothing at this address."))?;
    let sure = if kind == ActionKind::DeleteDisk { confirmed(&form, "confirm", "disk", &key) } else { Ok(()) };
    let action = sure.and_then(|()| kind.read(form.clone().replace("disk", key.as_str()).node()));
    let redraw = async |p, form| draw_disk(&person, &guest, &key, &p, &form).await;
    submit(&person, &guest, &form, action, &back(&guest), redraw).await
}

pub async fn nic_page(person: Person, Path((text, key)): Path<(String, String)>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    Ok(draw_nic(&person, &guest, &key, &person.page(), &Form::new()).await?)
}

async fn draw_nic(person: &Person, guest: &GuestLive, key: &str, p: &Page, form: &Form) -> Result<Markup> {
    let all = person.web.app.guests().hardware(&person.actor, guest.row.id).await?;
    let choices = choices(person, guest).await;
    let nic = all.nics.iter().find(|n| n.key == key);
    if nic.is_none() && key != "new" {
        return Err(Error::not_found("The machine has no such network card."));
    }
    Ok(page::nic(p, &head(person, guest)?, &all, nic, &choices, form))
}

pub fn nic_kind(verb: &str) -> Option<ActionKind> {
    Some(match verb {
        "add" => ActionKind::AddNic,
        "change" => ActionKind::ChangeNic,
        "remove" => ActionKind::RemoveNic,
        _ => return None,
    })
}

pub async fn nic(
    person: Person,
    Path((text, key, what)): Path<(String, String, String)>,
    Checked { form, .. }: Checked,
) -> Answer {
    let guest = find(&person, &text)?;
    let kind = nic_kind(&what).ok_or_else(|| Error::not_found("There is nothing at this address."))?;
    let action = kind.read(Node::of_form([("key", key.as_str())]).with("nic", form.node()));
    let redraw = async |p, form| draw_nic(&person, &guest, &key, &p, &form).await;
    submit(&person, &guest, &form, action, &back(&guest), redraw).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::gallery::samples;
    use model::guests::hardware::HardwareValue;

    #[test]
    fn only_what_differs_is_changed() {
        let value = |key: &str, current: &str, pending: Option<&str>| HardwareValue {
            key: key.into(),
            current: current.into(),
            pending: pending.map(str::to_owned),
            ..HardwareValue::default()
        };
        let values = vec![value("cores", "2", Some("4")), value("sockets", "1", None), value("numa", "1", None)];
        let all = Hardware { values, ..Hardware::default() };
        let form = Form::from_pairs([("cores", "4"), ("sockets", " 2 "), ("numa", "off"), ("memory", "1")]);
        let values = changes(&samples::settings(), "Processor", &all, &form);
        assert_eq!(values, BTreeMap::from([("numa".into(), "0".into()), ("sockets".into(), "2".into())]));
    }
}
