//! The hardware tab of a machine and its forms.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, maybe_number, number, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::{Form, Page};
use crate::guests::hardware::page::GROUPS;
use crate::guests::one::{find, head};
use app::live::GuestLive;
use axum::extract::Path;
use axum::response::IntoResponse;
use base::{Error, Result};
use maud::Markup;
use model::guests::GuestAction;
use model::guests::hardware::{Hardware, NicWish, SettingKind};
use model::nodes::Choices;
use std::collections::BTreeMap;

/// # Errors
/// `NotFound`.
pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let all = person.web.app.guests().hardware(&person.actor, guest.row.id).await;
    let told = all.as_ref().map_err(Error::message);
    Ok(page::hardware(&person.page(), &head(&person, &guest)?, told))
}

fn group(slug: &str) -> Result<&'static str> {
    let found = GROUPS.iter().find(|(s, _)| *s == slug);
    found.map(|(_, g)| *g).ok_or_else(|| Error::not_found("There is nothing at this address."))
}

/// # Errors
/// `NotFound`; `Unavailable` when the provider does not answer.
pub async fn edit_page(person: Person, Path((text, slug)): Path<(String, String)>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let group = group(&slug)?;
    let all = person.web.app.guests().hardware(&person.actor, guest.row.id).await?;
    Ok(page::edit(&person.page(), &head(&person, &guest)?, &slug, group, &all, &Form::new()))
}

/// What the form wishes: only values that differ from what is stored.
fn wishes(group: &str, all: &Hardware, form: &Form) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (setting, now) in page::of_group(group, all) {
        if setting.kind == SettingKind::Fixed || !form.has(setting.key) {
            continue;
        }
        let value = match setting.kind {
            SettingKind::Switch => if form.on(setting.key, false) { "1" } else { "0" }.to_owned(),
            _ => form.value(setting.key).replace('\r', "").trim().to_owned(),
        };
        if value != now.wanted() {
            values.insert(setting.key.to_owned(), value);
        }
    }
    values
}

/// Preview, then change.
///
/// # Errors
/// `NotFound`, `Forbidden`; `Unavailable` when the provider does not answer.
pub async fn edit(
    person: Person,
    Path((text, slug)): Path<(String, String)>,
    Checked { form, .. }: Checked<Pairs>,
) -> Answer {
    let guest = find(&person, &text)?;
    let group = group(&slug)?;
    let form = Form::from_pairs(form);
    let guests = person.web.app.guests();
    let all = guests.hardware(&person.actor, guest.row.id).await?;
    let shown = head(&person, &guest)?;
    let back = format!("/machines/{}/hardware", guest.row.id);
    let values = wishes(group, &all, &form);
    match form.value("go") {
        "back" => Ok(page::edit(&person.page(), &shown, &slug, group, &all, &form).into_response()),
        _ if values.is_empty() => Ok(finished(&person, &back, "Nothing is different from before.")),
        "change" => {
            let digest = Some(form.value("digest").to_owned()).filter(|d| !d.is_empty());
            match guests.request_action(&person.actor, guest.row.id, GuestAction::Change { values, digest }).await {
                Ok(job) => Ok(finished(&person, &back, &format!("{}: asked for.", job.title))),
                Err(e) => again(&person, form, e, |p, form| page::edit(p, &shown, &slug, group, &all, form)),
            }
        }
        _ => match guests.good_plan(&person.actor, guest.row.id, &values).await {
            Ok(plan) => Ok(page::preview(&person.page(), &shown, &slug, &plan, &form).into_response()),
            Err(e) => again(&person, form, e, |p, form| page::edit(p, &shown, &slug, group, &all, form)),
        },
    }
}

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn revert(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    let keys = Form::from_pairs(form).values("key").to_vec();
    let back = format!("/machines/{}/hardware", guest.row.id);
    match person.web.app.guests().request_action(&person.actor, guest.row.id, GuestAction::Revert { keys }).await {
        Ok(job) => Ok(finished(&person, &back, &format!("{}: asked for.", job.title))),
        Err(e) => refused(&person, &back, e),
    }
}

/// Asks for what a part's form wishes. A refusal comes back on the part's own page, with what was typed.
async fn ask<D: Fn(&Page, &Form) -> Markup>(
    person: &Person,
    guest: &GuestLive,
    form: Form,
    wish: Result<GuestAction>,
    draw: impl Future<Output = Result<D>>,
) -> Answer {
    let asked = match wish {
        Ok(wish) => person.web.app.guests().request_action(&person.actor, guest.row.id, wish).await,
        Err(e) => Err(e),
    };
    match asked {
        Ok(job) => {
            let back = format!("/machines/{}/hardware", guest.row.id);
            Ok(finished(person, &back, &format!("{}: asked for.", job.title)))
        }
        Err(e) => again(person, form, e, draw.await?),
    }
}

async fn choices(person: &Person, guest: &GuestLive) -> Choices {
    // Without an answer the lists are empty; the provider's refusal is the last word anyway.
    person.web.app.guests().choices(&person.actor, guest).await.unwrap_or_default()
}

/// # Errors
/// `NotFound`; `Unavailable` when the provider does not answer.
pub async fn disk_page(person: Person, Path((text, key)): Path<(String, String)>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    draw_disk(&person, &guest, &key).await.map(|draw| draw(&person.page(), &Form::new())).map_err(Into::into)
}

