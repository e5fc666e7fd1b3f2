//! The software menu for programs: what there is, what is on a machine, asking for more.

use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::accepted;
use crate::rest::body::Sent;
use crate::rest::openapi::{ListProblems, OneProblems, WriteProblems};
use crate::rest::words::OptionValue;
use app::software::{KeyView, LetIn, SoftwareView};
use axum::Json;
use axum::extract::Path;
use axum::response::IntoResponse;
use base::ids::GuestId;
use base::{Error, Secret, Timestamp};
use http::StatusCode;
use model::software::{SoftwareRequest, SoftwareState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Something that can be installed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecipeView {
    pub name: String,
    pub version: String,
    pub title: String,
    pub category: String,
    pub about: String,
    pub needs: NeedsView,
    pub options: Vec<OptionView>,
}

/// What it needs beside the system itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct NeedsView {
    /// MiB.
    pub memory: u64,
    /// GiB.
    pub disk: u64,
    /// Systems by their name in `/etc/os-release`; empty for any Linux.
    pub systems: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OptionView {
    pub key: String,
    pub label: String,
    /// text, lines, words, number, decimal, bool, choice, multi, password or path.
    #[schema(value_type = String)]
    pub kind: model::options::OptionKind,
    #[schema(value_type = Option<OptionValue>)]
    pub default: Value,
    /// Pairs of value and words.
    pub choices: Vec<(String, String)>,
    pub help: String,
    pub required: bool,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub pattern: Option<String>,
}

/// What can be installed on machines.
///
/// # Errors
/// None beside the usual ones.
#[utoipa::path(get, path = "/api/v1/software", tag = "software", responses((status = 200, body = Vec<RecipeView>), ListProblems))]
pub async fn menu(person: Person) -> Json<Vec<RecipeView>> {
    let option = |o: model::options::OptionSpec| OptionView {
        key: o.key,
        label: o.label,
        kind: o.kind,
        default: o.default,
        choices: o.choices,
        help: o.help,
        required: o.required,
        min: o.min,
        max: o.max,
        pattern: o.pattern,
    };
    let menu = person.web.app.software().menu(&person.actor).into_iter().map(|item| RecipeView {
        name: item.name,
        version: item.version,
        about: item.about,
        title: item.recipe.title,
        category: item.recipe.category,
        needs: NeedsView {
            memory: item.recipe.needs.memory,
            disk: item.recipe.needs.disk,
            systems: item.recipe.needs.systems,
        },
        options: item.recipe.options.into_iter().map(option).collect(),
    });
    Json(menu.collect())
}

/// A recipe on a machine. Secret options are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct InstalledView {
    pub recipe: String,
    pub title: String,
    pub version: String,
    #[schema(value_type = Object)]
    pub options: Value,
    /// wanted, installing, installed, failed or cancelled.
    #[schema(value_type = String)]
    pub state: SoftwareState,
    /// The job that installs or installed it.
    pub job: Option<String>,
    pub links: Vec<LinkView>,
    pub asked_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub asked: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub installed: Option<Timestamp>,
    /// Why it failed last.
    pub error: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LinkView {
    pub title: String,
    pub url: String,
}

impl From<SoftwareView> for InstalledView {
    fn from(s: SoftwareView) -> Self {
        Self {
            recipe: s.recipe,
            title: s.title,
            version: s.version,
            options: s.options,
            state: s.state,
            job: s.job.map(|j| j.to_string()),
            links: s.links.into_iter().map(|l| LinkView { title: l.title, url: l.url }).collect(),
            asked_by: s.asked_by,
            asked: s.asked,
            installed: s.installed,
            error: s.error,
        }
    }
}

/// What is (to be) installed on a machine.
///
/// # Errors
/// `NotFound`.
#[utoipa::path(get, path = "/api/v1/guests/{id}/software", tag = "software", params(("id" = String, Path)),
    responses((status = 200, body = Vec<InstalledView>), OneProblems))]
pub async fn list(person: Person, Path(text): Path<String>) -> Answer<Json<Vec<InstalledView>>> {
    let all = person.web.app.software().of_guest(&person.actor, id::<GuestId>(&text)?).await?;
    Ok(Json(all.into_iter().map(Into::into).collect()))
}

