//! The Plugins page: what is loaded, what is wrong with it, reload.

use crate::{Actor, App};
use base::{Error, Result};
use model::plugins::PluginInfo;
use model::subject::Subject;

pub struct PluginPages<'a>(pub(super) &'a App);

impl PluginPages<'_> {
    /// All plugins, by name, with their errors.
    pub fn list(&self, actor: &Actor) -> Result<Vec<PluginInfo>> {
        actor.require_admin()?;
        Ok(self.0.plugin_set().list())
    }

    /// One plugin with its files' text (name, text).
    pub fn source(&self, actor: &Actor, name: &str) -> Result<(PluginInfo, Vec<(String, String)>)> {
        actor.require_admin()?;
        let info = self.0.plugin_set().list().into_iter().find(|p| p.name == name);
        let info = info.ok_or_else(|| Error::not_found("There is no such plugin."))?;
        Ok((info, self.0.plugin_set().files(name)))
    }

    /// Reads the plugins folder again.
    pub async fn reload(&self, actor: &Actor) -> Result<()> {
        actor.require_full_admin()?;
        let set = self.0.plugin_set().clone();
        tokio::task::spawn_blocking(move || set.reload()).await.map_err(Error::internal)?;
        let record = actor.record(self.0.now(), "plugin.reload", "all plugins", "");
        self.0
            .store()
            .write(move |tx| {
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.changed().await
    }

    /// Tells the pages that something about plugins changed.
    pub async fn changed(&self) -> Result<()> {
        self.0
            .store()
            .write(|tx| {
                tx.event(Subject::Plugins, None);
                Ok(())
            })
            .await
    }
}
