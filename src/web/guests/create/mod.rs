//! The wizard that makes a machine.

pub mod drafts;
pub mod page;

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::frame::recipe::{values, with_software};
use crate::guests::create::drafts::DraftItem;
use crate::guests::create::page::{CreateStep, CreateView, TemplateItem};
use crate::guests::software::warnings;
use crate::hardware_profiles::page::ProfileChoice;
use crate::quotas;
use crate::rest::reading::Node;
use app::hardware_profiles::least_disk;
use app::software::{MenuItem, is_own_key};
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use base::ids::{ConnectionId, GuestId, JobId, ProfileId};
use base::{Error, Result};
use model::guests::settings::MachineSettings;
use model::guests::{GuestAddress, GuestKind, GuestRequest, GuestSource, System};
use model::jobs::JobKind;
use model::nodes::Choices;
use model::profiles::Profile;
use model::quotas::{Amounts, Resource};
use model::software::SoftwareRequest;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct From {
    /// A job whose values the form starts with, to try again with others.
    job: Option<String>,
    /// A template's number, from a template's page.
    template: Option<String>,
    /// Whose template that is, by id or name.
    connection: Option<String>,
}

pub async fn show(person: Person, Query(from): Query<From>) -> Answer {
    let mut form = match &from.job {
        Some(job) => from_job(&person, job)?,
        None => Form::new(),
    };
    if let Some(template) = &from.template {
        form = form.replace("from", "template").replace("template", template.as_str());
        let snapshot = person.web.app.live().snapshot();
        let meant = |c: &&app::live::ConnectionLive| {
            from.connection.as_ref().is_some_and(|t| c.id.to_string() == *t || c.name == *t)
        };
        if let Some(connection) = snapshot.connections.iter().find(meant) {
            form = form.replace("connection", connection.id.to_string());
        }
    }
    Ok(draw(&person, CreateStep::Source, &form, None).await)
}

/// Where a step leads to.
enum Steps {
    To(CreateStep),
    Made(GuestId, JobId),
}

/// Takes a step as it was sent: the form with what it fills in, and where it leads to, or where it was refused.
async fn walk(
    person: &Person,
    at: CreateStep,
    go: &str,
    form: Form,
) -> (Form, std::result::Result<Steps, (CreateStep, Error)>) {
    let picked = at == CreateStep::Size && form.value("profile") != form.value("filled");
    let form = with_fixed(person, form);
    match go {
        // Somebody who picks another one and continues directly is shown its values first.
        "profile" | "next" if picked => (fill(person, form), Ok(Steps::To(CreateStep::Size))),
        "profile" => (form, Ok(Steps::To(CreateStep::Size))),
        "back" => (form, Ok(Steps::To(at.back()))),
        "create" => {
            let made = create(person, &form).await;
            (form, made)
        }
        _ => match check(person, at, &form).await {
            Ok(()) if at == CreateStep::Source => (first_pick(person, form), Ok(Steps::To(at.next()))),
            Ok(()) => (form, Ok(Steps::To(at.next()))),
            Err(e) => (form, Err((at, e))),
        },
    }
}

/// What is wrong with one step.
async fn check(person: &Person, at: CreateStep, form: &Form) -> Result<()> {
    let settings = settings_for(person, form);
    match wrong_in(form, at, &settings) {
        Some(e) => Err(e),
        None => match at {
            CreateStep::Source => has_room(person, &[Resource::Machines], form),
            CreateStep::Size => has_room(person, &Resource::ALL, form),
            CreateStep::Access => check_user(person, form).await,
            CreateStep::Software => check_software(person, form),
            CreateStep::Network | CreateStep::Review => Ok(()),
        },
    }
}

/// Does the person's quota have room for it? Looked at again when the machine is asked for.
fn has_room(person: &Person, what: &[Resource], form: &Form) -> Result<()> {
    let takes = takes(profile_of(person, form).as_ref(), form);
    let wrong = match person.web.app.quotas().room(&person.actor, takes) {
        Err(e) => e,
        Ok(()) => return Ok(()),
    };
    let mine = |name: &str| what.iter().any(|w| w.name() == name);
    match wrong.fields().keys().any(|name| mine(name)) {
        true => Err(wrong),
        false => Ok(()),
    }
}

/// What the form's machine counts for.
fn takes(profile: Option<&Profile>, form: &Form) -> Amounts {
    let number = |key: &str| form.value(key).trim().parse().unwrap_or(0_u64);
    let (each, more) = page::besides(profile);
    Amounts {
        machines: 1,
        cores: number("cores").saturating_mul(each),
        memory: number("memory"),
        disk: number("disk").saturating_add(more),
    }
}

