//! Templates made from cloud images: the catalogue, what was made of it, and taking templates away.
//!
//! A template is a guest like others; what is kept here besides is which image it was made of, so that the pages
//! can say whether a newer one exists, and the wizard can name it.

mod build;
mod upload;
mod watch;
mod windows;

use crate::live::GuestLive;
use crate::{Actor, App, plugin_host};
use base::ids::{ConnectionId, GuestId};
use base::{Error, Result};
use config;
use model::guests::actions::Delete;
use model::images::{Catalogue, Image, ImageOrigin};
use model::jobs::{Job, JobKind, JobState};
use model::templates::{Looked, Template, TemplateChoices};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use store::{Name, Read, Scan, tables};

pub struct Templates<'a>(pub(super) &'a App);

/// An image of the catalogue with what is known of it.
#[derive(Clone, Debug)]
pub struct ImageView {
    pub image: Image,
    pub origin: ImageOrigin,
    /// What the last look found; `None`: nobody looked yet.
    pub looked: Option<Looked>,
    /// The newest template that was made of it.
    pub newest: Option<Template>,
    /// The open job that makes a template of it now.
    pub building: Option<Job>,
}

impl ImageView {
    /// There is a template, and a newer image than the one it was made of.
    pub fn newer(&self) -> bool {
        let published = self.looked.as_ref().and_then(|l| l.digest.as_deref());
        matches!((&self.newest, published), (Some(have), Some(published)) if have.digest != published)
    }
}

/// A template that exists now.
#[derive(Clone, Debug)]
pub struct TemplateView {
    pub guest: Arc<GuestLive>,
    /// What it was made of; `None` for a template that was made elsewhere.
    pub made: Option<Template>,
    /// A newer template of the same image exists on the same connection.
    pub superseded: bool,
    /// A newer image exists than the one that this, the newest template of it, was made of.
    pub newer: bool,
}

