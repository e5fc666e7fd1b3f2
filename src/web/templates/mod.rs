//! Templates from cloud images: the list, making one, one template.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{finished, id, press, submit};
use crate::door::problem::Answer;
use crate::door::upload::{CheckedFile, FileStream};
use crate::door::visit::{Id, Person};
use crate::frame::Form;
use crate::guests::actions::confirmed;
use crate::rest::reading::Node;
use crate::templates::page::{ImageItem, Made, NewView, TemplateItem, TemplateView, TemplatesView};
use app::live::GuestLive;
use app::templates::{ImageView, TemplateView as Found};
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use base::ids::{ConnectionId, GuestId};
use base::{Error, Result, Timestamp};
use futures_util::StreamExt as _;
use maud::Markup;
use model::guests::ActionKind;
use model::guests::GuestKind;
use model::jobs::Job;
use model::templates::{TemplateChoices, TemplateRequest, UploadRequest};
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
pub async fn look(person: Person, _: Checked) -> Answer {
    let looked = async {
        person.web.app.templates().look_now(&person.actor).await?;
        Ok(finished(&person, "/templates", "Checked every publisher's list of checksums."))
    };
    press(&person, "/templates", looked).await
}

pub async fn policy(person: Person, Checked { form, .. }: Checked) -> Answer {
    let saved = async {
        person.web.app.templates().set_policy(&person.actor, form.read()?).await?;
        Ok(finished(&person, "/templates", "Saved."))
    };
    submit(&person, &form, saved, async |p, form| Ok(page::templates(&p, &view(&person)?, &form))).await
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
    let settings = connection.map(|c| guests.settings_of(c, GuestKind::Vm)).unwrap_or_default();
    Ok(NewView { image, connection, settings, nodes, node, choices, trouble })
}

pub async fn make(person: Person, Checked { form, .. }: Checked) -> Answer {
    let view = new_view(&person, &form).await?;
    // Storages and bridges of the node before are not those of another one.
    if form.value("go") == "node" || form.value("shown") != view.node {
        let fresh = ["storage", "images", "bridge"].into_iter().fold(form, |f, name| f.replace(name, ""));
        return Ok(page::new(&person.page(), &view, &fresh).into_response());
    }
    let asked = async {
        let request = request(&form, &view)?;
        Ok(begun(&person, &person.web.app.templates().request_build(&person.actor, request).await.map_err(in_form)?))
    };
    submit(&person, &form, asked, async |p, form| Ok(page::new(&p, &view, &form))).await
}

fn begun(person: &Person, job: &Job) -> Response {
    person.done(&format!("/jobs/{}", job.id), "")
}

/// The form has the fields of an own image beside the others, its name as `title`.
fn in_form(e: Error) -> Error {
    e.rename_fields(|field| match field.strip_prefix("own.").unwrap_or(field) {
        "name" if field != "name" => "title".to_owned(),
        bare => bare.to_owned(),
    })
}

/// The form as a request, for the connection and node that it shows.
fn node_of(form: &Form, view: &NewView) -> Node {
    let (connection, node) = view.node.split_once('/').unwrap_or_default();
    form.node().with("connection", Node::word(connection)).with("node", Node::word(node))
}

fn request(form: &Form, view: &NewView) -> Result<TemplateRequest> {
    let title = form.value("title").trim();
    let node = match &view.image {
        Some(_) => node_of(form, view),
        None => node_of(form, view).without("image").with("own", form.node().with("name", Node::word(title))),
    };
    let named = |_: &TemplateRequest| match view.image.is_some() || base::text::is_name(title, 60) {
        true => Ok(()),
        false => Err(Error::field("title", "Give it a name of 1 to 60 characters that can be seen.")),
    };
    node.read_checked(named).map_err(in_form)
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
    let form = form.clone().replace("image", "own").replace("node", form.value("at"));
    let view = new_view(&person, &form).await?;
    let asked = async {
        let request: UploadRequest = match node_of(&form, &view).read() {
            Ok(request) => request,
            Err(e) => {
                // Read to its end, or the browser would see a broken connection instead of the form.
                drain(file).await;
                return Err(e);
            }
        };
        let job = person.web.app.templates().request_upload(&person.actor, request.into(), size, file).await?;
        Ok(begun(&person, &job))
    };
    submit(&person, &form, asked, async |p, form| Ok(page::upload(&p, &view, &form))).await
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

pub async fn windows(person: Person, Checked { form, .. }: Checked) -> Answer {
    let form = form.clone().replace("image", "own").replace("node", form.value("at"));
    let view = new_view(&person, &form).await?;
    let asked = async {
        let request = node_of(&form, &view).read()?;
        Ok(begun(&person, &person.web.app.templates().request_windows(&person.actor, request).await?))
    };
    let redraw = async |p, form: Form| {
        let isos = isos(&person, &view).await;
        Ok(page::windows(&p, &view, &isos, &form.without(&["password", "product_key"])))
    };
    submit(&person, &form, asked, redraw).await
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

pub async fn rebuild(person: Person, Id(guest): Id<GuestId>, _: Checked) -> Answer {
    let asked = async {
        let job = person.web.app.templates().request_rebuild(&person.actor, guest).await?;
        Ok(finished(&person, &format!("/jobs/{}", job.id), ""))
    };
    press(&person, &format!("/templates/{guest}"), asked).await
}

pub async fn delete(person: Person, Id(guest): Id<GuestId>, Checked { form, .. }: Checked) -> Answer {
    let view = one(&person, guest).await?;
    let asked = async {
        confirmed(&form, "name", "template", &view.item.name)?;
        let job = person.web.app.templates().request_delete(&person.actor, guest).await?;
        Ok(finished(&person, &format!("/jobs/{}", job.id), ""))
    };
    submit(&person, &form, asked, async |p, form| Ok(page::template(&p, &view, &form))).await
}
