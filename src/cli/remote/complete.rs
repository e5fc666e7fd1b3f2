//! Names for the shell's completion, asked from the appliance. Whatever goes wrong, there is nothing to complete:
//! a half-written line is no place for errors.

use super::client::Api;
use super::contexts::Contexts;
use super::find;
use base::Result;
use clap_complete::engine::CompletionCandidate;
use std::ffi::OsStr;
use std::time::Duration;

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
    let text = |g: &serde_json::Value, key: &str| g[key].as_str().unwrap_or_default().to_owned();
    let fits = found.iter().filter(|g| text(g, "name").starts_with(start));
    fits.map(|g| some(&text(g, "name"), &format!("{} on {}", text(g, "status"), text(g, "node")))).collect()
}

/// Templates by name.
pub fn templates(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(start) = current.to_str() else { return Vec::new() };
    let filter = format!("is:template {start}");
    let found = ask(async |api| find::guests(api, &filter, "name", MOST).await).unwrap_or_default();
    let names = found.iter().filter_map(|g| g["name"].as_str()).filter(|n| n.starts_with(start));
    names.map(|n| some(n, "template")).collect()
}

/// The newest jobs by id.
pub fn jobs() -> Vec<CompletionCandidate> {
    let found = ask(async |api| api.get("/jobs?limit=50").await).unwrap_or_default();
    let text = |j: &serde_json::Value, key: &str| j[key].as_str().unwrap_or_default().to_owned();
    let all = found["jobs"].as_array().into_iter().flatten();
    all.map(|j| some(&text(j, "id"), &format!("{}, {}", text(j, "title"), text(j, "state")))).collect()
}

/// Images of the catalogue by id.
pub fn images() -> Vec<CompletionCandidate> {
    let found = ask(async |api| api.get("/images").await).unwrap_or_default();
    let text = |i: &serde_json::Value, key: &str| i[key].as_str().unwrap_or_default().to_owned();
    let all = found["images"].as_array().into_iter().flatten();
    all.map(|i| some(&text(i, "id"), &format!("{} {}", text(i, "name"), text(i, "version")))).collect()
}

/// Hardware profiles by name.
pub fn profiles() -> Vec<CompletionCandidate> {
    let found = ask(async |api| api.get("/profiles").await).unwrap_or_default();
    let text = |p: &serde_json::Value, key: &str| p[key].as_str().unwrap_or_default().to_owned();
    let all = found["profiles"].as_array().into_iter().flatten();
    all.map(|p| some(&text(p, "name"), &text(p, "summary"))).collect()
}

/// Recipes by name.
pub fn recipes() -> Vec<CompletionCandidate> {
    let found = ask(async |api| api.get("/software").await).unwrap_or_default();
    let text = |r: &serde_json::Value, key: &str| r[key].as_str().unwrap_or_default().to_owned();
    let all = found.as_array().into_iter().flatten();
    all.map(|r| some(&text(r, "name"), &text(r, "title"))).collect()
}

/// Nodes by name.
pub fn nodes() -> Vec<CompletionCandidate> {
    let found = ask(async |api| api.get("/nodes").await).unwrap_or_default();
    let all = found["nodes"].as_array().into_iter().flatten();
    all.filter_map(|n| n["name"].as_str()).map(|n| some(n, "node")).collect()
}

/// The Stewards that this computer is signed in to.
pub fn contexts() -> Vec<CompletionCandidate> {
    let all = Contexts::load().unwrap_or_default();
    all.contexts.iter().map(|(name, c)| some(name, &c.url)).collect()
}
