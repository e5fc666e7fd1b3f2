//! The Plugins page: what is loaded, and where a script is wrong.

use crate::base::Result;
use crate::web::csrf::{Checked, Pairs};
use crate::web::forms::finished;
use crate::web::page::plugins::{self as page, PluginView, PluginsView, SourceFile};
use crate::web::visit::Person;
use axum::extract::Path;
use axum::response::Response;
use maud::Markup;

/// # Errors
/// `Forbidden`.
pub async fn list(person: Person) -> Result<Markup> {
    let app = &person.web.app;
    let view = PluginsView {
        plugins: app.plugins().list(&person.actor)?,
        folder: app.settings().plugins_dir.as_ref().map(|p| p.display().to_string()),
    };
    Ok(page::plugins(&person.page(), &view))
}

/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn show(person: Person, Path(name): Path<String>) -> Result<Markup> {
    let (info, files) = person.web.app.plugins().source(&person.actor, &name)?;
    let files = files.into_iter().map(|(name, text)| SourceFile { name, text }).collect();
    Ok(page::plugin(&person.page(), &PluginView { info, files }))
}

/// # Errors
/// `Forbidden`.
pub async fn reload(person: Person, _: Checked<Pairs>) -> Result<Response> {
    person.web.app.plugins().reload(&person.actor).await?;
    Ok(finished(&person, "/plugins", "The plugins folder was read again."))
}
