//! Names for the shell's completion, asked from the appliance. Whatever goes wrong, there is nothing to complete:
//! a half-written line is no place for errors.

use super::client::Api;
use super::contexts::Contexts;
use super::find;
use app::software::MenuItem;
use base::Result;
use clap_complete::engine::CompletionCandidate;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::time::Duration;
use web::hardware_profiles::rest::ProfileList;
use web::jobs::rest::{JobPage, JobView};
use web::system::nodes::NodeList;
use web::templates::rest::ImageList;

/// Longer than this nobody waits for a Tab.
const PATIENCE: Duration = Duration::from_secs(2);
const MOST: usize = 1_000;

fn ask<T>(work: impl AsyncFnOnce(&mut Api) -> Result<T>) -> Option<T> {
    web::install_crypto();
    let contexts = Contexts::load().ok()?;
    let name = std::env::var("STEWARD_CONTEXT").ok().filter(|n| !n.is_empty());
    let mut api = Api::new(contexts.choose(name.as_deref()).ok()?.1).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work(&mut api)).await }).ok()?.ok()
}

fn some(text: &str, about: &str) -> CompletionCandidate {
    CompletionCandidate::new(text).help(Some(super::table::plain(about).into()))
}

/// Machines by name.
pub fn guests(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(start) = current.to_str() else { return Vec::new() };
    let found = ask(async |api| find::guests(api, start, "name", MOST).await).unwrap_or_default();
    let fits = found.iter().filter(|g| g.name.starts_with(start));
    fits.map(|g| some(&g.name, &format!("{} on {}", g.status, g.node))).collect()
}

/// Templates by name.
pub fn templates(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(start) = current.to_str() else { return Vec::new() };
    let filter = format!("is:template {start}");
    let found = ask(async |api| find::guests(api, &filter, "name", MOST).await).unwrap_or_default();
    found.iter().filter(|g| g.name.starts_with(start)).map(|g| some(&g.name, "template")).collect()
}

/// What a list holds, as candidates.
fn all<L: DeserializeOwned, T>(
    path: &str,
    items: impl FnOnce(L) -> Vec<T>,
    show: impl Fn(&T) -> CompletionCandidate,
) -> Vec<CompletionCandidate> {
    let found = ask(async |api| api.get::<L>(path).await);
    found.map(items).unwrap_or_default().iter().map(show).collect()
}

/// The newest jobs by id.
pub fn jobs() -> Vec<CompletionCandidate> {
    let show = |j: &JobView| some(&j.id.to_string(), &format!("{}, {}", j.title, j.state.name()));
    all("/jobs?limit=50", |page: JobPage| page.jobs, show)
}

/// Images of the catalogue by id.
pub fn images() -> Vec<CompletionCandidate> {
    all("/images", |list: ImageList| list.images, |i| some(&i.image.id, &i.image.title()))
}

/// Hardware profiles by name.
pub fn profiles() -> Vec<CompletionCandidate> {
    all("/profiles", |list: ProfileList| list.profiles, |p| some(&p.profile.name, &p.summary))
}

/// Recipes by name.
pub fn recipes() -> Vec<CompletionCandidate> {
    all("/software", |menu: Vec<MenuItem>| menu, |r| some(&r.name, &r.recipe.title))
}

/// Nodes by name.
pub fn nodes() -> Vec<CompletionCandidate> {
    all("/nodes", |list: NodeList| list.nodes, |n| some(&n.name, "node"))
}

/// The Stewards that this computer is signed in to.
pub fn contexts() -> Vec<CompletionCandidate> {
    let all = Contexts::load().unwrap_or_default();
    all.contexts.iter().map(|(name, c)| some(name, &c.url)).collect()
}
