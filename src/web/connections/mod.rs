//! Connecting a Proxmox cluster step by step, and one connection's page.

pub mod hosts;
pub mod hosts_page;
pub mod page;

use crate::connections::page::{CertificateView, ConnectStep, ConnectionView, MissingRight};
use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id, maybe_number, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::system::settings::item;
use crate::system::settings_page::ConnectionItem;
use app::connections::access::{Credential, NewConnection, Probe};
use app::connections::{ConnectionChange, fingerprint_text};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use base::ids::ConnectionId;
use base::{Error, Result, Secret};
use maud::Markup;
use model::connections::Limits;
use model::impact::Impact;
use remote::pve::CertificateInfo;

pub async fn new_page(person: Person) -> Answer<Markup> {
    Ok(page::connect(&person.page(), &ConnectStep::Address, &Form::new()))
}

/// One step was filled in.
pub async fn step(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
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
    match person.web.app.connections().certificate(&person.actor, form.value("address")).await {
        Ok((endpoint, info)) => {
            let form = form.replace("address", endpoint);
            Ok(draw(person, &ConnectStep::Trust(certificate(info)), &form))
        }
        Err(e) => again(person, form, e, |p, form| page::connect(p, &ConnectStep::Address, form)),
    }
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

async fn connect(person: &Person, mut form: Form) -> Answer {
    match person.web.app.connections().add(&person.actor, wanted(&mut form)).await {
        Ok(id) => {
            Ok(person.done(&format!("/settings/connections/{id}"), "Connected. Its machines appear in a moment."))
        }
        Err(e) => {
            let step = match e.fields().keys().any(|f| f == "address" || f == "name") {
                true => ConnectStep::Address,
                false => access_step(person).await,
            };
            again(person, form, e, |p, form| page::connect(p, &step, form))
        }
    }
}

fn wanted(form: &mut Form) -> NewConnection {
    let [password, otp, token] = ["password", "otp", "token_secret"].map(|name| form.secret(name));
    let text = |name: &str| form.value(name).trim().to_owned();
    let trimmed = |secret: Secret<String>| Secret::new(secret.expose().trim().to_owned());
    let credential = if form.value("way") == "token" {
        Credential::Token { id: text("token_id"), secret: trimmed(token) }
    } else {
        let otp = Some(trimmed(otp)).filter(|code| !code.expose().is_empty());
        Credential::Login { user: text("user"), password, otp }
    };
    NewConnection {
        name: text("name"),
        address: text("address"),
        fingerprint: text("fingerprint"),
        credential,
        limits: Limits::default(),
    }
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

pub async fn change(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let (connection, form) = (id::<ConnectionId>(&text)?, Form::from_pairs(form));
    match changed(&person, connection, &form).await {
        Ok(()) => Ok(finished(&person, &format!("/settings/connections/{connection}"), "Saved.")),
        Err(e) => {
            let view = view(&person, connection).await?;
            again(&person, form, e, |p, form| page::connection(p, &view, form))
        }
    }
}

async fn changed(person: &Person, connection: ConnectionId, form: &Form) -> Result<()> {
    let connections = person.web.app.connections();
    let old = connections.get(&person.actor, connection)?;
    let ticked = |name: &str| form.values(name).iter().filter(|n| !n.is_empty()).cloned().collect::<Vec<_>>();
    let limits = Limits {
        nodes: ticked("nodes"),
        vmid_min: maybe_number(form, "vmid_min")?,
        vmid_max: maybe_number(form, "vmid_max")?,
        storages: ticked("storages"),
        bridges: ticked("bridges"),
        templates: ticked("templates").iter().filter_map(|t| t.parse().ok()).collect(),
    };
    let name = if form.has("name") { form.value("name").to_owned() } else { old.name };
    let lines = |field: &str, kept: Vec<String>| match form.has(field) {
        true => form.value(field).split_whitespace().map(str::to_owned).collect(),
        false => kept,
    };
    let addresses = lines("addresses", old.endpoints);
    let fingerprints = lines("fingerprints", old.fingerprints);
    let ca = match form.value("trust_by") {
        "ca" => Some(form.value("ca").to_owned()),
        "pins" => None,
        _ => old.ca,
    };
    let change = ConnectionChange { name, addresses, fingerprints, ca, limits };
    connections.change(&person.actor, connection, change).await
}

pub async fn check(person: Person, Path(text): Path<String>, _: Checked<Pairs>) -> Answer {
    let connection = id::<ConnectionId>(&text)?;
    let back = format!("/settings/connections/{connection}");
    match person.web.app.connections().probe(&person.actor, connection).await {
        Ok(probe) if probe.missing.is_empty() => Ok(finished(&person, &back, "It answers, and nothing is missing.")),
        Ok(_) => Ok(finished(&person, &back, "!It answers, but some rights are missing.")),
        Err(e) => refused(&person, &back, e),
    }
}

pub async fn delete(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let (connection, form) = (id::<ConnectionId>(&text)?, Form::from_pairs(form));
    let connections = person.web.app.connections();
    let found = connections.get(&person.actor, connection)?;
    let removed = if form.value("confirm").trim() == found.name {
        connections.remove(&person.actor, connection).await
    } else {
        Err(Error::field("confirm", "Type the connection's name exactly as shown."))
    };
    match removed {
        Ok(()) => Ok(finished(&person, "/settings", "Steward has forgotten this cluster.")),
        Err(e) => {
            let view = view(&person, connection).await?;
            again(&person, form, e, |p, form| page::connection(p, &view, form))
        }
    }
}