/// The profile of the form.
fn profile_of(person: &Person, form: &Form) -> Option<Profile> {
    let id = form.value("profile").parse::<ProfileId>().ok()?;
    person.web.app.hardware_profiles().get(&person.actor, id).ok()
}

/// GiB of the chosen template's disk; 0 for a blank one.
fn least(person: &Person, form: &Form) -> u64 {
    let (connection, vmid) =
        (form.value("connection").parse::<ConnectionId>().ok(), form.value("template").parse().ok());
    if form.value("from") == "iso" || vmid.is_none() {
        return 0;
    }
    let templates = person.web.app.guests().templates(&person.actor);
    let here = |g: &&std::sync::Arc<app::live::GuestLive>| {
        g.row.vmid == vmid && connection.is_none_or(|c| g.row.connection == c)
    };
    templates.iter().find(here).map_or(0, |g| least_disk(&g.state))
}

/// The form with the values of the profile that was picked; what it leaves open stays as it was typed.
fn fill(person: &Person, form: Form) -> Form {
    let picked = form.value("profile").to_owned();
    let mut form = form.replace("filled", picked);
    let Some(profile) = profile_of(person, &form) else { return form };
    for key in ["cores", "memory", "storage", "bridge"] {
        if let Some(value) = profile.value(key) {
            form = form.replace(key, value);
        }
    }
    if let Some(disk) = profile.disk_for(least(person, &form)) {
        form = form.replace("disk", disk.to_string());
    }
    if profile.sets("vlan") {
        form = form.replace("vlan", profile.vlan().map(|v| v.to_string()).unwrap_or_default());
    }
    form
}

/// People who must pick a profile start with the first one that can be picked.
fn first_pick(person: &Person, form: Form) -> Form {
    let must = person.web.app.hardware_profiles().required_of(&person.actor).unwrap_or(false);
    if !must || profile_of(person, &form).is_some() {
        return form;
    }
    let first = choices_of(person, connection_of(person, &form)).into_iter().find(|c| c.refusal.is_none());
    match first {
        Some(c) => fill(person, form.replace("profile", c.profile.id.to_string())),
        None => form,
    }
}

/// What the profile fixes for this person is as it says, whatever was sent.
fn with_fixed(person: &Person, form: Form) -> Form {
    let Some(profile) = profile_of(person, &form).filter(|_| !person.actor.is_admin()) else { return form };
    let filled = fill(person, form.clone());
    let fixed = ["cores", "memory", "disk", "storage", "bridge", "vlan"].into_iter().filter(|k| profile.locks(k));
    fixed.fold(form, |form, key| form.replace(key, filled.value(key)))
}

fn connection_of(person: &Person, form: &Form) -> Option<ConnectionId> {
    let chosen = form.value("connection").parse::<ConnectionId>().ok();
    chosen.or_else(|| person.web.app.live().snapshot().connections.first().map(|c| c.id))
}

/// What machines on the chosen connection can have.
fn settings_for(person: &Person, form: &Form) -> MachineSettings {
    let app = &person.web.app;
    match connection_of(person, form) {
        Some(connection) => app.guests().settings_of(connection, GuestKind::Vm),
        None => app.hardware_profiles().settings(),
    }
}

/// All profiles, with the reason where one can't be picked.
fn choices_of(person: &Person, connection: Option<ConnectionId>) -> Vec<ProfileChoice> {
    let profiles = person.web.app.hardware_profiles();
    let all = profiles.list(&person.actor).unwrap_or_else(|e| {
        tracing::warn!(error = e.chain(), "no profiles to pick from");
        Vec::new()
    });
    let settings = profiles.settings();
    let one = |profile: Profile| ProfileChoice {
        refusal: connection.and_then(|c| profiles.refusal(c, &profile)),
        summary: profile.summary(&settings),
        profile,
    };
    all.into_iter().map(one).collect()
}

async fn draw(person: &Person, step: CreateStep, form: &Form, draft: Option<DraftItem>) -> Response {
    let view = view(person, step, form, draft).await;
    page::create(&person.page(), &view, form).into_response()
}