/// The page of one disk, ready to be drawn with any form.
async fn draw_disk(person: &Person, guest: &GuestLive, key: &str) -> Result<impl Fn(&Page, &Form) -> Markup + use<>> {
    let all = person.web.app.guests().hardware(&person.actor, guest.row.id).await?;
    let choices = choices(person, guest).await;
    let head = head(person, guest)?;
    let disk = all.disks.iter().find(|d| d.key == key).cloned();
    if disk.is_none() && key != "new" {
        return Err(Error::not_found("The machine has no such disk (any more)."));
    }
    Ok(move |p: &Page, form: &Form| page::disk(p, &head, &all, disk.as_ref(), &choices, form))
}

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn disk(
    person: Person,
    Path((text, key, what)): Path<(String, String, String)>,
    Checked { form, .. }: Checked<Pairs>,
) -> Answer {
    let guest = find(&person, &text)?;
    let form = Form::from_pairs(form);
    let wish = disk_wish(&key, &what, &form);
    ask(&person, &guest, form, wish, draw_disk(&person, &guest, &key)).await
}

fn disk_wish(key: &str, what: &str, form: &Form) -> Result<GuestAction> {
    let (disk, word) = (key.to_owned(), |name: &str| form.value(name).trim().to_owned());
    let path = Some(word("path")).filter(|p| !p.is_empty());
    Ok(match what {
        "add" => GuestAction::AddDisk { bus: word("bus"), storage: word("storage"), gib: number(form, "gib")?, path },
        "grow" => GuestAction::GrowDisk { disk, gib: number(form, "gib")? },
        "move" => GuestAction::MoveDisk { disk, storage: word("storage"), format: None, keep: form.on("keep", false) },
        "detach" => GuestAction::DetachDisk { disk },
        "attach" => GuestAction::AttachDisk { disk, bus: word("bus"), path },
        "delete" if word("confirm") != key => {
            return Err(Error::field("confirm", "Type the disk's name exactly as shown to delete it."));
        }
        "delete" => GuestAction::DeleteDisk { disk },
        "image" => GuestAction::ChangeCd { disk, volid: Some(word("volid")).filter(|v| !v.is_empty()) },
        _ => return Err(Error::not_found("There is nothing at this address.")),
    })
}

/// # Errors
/// `NotFound`; `Unavailable` when the provider does not answer.
pub async fn nic_page(person: Person, Path((text, key)): Path<(String, String)>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    draw_nic(&person, &guest, &key).await.map(|draw| draw(&person.page(), &Form::new())).map_err(Into::into)
}

async fn draw_nic(person: &Person, guest: &GuestLive, key: &str) -> Result<impl Fn(&Page, &Form) -> Markup + use<>> {
    let all = person.web.app.guests().hardware(&person.actor, guest.row.id).await?;
    let choices = choices(person, guest).await;
    let head = head(person, guest)?;
    let nic = all.nics.iter().find(|n| n.key == key).cloned();
    if nic.is_none() && key != "new" {
        return Err(Error::not_found("The machine has no such network card (any more)."));
    }
    Ok(move |p: &Page, form: &Form| page::nic(p, &head, &all, nic.as_ref(), &choices, form))
}

/// # Errors
/// `NotFound`, `Forbidden`.
pub async fn nic(
    person: Person,
    Path((text, key, what)): Path<(String, String, String)>,
    Checked { form, .. }: Checked<Pairs>,
) -> Answer {
    let guest = find(&person, &text)?;
    let form = Form::from_pairs(form);
    let wish = nic_wish(&key, &what, &form);
    ask(&person, &guest, form, wish, draw_nic(&person, &guest, &key)).await
}

fn nic_wish(key: &str, what: &str, form: &Form) -> Result<GuestAction> {
    if what == "remove" {
        return Ok(GuestAction::RemoveNic { key: key.to_owned() });
    }
    let some = |name: &str| Some(form.value(name).trim().to_owned()).filter(|t| !t.is_empty());
    let nic = NicWish {
        bridge: some("bridge").unwrap_or_default(),
        // A container's cards have only one model.
        model: some("model").filter(|m| m != "veth"),
        vlan: maybe_number(form, "vlan")?,
        firewall: form.on("firewall", false),
        link: form.on("link", true),
        mac: some("mac"),
        address: some("address"),
    };
    match what {
        "add" => Ok(GuestAction::AddNic { nic }),
        "change" => Ok(GuestAction::ChangeNic { key: key.to_owned(), nic }),
        _ => Err(Error::not_found("There is nothing at this address.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::guests::hardware::HardwareValue;

    #[test]
    fn only_what_differs_is_wished() {
        let value = |key: &str, current: &str, pending: Option<&str>| HardwareValue {
            key: key.into(),
            current: current.into(),
            pending: pending.map(str::to_owned),
            ..HardwareValue::default()
        };
        let values = vec![value("cores", "2", Some("4")), value("sockets", "1", None), value("numa", "1", None)];
        let all = Hardware { values, ..Hardware::default() };
        let form = Form::from_pairs([("cores", "4"), ("sockets", " 2 "), ("numa", "off"), ("memory", "1")]);
        let wished = wishes("Processor", &all, &form);
        assert_eq!(wished, BTreeMap::from([("numa".into(), "0".into()), ("sockets".into(), "2".into())]));
    }

    #[test]
    fn a_disk_is_deleted_only_when_its_name_is_typed() {
        let e = disk_wish("unused0", "delete", &Form::new().set("confirm", "unused")).unwrap_err();
        assert!(e.fields().contains_key("confirm"));
        assert!(disk_wish("unused0", "delete", &Form::new().set("confirm", "unused0")).is_ok());
    }
}
