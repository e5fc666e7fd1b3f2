//! What only admins read: plugins.

use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::rest::openapi::ListProblems;
use axum::Json;
use model::plugins::Origin;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct PluginView {
    pub name: String,
    /// Empty when the manifest can't be read.
    pub version: String,
    pub about: String,
    pub kind: String,
    /// Host modules that it may use.
    pub grants: Vec<String>,
    /// embedded or folder.
    pub origin: Origin,
    /// SHA-256 over all its files, hex.
    pub hash: String,
    /// Why it is not usable, with file, line and column.
    pub error: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PluginList {
    pub plugins: Vec<PluginView>,
}

/// All plugins and how they are doing.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "system", responses((status = 200, body = PluginList), ListProblems))]
pub async fn plugins(person: Person) -> Answer<Json<PluginList>> {
    let found = person.web.app.plugins().list(&person.actor)?;
    let plugins = found.into_iter().map(|p| {
        let manifest = p.manifest.as_ref();
        let text = |f: fn(&model::plugins::Manifest) -> &String| manifest.map(f).cloned().unwrap_or_default();
        PluginView {
            version: text(|m| &m.version),
            about: text(|m| &m.about),
            kind: manifest.map(|m| m.kind.name().to_owned()).unwrap_or_default(),
            grants: manifest.map(|m| m.grants.clone()).unwrap_or_default(),
            origin: p.origin,
            hash: p.hash,
            error: p.error.map(|e| e.to_string()),
            name: p.name,
        }
    });
    Ok(Json(PluginList { plugins: plugins.collect() }))
}
