//! Templates from cloud images: the list, making one, one template.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id, maybe_number, number, refused};
use crate::door::problem::Answer;
use crate::door::upload::{CheckedFile, FileStream};
use crate::door::visit::Person;
use crate::frame::Form;
use crate::guests::actions::confirmed;
use crate::templates::page::{ImageItem, Made, NewView, TemplateItem, TemplateView, TemplatesView};
use app::live::GuestLive;
use app::templates::{BuildRequest, ImageChoice, ImageView, TemplateView as Found};
use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use base::ids::{ConnectionId, GuestId};
use base::{Error, Result, Secret, Timestamp};
use futures_util::StreamExt as _;
use maud::Markup;
use model::guests::ActionKind;
use model::guests::GuestKind;
use model::images::{Algorithm, Image};
use model::templates::{Policy, TemplateChoices, TemplateTarget, WhenNewer};
use model::windows::{WindowsSecrets, WindowsWish};
use serde::Deserialize;

pub async fn list(person: Person) -> Answer<Markup> {
    Ok(page::templates(&person.page(), &view(&person)?, &Form::new()))
}

fn view(person: &Person) -> Result<TemplatesView> {
    let app = &person.web.app;
    let (images, catalogue) = app.templates().images(&person.actor)?;
    let file = app.settings().images_file.as_ref().map(|f| f.display().to_string());
    Ok(TemplatesView {
        images: images.into_iter().map(image_item).collect(),
        templates: app.templates().list(&person.actor)?.into_iter().map(template_item).collect(),
        problems: catalogue.problems,
        file,
        policy: app.templates().policy(&person.actor)?,
        connected: !app.live().snapshot().nodes.is_empty(),
    })
}

fn image_item(found: ImageView) -> ImageItem {
    ImageItem {
        newer: found.newer(),
        looked: found.looked.as_ref().map(|l| Timestamp(l.at)),
        trouble: found.looked.and_then(|l| l.error),
        built: found.newest.map(|t| t.built),
        building: found.building.map(|j| j.id),
        image: found.image,
        origin: found.origin,
    }
}

fn template_item(found: Found) -> TemplateItem {
    let guest: &GuestLive = &found.guest;
    TemplateItem {
        id: guest.row.id,
        vmid: guest.row.vmid,
        name: guest.state.name.clone(),
        connection: guest.row.connection,
        node: guest.state.node.clone(),
        disk: guest.state.maxdisk,
        made: found.made.map(|m| Made {
            title: m.title,
            user: m.user,
            built: m.built,
            algorithm: m.algorithm,
            digest: m.digest,
            of_catalogue: m.of_catalogue,
        }),
        superseded: found.superseded,
        newer: found.newer,
    }
}

/// Looks for newer images now.
pub async fn look(person: Person, _: Checked<Pairs>) -> Answer {
    match person.web.app.templates().look_now(&person.actor).await {
        Ok(()) => Ok(finished(&person, "/templates", "Checked every publisher's list of checksums.")),
        Err(e) => refused(&person, "/templates", e),
    }
}

