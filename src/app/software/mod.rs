//! The software menu: what can be put on machines, asking for it, what is there. The work is done by jobs of
//! the recipes' plugins; `install.rs` creates them and records their outcome.

mod access;
mod install;

pub(super) use access::new_key;
pub use access::{KeyView, LetIn, is_own_key};
pub(super) use install::put_requested;

use crate::live::GuestLive;
use crate::{Actor, App};
use base::ids::{GuestId, JobId};
use base::{Error, Result, Timestamp};
use model::access::GuestRight;
use model::guests::System;
use model::jobs::{Job, JobState};
use model::providers::Feature;
use model::sessions::Scope;
use model::software::{Link, Recipe, Software, SoftwareRequest, SoftwareState};
use model::subject::Subject;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use store::{Name, Read, Scan, tables};

/// A recipe in the menu.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MenuItem {
    /// The plugin's name.
    pub name: String,
    pub version: String,
    #[serde(flatten)]
    pub recipe: Recipe,
}

/// One recipe on a machine, for pages and programs: no secret.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SoftwareView {
    pub recipe: String,
    pub title: String,
    pub version: String,
    /// Without secrets.
    #[schema(value_type = Object)]
    pub options: Value,
    pub state: SoftwareState,
    /// The job that works on it, or did.
    pub job: Option<JobId>,
    /// With the machine's current address, where it is known.
    pub links: Vec<Link>,
    pub asked: Timestamp,
    pub asked_by: String,
    pub installed: Option<Timestamp>,
    pub error: Option<String>,
}

pub struct SoftwarePages<'a>(pub(super) &'a App);

fn row_key(guest: GuestId, recipe: &str) -> (GuestId, Name) {
    (guest, Name::new(recipe.to_owned()))
}

