//! Templates and the images that they are made from, for programs.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::upload::{FileStream, content_length};
use crate::door::visit::{Id, Person};
use crate::jobs::rest::JobView;
use crate::rest::accepted;
use crate::rest::body::{JsonBody, QueryParams};
use crate::rest::openapi::{FileBytes, ListProblems, WriteProblems};
use app::templates::{ImageView as FoundImage, TemplateView as FoundTemplate};
use axum::Json;
use axum::extract::{Path, Request};
use base::Timestamp;
use base::ids::{ConnectionId, GuestId, JobId};
use http::StatusCode;
use model::images::{Image, ImageOrigin};
use model::templates::{TemplateRequest, UploadRequest};
use model::windows::WindowsRequest;
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

/// Asks for a template of Windows. The job in `Location` installs it, which takes half an hour and more.
#[utoipa::path(post, path = "/api/v1/templates/windows", tag = "templates", request_body = WindowsRequest,
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn windows(person: Person, JsonBody(request): JsonBody<WindowsRequest>) -> Answer {
    let job = person.web.app.templates().request_windows(&person.actor, request).await?;
    Ok(accepted(job.id, JobView::from(job)))
}

/// Templates from which machines can be made.
#[utoipa::path(get, path = "/api/v1/templates", tag = "templates", responses((status = 200, body = TemplateList), ListProblems))]
pub async fn list(person: Person) -> Answer<Json<TemplateList>> {
    let found = person.web.app.templates().list(&person.actor)?;
    Ok(Json(TemplateList { templates: found.into_iter().map(Into::into).collect() }))
}

/// Asks for a template. The job in `Location` downloads the image, checks it and makes the template. While one of
/// the same image is made on the same node, that job is the answer.
#[utoipa::path(post, path = "/api/v1/templates", tag = "templates", request_body = TemplateRequest,
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn create(person: Person, JsonBody(request): JsonBody<TemplateRequest>) -> Answer {
    let job = person.web.app.templates().request_build(&person.actor, request).await?;
    Ok(accepted(job.id, JobView::from(job)))
}

/// Uploads an image and asks for a template of it. The body is the file itself, with its `Content-Length`; it is
/// passed on to the node piece by piece.
#[utoipa::path(post, path = "/api/v1/templates/upload", tag = "templates", params(UploadRequest),
    request_body(content = FileBytes, content_type = "application/octet-stream", description = "The image's file"),
    responses((status = 202, description = "Accepted", body = JobView, headers(("Location" = String, description = "The job"))), WriteProblems))]
pub async fn upload(person: Person, QueryParams(up): QueryParams<UploadRequest>, request: Request) -> Answer {
    let size = content_length(request.headers())?;
    let file = FileStream::bare(request.into_body(), size);
    let job = person.web.app.templates().request_upload(&person.actor, up.into(), size, file).await?;
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
pub async fn delete(person: Person, Id(guest): Id<GuestId>) -> Answer {
    let job = person.web.app.templates().request_delete(&person.actor, guest).await?;
    Ok(accepted(job.id, JobView::from(job)))
}