pub async fn policy(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    let policy = Policy {
        look: form.on("look", false),
        cron: form.value("cron").trim().to_owned(),
        when_newer: match form.value("when_newer") {
            "rebuild" => WhenNewer::Rebuild,
            "replace" => WhenNewer::Replace,
            _ => WhenNewer::Tell,
        },
    };
    match person.web.app.templates().set_policy(&person.actor, policy).await {
        Ok(()) => Ok(finished(&person, "/templates", "Saved.")),
        Err(e) => {
            let view = view(&person)?;
            again(&person, form, e, |p, form| page::templates(p, &view, form))
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct NewTemplateParams {
    /// An image's id, or `own`.
    image: Option<String>,
}

pub async fn new_page(person: Person, Query(asked): Query<NewTemplateParams>) -> Answer<Markup> {
    let form = Form::new().set("image", asked.image.as_deref().unwrap_or("own"));
    let view = new_view(&person, &form).await?;
    Ok(page::new(&person.page(), &view, &form))
}

/// The nodes to choose from, as value and words, and the one that was chosen.
type Chosen = (Vec<(String, String)>, Option<(ConnectionId, String)>);

/// Nodes are in the form as `connection/node`, as two clusters may have nodes of the same name.
fn chosen(person: &Person, form: &Form) -> Chosen {
    let app = &person.web.app;
    let snapshot = app.live().snapshot();
    let mut all: Vec<(ConnectionId, String)> = Vec::new();
    for c in &snapshot.connections {
        all.extend(app.nodes().usable(c.id).unwrap_or_default().into_iter().map(|n| (c.id, n)));
    }
    let many = snapshot.connections.len() > 1;
    let name = |c: ConnectionId| snapshot.connection(c).map(|c| c.name.clone()).unwrap_or_default();
    let words = |c: ConnectionId, n: &str| if many { format!("{n} ({})", name(c)) } else { n.to_owned() };
    let options = all.iter().map(|(c, n)| (format!("{c}/{n}"), words(*c, n))).collect();
    let wanted = all.iter().find(|(c, n)| form.value("node") == format!("{c}/{n}")).or_else(|| all.first()).cloned();
    (options, wanted)
}

async fn new_view(person: &Person, form: &Form) -> Result<NewView> {
    let templates = person.web.app.templates();
    let image = match form.value("image") {
        "own" | "" => None,
        id => {
            let found = templates.catalogue().get(id).cloned();
            Some(found.ok_or_else(|| Error::not_found("There is no such image in the catalogue."))?)
        }
    };
    let (nodes, wanted) = chosen(person, form);
    let (choices, trouble) = match &wanted {
        Some((connection, node)) => match templates.choices(&person.actor, *connection, node).await {
            Ok(choices) => (choices, None),
            Err(e) => (TemplateChoices::default(), Some(e.message().to_owned())),
        },
        None => (TemplateChoices::default(), None),
    };
    let node = wanted.as_ref().map(|(c, n)| format!("{c}/{n}")).unwrap_or_default();
    let connection = wanted.map(|(c, _)| c);
    let guests = person.web.app.guests();
    let settings = connection.map(|c| guests.settings_of(c, GuestKind::Qemu)).unwrap_or_default();
    Ok(NewView { image, connection, settings, nodes, node, choices, trouble })
}

pub async fn make(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    let view = new_view(&person, &form).await?;
    // Storages and bridges of the node before are not those of another one.
    if form.value("go") == "node" || form.value("shown") != view.node {
        let fresh = ["storage", "images", "bridge"].into_iter().fold(form, |f, name| f.replace(name, ""));
        return Ok(page::new(&person.page(), &view, &fresh).into_response());
    }
    let asked = match request(&person, &form, view.image.as_ref()) {
        Ok(request) => person.web.app.templates().request_build(&person.actor, request).await,
        Err(e) => Err(e),
    };
    match asked {
        Ok(job) => Ok(person.done(&format!("/jobs/{}", job.id), "")),
        Err(e) => again(&person, form, at_fields(e), |p, form| page::new(p, &view, form)),
    }
}

/// The form calls an own image's name `title`.
fn at_fields(e: Error) -> Error {
    match e.fields().get("id").cloned() {
        Some(text) => e.with_field("title", text),
        None => e,
    }
}

fn request(person: &Person, form: &Form, image: Option<&Image>) -> Result<BuildRequest> {
    let word = |name: &str| form.value(name).trim().to_owned();
    let (_, wanted) = chosen(person, form);
    let (connection, node) = wanted.ok_or_else(|| Error::field("node", "Choose a node."))?;
    let disk = number(form, "disk")?;
    let image = match image {
        Some(image) => ImageChoice::Catalogue(image.id.clone()),
        None => ImageChoice::Own(Box::new(own(form, disk)?)),
    };
    let place = TemplateTarget {
        node,
        images: word("images"),
        storage: word("storage"),
        bridge: word("bridge"),
        vlan: maybe_number(form, "vlan")?,
        disk,
    };
    Ok(BuildRequest { image, connection: Some(connection), place, name: word("name") })
}

fn own(form: &Form, disk: u64) -> Result<Image> {
    let word = |name: &str| form.value(name).trim().to_owned();
    let title = word("title");
    if title.is_empty() || title.chars().count() > 60 {
        return Err(Error::field("title", "Give it a name of 1 to 60 characters."));
    }
    let algorithm = if form.value("algorithm") == "sha512" { Algorithm::Sha512 } else { Algorithm::Sha256 };
    Ok(Image {
        id: image_id(&title),
        name: title,
        version: String::new(),
        arch: "amd64".to_owned(),
        url: word("url"),
        checksums: None,
        checksum: Some(word("checksum")),
        algorithm,
        format: word("format"),
        user: word("user"),
        system: "linux".to_owned(),
        cpu: word("cpu"),
        disk: 1.min(disk),
        memory: 512,
        agent: false,
        recommended: false,
        homepage: String::new(),
        notes: String::new(),
    })
}

/// `Rocky Linux 10` is `rocky-linux-10`.
pub fn image_id(title: &str) -> String {
    let mut out = String::new();
    for c in title.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let out: String = out.chars().take(40).collect();
    let out = out.trim_end_matches('-');
    if out.is_empty() { "own".to_owned() } else { out.to_owned() }
}

#[derive(Debug, Deserialize)]
pub struct Where {
    node: Option<String>,
}

pub async fn upload_page(person: Person, Query(at): Query<Where>) -> Answer<Markup> {
    let form = Form::new().set("image", "own").set("node", at.node.unwrap_or_default());
    let view = new_view(&person, &form).await?;
    Ok(page::upload(&person.page(), &view, &Form::new()))
}

pub async fn upload(person: Person, sent: CheckedFile) -> Answer {
    let CheckedFile { form, size, file, .. } = sent;
    let form = Form::from_pairs(form);
    let form = form.clone().replace("image", "own").replace("node", form.value("at"));
    let asked = match upload_request(&person, &form) {
        Ok(request) => person.web.app.templates().request_upload(&person.actor, request, size, file).await,
        Err(e) => {
            // Read to its end, or the browser would see a broken connection instead of the form.
            drain(file).await;
            Err(e)
        }
    };
    match asked {
        Ok(job) => Ok(person.done(&format!("/jobs/{}", job.id), "")),
        Err(e) => {
            let view = new_view(&person, &form).await?;
            again(&person, form, at_fields(e), |p, form| page::upload(p, &view, form))
        }
    }
}

pub async fn windows_page(person: Person, Query(at): Query<Where>) -> Answer<Markup> {
    let form = Form::new().set("image", "own").set("node", at.node.unwrap_or_default());
    let view = new_view(&person, &form).await?;
    let isos = isos(&person, &view).await;
    Ok(page::windows(&person.page(), &view, &isos, &Form::new()))
}

/// The images that the view's node can reach, by volume id and name.
async fn isos(person: &Person, view: &NewView) -> Vec<(String, String)> {
    let node = view.node.rsplit('/').next().unwrap_or_default();
    let Some(connection) = view.connection else { return Vec::new() };
    let found = person.web.app.nodes().choices(&person.actor, connection, node).await.unwrap_or_else(|e| {
        tracing::debug!(error = %e.chain(), node, "no images for the form");
        model::nodes::Choices::default()
    });
    found.isos.iter().map(|v| (v.clone(), v.replacen(":iso/", ": ", 1))).collect()
}

pub async fn windows(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    let mut form = form.clone().replace("image", "own").replace("node", form.value("at"));
    let [password, key] = ["password", "product_key"].map(|name| form.secret(name));
    let view = new_view(&person, &form).await?;
    let asked = match windows_wish(&form, &view) {
        Ok(wish) => {
            let secrets = WindowsSecrets { password, product_key: Secret::new(key.expose().trim().to_owned()) };
            person.web.app.templates().request_windows(&person.actor, view.connection, wish, &secrets).await
        }
        Err(e) => Err(e),
    };
    match asked {
        Ok(job) => Ok(person.done(&format!("/jobs/{}", job.id), "")),
        Err(e) => {
            let isos = isos(&person, &view).await;
            again(&person, form, e, |p, form| page::windows(p, &view, &isos, form))
        }
    }
}

fn windows_wish(form: &Form, view: &NewView) -> Result<WindowsWish> {
    let word = |name: &str| form.value(name).trim().to_owned();
    Ok(WindowsWish {
        name: word("name"),
        node: view.node.rsplit('/').next().unwrap_or_default().to_owned(),
        release: word("release"),
        iso: word("iso"),
        drivers: word("drivers"),
        extra: word("extra"),
        edition: number(form, "edition")?,
        language: word("language"),
        keyboard: word("keyboard"),
        time_zone: word("time_zone"),
        storage: word("storage"),
        bridge: word("bridge"),
        vlan: maybe_number(form, "vlan")?,
        disk: number(form, "disk")?,
        cores: number(form, "cores")?,
        memory: number(form, "memory")?,
        hours: number(form, "hours")?,
    })
}

/// At most as much as people wait for to read a sentence.
const DRAIN: usize = 1 << 30;

async fn drain(mut file: FileStream) {
    let mut left = DRAIN;
    while let Some(Ok(chunk)) = file.next().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            return;
        }
    }
}

fn upload_request(person: &Person, form: &Form) -> Result<BuildRequest> {
    // Fields of an image that is somewhere in the net.
    let form = form.clone().replace("url", "").replace("vlan", "");
    request(person, &form, None)
}

pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let view = one(&person, id(&text)?).await?;
    Ok(page::template(&person.page(), &view, &Form::new()))
}

