//! Templates and the images that they are made from, for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::upload::{FileStream, content_length};
use crate::door::visit::Person;
use crate::jobs::rest::JobView;
use crate::rest::accepted;
use crate::rest::body::{JsonBody, QueryParams};
use crate::rest::openapi::{FileBytes, ListProblems, WriteProblems};
use crate::templates::image_id;
use app::templates::{BuildRequest, ImageChoice, ImageView as FoundImage, TemplateView as FoundTemplate};
use axum::Json;
use axum::extract::{Path, Request};
use base::ids::{ConnectionId, GuestId, JobId};
use base::{Error, Result, Secret, Timestamp};
use http::StatusCode;
use model::images::{Algorithm, Image, ImageOrigin};
use model::templates::TemplateTarget;
use model::windows::{WindowsSecrets, WindowsWish};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A cloud image of the catalogue.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImageView {
    #[serde(flatten)]
    pub image: Image,
    /// steward or file.
    pub origin: String,
    /// When the publisher's list was checked.
    pub looked: Option<Timestamp>,
    /// Why that failed.
    pub trouble: Option<String>,
    /// The checksum that the publisher listed then.
    pub published: Option<String>,
    /// There is a template, and a newer image than the one it was made of.
    pub newer: bool,
    /// The open job that makes a template of it.
    pub job: Option<JobId>,
}

