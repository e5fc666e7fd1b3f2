//! Looking for newer images on a schedule, rebuilding templates, and deleting those that were replaced.

use super::{LOOKED, POLICY, Templates, supersedes};
use crate::Actor;
use crate::crontab::next_time;
use base::ids::UserId;
use base::{Error, Kind, Result, Timestamp};
use futures_util::future::join_all;
use model::connections::Reach;
use model::images::Image;
use model::templates::{Looked, Policy, Template, TemplateRequest, WhenNewer};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use store::{Json, Name, Read, tables};

/// When the clock looked last.
const LAST: &str = "images.last";
/// A new template is not in Proxmox's list at once.
const YOUNG: Duration = Duration::from_secs(600);

/// The policy as stored.
#[derive(Default, Serialize, Deserialize)]
struct PolicyRow {
    #[serde(flatten)]
    policy: Policy,
    /// The admin who set it, as whom templates are made and deleted; `None`: the host's console.
    #[serde(default)]
    by: Option<UserId>,
}

impl Templates<'_> {
    /// When images are looked at by themselves, and what happens then.
    pub fn policy(&self, actor: &Actor) -> Result<Policy> {
        actor.require_admin()?;
        self.stored_policy()
    }

    fn stored_policy(&self) -> Result<Policy> {
        Ok(self.policy_row()?.policy)
    }

    fn policy_row(&self) -> Result<PolicyRow> {
        let row = self.0.store().read(|tx| tx.get(tables::SETTINGS, &Name::from(POLICY)))?;
        Ok(row.and_then(|json| serde_json::from_value(json.0).ok()).unwrap_or_default())
    }

    /// Steward for the admin who set the policy.
    fn policy_actor(&self) -> Result<Actor> {
        let actor = Actor::on_behalf_of(self.0, self.policy_row()?.by, "newer cloud image")?;
        actor.require_full_admin().map(|()| actor)
    }

    /// Changes the policy.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` on `cron`.
    pub async fn set_policy(&self, actor: &Actor, policy: Policy) -> Result<()> {
        actor.require_full_admin()?;
        next_time(&policy.cron, self.0.now())?;
        let words = serde_json::to_string(&policy).map_err(Error::internal)?;
        let record = actor.record(self.0.now(), "template.policy", "Cloud images", words);
        let value = serde_json::to_value(PolicyRow { policy, by: actor.user_id() }).map_err(Error::internal)?;
        let now = self.0.now();
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::SETTINGS, &Name::from(POLICY), &Json(value))?;
                // Times before this change are not made up for.
                tx.put(tables::SETTINGS, &Name::from(LAST), &Json(json!(now.0)))?;
                tx.audit(record);
                Ok(())
            })
            .await
    }

    /// Looks at all images of the catalogue now.
    ///
    /// # Errors
    /// `Forbidden`; what the store says. A publisher that does not answer is noted with its image.
    pub async fn look_now(&self, actor: &Actor) -> Result<()> {
        actor.require_full_admin()?;
        let images = self.catalogue().images.into_iter().map(|(image, _)| image).collect();
        self.look(images).await
    }

    async fn look(&self, images: Vec<Image>) -> Result<()> {
        let found = join_all(images.iter().map(|image| self.digest(image))).await;
        let mut all: BTreeMap<String, Looked> = self.looked()?;
        let at = self.0.now().0;
        for (image, found) in images.iter().zip(found) {
            let before = all.remove(&image.id).unwrap_or_default();
            let now = match found {
                Ok(digest) => Looked { at, digest: Some(digest), error: None },
                Err(e) => {
                    tracing::warn!(image = image.id, error = e.chain(), "the list of checksums can't be read");
                    Looked { at, error: Some(e.message().to_owned()), ..before }
                }
            };
            all.insert(image.id.clone(), now);
        }
        let value = serde_json::to_value(&all).map_err(Error::internal)?;
        self.0.store().write(move |tx| tx.put(tables::SETTINGS, &Name::from(LOOKED), &Json(value))).await
    }

    /// What is due: a look at the images of which there are templates, then new templates as the policy says,
    /// and the end of those that were replaced. Called every minute.
    pub async fn tick(&self) -> Result<()> {
        self.forget_gone().await?;
        let policy = self.stored_policy()?;
        if !policy.look {
            return Ok(());
        }
        let due = self.is_due(&policy)?;
        if due {
            let now = self.0.now().0;
            self.0.store().write(move |tx| tx.put(tables::SETTINGS, &Name::from(LAST), &Json(json!(now)))).await?;
            self.look_at_built().await?;
        }
        if policy.when_newer == WhenNewer::Tell {
            return Ok(());
        }
        match self.policy_actor() {
            Ok(actor) => {
                if due {
                    self.rebuild_old(&actor).await?;
                }
                if policy.when_newer == WhenNewer::Replace {
                    self.remove_replaced(&actor).await?;
                }
            }
            Err(e) if due => {
                tracing::warn!(
                    error = e.chain(),
                    "the person who chose what happens to old templates may not do it now"
                )
            }
            Err(_) => {}
        }
        Ok(())
    }

    fn is_due(&self, policy: &Policy) -> Result<bool> {
        let last = self.0.store().read(|tx| tx.get(tables::SETTINGS, &Name::from(LAST)))?;
        let since = last.and_then(|json| json.0.as_i64()).map_or_else(|| self.0.started(), Timestamp);
        let since = since.min(self.0.now());
        Ok(next_time(&policy.cron, since).is_ok_and(|t| t <= self.0.now()))
    }

    async fn look_at_built(&self) -> Result<()> {
        let built = self.existing()?;
        let catalogue = self.catalogue().images.into_iter().map(|(image, _)| image);
        self.look(catalogue.filter(|i| built.iter().any(|t| t.of_catalogue && t.image == i.id)).collect()).await
    }

    /// The templates that no newer one has replaced.
    fn current(all: &[Template]) -> Vec<&Template> {
        all.iter().filter(|t| t.of_catalogue && !all.iter().any(|other| supersedes(other, t))).collect()
    }

    async fn rebuild_old(&self, actor: &Actor) -> Result<()> {
        let (existing, looked) = (self.existing()?, self.looked()?);
        for old in Self::current(&existing) {
            let published = looked.get(&old.image).filter(|l| l.error.is_none()).and_then(|l| l.digest.as_deref());
            if published.is_none_or(|digest| digest == old.digest) {
                continue;
            }
            // One that can't be made now must not keep the others from it; the next look asks again.
            if let Err(e) = self.request_build(actor, TemplateRequest::again(old)).await {
                tracing::warn!(
                    image = old.image,
                    error = e.chain(),
                    "the rebuild of the template could not be requested"
                );
            }
        }
        Ok(())
    }

    /// Deletes templates that a newer one has replaced and that no machine depends on.
    async fn remove_replaced(&self, actor: &Actor) -> Result<()> {
        let existing = self.existing()?;
        let snapshot = self.0.live().snapshot();
        for old in existing.iter().filter(|t| existing.iter().any(|other| supersedes(other, t))) {
            let guest = snapshot.guests.iter().find(|g| {
                g.row.connection == old.connection && g.row.vmid == Some(old.vmid) && g.state.template && !g.is_stale()
            });
            // A template that was renamed or locked belongs to somebody now, so it is left alone.
            let Some(guest) = guest.filter(|g| g.state.name == old.name && g.state.lock.is_none()) else { continue };
            match self.request_delete(actor, guest.row.id).await {
                Ok(job) => {
                    tracing::info!(job.id = %job.id, template = old.name, "a replaced template is being deleted")
                }
                // Machines depend on it, a job works on it, or Proxmox is away: another time.
                Err(e) if matches!(e.kind(), Kind::Conflict | Kind::Unavailable) => {}
                Err(e) => tracing::warn!(template = old.name, error = e.chain(), "a replaced template stays"),
            }
        }
        Ok(())
    }

    /// Forgets what was known of templates that are gone from Proxmox, or are no longer templates.
    async fn forget_gone(&self) -> Result<()> {
        let snapshot = self.0.live().snapshot();
        let limit = self.0.now().minus(YOUNG);
        let here = |t: &Template| {
            let reach = snapshot.connection(t.connection).map(|c| &c.reach);
            // A connection that was removed takes its templates' rows along.
            reach.is_none_or(|r| matches!(r, Reach::Here { since } if *since < limit))
        };
        let there = |t: &Template| {
            let same = |g: &&std::sync::Arc<crate::live::GuestLive>| {
                g.row.connection == t.connection && g.row.vmid == Some(t.vmid)
            };
            snapshot.guests.iter().find(same).is_some_and(|g| g.state.template)
        };
        let gone: Vec<_> = self.rows()?.into_iter().filter(|t| t.built < limit && here(t) && !there(t)).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.0
            .store()
            .write(move |tx| {
                for t in gone {
                    tx.delete(tables::TEMPLATES, &(t.connection, t.vmid))?;
                }
                Ok(())
            })
            .await
    }
}
