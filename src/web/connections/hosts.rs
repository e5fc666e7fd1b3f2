//! Adding a plain KVM host step by step.

use crate::connections::hosts_page as page;
use crate::connections::hosts_page::HostStep;
use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use app::connections::ssh_hosts::{LetIn, NewSshHost};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use base::Secret;
use base::ids::ConnectionId;
use maud::Markup;

pub async fn new_page(person: Person) -> Answer<Markup> {
    Ok(page::add(&person.page(), &HostStep::Address, &Form::new()))
}

/// One step was filled in.
pub async fn step(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
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
    match person.web.app.ssh_hosts().host_key(&person.actor, form.value("address")).await {
        Ok(key) => Ok(draw(person, &HostStep::Trust(key.kind, key.fingerprint), &form)),
        Err(e) => again(person, form, e, |p, form| page::add(p, &HostStep::Address, form)),
    }
}

async fn add(person: &Person, mut form: Form) -> Answer {
    let [password, key] = ["password", "key"].map(|name| form.secret(name));
    let text = |name: &str| form.value(name).trim().to_owned();
    let let_in = match form.value("way") {
        "key" => LetIn::Key(Secret::new(key.expose().replace("\r\n", "\n"))),
        _ => LetIn::Password(password),
    };
    let new = NewSshHost {
        name: text("name"),
        address: text("address"),
        user: text("user"),
        fingerprint: text("fingerprint"),
        let_in,
    };
    match person.web.app.ssh_hosts().add(&person.actor, new).await {
        Ok(id) => Ok(person.done(&format!("/settings/connections/{id}"), "Added. Its machines appear in a moment.")),
        Err(e) => {
            let step = match e.fields().keys().any(|f| f == "address" || f == "name") {
                true => HostStep::Address,
                false => HostStep::Access,
            };
            again(person, form, e, |p, form| page::add(p, &step, form))
        }
    }
}

/// Accepts other host keys, after the host was set up anew.
pub async fn accept(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let (connection, form) = (id::<ConnectionId>(&text)?, Form::from_pairs(form));
    let back = format!("/settings/connections/{connection}");
    let keys = form.value("host_keys").split_whitespace().map(str::to_owned).collect();
    match person.web.app.ssh_hosts().accept(&person.actor, connection, keys).await {
        Ok(()) => Ok(finished(&person, &back, "Saved.")),
        Err(e) => refused(&person, &back, e),
    }
}