async fn create(person: &Person, form: &Form) -> std::result::Result<Steps, (CreateStep, Error)> {
    let asked = match request(form, &settings_for(person, form))
        .map(|request| GuestRequest { software: software(person, form), ..request })
    {
        Ok(request) => person.web.app.guests().request_create(&person.actor, request, None).await,
        Err(e) => Err(e),
    };
    match asked {
        Ok((guest, job)) => Ok(Steps::Made(guest.id, job.id)),
        Err(e) => {
            let menu = person.web.app.software().menu(&person.actor);
            Err((CreateStep::of_errors(&form.clone().fail(&e), &menu).unwrap_or(CreateStep::Review), e))
        }
    }
}

/// What is wrong with the fields of one step; others may still be empty.
fn wrong_in(form: &Form, step: CreateStep, settings: &MachineSettings) -> Option<Error> {
    let e = request(form, settings).err()?;
    let mine = e.fields().iter().filter(|(name, _)| step.fields().contains(&name.as_str()));
    Error::of_fields(mine).err()
}

/// The chosen recipes with what was typed for them.
fn software(person: &Person, form: &Form) -> Vec<SoftwareRequest> {
    let menu = person.web.app.software().menu(&person.actor);
    let chosen = form.values("software").iter().filter(|name| !name.is_empty());
    let one = |name: &String| {
        let item = menu.iter().find(|i| i.name == *name);
        SoftwareRequest { recipe: name.clone(), options: item.map(|i| values(form, i)).unwrap_or_default() }
    };
    // Where a blank machine was chosen after all, nothing can be installed.
    if form.value("from") == "iso" { Vec::new() } else { chosen.map(one).collect() }
}

/// Is the user's name one for the chosen template's system? The password is asked later.
async fn check_user(person: &Person, form: &Form) -> Result<()> {
    let view = view(person, CreateStep::Access, form, None).await;
    let system = if page::is_windows(&view, form) { System::Windows } else { System::Linux };
    match request(form, &view.settings)?.check_system(system) {
        Err(e) if e.fields().contains_key("user") => Err(e),
        _ => Ok(()),
    }
}

/// What is wrong with the software step; passwords are asked later.
fn check_software(person: &Person, form: &Form) -> Result<()> {
    let menu = person.web.app.software().menu(&person.actor);
    let mut wrong: Option<Error> = None;
    for chosen in software(person, form) {
        let Some(item) = menu.iter().find(|i| i.name == chosen.recipe) else {
            return Err(Error::field("software", "One of the recipes no longer exists. Choose again."));
        };
        if let Err(e) = item.recipe.check(&chosen.options, &format!("software.{}.", item.name)) {
            for (field, text) in e.fields().iter().filter(|(field, _)| CreateStep::Software.asks(field, &menu)) {
                wrong = Some(wrong.unwrap_or_else(|| Error::invalid(e.message())).with_field(field, text.clone()));
            }
        }
    }
    if !software(person, form).is_empty() && !form.on("start", true) {
        wrong = Some(Error::field(
            "software",
            "Software can only be installed on a running machine: tick “Start it when it is created” on the previous step.",
        ));
    }
    wrong.map_or(Ok(()), Err)
}

/// The form as a request, without software, with all that is wrong with it. Where it may say nothing, that is meant:
/// the profile has filled the fields before.
fn request(form: &Form, settings: &MachineSettings) -> Result<GuestRequest> {
    let text = |name: &str| Node::Text(form.value(name).trim().to_owned());
    let blank = form.value("from") == "iso";
    let number = form.value("template").parse().unwrap_or(0_u32);
    let source = match blank {
        true => Node::empty().with("from", text("from")).with("volid", text("volid")).with("system", text("system")),
        false => Node::empty()
            .with("from", Node::Text("template".to_owned()))
            .with("vmid", Node::Number(number.into()))
            .with("full", Node::Bool(form.value("full") != "off")),
    };
    let address = match form.value("mode") == "static" {
        true => Node::empty().with("mode", text("mode")).with("cidr", text("cidr")).with("gateway", text("gateway")),
        false => Node::empty().with("mode", Node::Text("dhcp".to_owned())),
    };
    let mut node = form.node().with("name", text("name")).with("node", text("node"));
    node = node.with("source", source).with("address", address).with("software", Node::List(Vec::new()));
    for field in ["user", "password", "ssh_keys"].into_iter().filter(|_| blank) {
        node.take(field);
    }
    let request: GuestRequest = node.read_checked(|request: &GuestRequest| request.check(settings))?;
    let (storage, vlan) = (request.storage.unwrap_or_default(), request.vlan.unwrap_or_default());
    Ok(GuestRequest { storage: Some(storage), vlan: Some(vlan), ..request })
}

