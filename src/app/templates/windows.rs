//! Asking for a Windows template from an installation image.

use super::Templates;
use crate::Actor;
use crate::jobs::{NewJob, enqueue, secrets};
use base::ids::JobId;
use base::{Error, Result, Secrets};
use model::guests::GuestKind;
use model::jobs::{BuildWindows, Job, JobKind, Priority};
use model::subject::Subject;
use model::windows::{WindowsRequest, answers};

impl Templates<'_> {
    /// Asks for a Windows template: one commit holds the job, its secrets and the audit entry.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` with a sentence per field; `Conflict` where the provider can't; `Unavailable` while
    /// Proxmox is away.
    pub async fn request_windows(&self, actor: &Actor, mut request: WindowsRequest) -> Result<Job> {
        actor.require_full_admin()?;
        let connection = self.connection_for(request.connection.as_deref(), &request.node)?;
        request.check(&self.0.guests().settings_of(connection, GuestKind::Vm))?;
        let snapshot = self.0.live().snapshot();
        if snapshot.guests.iter().any(|g| g.row.connection == connection && g.state.name == request.name) {
            return Err(Error::field("name", "There is a machine with this name already. Choose another."));
        }
        let plugin = self.0.connections().plugin_of(connection)?;
        let able =
            self.0.plugin_set().get(&plugin).is_some_and(|p| p.manifest().hooks.contains_key(JobKind::BUILD_WINDOWS));
        if !able {
            return Err(Error::conflict("This node's provider can't make Windows templates."));
        }
        let id = JobId::new();
        let title = request.release().map_or("Windows", |r| r.1);
        let notes = format!(
            "{title}, made by Steward on {} from\n{} (edition {})",
            self.0.now().to_utc().format("%Y-%m-%d"),
            request.iso,
            request.edition
        );
        let mut hidden = Secrets::default();
        for (name, text) in answers(&request) {
            hidden.put(format!("answers/{name}"), text);
        }
        (request.connection, request.password, request.product_key) = Default::default();
        let about = format!("{title} on {} from {}", request.node, request.iso);
        let record = actor.record(self.0.now(), "template.build", &request.name, about);
        let new = NewJob {
            id,
            plugin,
            title: format!("Make template {}", request.name),
            priority: Priority::Normal,
            subject: Subject::Connection(connection),
            connection: Some(connection),
            lane: Some(format!("node:{connection}:{}", request.node)),
            dedup: Some(format!("template:{connection}:{}:{}", request.node, request.name)),
            max_attempts: 3,
            kind: JobKind::BuildWindows(Box::new(BuildWindows {
                spec: request,
                title: title.to_owned(),
                file: format!("steward-answers-{id}.iso"),
                notes,
            })),
        };
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
