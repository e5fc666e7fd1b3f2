//! Hardware profiles for admins, and applying one to a machine.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::{Form, Page};
use crate::guests::actions::submit;
use crate::guests::one::{find, head};
use crate::hardware_profiles::page::{EditView, ProfileChoice, ProfileItem, ProfilesView};
use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use base::ids::ProfileId;
use base::{Error, Result};
use maud::Markup;
use model::guests::GuestKind;
use model::guests::actions::ApplyProfile;
use model::profiles::{FIELDS, MOST_DISKS, MoreDisk, Profile, ProfileWish};
use model::providers::Feature;
use serde::Deserialize;

const LIST: &str = "/settings/profiles";

fn view(person: &Person) -> Result<ProfilesView> {
    let profiles = person.web.app.hardware_profiles();
    let item = |p: Profile| ProfileItem { machines: profiles.used_by(&person.actor, p.id).len(), profile: p };
    Ok(ProfilesView {
        items: profiles.list(&person.actor)?.into_iter().map(item).collect(),
        required: profiles.required()?,
        basic_only: basic_only(person),
    })
}

/// Connections whose provider takes only the basics.
fn basic_only(person: &Person) -> Vec<String> {
    let app = &person.web.app;
    let snapshot = app.live().snapshot();
    let lacks = |c: &&app::live::ConnectionLive| !app.guests().can(c.id, GuestKind::Qemu, Feature::Profiles);
    snapshot.connections.iter().filter(lacks).map(|c| c.name.clone()).collect()
}

pub async fn list(person: Person) -> Answer<Markup> {
    person.actor.require_admin()?;
    Ok(page::list(&person.page(), &view(&person)?, &Form::new()))
}

pub async fn policy(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    let required = form.on("required", false);
    match person.web.app.hardware_profiles().set_required(&person.actor, required).await {
        Ok(()) if required => Ok(finished(&person, LIST, "From now on everybody picks a profile.")),
        Ok(()) => Ok(finished(&person, LIST, "A profile is picked by those who want one.")),
        Err(e) => {
            let view = view(&person)?;
            again(&person, form, e, |p, form| page::list(p, &view, form))
        }
    }
}

/// What the form offers.
async fn edit_view(person: &Person, id: Option<ProfileId>) -> Result<EditView> {
    let app = &person.web.app;
    let known = id.map(|id| app.hardware_profiles().get(&person.actor, id)).transpose()?;
    let (storages, bridges) = app.hardware_profiles().places(&person.actor).await?;
    Ok(EditView {
        id,
        name: known.map(|p| p.name).unwrap_or_default(),
        used_by: id.map(|id| app.hardware_profiles().used_by(&person.actor, id)).unwrap_or_default(),
        storages,
        bridges,
        basic_only: basic_only(person),
    })
}

#[derive(Debug, Deserialize)]
pub struct From {
    /// A profile whose values the form starts with.
    copy: Option<String>,
}

pub async fn new_page(person: Person, Query(from): Query<From>) -> Answer<Markup> {
    person.actor.require_admin()?;
    let form = match &from.copy {
        Some(text) => {
            let known = person.web.app.hardware_profiles().get(&person.actor, id::<ProfileId>(text)?)?;
            page::filled(&known).replace("name", format!("{} copy", known.name))
        }
        None => Form::new(),
    };
    Ok(page::edit(&person.page(), &edit_view(&person, None).await?, &form))
}

pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    person.actor.require_admin()?;
    let id = id::<ProfileId>(&text)?;
    let known = person.web.app.hardware_profiles().get(&person.actor, id)?;
    Ok(page::edit(&person.page(), &edit_view(&person, Some(id)).await?, &page::filled(&known)))
}

pub async fn create(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    save(person, None, Form::from_pairs(form)).await
}

pub async fn change(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    save(person, Some(id::<ProfileId>(&text)?), Form::from_pairs(form)).await
}

async fn save(person: Person, id: Option<ProfileId>, form: Form) -> Answer {
    if form.value("go") == "more" {
        let rows: usize = form.value("rows").parse().unwrap_or(0);
        let form = form.replace("rows", (rows + 1).min(MOST_DISKS).to_string());
        return Ok(page::edit(&person.page(), &edit_view(&person, id).await?, &form).into_response());
    }
    let (wish, rows) = wish(&form);
    match person.web.app.hardware_profiles().put(&person.actor, id, wish).await {
        Ok(saved) => Ok(finished(&person, LIST, &format!("The profile “{}” is saved.", saved.name))),
        Err(e) => {
            let view = edit_view(&person, id).await?;
            again(&person, form, in_rows(&e, &rows), |p, form| page::edit(p, &view, form))
        }
    }
}

