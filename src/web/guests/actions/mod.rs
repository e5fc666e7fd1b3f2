//! Asking for actions on a machine: the one path of all pages. What was asked for is read at the job.

pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{self, finished, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::{Form, Page};
use crate::guests::impact;
use crate::guests::one::Machine;
use app::live::GuestLive;
use axum::response::Response;
use base::{Error, Result};
use maud::Markup;
use model::guests::{ActionKind, GuestAction};
use model::jobs::Job;

async fn request(person: &Person, guest: &GuestLive, action: Result<impl Into<GuestAction>>) -> Result<Option<Job>> {
    person.web.app.guests().request_action(&person.actor, guest.row.id, action?).await
}

/// The person goes on to `back` (empty: to the job), or to the machine that a copy makes, and reads there that it
/// started.
fn started(person: &Person, guest: &GuestLive, back: &str, job: Option<Job>) -> Response {
    let Some(job) = job else { return finished(person, back, "Done.") };
    let text = format!("Started: {}.", job.title);
    match job.subject.guest().filter(|id| *id != guest.row.id) {
        Some(copy) => finished(person, &format!("/machines/{copy}"), &text),
        None if back.is_empty() => finished(person, &format!("/jobs/{}", job.id), ""),
        None => finished(person, back, &text),
    }
}

/// Asks for the action of a form. A refused form is shown again with what was typed.
pub async fn submit<F: Future<Output = Result<Markup>>>(
    person: &Person,
    guest: &GuestLive,
    form: &Form,
    action: Result<impl Into<GuestAction>>,
    back: &str,
    redraw: impl FnOnce(Page, Form) -> F,
) -> Answer {
    let asked = async { Ok(started(person, guest, back, request(person, guest, action).await?)) };
    forms::submit(person, form, asked, redraw).await
}

/// Asks for the action of a button. Why it is refused is read at `back`.
pub async fn press(person: &Person, guest: &GuestLive, action: Result<impl Into<GuestAction>>, back: &str) -> Answer {
    let asked = async { Ok(started(person, guest, back, request(person, guest, action).await?)) };
    forms::press(person, back, asked).await
}

/// What was typed into `field` to confirm must be `name`.
pub fn confirmed(form: &Form, field: &str, what: &str, name: &str) -> Result<()> {
    if form.value(field).trim() == name {
        return Ok(());
    }
    Err(Error::field(field, format!("Type the {what}'s name exactly as shown to delete it.")))
}

/// A machine's power, by a button. Without script the question comes now that the script asks before.
pub async fn power(person: Person, Machine(guest): Machine, Checked { form, .. }: Checked) -> Answer {
    let back = format!("/machines/{}", guest.row.id);
    let Some(kind) = ActionKind::power().find(|kind| kind.name() == form.value("action")) else {
        return refused(&person, &back, Error::invalid("Choose what to do with the machine."));
    };
    let sure = person.fragment || form.has("sure");
    if !sure
        && kind.has_impact()
        && let Some(question) = impact::question(&person, &guest, kind).await
    {
        return Ok(question);
    }
    press(&person, &guest, Ok(kind.empty()), &back).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_deleted_only_when_its_name_is_typed() {
        let typed = |text: &str| confirmed(&Form::new().set("confirm", text), "confirm", "disk", "unused0");
        assert!(typed("unused").unwrap_err().fields().contains_key("confirm"));
        typed(" unused0 ").unwrap();
    }
}
