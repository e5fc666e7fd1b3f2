//! Hardware profiles for admins, and applying one to a machine.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{finished, id, submit};
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::frame::options::typed_text;
use crate::frame::{Form, Page};
use crate::guests::actions;
use crate::guests::one::{Machine, head};
use crate::hardware_profiles::page::{EditView, ProfileChoice, ProfileItem, ProfilesView};
use crate::hardware_profiles::rest::ProfilePolicy;
use crate::rest::reading::Node;
use axum::extract::Query;
use axum::response::IntoResponse;
use base::ids::ProfileId;
use base::{Error, Result};
use maud::Markup;
use model::guests::GuestKind;
use model::guests::actions::ApplyProfile;
use model::guests::settings::MachineSettings;
use model::options::OptionKind;
use model::profiles::{MOST_DISKS, Profile, ProfileRequest};
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
        let there = app.guests().settings_of(c.id, GuestKind::Vm).for_profiles();
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

pub async fn policy(person: Person, Checked { form, .. }: Checked) -> Answer {
    let saved = async {
        let ProfilePolicy { required } = form.read()?;
        person.web.app.hardware_profiles().set_required(&person.actor, required).await?;
        Ok(match required {
            true => finished(&person, LIST, "From now on everyone must pick a profile."),
            false => finished(&person, LIST, "Picking a profile is now optional."),
        })
    };
    submit(&person, &form, saved, async |p, form| Ok(page::list(&p, &view(&person)?, &form))).await
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

pub async fn show(person: Person, Id(id): Id<ProfileId>) -> Answer<Markup> {
    person.actor.require_admin()?;
    let known = person.web.app.hardware_profiles().get(&person.actor, id)?;
    Ok(page::edit(&person.page(), &edit_view(&person, Some(id)).await?, &page::filled(&known)))
}

pub async fn create(person: Person, Checked { form, .. }: Checked) -> Answer {
    save(person, None, form).await
}

pub async fn change(person: Person, Id(id): Id<ProfileId>, Checked { form, .. }: Checked) -> Answer {
    save(person, Some(id), form).await
}

async fn save(person: Person, id: Option<ProfileId>, form: Form) -> Answer {
    if form.value("go") == "more" {
        let rows: usize = form.value("rows").parse().unwrap_or(0);
        let form = form.replace("rows", (rows + 1).min(MOST_DISKS).to_string());
        return Ok(page::edit(&person.page(), &edit_view(&person, id).await?, &form).into_response());
    }
    let saved = async {
        let profiles = person.web.app.hardware_profiles();
        let settings = profiles.settings();
        let (node, rows) = node(&form, &settings);
        let fits = |request: &ProfileRequest| Error::of_fields(request.clone().read(&settings).1);
        let saved = async { profiles.put(&person.actor, id, node.read_checked(fits)?).await };
        let saved = saved.await.map_err(|e| e.rename_fields(|field| in_row(field, &rows)))?;
        Ok(finished(&person, LIST, &format!("The profile “{}” is saved.", saved.name)))
    };
    submit(&person, &form, saved, async |p, form| Ok(page::edit(&p, &edit_view(&person, id).await?, &form))).await
}

/// The form as a profile's request, and in which rows its further disks stand.
fn node(form: &Form, settings: &MachineSettings) -> (Node, Vec<usize>) {
    let (mut disks, mut rows) = (Vec::new(), Vec::new());
    for n in 0..MOST_DISKS {
        let start = format!("disks.{n}.");
        let parts = form.pairs().filter_map(|(name, value)| Some((name.strip_prefix(&start)?, value)));
        let parts: Vec<_> = parts.filter(|(_, value)| !value.trim().is_empty()).collect();
        if !parts.is_empty() {
            rows.push(n);
            // What has no size is told as a wrong one.
            let none = parts.iter().all(|(part, _)| *part != "gib").then_some(("gib", "0"));
            disks.push(Node::of_form(none.into_iter().chain(parts)));
        }
    }
    let values = settings.iter().filter(|s| s.kind != OptionKind::Disks);
    let values = values.filter_map(|s| Some((s.key.clone(), Node::Text(typed_text(form, &s.key, s)?))));
    let locked = settings.iter().filter(|s| form.has(&format!("lock.{}", s.key)));
    let node = form.node().with("values", Node::Object(values.collect())).with("disks", Node::List(disks));
    (node.with("locked", Node::List(locked.map(|s| Node::word(&s.key)).collect())), rows)
}

/// Names the row of the form instead of the place in the list.
fn in_row(field: &str, rows: &[usize]) -> String {
    let row = field.strip_prefix("disks[").and_then(|rest| {
        let (n, part) = rest.split_once("].")?;
        Some(format!("disks.{}.{part}", rows.get(n.parse::<usize>().ok()?)?))
    });
    row.unwrap_or_else(|| field.to_owned())
}

pub async fn delete(person: Person, Id(id): Id<ProfileId>, Checked { form, .. }: Checked) -> Answer {
    let profiles = person.web.app.hardware_profiles();
    let deleted = async {
        profiles.remove(&person.actor, id, form.value("confirm")).await?;
        Ok(finished(&person, LIST, "The profile is deleted."))
    };
    submit(&person, &form, deleted, async |p, form: Form| {
        let form = form.filled_from(&page::filled(&profiles.get(&person.actor, id)?));
        Ok(page::edit(&p, &edit_view(&person, Some(id)).await?, &form))
    })
    .await
}

pub async fn apply_page(person: Person, Machine(guest): Machine) -> Answer<Markup> {
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
pub async fn apply(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let guests = person.web.app.guests();
    guests.may_apply(&person.actor, guest.row.id)?;
    let shown = head(&person, &guest)?;
    let (list, has) = offers(&person, &guest)?;
    let redraw = async |p: Page, form: Form| Ok(page::apply(&p, &shown, &list, has.as_deref(), &form));
    let action = form.action::<ApplyProfile>();
    match form.value("go") {
        "back" => return Ok(page::apply(&person.page(), &shown, &list, has.as_deref(), &form).into_response()),
        "apply" => {
            let back = format!("/machines/{}/hardware", guest.row.id);
            return actions::submit(&person, &guest, &form, action, &back, redraw).await;
        }
        _ => {}
    }
    let planned = async {
        let action = action?;
        let profile = person.web.app.hardware_profiles().find(&person.actor, &action.profile)?;
        let plan = guests.plan_profile(&person.actor, guest.row.id, profile.id, action.disks).await?;
        let settings = person.web.app.hardware_profiles().settings();
        Ok(page::preview(&person.page(), &shown, &settings, &profile, &plan, &form).into_response())
    };
    submit(&person, &form, planned, redraw).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::gallery::samples;

    #[test]
    fn a_form_is_a_profile_and_empty_rows_of_disks_count_for_nothing() {
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
        let (node, rows) = node(&form, &settings);
        let (request, wrong) = node.read::<ProfileRequest>().unwrap().read(&settings);
        assert_eq!((request.name.as_str(), request.values.len(), rows.as_slice()), ("Web", 1, [1, 3].as_slice()));
        assert!(request.locked.contains("cores") && request.disks[0].ssd == Some(true) && request.disks[1].gib == 0);
        let e = Error::of_fields(wrong).unwrap_err().rename_fields(|field| in_row(field, &rows));
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["disks.3.gib"]);
    }
}