/// The form's words as a wished profile, and in which rows its further disks stand.
fn wish(form: &Form) -> (ProfileWish, Vec<usize>) {
    let word = |name: &str| form.value(name).trim().to_owned();
    let keys = FIELDS.iter().map(|f| f.key);
    let some = |text: String| Some(text).filter(|t| !t.is_empty());
    let flag = |name: &str| some(word(name)).map(|v| v == "1");
    let (mut disks, mut rows) = (Vec::new(), Vec::new());
    for n in 0..MOST_DISKS {
        let name = |part: &str| format!("disks.{n}.{part}");
        let parts = ["gib", "storage", "cache", "discard", "ssd", "iothread"];
        if parts.iter().all(|part| word(&name(part)).is_empty()) {
            continue;
        }
        rows.push(n);
        disks.push(MoreDisk {
            // What is no number is told as a wrong size.
            gib: word(&name("gib")).parse().unwrap_or(0),
            storage: some(word(&name("storage"))),
            cache: some(word(&name("cache"))),
            discard: flag(&name("discard")),
            ssd: flag(&name("ssd")),
            iothread: flag(&name("iothread")),
        });
    }
    let wish = ProfileWish {
        name: word("name"),
        note: word("note"),
        values: keys.clone().filter(|k| *k != "disks").map(|k| (k.to_owned(), word(k))).collect(),
        locked: keys.filter(|k| form.has(&format!("lock.{k}"))).map(str::to_owned).collect(),
        disks,
    };
    (wish, rows)
}

/// Names the rows of the form instead of the places in the list.
fn in_rows(e: &Error, rows: &[usize]) -> Error {
    let start = Error::new(e.kind(), e.message());
    e.fields().iter().fold(start, |out, (name, text)| {
        let row = name.strip_prefix("disks.").and_then(|rest| {
            let (n, part) = rest.split_once('.')?;
            Some(format!("disks.{}.{part}", rows.get(n.parse::<usize>().ok()?)?))
        });
        out.with_field(row.as_deref().unwrap_or(name), text.clone())
    })
}

pub async fn delete(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let id = id::<ProfileId>(&text)?;
    let profiles = person.web.app.hardware_profiles();
    let typed = Form::from_pairs(form);
    match profiles.remove(&person.actor, id, typed.value("confirm")).await {
        Ok(()) => Ok(finished(&person, LIST, "The profile is deleted.")),
        Err(e) => {
            let known = profiles.get(&person.actor, id)?;
            let form = page::filled(&known).replace("confirm", typed.value("confirm"));
            let view = edit_view(&person, Some(id)).await?;
            again(&person, form, e, |p, form| page::edit(p, &view, form))
        }
    }
}

pub async fn apply_page(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
    let (list, has) = offers(&person, &guest)?;
    Ok(page::apply(&person.page(), &head(&person, &guest)?, &list, has.as_deref(), &Form::new()))
}

fn offers(person: &Person, guest: &app::live::GuestLive) -> Result<(Vec<ProfileChoice>, Option<String>)> {
    let app = &person.web.app;
    let all = app.hardware_profiles().list(&person.actor)?.into_iter();
    let has = app.guests().profile_of(guest)?;
    let bound = has.as_ref().filter(|p| !p.locked.is_empty() && !person.actor.is_admin());
    let refusal = |other: &Profile| {
        bound
            .filter(|p| p.id != other.id)
            .map(|_| "Its present profile fixes values, so only an admin can apply another.".to_owned())
    };
    let choices = all.map(|profile| ProfileChoice { refusal: refusal(&profile), profile }).collect();
    Ok((choices, has.map(|p| p.name)))
}

/// Preview, then apply.
pub async fn apply(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let guest = find(&person, &text)?;
    let form = Form::from_pairs(form);
    let guests = person.web.app.guests();
    guests.may_apply(&person.actor, guest.row.id)?;
    let shown = head(&person, &guest)?;
    let (list, has) = offers(&person, &guest)?;
    let draw = |p: &Page, form: &Form| page::apply(p, &shown, &list, has.as_deref(), form);
    let action = form.action::<ApplyProfile>();
    match form.value("go") {
        "back" => return Ok(draw(&person.page(), &form).into_response()),
        "apply" => {
            let back = format!("/machines/{}/hardware", guest.row.id);
            return submit(&person, &guest, form, action, &back, async { Ok(draw) }).await;
        }
        _ => {}
    }
    let planned = async {
        let action = action?;
        let profile = person.web.app.hardware_profiles().find(&person.actor, &action.profile)?;
        let plan = guests.plan_profile(&person.actor, guest.row.id, profile.id, action.disks).await?;
        Ok((profile, plan))
    };
    match planned.await {
        Ok((profile, plan)) => Ok(page::preview(&person.page(), &shown, &profile, &plan, &form).into_response()),
        Err(e) => again(&person, form, e, draw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_wished_profile_and_empty_rows_of_disks_count_for_nothing() {
        let form = Form::from_pairs([
            ("name", " Web "),
            ("cores", "2"),
            ("memory", ""),
            ("lock.cores", "on"),
            ("disks.0.gib", ""),
            ("disks.1.gib", "5"),
            ("disks.1.ssd", "1"),
            ("disks.3.storage", "nas"),
        ]);
        let (wish, rows) = wish(&form);
        let wish = wish.tidy();
        assert_eq!((wish.name.as_str(), wish.values.len(), rows.as_slice()), ("Web", 1, [1, 3].as_slice()));
        assert!(wish.locked.contains("cores") && wish.disks[0].ssd == Some(true) && wish.disks[1].gib == 0);
        let e = in_rows(&wish.check().unwrap_err(), &rows);
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["disks.3.gib"]);
    }
}