impl From<FoundImage> for ImageView {
    fn from(found: FoundImage) -> Self {
        let (newer, looked) = (found.newer(), found.looked.as_ref());
        Self {
            looked: looked.map(|l| Timestamp(l.at)),
            trouble: looked.and_then(|l| l.error.clone()),
            published: looked.and_then(|l| l.digest.clone()),
            origin: if found.origin == ImageOrigin::BuiltIn { "steward" } else { "file" }.to_owned(),
            newer,
            job: found.building.map(|j| j.id),
            image: found.image,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImageList {
    pub images: Vec<ImageView>,
    /// What is wrong with the admin's file of images, a sentence each.
    pub problems: Vec<String>,
}

/// The catalogue of cloud images, with what the last check of their publishers found.
#[utoipa::path(get, path = "/api/v1/images", tag = "templates", responses((status = 200, body = ImageList), ListProblems))]
pub async fn images(person: Person) -> Answer<Json<ImageList>> {
    let (images, catalogue) = person.web.app.templates().images(&person.actor)?;
    Ok(Json(ImageList { images: images.into_iter().map(Into::into).collect(), problems: catalogue.problems }))
}

/// Checks every publisher's list of checksums now. The catalogue then has the results.
#[utoipa::path(post, path = "/api/v1/images/refresh", tag = "templates", responses((status = 204, description = "Looked"), WriteProblems))]
pub async fn refresh(person: Person) -> Answer<StatusCode> {
    person.web.app.templates().look_now(&person.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A template from which machines can be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TemplateView {
    /// As in `/guests/{id}`.
    pub id: GuestId,
    /// For `source.vmid` of a new machine.
    pub vmid: Option<u32>,
    pub name: String,
    pub node: String,
    pub connection: ConnectionId,
    /// Bytes.
    pub disk: u64,
    /// The image's id in the catalogue; `null` for a template that was made elsewhere.
    pub image: Option<String>,
    /// Like `Debian 13 (trixie)`.
    pub title: Option<String>,
    /// The user that cloud-init makes.
    pub user: Option<String>,
    /// The image's checksum.
    pub digest: Option<String>,
    pub built: Option<Timestamp>,
    pub recommended: bool,
    /// A newer template of the same image exists.
    pub superseded: bool,
    /// A newer image exists than the one it was made of.
    pub newer: bool,
}

impl From<FoundTemplate> for TemplateView {
    fn from(found: FoundTemplate) -> Self {
        let (guest, made) = (&found.guest, found.made.as_ref());
        Self {
            id: guest.row.id,
            vmid: guest.row.vmid,
            name: guest.state.name.clone(),
            node: guest.state.node.clone(),
            connection: guest.row.connection,
            disk: guest.state.maxdisk,
            image: made.map(|m| m.image.clone()),
            title: made.map(|m| m.title.clone()),
            user: made.map(|m| m.user.clone()),
            digest: made.map(|m| m.digest.clone()),
            built: made.map(|m| m.built),
            recommended: made.is_some_and(|m| m.recommended),
            superseded: found.superseded,
            newer: found.newer,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TemplateList {
    /// Recommended ones first, replaced ones last.
    pub templates: Vec<TemplateView>,
}

/// A requested Windows template, from installation images on the node's storages.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowsCreate {
    /// Left out: the connection that has the node.
    connection: Option<String>,
    /// 1 to 63 letters, digits and dashes.
    name: String,
    node: String,
    /// win10, win11, server2016, server2019, server2022 or server2025.
    release: String,
    /// The installation image, like `local:iso/windows-11.iso`.
    iso: String,
    /// The image with the VirtIO drivers.
    drivers: String,
    /// An image that holds `CloudbaseInitSetup*.msi`.
    #[serde(default)]
    extra: String,
    /// Which edition on the image, 1 to 30.
    edition: u32,
    /// As on the image: en-US.
    language: String,
    /// 0409:00000409.
    keyboard: String,
    /// Windows' own name, like W. Europe Standard Time.
    time_zone: String,
    /// The administrator's, 8 to 120 characters. Used once.
    #[schema(value_type = String, format = Password)]
    password: Secret<String>,
    #[schema(value_type = Option<String>, format = Password)]
    product_key: Option<Secret<String>>,
    #[serde(default)]
    storage: String,
    bridge: String,
    vlan: Option<u16>,
    /// GiB, 32 to 4096.
    disk: u64,
    cores: u32,
    /// MiB, 2048 and more.
    memory: u64,
    /// The longest that the installation may take, 1 to 24.
    hours: u32,
}

/// Requests a Windows template. The job in `Location` installs it, which takes half an hour or more.
#[utoipa::path(post, path = "/api/v1/templates/windows", tag = "templates", request_body = WindowsCreate,
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn windows(person: Person, JsonBody(wanted): JsonBody<WindowsCreate>) -> Answer {
    let connection = wanted.connection.as_deref().map(id::<ConnectionId>).transpose()?;
    let key = wanted.product_key.map(|key| Secret::new(key.expose().trim().to_owned()));
    let secrets = WindowsSecrets { password: wanted.password, product_key: key.unwrap_or_default() };
    let wish = WindowsWish {
        name: wanted.name,
        node: wanted.node,
        release: wanted.release,
        iso: wanted.iso,
        drivers: wanted.drivers,
        extra: wanted.extra,
        edition: wanted.edition,
        language: wanted.language,
        keyboard: wanted.keyboard,
        time_zone: wanted.time_zone,
        storage: wanted.storage,
        bridge: wanted.bridge,
        vlan: wanted.vlan,
        disk: wanted.disk,
        cores: wanted.cores,
        memory: wanted.memory,
        hours: wanted.hours,
    };
    let job = person.web.app.templates().request_windows(&person.actor, connection, wish, &secrets).await?;
    Ok(accepted(job.id, JobView::from(job)))
}

/// Templates from which machines can be made.
#[utoipa::path(get, path = "/api/v1/templates", tag = "templates", responses((status = 200, body = TemplateList), ListProblems))]
pub async fn list(person: Person) -> Answer<Json<TemplateList>> {
    let found = person.web.app.templates().list(&person.actor)?;
    Ok(Json(TemplateList { templates: found.into_iter().map(Into::into).collect() }))
}

/// An image that is not in the catalogue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnImage {
    /// Like `Rocky 10`.
    name: String,
    /// https, or http because the checksum is given.
    url: String,
    /// Hex.
    checksum: String,
    /// sha256 or sha512.
    algorithm: Algorithm,
    /// qcow2, raw or vmdk.
    #[serde(default = "qcow2")]
    format: String,
    #[serde(default)]
    user: String,
    /// The processor type that it needs at least.
    #[serde(default = "cpu")]
    cpu: String,
}

fn qcow2() -> String {
    "qcow2".to_owned()
}

fn cpu() -> String {
    "x86-64-v2-AES".to_owned()
}

/// A requested template: from an image of the catalogue, or from one that is described here.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateCreate {
    /// An id of the catalogue.
    image: Option<String>,
    own: Option<OwnImage>,
    /// Left out: the connection that has the node.
    connection: Option<String>,
    node: String,
    /// Left out: the image's id with today's date.
    #[serde(default)]
    name: String,
    /// Where its disk goes; left out: the storage with the most free space.
    #[serde(default)]
    storage: String,
    /// Where the download is kept in the meantime; left out: the storage for such images with the most free space.
    #[serde(default)]
    images: String,
    bridge: String,
    vlan: Option<u16>,
    /// GiB; left out: what the image needs.
    #[serde(default)]
    disk: u64,
}

impl TemplateCreate {
    fn request(self) -> Result<BuildRequest> {
        let image = match (self.image, self.own) {
            (Some(id), None) => ImageChoice::Catalogue(id),
            (None, Some(own)) => ImageChoice::Own(Box::new(Image {
                id: image_id(&own.name),
                name: own.name,
                version: String::new(),
                arch: "amd64".to_owned(),
                url: own.url,
                checksums: None,
                checksum: Some(own.checksum),
                algorithm: own.algorithm,
                format: own.format,
                user: own.user,
                system: "linux".to_owned(),
                cpu: own.cpu,
                disk: 1,
                memory: 512,
                agent: false,
                recommended: false,
                homepage: String::new(),
                notes: String::new(),
            })),
            _ => return Err(Error::field("image", "Give either image (an id of the catalogue) or own.")),
        };
        let connection = self.connection.map(|c| c.parse::<ConnectionId>()).transpose();
        let connection = connection.map_err(|_| Error::field("connection", "There is no such connection."))?;
        let place = TemplateTarget {
            node: self.node,
            images: self.images,
            storage: self.storage,
            bridge: self.bridge,
            vlan: self.vlan,
            disk: self.disk,
        };
        Ok(BuildRequest { image, connection, place, name: self.name })
    }
}

/// Requests a template. The job in `Location` downloads the image, checks it and makes the template. While one of
/// the same image is made on the same node, that job is the answer.
#[utoipa::path(post, path = "/api/v1/templates", tag = "templates", request_body = TemplateCreate,
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn create(person: Person, JsonBody(wanted): JsonBody<TemplateCreate>) -> Answer {
    let job = person.web.app.templates().request_build(&person.actor, wanted.request()?).await?;
    Ok(accepted(job.id, JobView::from(job)))
}

/// What is uploaded, in the query; the body is the file.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Upload {
    /// Like `Rocky 10`.
    title: String,
    node: String,
    bridge: String,
    /// qcow2 (when left out), raw or vmdk.
    #[serde(default = "qcow2")]
    format: String,
    /// SHA-256 or SHA-512, hex: a file that does not match is refused.
    #[serde(default)]
    checksum: String,
    #[serde(default)]
    user: String,
    /// Left out: the title with today's date.
    #[serde(default)]
    name: String,
    #[serde(default)]
    storage: String,
    #[serde(default)]
    images: String,
    /// GiB.
    #[serde(default = "eight")]
    disk: u64,
}

fn eight() -> u64 {
    8
}

/// Uploads an image and requests a template from it. The body is the file itself, with its `Content-Length`; it is
/// passed on to the node in pieces.
#[utoipa::path(post, path = "/api/v1/templates/upload", tag = "templates", params(Upload),
    request_body(content = FileBytes, content_type = "application/octet-stream", description = "The image's file"),
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn upload(person: Person, QueryParams(up): QueryParams<Upload>, request: Request) -> Answer {
    let size = content_length(request.headers())?;
    let own = OwnImage {
        name: up.title,
        url: String::new(),
        checksum: up.checksum,
        algorithm: Algorithm::Sha256,
        format: up.format,
        user: up.user,
        cpu: cpu(),
    };
    let wanted = TemplateCreate {
        image: None,
        own: Some(own),
        connection: None,
        node: up.node,
        name: up.name,
        storage: up.storage,
        images: up.images,
        bridge: up.bridge,
        vlan: None,
        disk: up.disk,
    };
    let file = FileStream::bare(request.into_body(), size);
    let job = person.web.app.templates().request_upload(&person.actor, wanted.request()?, size, file).await?;
    Ok(accepted(job.id, JobView::from(job)))
}

/// Requests a new template of the same image, in the same place as this one.
#[utoipa::path(post, path = "/api/v1/templates/{id}/rebuild", tag = "templates", params(("id" = String, Path)),
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn rebuild(person: Person, Path(text): Path<String>) -> Answer {
    let job = person.web.app.templates().request_rebuild(&person.actor, id::<GuestId>(&text)?).await?;
    Ok(accepted(job.id, JobView::from(job)))
}

/// Requests deleting a template, if no machine depends on it.
#[utoipa::path(delete, path = "/api/v1/templates/{id}", tag = "templates", params(("id" = String, Path)),
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn delete(person: Person, Path(text): Path<String>) -> Answer {
    let guest = id::<GuestId>(&text)?;
    let job = person.web.app.templates().request_delete(&person.actor, guest).await?;
    Ok(accepted(job.id, JobView::from(job)))
}
