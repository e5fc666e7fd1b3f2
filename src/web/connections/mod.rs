//! Connecting a Proxmox cluster step by step, and one connection's page.

pub mod hosts;
pub mod hosts_page;
pub mod page;
pub mod rest;

use crate::connections::page::{ByHand, CertificateView, ConnectStep, ConnectionView, MissingRight, Rights};
use crate::door::csrf::Checked;
use crate::door::forms::{finished, id, press, submit};
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::frame::Form;
use crate::frame::parts::count;
use crate::system::settings::item;
use app::connections::access::{Added, Probe};
use app::connections::{ConnectionChange, fingerprint_text};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use base::ids::ConnectionId;
use base::{Error, Result};
use maud::Markup;
use remote::pve::CertificateInfo;
use std::time::Duration;

pub async fn new_page(person: Person) -> Answer<Markup> {
    Ok(page::connect(&person.page(), &ConnectStep::Address, &Form::new()))
}

/// One step was filled in.
pub async fn step(person: Person, Checked { form, .. }: Checked) -> Answer {
    let back = form.value("go") == "back";
    match (form.value("step"), back) {
        ("trust", false) => Ok(draw(&person, &access_step(&person).await, &form)),
        ("access", false) => connect(&person, form).await,
        ("access", true) => look(&person, form).await,
        (_, true) => Ok(draw(&person, &ConnectStep::Address, &form)),
        _ => look(&person, form).await,
    }
}

fn draw(person: &Person, step: &ConnectStep, form: &Form) -> Response {
    page::connect(&person.page(), step, form).into_response()
}

/// Shows the certificate that the address presents now.
async fn look(person: &Person, form: Form) -> Answer {
    let found = async {
        let connections = person.web.app.connections();
        let (endpoint, info) = connections.certificate(&person.actor, form.value("address")).await?;
        let step = match connections.known_by_certificate(&person.actor, &info.sha256)? {
            Some(known) => known_step(person, known)?,
            None => ConnectStep::Trust(certificate(info)),
        };
        Ok(draw(person, &step, &form.clone().replace("address", endpoint)))
    };
    submit(person, &form, found, async |p, form| Ok(page::connect(&p, &ConnectStep::Address, &form))).await
}

fn known_step(person: &Person, known: ConnectionId) -> Result<ConnectStep> {
    let found = person.web.app.connections().get(&person.actor, known)?;
    Ok(ConnectStep::Known { id: known, name: found.name })
}

fn certificate(info: CertificateInfo) -> CertificateView {
    CertificateView {
        fingerprint: fingerprint_text(&info.sha256),
        subject: info.subject,
        issuer: info.issuer,
        not_after: info.not_after,
        names: info.names,
    }
}

async fn access_step(person: &Person) -> ConnectStep {
    ConnectStep::Access(by_hand(person).await)
}

async fn by_hand(person: &Person) -> ByHand {
    match person.web.app.connections().access_plan(&person.actor).await {
        Ok(plan) => ByHand { commands: plan.commands.join("\n"), token_id: plan.token_id() },
        Err(e) => {
            tracing::warn!(error = %e.chain(), "no commands for a token made by hand");
            ByHand::default()
        }
    }
}

async fn connect(person: &Person, form: Form) -> Answer {
    let connected = async {
        let app = &person.web.app;
        match app.connections().add(&person.actor, form.read()?, form.read()?).await? {
            Added::Known(known) => Ok(draw(person, &known_step(person, known)?, &form)),
            Added::New(id) => {
                let found = app.inventory().look_first(id, FIRST_LOOK).await;
                Ok(person.done(&format!("/settings/connections/{id}"), &connected(found)))
            }
        }
    };
    let redraw = async |p, form: Form| {
        let step = match form.any_error(&["address", "name"]) {
            true => ConnectStep::Address,
            false => access_step(person).await,
        };
        Ok(page::connect(&p, &step, &form.without(&SECRETS)))
    };
    submit(person, &form, connected, redraw).await
}

/// What is never shown again.
const SECRETS: [&str; 3] = ["password", "otp", "token_secret"];
/// The person waits so long for what is there.
const FIRST_LOOK: Duration = Duration::from_secs(8);

/// Machines and nodes, when the first look told in time.
fn connected(found: Option<(usize, usize)>) -> String {
    match found {
        Some((machines, nodes)) => {
            format!("Connected: {} on {}.", count(machines, "machine", "machines"), count(nodes, "node", "nodes"))
        }
        None => "Connected. Its machines appear in a moment.".to_owned(),
    }
}

pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let view = view(&person, id(&text)?).await?;
    Ok(page::connection(&person.page(), &view, &Form::new()))
}

async fn view(person: &Person, connection: ConnectionId) -> Result<ConnectionView> {
    let connections = person.web.app.connections();
    let probe = connections.probe(&person.actor, connection);
    let nodes = person.web.app.nodes();
    let (probe, bridges) = tokio::join!(probe, nodes.bridges(&person.actor, connection));
    let impact = person.web.app.impact().of_connection(&person.actor, connection)?;
    // Read after the probe: it knows which certificate was shown.
    let item = item(person, connections.get(&person.actor, connection)?);
    let by_hand = if item.ssh.is_some() { None } else { Some(by_hand(person).await) };
    Ok(ConnectionView { item, rights: rights(probe), bridges: bridges?, impact, by_hand })
}