impl SoftwarePages<'_> {
    /// All recipes that can be used, by category and title.
    pub fn menu(&self, _: &Actor) -> Vec<MenuItem> {
        self.recipes()
    }

    fn recipes(&self) -> Vec<MenuItem> {
        let manifests =
            self.0.plugin_set().list().into_iter().filter(|p| p.active.is_some()).filter_map(|p| p.manifest);
        let item = |m: model::plugins::Manifest| {
            let mut recipe = m.software?;
            if recipe.about.is_empty() {
                recipe.about = m.about;
            }
            Some(MenuItem { name: m.name, version: m.version, recipe })
        };
        let mut all: Vec<MenuItem> = manifests.filter_map(item).collect();
        all.sort_by(|a, b| (&a.recipe.category, &a.recipe.title).cmp(&(&b.recipe.category, &b.recipe.title)));
        all
    }

    /// Checks requests and makes the rows for them; fields are named `software.RECIPE.KEY`.
    pub(super) fn accept(&self, actor: &Actor, requests: &[SoftwareRequest]) -> Result<Vec<Software>> {
        let menu = self.recipes();
        let mut rows: Vec<Software> = Vec::new();
        let mut wrong: Option<Error> = None;
        for request in requests {
            let Some(item) = menu.iter().find(|i| i.name == request.recipe) else {
                return Err(Error::field("software", format!("There is no recipe “{}”.", request.recipe)));
            };
            if rows.iter().any(|r| r.recipe == request.recipe) {
                return Err(Error::field("software", format!("“{}” is listed twice.", item.recipe.title)));
            }
            match item.recipe.check(&request.options, &format!("software.{}.", item.name)) {
                Ok(asked) => rows.push(Software {
                    recipe: item.name.clone(),
                    title: item.recipe.title.clone(),
                    version: item.version.clone(),
                    options: Value::Object(asked.options),
                    secrets: asked.secrets,
                    state: SoftwareState::Wanted,
                    job: None,
                    links: Vec::new(),
                    asked: self.0.now(),
                    asked_by: actor.label().to_owned(),
                    owner: actor.user_id(),
                    installed: None,
                    error: None,
                    order: u32::try_from(rows.len()).unwrap_or(u32::MAX),
                }),
                Err(e) => {
                    let start = wrong.unwrap_or_else(|| Error::invalid(e.message()));
                    wrong =
                        Some(e.fields().iter().fold(start, |all, (field, text)| all.with_field(field, text.clone())));
                }
            }
        }
        wrong.map_or(Ok(rows), Err)
    }

    /// What is (to be) installed on a machine, in the order in which it was asked for.
    pub async fn of_guest(&self, actor: &Actor, id: GuestId) -> Result<Vec<SoftwareView>> {
        self.0.guests().get(actor, id)?;
        let rows = self.rows(id)?;
        let address = if rows.iter().any(|r| !r.links.is_empty()) { self.address(id).await } else { None };
        Ok(rows.into_iter().map(|row| self.view(row, address.as_deref())).collect())
    }

    /// The same without asking for addresses, for those who look at many machines at once.
    pub(super) fn known(&self, id: GuestId) -> Result<Vec<SoftwareView>> {
        Ok(self.rows(id)?.into_iter().map(|row| self.view(row, None)).collect())
    }

    /// The address to put into links; the page must not wait long for a guest agent that does not answer.
    async fn address(&self, id: GuestId) -> Option<String> {
        let fixed = self.0.ssh().key(id).ok().flatten().and_then(|k| k.address);
        if fixed.is_some() {
            return fixed;
        }
        let (ssh, limit) = (self.0.ssh(), std::time::Duration::from_millis(800));
        tokio::time::timeout(limit, ssh.address(id)).await.ok()?.ok()?
    }

    /// What was asked for on the machine of a job that may be tried again, in its order. Secrets are not among it.
    pub fn requested(&self, job: &Job) -> Result<Vec<SoftwareRequest>> {
        let rows = job.subject.guest().map(|id| self.rows(id)).transpose()?.unwrap_or_default();
        let one = |row: Software| SoftwareRequest {
            recipe: row.recipe,
            options: row.options.as_object().cloned().unwrap_or_default(),
        };
        Ok(rows.into_iter().map(one).collect())
    }

    fn rows(&self, id: GuestId) -> Result<Vec<Software>> {
        let rows = self.0.store().read(|tx| tx.list(tables::SOFTWARE, Scan::prefix(&id), usize::MAX))?;
        let mut rows: Vec<Software> = rows.into_iter().map(|(_, row)| row).collect();
        rows.sort_by_key(|r| (r.order, r.asked));
        Ok(rows)
    }

    fn view(&self, row: Software, address: Option<&str>) -> SoftwareView {
        let links = row.links.iter().map(|l| match address {
            Some(address) => Link { title: l.title.clone(), url: l.url.replace("{address}", address) },
            None => l.clone(),
        });
        SoftwareView {
            links: links.collect(),
            state: self.state_now(&row),
            recipe: row.recipe,
            title: row.title,
            version: row.version,
            options: row.options,
            job: row.job,
            asked: row.asked,
            asked_by: row.asked_by,
            installed: row.installed,
            error: row.error,
        }
    }

    /// A job that was tried again is under way, whatever the row says.
    fn state_now(&self, row: &Software) -> SoftwareState {
        let job = row.job.and_then(|id| self.0.store().read(|tx| tx.get(tables::JOBS, &id)).ok().flatten());
        if job.is_some_and(|j: Job| !j.state.is_over()) { SoftwareState::Installing } else { row.state }
    }

    /// Asks for a recipe on a machine that is there. It is installed as soon as nothing else works on the
    /// machine; one that was installed before is installed again with these options.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Invalid` with the fields `software.RECIPE.KEY`; `Conflict` while it is being
    /// installed, or when Steward can't sign in there.
    pub async fn request_install(&self, actor: &Actor, id: GuestId, request: SoftwareRequest) -> Result<SoftwareView> {
        actor.require_scope(Scope::Operate)?;
        let guest = self.0.guests().get_for(actor, id, GuestRight::Manage)?;
        let mut row =
            self.accept(actor, &[request])?.pop().ok_or_else(|| Error::field("software", "Choose a recipe."))?;
        self.check_system(&row.recipe, self.0.guests().system(&guest).await)?;
        self.check_place(&guest, &row.recipe)?;
        let record = actor.record(self.0.now(), "software.ask", &guest.row, row.title.clone());
        let key = row_key(id, &row.recipe);
        let wanted = self
            .0
            .store()
            .write(move |tx| {
                let others = tx.list(tables::SOFTWARE, Scan::prefix(&id), usize::MAX)?;
                row.order = others.iter().map(|(_, r)| r.order + 1).max().unwrap_or(0);
                if let Some(before) = tx.get(tables::SOFTWARE, &key)? {
                    let job = before.job.map(|job| tx.get(tables::JOBS, &job)).transpose()?.flatten();
                    if before.state == SoftwareState::Wanted || job.is_some_and(|j| !j.state.is_over()) {
                        return Err(Error::conflict(format!("“{}” is being installed already.", before.title)));
                    }
                    row.links = before.links;
                    row.installed = before.installed;
                }
                tx.put(tables::SOFTWARE, &key, &row)?;
                tx.event(Subject::Guest(id), row.owner);
                tx.audit(record);
                Ok(row)
            })
            .await?;
        self.start_next(id).await?;
        let row = self.rows(id)?.into_iter().find(|r| r.recipe == wanted.recipe).unwrap_or(wanted);
        Ok(self.view(row, None))
    }

    /// Can something be installed there at all?
    fn check_place(&self, guest: &Arc<GuestLive>, recipe: &str) -> Result<()> {
        if guest.state.template {
            return Err(Error::conflict("Nothing can be installed on a template. Create a machine from it."));
        }
        if self.is_by_agent(recipe) {
            if self.0.guests().features(guest).contains(&Feature::Agent) {
                return Ok(());
            }
            return Err(Error::conflict("This machine's host has no way to reach its guest agent."));
        }
        if guest.row.making.is_none() && self.0.ssh().key(guest.row.id)?.is_none() {
            let text =
                "Steward can't sign in to this machine yet. Give it access first, on the machine's Software page.";
            return Err(Error::conflict(text));
        }
        Ok(())
    }

    /// Removes a recipe from a machine's list. What is installed stays there.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` while its job is open.
    pub async fn remove(&self, actor: &Actor, id: GuestId, recipe: &str) -> Result<()> {
        actor.require_scope(Scope::Operate)?;
        let guest = self.0.guests().get_for(actor, id, GuestRight::Manage)?;
        let key = row_key(id, recipe);
        let (at, who, guest) = (self.0.now(), actor.clone(), guest.row.clone());
        self.0
            .store()
            .write(move |tx| {
                let row = tx.get(tables::SOFTWARE, &key)?;
                let row = row.ok_or_else(|| Error::not_found("This is not on the machine's list."))?;
                let job = row.job.map(|job| tx.get(tables::JOBS, &job)).transpose()?.flatten();
                if job.is_some_and(|j| !j.state.is_over()) {
                    return Err(Error::conflict("It is being installed right now. Cancel its job first."));
                }
                tx.delete(tables::SOFTWARE, &key)?;
                tx.event(Subject::Guest(id), guest.owner);
                tx.audit(who.record(at, "software.forget", &guest, row.title));
                Ok(())
            })
            .await
    }

    /// Is the recipe for machines with this system?
    pub(super) fn check_system(&self, recipe: &str, system: System) -> Result<()> {
        let Some(item) = self.recipes().into_iter().find(|i| i.name == recipe) else { return Ok(()) };
        if item.recipe.fits(system) {
            return Ok(());
        }
        let (title, is) = (item.recipe.title, if system == System::Windows { "Windows" } else { "Linux" });
        Err(Error::field("software", format!("“{title}” can't be installed on a machine with {is}.")))
    }

    /// Does this recipe work by the guest agent, without SSH?
    pub(super) fn is_by_agent(&self, recipe: &str) -> bool {
        let plugin = self.0.plugin_set().get(recipe);
        plugin.is_some_and(|p| p.manifest().grants.iter().any(|g| g == "agent"))
    }
}

/// What a job's end means for its row.
fn state_after(state: JobState) -> SoftwareState {
    match state {
        JobState::Succeeded => SoftwareState::Installed,
        JobState::Cancelled => SoftwareState::Cancelled,
        JobState::Failed | JobState::Discarded => SoftwareState::Failed,
        _ => SoftwareState::Installing,
    }
}
