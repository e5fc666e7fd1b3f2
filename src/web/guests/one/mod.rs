//! One machine's page: its tabs, its charts, giving it away, deleting it.

pub mod page;

use crate::door::csrf::Checked;
use crate::door::forms::id;
use crate::door::problem::{Answer, refuse};
use crate::door::visit::{Id, Person};
use crate::frame::Form;
use crate::guests::actions::{confirmed, submit};
use crate::guests::impact;
use crate::guests::list::Rows;
use crate::guests::one::page::{HistoryView, MachineHead};
use app::guests::HistoryPoint;
use app::live::GuestLive;
use axum::Json;
use axum::extract::{FromRequestParts, Path, Query};
use axum::response::{IntoResponse as _, Response};
use base::ids::GuestId;
use base::{Error, Result};
use http::header;
use http::request::Parts;
use maud::Markup;
use model::access::GuestRight;
use model::guests::actions::Delete;
use model::guests::{ActionKind, System};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The page must not wait long for addresses, which the guest agent may never give.
const ADDRESSES: Duration = Duration::from_millis(800);

pub async fn show(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    let mut head = head(&person, &guest)?;
    head.addresses = addresses(&person, &guest).await;
    head.system = person.web.app.guests().system(&guest).await;
    Ok(page::machine(&person.page(), &head))
}

/// What a remote desktop program opens: the machine's address of now, Network Level Authentication, no password.
pub async fn remote_desktop(person: Person, Path(text): Path<String>) -> Answer {
    let app = &person.web.app;
    let guest = find(&person, &text)?;
    if person.actor.guest_right(&guest.row) < Some(GuestRight::Use) {
        return Err(Error::forbidden("You may view this machine, but not use it.").into());
    }
    if app.guests().system(&guest).await != System::Windows {
        return Err(Error::conflict("This machine is not known to have Windows.").into());
    }
    let address = page::rdp_address(&addresses(&person, &guest).await);
    let address = address.ok_or_else(|| Error::conflict("The machine's address is not known right now."))?;
    let text = format!(
        "full address:s:{address}:3389\r\nprompt for credentials:i:1\r\nenablecredsspsupport:i:1\r\nauthentication level:i:2\r\n\
         audiomode:i:0\r\nredirectclipboard:i:1\r\n"
    );
    let name = format!(
        "attachment; filename=\"{}.rdp\"",
        guest.state.name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_")
    );
    let headers = [(header::CONTENT_TYPE, "application/x-rdp".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, text).into_response())
}

pub async fn history(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    let story = person.web.app.guests().story(&person.actor, guest.row.id)?;
    let view = HistoryView { jobs: story.jobs, audit: story.audit };
    Ok(page::history(&person.page(), &head(&person, &guest)?, &view))
}

pub async fn danger(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    let impact = impact::of(&person, &guest, ActionKind::Delete.into()).await?;
    Ok(page::danger(&person.page(), &head(&person, &guest)?, &impact, &Form::new()))
}

/// The machine in the address.
#[derive(Debug)]
pub struct Machine(pub Arc<GuestLive>);

impl<S: Send + Sync> FromRequestParts<S> for Machine {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> std::result::Result<Self, Response> {
        let person = Person::from_request_parts(parts, state).await?;
        let Id(id) = Id::from_request_parts(parts, state).await?;
        person.web.app.guests().get(&person.actor, id).map(Self).map_err(refuse)
    }
}

pub(crate) fn find(person: &Person, text: &str) -> Result<Arc<GuestLive>> {
    person.web.app.guests().get(&person.actor, id::<GuestId>(text)?)
}

pub(crate) fn head(person: &Person, guest: &GuestLive) -> Result<MachineHead> {
    let app = &person.web.app;
    let snapshot = app.live().snapshot();
    let connection = snapshot.connection(guest.row.connection);
    let away = guest.last_seen.as_ref().and_then(|_| app.guests().why_unreachable(guest));
    let open = app.jobs().open(&person.actor)?.into_iter().filter(|j| j.subject.guest() == Some(guest.row.id));
    Ok(MachineHead {
        row: Rows::of(person)?.row(guest),
        connection: connection.map(|c| c.name.clone()).unwrap_or_default(),
        addresses: Vec::new(),
        maxdisk: guest.state.maxdisk,
        lock: guest.state.lock.clone(),
        told: guest.at,
        away,
        last_seen: guest.last_seen.clone(),
        missing_since: guest.row.missing_since,
        actions: app.guests().power_actions(&person.actor, guest),
        can_manage: person.actor.guest_right(&guest.row) == Some(GuestRight::Manage),
        can_use: person.actor.guest_right(&guest.row) >= Some(GuestRight::Use),
        jobs: open.collect(),
        features: app.guests().features(guest),
        settings: app.guests().settings(guest),
        system: System::Unknown,
        profile: app.guests().profile_of(guest)?.map(|p| {
            let fixes = !person.actor.is_admin();
            (p.name, if fixes { p.locked } else { Vec::new() })
        }),
    })
}

/// Addresses are asked from Proxmox each time; without an answer in time the page goes without.
async fn addresses(person: &Person, guest: &GuestLive) -> Vec<String> {
    if guest.is_stale() || guest.state.status != "running" {
        return Vec::new();
    }
    let guests = person.web.app.guests();
    let asked = guests.addresses(&person.actor, guest.row.id);
    match tokio::time::timeout(ADDRESSES, asked).await {
        Ok(Ok(list)) => list,
        Ok(Err(e)) => {
            tracing::debug!(guest.id = %guest.row.id, error = %e.chain(), "no addresses");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

#[derive(Debug, Deserialize)]
pub struct Range {
    range: String,
}

/// The charts' points, and what was done to the machine meanwhile as marks.
pub async fn history_json(person: Person, Machine(guest): Machine, Query(query): Query<Range>) -> Answer<Json<Value>> {
    let guests = person.web.app.guests();
    let points = guests.history(&person.actor, guest.row.id, &query.range).await?;
    let since = points.first().map_or(i64::MAX, |p| p.time);
    let jobs = guests.story(&person.actor, guest.row.id)?.jobs;
    let marks: Vec<Value> = jobs
        .iter()
        .filter_map(|j| Some((j.finished?.as_secs(), j)))
        .filter(|(at, _)| *at >= since)
        .map(|(at, j)| json!([at, j.title, format!("/jobs/{}", j.id)]))
        .collect();
    Ok(Json(json!({
        "range": query.range,
        "points": points.iter().map(point).collect::<Vec<_>>(),
        "maxcpu": guest.state.maxcpu,
        "maxmem": guest.state.maxmem,
        "marks": marks,
    })))
}

fn point(p: &HistoryPoint) -> Value {
    json!([p.time, p.cpu, p.mem, p.netin, p.netout, p.diskread, p.diskwrite])
}

pub async fn delete(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let action = confirmed(&form, "confirm", "machine", &guest.state.name).map(|()| Delete {});
    let redraw = async |p, form| {
        let impact = impact::of(&person, &guest, ActionKind::Delete.into()).await?;
        Ok(page::danger(&p, &head(&person, &guest)?, &impact, &form))
    };
    submit(&person, &guest, &form, action, "", redraw).await
}