impl Templates<'_> {
    /// The catalogue as it is now: the admin's file is read each time, so a change counts at once.
    pub fn catalogue(&self) -> Catalogue {
        config::catalogue(self.0.settings().images_file.as_deref())
    }

    /// All images with what is known of them, and sentences about the admin's file.
    pub fn images(&self, actor: &Actor) -> Result<(Vec<ImageView>, Catalogue)> {
        actor.require_admin()?;
        let catalogue = self.catalogue();
        let (looked, made) = (self.looked()?, self.existing()?);
        let open = self.0.jobs().all_open()?;
        let builds = |job: &&Job, image: &Image| matches!(&job.kind, JobKind::BuildTemplate(b) if b.image == image.id);
        let images = catalogue.images.iter().map(|(image, origin)| ImageView {
            image: image.clone(),
            origin: origin.clone(),
            looked: looked.get(&image.id).cloned(),
            newest: made.iter().filter(|t| t.of_catalogue && t.image == image.id).max_by_key(|t| t.built).cloned(),
            building: open.iter().find(|job| builds(job, image)).cloned(),
        });
        Ok((images.collect(), catalogue))
    }

    /// All templates from which anybody signed in may make a machine: recommended ones first, then by name.
    pub fn list(&self, actor: &Actor) -> Result<Vec<TemplateView>> {
        let (made, looked) = (self.existing()?, self.looked()?);
        let mut out: Vec<TemplateView> = self
            .0
            .guests()
            .templates(actor)
            .into_iter()
            .map(|guest| {
                let mine = made.iter().find(|t| Some(t.vmid) == guest.row.vmid && t.connection == guest.row.connection);
                let superseded = mine.is_some_and(|m| made.iter().any(|t| supersedes(t, m)));
                let published = mine.and_then(|m| looked.get(&m.image)).and_then(|l| l.digest.as_deref());
                let newer = mine.is_some_and(|m| {
                    m.of_catalogue && !superseded && published.is_some_and(|digest| digest != m.digest)
                });
                TemplateView { made: mine.cloned(), superseded, newer, guest }
            })
            .collect();
        out.sort_by_key(|t| {
            let recommended = t.made.as_ref().is_some_and(|m| m.recommended);
            (t.superseded, !recommended, t.made.is_none(), t.guest.state.name.clone())
        });
        Ok(out)
    }

    /// What is known of a connection's templates, by number.
    pub fn known(&self, connection: ConnectionId) -> Result<HashMap<u32, Template>> {
        Ok(self.existing()?.into_iter().filter(|t| t.connection == connection).map(|t| (t.vmid, t)).collect())
    }

    /// Rows whose template is there, as far as Proxmox told.
    fn existing(&self) -> Result<Vec<Template>> {
        let snapshot = self.0.live().snapshot();
        let there = |t: &Template| {
            let same = |g: &&Arc<GuestLive>| g.row.connection == t.connection && g.row.vmid == Some(t.vmid);
            snapshot.guests.iter().find(same).is_some_and(|g| g.state.template)
        };
        Ok(self.rows()?.into_iter().filter(there).collect())
    }

    fn rows(&self) -> Result<Vec<Template>> {
        let rows = self.0.store().read(|tx| tx.list(tables::TEMPLATES, Scan::all(), usize::MAX))?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    fn looked(&self) -> Result<BTreeMap<String, Looked>> {
        let row = self.0.store().read(|tx| tx.get(tables::SETTINGS, &Name::from(LOOKED)))?;
        Ok(row.and_then(|json| serde_json::from_value(json.0).ok()).unwrap_or_default())
    }

    /// What a node offers for templates, asked from Proxmox now.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` on `node`; `Unavailable`.
    pub async fn choices(&self, actor: &Actor, connection: ConnectionId, node: &str) -> Result<TemplateChoices> {
        actor.require_admin()?;
        if !self.0.nodes().usable(connection)?.iter().any(|n| n == node) {
            return Err(Error::field("node", "This node is not available, or Steward may not use it."));
        }
        plugin_host::call(self.0, connection, "template_choices", vec![json!(node)]).await
    }

    /// The machines that depend on a template because their disks are linked to its disk. Where the storage does
    /// not record it they do not depend on it.
    pub async fn uses(&self, actor: &Actor, id: GuestId) -> Result<Vec<Arc<GuestLive>>> {
        let template = self.template(actor, id)?;
        let target = json!({ "vmid": template.row.vmid, "node": template.state.node });
        let asked = plugin_host::call(self.0, template.row.connection, "template_uses", vec![target]);
        let numbers: Vec<u32> = asked.await?;
        let snapshot = self.0.live().snapshot();
        let linked = |g: &&Arc<GuestLive>| {
            g.row.connection == template.row.connection && g.row.vmid.is_some_and(|v| numbers.contains(&v))
        };
        Ok(snapshot.guests.iter().filter(linked).cloned().collect())
    }

    fn template(&self, actor: &Actor, id: GuestId) -> Result<Arc<GuestLive>> {
        let guest = self.0.guests().get(actor, id)?;
        if guest.state.template { Ok(guest) } else { Err(Error::not_found("This is not a template.")) }
    }

    /// Requests deleting a template.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Conflict` with the machines that depend on it; `Unavailable`.
    pub async fn request_delete(&self, actor: &Actor, id: GuestId) -> Result<Job> {
        actor.require_full_admin()?;
        self.template(actor, id)?;
        let uses = self.uses(actor, id).await?;
        if !uses.is_empty() {
            let names: Vec<&str> = uses.iter().map(|g| g.state.name.as_str()).collect();
            return Err(Error::conflict(format!(
                "The disks of these machines are linked to this template: {}. Delete them first, or give them disks of their own.",
                names.join(", ")
            )));
        }
        let job = self.0.guests().request_action(actor, id, Delete {}).await?;
        job.ok_or_else(|| Error::internal("a machine is deleted by a job"))
    }

    /// What the end of a job means for templates.
    pub(crate) async fn settle(&self, job: &Job) -> Result<()> {
        let Some(connection) = job.connection.filter(|_| job.state == JobState::Succeeded) else { return Ok(()) };
        let made = self.made(job, connection);
        let gone = job.kind.deletes();
        if made.is_none() && gone.is_none() {
            return Ok(());
        }
        self.0
            .store()
            .write(move |tx| {
                if let Some(row) = made {
                    tx.put(tables::TEMPLATES, &(row.connection, row.vmid), &row)?;
                }
                if let Some(vmid) = gone {
                    tx.delete(tables::TEMPLATES, &(connection, vmid))?;
                }
                Ok(())
            })
            .await
    }

    /// The row for the template that a job made.
    fn made(&self, job: &Job, connection: ConnectionId) -> Option<Template> {
        let JobKind::BuildTemplate(args) = job.kind.clone() else { return None };
        Some(Template {
            connection,
            vmid: u32::try_from(job.result["vmid"].as_u64()?).ok()?,
            name: args.name,
            image: args.image,
            title: args.title,
            user: args.user,
            algorithm: args.algorithm.name().to_owned(),
            digest: args.digest,
            built: job.finished.unwrap_or_else(|| self.0.now()),
            job: job.id,
            place: args.place,
            of_catalogue: args.of_catalogue,
            recommended: args.recommended,
        })
    }
}

/// Rows of the table of settings.
const LOOKED: &str = "images.looked";
const POLICY: &str = "images.policy";

/// `a` is a newer template of the same image in the same place.
fn supersedes(a: &Template, b: &Template) -> bool {
    a.of_catalogue
        && b.of_catalogue
        && a.image == b.image
        && a.connection == b.connection
        && a.place.node == b.place.node
        && a.built > b.built
}

/// The first image of the built-in catalogue: qcow2, needs 4 GiB.
#[cfg(test)]
fn an_image() -> Image {
    config::catalogue(None).images.remove(0).0
}