async fn one(person: &Person, guest: GuestId) -> Result<TemplateView> {
    let templates = person.web.app.templates();
    let found = templates.list(&person.actor)?.into_iter().find(|t| t.guest.row.id == guest);
    let found = found.ok_or_else(|| Error::not_found("This template does not exist."))?;
    let uses = match templates.uses(&person.actor, guest).await {
        Ok(list) => Ok(list.iter().map(|g| (g.row.id, g.state.name.clone())).collect()),
        Err(e) => Err(e.message().to_owned()),
    };
    let impact = person.web.app.impact().of(&person.actor, guest, &ActionKind::Delete.into()).await?;
    Ok(TemplateView { item: template_item(found), uses, impact })
}

pub async fn rebuild(person: Person, Path(text): Path<String>, _: Checked<Pairs>) -> Answer {
    let guest = id::<GuestId>(&text)?;
    match person.web.app.templates().request_rebuild(&person.actor, guest).await {
        Ok(job) => Ok(finished(&person, &format!("/jobs/{}", job.id), "")),
        Err(e) => refused(&person, &format!("/templates/{guest}"), e),
    }
}

pub async fn delete(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let (guest, form) = (id::<GuestId>(&text)?, Form::from_pairs(form));
    let view = one(&person, guest).await?;
    let done = match confirmed(&form, "name", "template", &view.item.name) {
        Ok(()) => person.web.app.templates().request_delete(&person.actor, guest).await,
        Err(e) => Err(e),
    };
    match done {
        Ok(job) => Ok(finished(&person, &format!("/jobs/{}", job.id), "")),
        Err(e) => again(&person, form, e, |p, form| page::template(p, &view, form)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_image_is_named_after_its_title() {
        assert_eq!(image_id("Rocky Linux 10 (Red)"), "rocky-linux-10-red");
        assert_eq!(image_id("  Üb "), "b");
        assert_eq!(image_id("???"), "own");
    }
}
