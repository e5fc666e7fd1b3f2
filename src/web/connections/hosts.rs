//! Adding a plain KVM host step by step.

use crate::connections::answer;
use crate::connections::hosts_page as page;
use crate::connections::hosts_page::HostStep;
use crate::door::csrf::Checked;
use crate::door::forms::{finished, submit};
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::frame::Form;
use axum::response::{IntoResponse, Response};
use base::ids::ConnectionId;
use maud::Markup;

pub async fn new_page(person: Person) -> Answer<Markup> {
    Ok(page::add(&person.page(), &HostStep::Address, &Form::new()))
}

/// One step was filled in.
pub async fn step(person: Person, Checked { form, .. }: Checked) -> Answer {
    let back = form.value("go") == "back";
    match (form.value("step"), back) {
        ("trust", false) => Ok(draw(&person, &HostStep::Access, &form)),
        ("access", false) => add(&person, form).await,
        (_, true) if form.value("step") != "access" => Ok(draw(&person, &HostStep::Address, &form)),
        _ => look(&person, form).await,
    }
}

fn draw(person: &Person, step: &HostStep, form: &Form) -> Response {
    page::add(&person.page(), step, form).into_response()
}

/// Shows the host key that the address presents now.
async fn look(person: &Person, form: Form) -> Answer {
    let found = async {
        let key = person.web.app.ssh_hosts().host_key(&person.actor, form.value("address")).await?;
        Ok(draw(person, &HostStep::Trust(key.kind, key.fingerprint), &form))
    };
    submit(person, &form, found, async |p, form| Ok(page::add(&p, &HostStep::Address, &form))).await
}

async fn add(person: &Person, form: Form) -> Answer {
    let added = async {
        let id = person.web.app.ssh_hosts().add(&person.actor, form.read()?).await?;
        Ok(person.done(&format!("/settings/connections/{id}"), "Added. Its machines appear in a moment."))
    };
    let redraw = async |p, form: Form| {
        let step = if form.any_error(&["address", "name"]) { HostStep::Address } else { HostStep::Access };
        Ok(page::add(&p, &step, &form.without(&["password", "key"])))
    };
    submit(person, &form, added, redraw).await
}

/// Accepts other host keys, after the host was set up anew.
pub async fn accept(person: Person, Id(connection): Id<ConnectionId>, Checked { form, .. }: Checked) -> Answer {
    let back = format!("/settings/connections/{connection}");
    let accepted = async {
        let keys = form.value("host_keys").split_whitespace().map(str::to_owned).collect();
        person.web.app.ssh_hosts().accept(&person.actor, connection, keys).await?;
        Ok(finished(&person, &back, "Saved."))
    };
    answer(&person, connection, &form, accepted).await
}