/// Asks for a recipe on a machine. Its job begins when nothing else works on the machine; until then `job` is
/// null.
///
/// # Errors
/// `NotFound`, `Forbidden`; `Invalid` with the fields `software.RECIPE.KEY`; `Conflict`.
#[utoipa::path(post, path = "/api/v1/guests/{id}/software", tag = "software", params(("id" = String, Path)), request_body = SoftwareRequest,
    responses((status = 202, description = "Asked for", body = InstalledView, headers(("Location" = String, description = "The job, when it was made at once"))), WriteProblems))]
pub async fn install(person: Person, Path(text): Path<String>, Sent(wanted): Sent<SoftwareRequest>) -> Answer {
    let asked = person.web.app.software().request_install(&person.actor, id::<GuestId>(&text)?, wanted).await?;
    let view = InstalledView::from(asked);
    match view.job.clone() {
        Some(job) => Ok(accepted(&job, view)),
        None => Ok((StatusCode::ACCEPTED, Json(view)).into_response()),
    }
}

/// Takes a recipe off the list of a machine. What is installed stays on the machine.
///
/// # Errors
/// `NotFound`, `Forbidden`, `Conflict`.
#[utoipa::path(delete, path = "/api/v1/guests/{id}/software/{recipe}", tag = "software",
    params(("id" = String, Path), ("recipe" = String, Path)), responses((status = 204, description = "Off the list"), WriteProblems))]
pub async fn remove(person: Person, Path((text, recipe)): Path<(String, String)>) -> Answer<StatusCode> {
    person.web.app.software().remove(&person.actor, id::<GuestId>(&text)?, &recipe).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How Steward signs in to a machine.
#[derive(Debug, Serialize, ToSchema)]
pub struct SshView {
    pub user: String,
    /// The line for `authorized_keys`.
    pub public_key: String,
    /// The host key that was seen first; empty before the first sign-in.
    pub host_keys: Vec<String>,
    /// `null`: the address that Proxmox tells.
    pub address: Option<String>,
    pub port: u16,
}

impl From<KeyView> for SshView {
    fn from(k: KeyView) -> Self {
        Self { user: k.user, public_key: k.public, host_keys: k.host_keys, address: k.address, port: k.port }
    }
}

/// How Steward signs in to a machine.
///
/// # Errors
/// `NotFound`, also when it can't.
#[utoipa::path(get, path = "/api/v1/guests/{id}/ssh", tag = "software", params(("id" = String, Path)),
    responses((status = 200, body = SshView), OneProblems))]
pub async fn ssh(person: Person, Path(text): Path<String>) -> Answer<Json<SshView>> {
    let key = person.web.app.software().key(&person.actor, id::<GuestId>(&text)?)?;
    let key = key.ok_or_else(|| Error::not_found("Steward has no key for this machine."))?;
    Ok(Json(key.into()))
}

/// Letting Steward in to a machine.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// root, or a user who may use sudo without a password.
    user: String,
    /// Left out: the address that Proxmox tells.
    #[serde(default)]
    address: String,
    #[serde(default = "ssh_port")]
    port: u16,
    /// Used once to place the key, then forgotten. Left out: place the answer's `public_key` yourself.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Secret<String>>,
}

fn ssh_port() -> u16 {
    22
}

/// Makes a key for a machine, or keeps the one it has, and places it with a password if one is given.
///
/// # Errors
/// `NotFound`, `Forbidden`; `Invalid` with the fields; `Unavailable` when the machine does not answer.
#[utoipa::path(put, path = "/api/v1/guests/{id}/ssh", tag = "software", params(("id" = String, Path)), request_body = Allow,
    responses((status = 200, body = SshView), WriteProblems))]
pub async fn let_in(person: Person, Path(text): Path<String>, Sent(allow): Sent<Allow>) -> Answer<Json<SshView>> {
    let wanted = LetIn { user: allow.user, address: allow.address, port: allow.port, password: allow.password };
    let key = person.web.app.software().let_in(&person.actor, id::<GuestId>(&text)?, wanted).await?;
    Ok(Json(key.into()))
}

/// Forgets the host key that was seen first, for a machine that was made anew.
///
/// # Errors
/// `NotFound`, `Forbidden`.
#[utoipa::path(delete, path = "/api/v1/guests/{id}/ssh/host-key", tag = "software", params(("id" = String, Path)),
    responses((status = 204, description = "Forgotten"), WriteProblems))]
pub async fn forget_host_key(person: Person, Path(text): Path<String>) -> Answer<StatusCode> {
    person.web.app.software().forget_host_key(&person.actor, id::<GuestId>(&text)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
