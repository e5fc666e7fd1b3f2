//! Hardware profiles for admins, and applying one to a machine.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::options::typed_text;
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
use model::guests::settings::MachineSettings;
use model::options::OptionKind;
use model::profiles::{MOST_DISKS, MoreDisk, Profile, ProfileWish};
use serde::Deserialize;

const LIST: &str = "/settings/profiles";

fn view(person: &Person) -> Result<ProfilesView> {
    let profiles = person.web.app.hardware_profiles();
    let settings = profiles.settings();
    let item = |p: Profile| ProfileItem {
        machines: profiles.used_by(&person.actor, p.id).len(),
        summary: p.summary(&settings),
        fixed: p.locked.iter().map(|key| settings.label(key).to_owned()).collect(),
        profile: p,
    };
    Ok(ProfilesView {
        items: profiles.list(&person.actor)?.into_iter().map(item).collect(),
        required: profiles.required()?,
        limited: limited(person, &settings),
    })
}

/// Connections whose provider takes less of a profile than others, with what it takes.
fn limited(person: &Person, settings: &MachineSettings) -> Vec<(String, String)> {
    let app = &person.web.app;
    let snapshot = app.live().snapshot();
    let can = |c: &app::live::ConnectionLive| {
        let there = app.guests().settings_of(c.id, GuestKind::Qemu).for_profiles();
        let (can, lacks): (Vec<_>, Vec<_>) = settings.iter().partition(|s| there.find(&s.key).is_some());
        let can: Vec<&str> = can.into_iter().map(|s| s.label.as_str()).collect();
        (!lacks.is_empty()).then(|| (c.name.clone(), can.join(", ")))
    };
    snapshot.connections.iter().filter_map(can).collect()
}

pub async fn list(person: Person) -> Answer<Markup> {
    person.actor.require_admin()?;
    Ok(page::list(&person.page(), &view(&person)?, &Form::new()))
}

pub async fn policy(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    let required = form.on("required", false);
    match person.web.app.hardware_profiles().set_required(&person.actor, required).await {
        Ok(()) if required => Ok(finished(&person, LIST, "From now on everyone must pick a profile.")),
        Ok(()) => Ok(finished(&person, LIST, "Picking a profile is now optional.")),
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
    let settings = app.hardware_profiles().settings();
    Ok(EditView {
        id,
        name: known.map(|p| p.name).unwrap_or_default(),
        used_by: id.map(|id| app.hardware_profiles().used_by(&person.actor, id)).unwrap_or_default(),
        storages,
        bridges,
        limited: limited(person, &settings),
        settings,
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
    let (wish, rows) = wish(&form, &person.web.app.hardware_profiles().settings());
    match person.web.app.hardware_profiles().put(&person.actor, id, wish).await {
        Ok(saved) => Ok(finished(&person, LIST, &format!("The profile “{}” is saved.", saved.name))),
        Err(e) => {
            let view = edit_view(&person, id).await?;
            again(&person, form, in_rows(&e, &rows), |p, form| page::edit(p, &view, form))
        }
    }
}

/// The form's values as a requested profile, and which rows hold its further disks.
fn wish(form: &Form, settings: &MachineSettings) -> (ProfileWish, Vec<usize>) {
    let word = |name: &str| form.value(name).trim().to_owned();
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
            // Anything that is not a number is reported as a wrong size.
            gib: word(&name("gib")).parse().unwrap_or(0),
            storage: some(word(&name("storage"))),
            cache: some(word(&name("cache"))),
            discard: flag(&name("discard")),
            ssd: flag(&name("ssd")),
            iothread: flag(&name("iothread")),
        });
    }
    let values = settings.iter().filter(|s| s.kind != OptionKind::Disks);
    let wish = ProfileWish {
        name: word("name"),
        note: word("note"),
        values: values.filter_map(|s| Some((s.key.clone(), typed_text(form, &s.key, s)?))).collect(),
        locked: settings.iter().map(|s| s.key.clone()).filter(|k| form.has(&format!("lock.{k}"))).collect(),
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
    let settings = app.hardware_profiles().settings();
    let choice = |p: Profile| ProfileChoice { refusal: refusal(&p), summary: p.summary(&settings), profile: p };
    let choices = all.map(choice).collect();
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
        Ok((profile, plan)) => Ok(page::preview(
            &person.page(),
            &shown,
            &person.web.app.hardware_profiles().settings(),
            &profile,
            &plan,
            &form,
        )
        .into_response()),
        Err(e) => again(&person, form, e, draw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::gallery::samples;

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
        let settings = samples::settings().for_profiles();
        let (wish, rows) = wish(&form, &settings);
        let (wish, wrong) = wish.read(&settings);
        assert_eq!((wish.name.as_str(), wish.values.len(), rows.as_slice()), ("Web", 1, [1, 3].as_slice()));
        assert!(wish.locked.contains("cores") && wish.disks[0].ssd == Some(true) && wish.disks[1].gib == 0);
        let e = in_rows(&Error::of_fields(wrong).unwrap_err(), &rows);
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["disks.3.gib"]);
    }
}
