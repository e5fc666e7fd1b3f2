//! Asking for a Windows template from an installation image.

use super::{Templates, WINDOWS_HOOK};
use crate::Actor;
use crate::jobs::{NewJob, enqueue, secrets};
use base::ids::{ConnectionId, JobId};
use base::{Error, Result, Secrets};
use model::jobs::{Job, Priority};
use model::windows::{WindowsSecrets, WindowsWish, answers};
use serde_json::json;

impl Templates<'_> {
    /// Asks for a Windows template: one commit holds the job, its secrets and the audit entry.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` with a sentence per field; `Conflict` where the provider can't; `Unavailable` while
    /// Proxmox is away.
    pub async fn request_windows(
        &self,
        actor: &Actor,
        connection: Option<ConnectionId>,
        wish: WindowsWish,
        given: &WindowsSecrets,
    ) -> Result<Job> {
        actor.require_full_admin()?;
        wish.check(given)?;
        let connection = self.connection_for(connection, &wish.node)?;
        let snapshot = self.0.live().snapshot();
        if snapshot.guests.iter().any(|g| g.row.connection == connection && g.state.name == wish.name) {
            return Err(Error::field("name", "There is a machine with this name already. Choose another."));
        }
        let plugin = self.0.connections().plugin_of(connection)?;
        let able = self.0.plugin_set().get(&plugin).is_some_and(|p| p.manifest().hooks.contains_key(WINDOWS_HOOK));
        if !able {
            return Err(Error::conflict("What this node runs on can't make Windows templates."));
        }
        let id = JobId::new();
        let (title, ostype) = wish.release().map_or(("Windows", "win11"), |r| (r.1, r.2));
        let mut args = serde_json::to_value(&wish).map_err(Error::internal)?;
        args["title"] = json!(title);
        args["ostype"] = json!(ostype);
        args["mark"] = json!(id);
        args["file"] = json!(format!("steward-answers-{id}.iso"));
        args["notes"] = json!(format!(
            "{title}, made by Steward on {} from\n{} (edition {})",
            self.0.now().to_utc().format("%Y-%m-%d"),
            wish.iso,
            wish.edition
        ));
        let mut hidden = Secrets::default();
        for (name, text) in answers(&wish, given) {
            hidden.put(format!("answers/{name}"), text);
        }
        let new = NewJob {
            id,
            plugin,
            hook: WINDOWS_HOOK.to_owned(),
            title: format!("Make template {}", wish.name),
            priority: Priority::Normal,
            guest: None,
            connection: Some(connection),
            lane: Some(format!("node:{connection}:{}", wish.node)),
            dedup: Some(format!("template:{connection}:{}:{}", wish.node, wish.name)),
            max_attempts: 3,
            args,
        };
        let about = format!("{title} on {} from {}", wish.node, wish.iso);
        let record = actor.record(self.0.now(), "template.build", wish.name, about);
        let actor = actor.clone();
        let job = self
            .0
            .store()
            .write(move |tx| {
                let job = enqueue(tx, &actor, new)?;
                if job.id == id {
                    secrets::keep(tx, id, &hidden)?;
                    tx.audit(record);
                }
                Ok(job)
            })
            .await?;
        self.0.job_bell().notify_one();
        Ok(job)
    }
}