/// The values of a job that made (or failed to make) a machine, as the form has them.
fn from_job(person: &Person, job: &str) -> Result<Form> {
    let job = person.web.app.jobs().get(&person.actor, crate::door::forms::id::<JobId>(job)?)?.job;
    let (connection, software) = (job.connection, person.web.app.software().requested(&job)?);
    let JobKind::CreateGuest(create) = job.kind else { return Err(Error::not_found("This job created no machine.")) };
    let spec = create.spec;
    let mut form = Form::new()
        .set("name", spec.name)
        .set("connection", connection.map(|c| c.to_string()).unwrap_or_default())
        .set("node", spec.node)
        .set("cores", spec.cores.to_string())
        .set("memory", spec.memory.to_string())
        .set("disk", spec.disk.to_string())
        .set("storage", spec.storage.unwrap_or_default())
        .set("bridge", spec.bridge)
        .set("vlan", spec.vlan.map(|v| v.to_string()).unwrap_or_default())
        .set("user", spec.user.unwrap_or_default())
        .set("ssh_keys", spec.ssh_keys.lines().filter(|l| !is_own_key(l)).collect::<Vec<_>>().join("\n"))
        .set("tags", spec.tags.join(" "))
        .set("description", spec.description);
    if let Some(profile) = spec.profile {
        form = form.set("profile", profile.to_string()).set("filled", profile.to_string());
    }
    form = match spec.source {
        GuestSource::Template { vmid, full } => {
            form.set("from", "template").set("template", vmid.to_string()).set("full", if full { "on" } else { "off" })
        }
        GuestSource::Iso { volid, system } => form.set("from", "iso").set("volid", volid).set("system", system),
    };
    form = match spec.address {
        GuestAddress::Dhcp {} => form.set("mode", "dhcp"),
        GuestAddress::Static { cidr, gateway } => form.set("mode", "static").set("cidr", cidr).set("gateway", gateway),
    };
    let form = form.set("start", if spec.start { "on" } else { "off" });
    Ok(software.iter().fold(form, with_software))
}

/// What the form may offer. A node that does not answer leaves its lists empty; the last check is the app's.
async fn view(person: &Person, step: CreateStep, form: &Form, draft: Option<DraftItem>) -> CreateView {
    let app = &person.web.app;
    let snapshot = app.live().snapshot();
    let connection = connection_of(person, form);
    let nodes = connection.and_then(|c| app.nodes().usable(c).ok()).unwrap_or_default();
    let node = Some(form.value("node")).filter(|n| !n.is_empty()).map(str::to_owned).or_else(|| nodes.first().cloned());
    let choices = match (connection, &node) {
        (Some(c), Some(node)) => app.nodes().choices(&person.actor, c, node).await.unwrap_or_else(|e| {
            tracing::debug!(error = %e.chain(), node, "no choices for the create form");
            Choices::default()
        }),
        _ => Choices::default(),
    };
    let templates = app.guests().templates(&person.actor);
    let here: Vec<_> = templates.iter().filter(|g| Some(g.row.connection) == connection).collect();
    let guests = app.guests();
    let systems = futures_util::future::join_all(here.iter().map(|g| guests.system(g))).await;
    let menu = app.software().menu(&person.actor);
    let templates = here.iter().zip(systems).filter_map(|(g, system)| {
        Some(TemplateItem {
            windows: system == System::Windows,
            vmid: g.row.vmid?,
            name: g.state.name.clone(),
            node: g.state.node.clone(),
            disk: g.state.maxdisk,
            image: None,
        })
    });
    let templates = with_images(person, connection, templates.collect());
    CreateView {
        step,
        connections: snapshot.connections.iter().map(|c| (c.id.to_string(), c.name.clone())).collect(),
        templates,
        isos: choices.isos.iter().map(|v| (v.clone(), iso_words(v))).collect(),
        warnings: lacks(&menu, form),
        menu,
        quota: quotas::mine(person).ok(),
        my_keys: app.account().prefs(&person.actor).map(|p| p.ssh_keys).unwrap_or_default(),
        nodes,
        choices,
        profiles: choices_of(person, connection),
        profile: profile_of(person, form),
        fixes: !person.actor.is_admin(),
        must_pick: app.hardware_profiles().required_of(&person.actor).unwrap_or(false),
        features: connection.map(|c| app.guests().features_of(c).of(GuestKind::Vm).to_vec()).unwrap_or_default(),
        settings: settings_for(person, form),
        unfinished: if step == CreateStep::Source && draft.is_none() { unfinished(person) } else { Vec::new() },
        draft,
    }
}

