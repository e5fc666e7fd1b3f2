//! The Plugins page: what is loaded, and where a script is wrong.

pub mod page;

use crate::door::csrf::Checked;
use crate::door::forms::finished;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::plugins::page::{PluginView, PluginsView, SourceFile};
use axum::extract::Path;
use maud::Markup;

pub async fn list(person: Person) -> Answer<Markup> {
    let app = &person.web.app;
    let view = PluginsView {
        plugins: app.plugins().list(&person.actor)?,
        folder: app.settings().plugins_dir.as_ref().map(|p| p.display().to_string()),
    };
    Ok(page::plugins(&person.page(), &view))
}

pub async fn show(person: Person, Path(name): Path<String>) -> Answer<Markup> {
    let (info, files) = person.web.app.plugins().source(&person.actor, &name)?;
    let files = files.into_iter().map(|(name, text)| SourceFile { name, text }).collect();
    Ok(page::plugin(&person.page(), &PluginView { info, files }))
}

pub async fn reload(person: Person, _: Checked) -> Answer {
    person.web.app.plugins().reload(&person.actor).await?;
    Ok(finished(&person, "/plugins", "The plugins folder has been reloaded."))
}
