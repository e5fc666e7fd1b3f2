//! Connecting a Proxmox cluster step by step, and one connection's page.

pub mod hosts;
pub mod hosts_page;
pub mod page;

use crate::connections::page::{CertificateView, ConnectStep, ConnectionView, MissingRight};
use crate::door::csrf::Checked;
use crate::door::forms::{finished, id, press, submit};
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::frame::Form;
use crate::system::settings::item;
use crate::system::settings_page::ConnectionItem;
use app::connections::access::Probe;
use app::connections::{ConnectionChange, fingerprint_text};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use base::ids::ConnectionId;
use base::{Error, Result};
use maud::Markup;
use model::impact::Impact;
use remote::pve::CertificateInfo;

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
        let (endpoint, info) = person.web.app.connections().certificate(&person.actor, form.value("address")).await?;
        Ok(draw(person, &ConnectStep::Trust(certificate(info)), &form.clone().replace("address", endpoint)))
    };
    submit(person, &form, found, async |p, form| Ok(page::connect(&p, &ConnectStep::Address, &form))).await
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
    match person.web.app.connections().access_plan(&person.actor).await {
        Ok(plan) => ConnectStep::Access { commands: plan.commands.join("\n"), token_id: plan.token_id() },
        Err(e) => {
            tracing::warn!(error = %e.chain(), "no commands for a token made by hand");
            ConnectStep::Access { commands: String::new(), token_id: String::new() }
        }
    }
}

async fn connect(person: &Person, form: Form) -> Answer {
    let connected = async {
        let id = person.web.app.connections().add(&person.actor, form.read()?).await?;
        Ok(person.done(&format!("/settings/connections/{id}"), "Connected. Its machines appear in a moment."))
    };
    let redraw = async |p, form: Form| {
        let step = match form.any_error(&["address", "name"]) {
            true => ConnectStep::Address,
            false => access_step(person).await,
        };
        Ok(page::connect(&p, &step, &form.without(&["password", "otp", "token_secret"])))
    };
    submit(person, &form, connected, redraw).await
}

pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let view = view(&person, id(&text)?).await?;
    Ok(page::connection(&person.page(), &view, &Form::new()))
}

async fn view(person: &Person, connection: ConnectionId) -> Result<ConnectionView> {
    let connections = person.web.app.connections();
    let item = item(person, connections.get(&person.actor, connection)?);
    let probe = connections.probe(&person.actor, connection);
    let nodes = person.web.app.nodes();
    let (probe, bridges) = tokio::join!(probe, nodes.bridges(&person.actor, connection));
    let impact = person.web.app.impact().of_connection(&person.actor, connection)?;
    Ok(ConnectionView { bridges: bridges?, impact, ..with_rights(item, probe) })
}

/// Without an answer the page shows the rest; the reach says why there is none.
fn with_rights(item: ConnectionItem, probe: Result<Probe>) -> ConnectionView {
    let Ok(probe) = probe else {
        return ConnectionView {
            item,
            version: None,
            missing: Vec::new(),
            commands: String::new(),
            bridges: Vec::new(),
            impact: Impact::default(),
        };
    };
    let mut commands: Vec<String> = Vec::new();
    for right in &probe.missing {
        if !right.command.is_empty() && !commands.contains(&right.command) {
            commands.push(right.command.clone());
        }
    }
    let missing = probe.missing.into_iter().map(|m| MissingRight { path: m.path, privilege: m.privilege, why: m.why });
    ConnectionView {
        item,
        version: Some(probe.version),
        missing: missing.collect(),
        commands: commands.join("\n"),
        bridges: Vec::new(),
        impact: Impact::default(),
    }
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