fn unfinished(person: &Person) -> Vec<DraftItem> {
    let found = person.web.app.drafts().unfinished(&person.actor).unwrap_or_else(|e| {
        tracing::warn!(error = e.chain(), "drafts can't be read");
        Vec::new()
    });
    found.iter().map(|(id, draft)| DraftItem::of(*id, draft)).collect()
}

/// Names the images that Steward made templates of. The newest templates of recommended images come first,
/// replaced ones last.
fn with_images(person: &Person, connection: Option<ConnectionId>, found: Vec<TemplateItem>) -> Vec<TemplateItem> {
    let listed = person.web.app.templates().list(&person.actor).unwrap_or_else(|e| {
        tracing::warn!(error = e.chain(), "templates can't be named");
        Vec::new()
    });
    let place = |item: &TemplateItem| {
        listed.iter().position(|t| Some(t.guest.row.connection) == connection && t.guest.row.vmid == Some(item.vmid))
    };
    let mut named: Vec<(usize, TemplateItem)> = found
        .into_iter()
        .map(|mut item| {
            let at = place(&item);
            let made = at.and_then(|n| listed[n].made.as_ref());
            item.image = made.map(|m| (m.title.clone(), m.user.clone()));
            (at.unwrap_or(usize::MAX), item)
        })
        .collect();
    named.sort_by_key(|(at, _)| *at);
    named.into_iter().map(|(_, item)| item).collect()
}

/// What the chosen size lacks for the chosen recipes.
fn lacks(menu: &[MenuItem], form: &Form) -> Vec<String> {
    let chosen: Vec<_> = menu.iter().filter(|i| form.values("software").contains(&i.name)).collect();
    if chosen.is_empty() {
        return Vec::new();
    }
    let figure = |name: &str| form.value(name).trim().parse().unwrap_or(0);
    warnings(chosen.iter().map(|i| &i.recipe.needs), figure("memory"), figure("disk"))
}

/// `local:iso/debian-13.iso` as `debian-13.iso on local`.
fn iso_words(volid: &str) -> String {
    match volid.split_once(":iso/") {
        Some((storage, file)) => format!("{file} on {storage}"),
        None => volid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::gallery::samples;

    fn filled() -> Form {
        let pairs = [
            ("name", "web-01"),
            ("from", "template"),
            ("template", "9000"),
            ("node", "pve1"),
            ("cores", "2"),
            ("memory", "2048"),
            ("disk", "16"),
            ("bridge", "vmbr0"),
            ("mode", "dhcp"),
            ("tags", "web, test"),
            ("start", "on"),
        ];
        Form::from_pairs(pairs)
    }

    #[test]
    fn a_filled_form_is_a_request() {
        let request = request(&filled(), &samples::settings()).unwrap();
        assert_eq!(request.source, GuestSource::Template { vmid: 9000, full: true });
        assert_eq!((request.cores, request.vlan, request.storage.as_deref()), (Some(2), Some(0), Some("")));
        assert_eq!(request.tags, ["web", "test"]);
        assert!(request.start && request.user.is_none());
    }

    #[test]
    fn the_tick_for_starting_is_read_as_the_form_sends_it() {
        let sent = |values: &[&str]| {
            let form = values.iter().fold(filled().replace("start", "off"), |f, v| f.set("start", *v));
            request(&form, &samples::settings()).unwrap().start
        };
        assert!(sent(&["on"]), "ticked: off, then on");
        assert!(!sent(&[]), "not ticked: off alone");
    }

    #[test]
    fn a_step_complains_about_its_own_fields_only() {
        let form = Form::from_pairs([("name", "-x"), ("from", "template"), ("template", "9000")]);
        let e = wrong_in(&form, CreateStep::Source, &samples::settings()).unwrap();
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["name"]);
        assert!(wrong_in(&filled().replace("cores", "two"), CreateStep::Source, &samples::settings()).is_none());
        assert!(wrong_in(&filled().replace("cores", "two"), CreateStep::Size, &samples::settings()).is_some());
    }

    #[test]
    fn what_cant_be_read_and_what_does_not_fit_are_said_together() {
        let e = request(&filled().replace("cores", "two").replace("name", "-x"), &samples::settings()).unwrap_err();
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["cores", "name"]);
    }

    #[test]
    fn images_are_named_by_file_and_storage() {
        assert_eq!(iso_words("local:iso/debian-13.iso"), "debian-13.iso on local");
    }
}