fn rights(probe: Result<Probe>) -> Rights {
    let probe = match probe {
        Ok(probe) => probe,
        Err(e) => return Rights::NotAsked { why: e.message().to_owned() },
    };
    let mut commands: Vec<String> = Vec::new();
    for right in &probe.missing {
        if !right.command.is_empty() && !commands.contains(&right.command) {
            commands.push(right.command.clone());
        }
    }
    let missing = probe.missing.into_iter().map(|m| MissingRight { path: m.path, privilege: m.privilege, why: m.why });
    Rights::Known { version: probe.version, missing: missing.collect(), commands: commands.join("\n") }
}

/// Answers a form of a connection's page.
async fn answer(
    person: &Person,
    connection: ConnectionId,
    form: &Form,
    asked: impl Future<Output = Result<Response>>,
) -> Answer {
    let redraw = async |p, form| Ok(page::connection(&p, &view(person, connection).await?, &form));
    submit(person, form, asked, redraw).await
}

pub async fn change(person: Person, Id(connection): Id<ConnectionId>, Checked { form, .. }: Checked) -> Answer {
    let changed = async {
        person.web.app.connections().change(&person.actor, connection, wanted(&form)?).await?;
        Ok(finished(&person, &format!("/settings/connections/{connection}"), "Saved."))
    };
    answer(&person, connection, &form, changed).await
}

/// The limits stand bare in the form.
fn wanted(form: &Form) -> Result<ConnectionChange> {
    let lists = ["nodes", "storages", "bridges", "templates"];
    let limits = lists.into_iter().fold(form.node(), |node, name| node.with(name, form.list(name)));
    let read = form.node().with("limits", limits).read();
    read.map_err(|e| e.rename_fields(|name| name.strip_prefix("limits.").unwrap_or(name).to_owned()))
}

/// Another token, after the one before was deleted or replaced on Proxmox.
pub async fn renew(person: Person, Id(connection): Id<ConnectionId>, Checked { form, .. }: Checked) -> Answer {
    let renewed = async {
        person.web.app.connections().renew(&person.actor, connection, form.read()?).await?;
        person.web.app.inventory().look_first(connection, FIRST_LOOK).await;
        Ok(finished(&person, &format!("/settings/connections/{connection}"), "Steward has its new token."))
    };
    answer(&person, connection, &form.clone().without(&SECRETS), renewed).await
}

/// Accepts the certificate that was shown beside the one before.
pub async fn accept(person: Person, Id(connection): Id<ConnectionId>, Checked { form, .. }: Checked) -> Answer {
    let back = format!("/settings/connections/{connection}");
    let accepted = async {
        let app = &person.web.app;
        app.connections().accept_certificate(&person.actor, connection, form.value("fingerprint")).await?;
        app.inventory().look_first(connection, FIRST_LOOK).await;
        Ok(finished(&person, &back, "Accepted."))
    };
    press(&person, &back, accepted).await
}

pub async fn check(person: Person, Id(connection): Id<ConnectionId>, _: Checked) -> Answer {
    let back = format!("/settings/connections/{connection}");
    let asked = async {
        let probe = person.web.app.connections().probe(&person.actor, connection).await?;
        Ok(match probe.missing.is_empty() {
            true => finished(&person, &back, "It answers, and nothing is missing."),
            false => finished(&person, &back, "!It answers, but some rights are missing."),
        })
    };
    press(&person, &back, asked).await
}

pub async fn delete(person: Person, Id(connection): Id<ConnectionId>, Checked { form, .. }: Checked) -> Answer {
    let connections = person.web.app.connections();
    let found = connections.get(&person.actor, connection)?;
    let removed = async {
        if form.value("confirm").trim() != found.name {
            return Err(Error::field("confirm", "Type the connection's name exactly as shown."));
        }
        connections.remove(&person.actor, connection).await?;
        Ok(finished(&person, "/settings", "Steward has forgotten this cluster."))
    };
    answer(&person, connection, &form, removed).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_changes_what_it_asks_and_leaves_the_rest() {
        let form = Form::new().set("nodes", "pve 1").set("nodes", "").set("templates", "9000").set("vmid_min", "200");
        let change = wanted(&form.clone().set("addresses", "https://a:8006\r\nhttps://b:8006")).unwrap();
        assert_eq!(change.limits.nodes, ["pve 1"]);
        assert_eq!((change.limits.templates.as_slice(), change.limits.vmid_min), ([9000].as_slice(), Some(200)));
        assert_eq!(change.addresses.map(|all| all.len()), Some(2));
        assert!(change.name.is_none() && change.trust_by.is_none());
        assert_eq!(wanted(&form.set("name", "")).unwrap().name.as_deref(), Some(""), "empty is meant");
    }

    #[test]
    fn what_is_no_number_is_said_beside_its_field() {
        let e = wanted(&Form::new().set("vmid_min", "many").set("vmid_max", "-1")).unwrap_err();
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["vmid_max", "vmid_min"]);
    }
}
