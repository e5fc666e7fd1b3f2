//! Machines: seeing them, making, powering and deleting them.

mod actions;
mod addresses;
pub mod bulk;
mod change;
pub(crate) mod making;
mod moving;
mod named;
pub mod profile;
mod request;
mod settings;
pub mod sharing;
mod snapshots;
mod system;

pub(crate) use system::Systems;

pub use making::Once;

use crate::live::GuestLive;
use crate::{Actor, App, plugin_host};
use base::ids::{ConnectionId, GuestId, UserId};
use base::{Error, Result};
use model::access::GuestRight;
use model::audit::AuditEntry;
use model::connections::Reach;
use model::filter::Filter;
use model::guests::Guest;
use model::jobs::Job;
use model::subject::Subject;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use store::{Read, tables};

/// One point of a machine's charts. Missing samples are `None`. Rates are bytes a second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// Seconds since 1970.
    pub time: i64,
    pub cpu: Option<f64>,
    pub mem: Option<f64>,
    pub maxmem: Option<f64>,
    pub netin: Option<f64>,
    pub netout: Option<f64>,
    pub diskread: Option<f64>,
    pub diskwrite: Option<f64>,
}

/// Time frames that Proxmox keeps charts for.
pub const TIMEFRAMES: [&str; 5] = ["hour", "day", "week", "month", "year"];

/// What is known of a machine beside its live state.
#[derive(Clone, Debug)]
pub struct GuestHistory {
    pub jobs: Vec<Job>,
    pub audit: Vec<AuditEntry>,
}

pub struct Guests<'a>(pub(super) &'a App);

const NO_MACHINE: &str = "This machine does not exist.";

/// What somebody who asked for more may do with a machine.
fn too_little(have: Option<GuestRight>) -> &'static str {
    match have {
        Some(GuestRight::Use | GuestRight::Manage) => {
            "You may switch this machine on and off and open its console, but not change it."
        }
        Some(GuestRight::See) | None => "You may view this machine, but not change it.",
    }
}

impl Guests<'_> {
    /// The machines that the actor may see and that fit the filter words, by name. Keys: `status:`, `node:`,
    /// `tag:`, `owner:`, `kind:` (vm, container), `id:`, `is:template`.
    pub fn list(&self, actor: &Actor, filter: &str) -> Vec<Arc<GuestLive>> {
        let filter = Filter::parse(filter);
        let snapshot = self.0.live().snapshot();
        let mine = snapshot.guests.iter().filter(|g| actor.guest_right(&g.row).is_some());
        mine.filter(|g| filter.is_empty() || self.fits(&filter, g)).cloned().collect()
    }

    /// Templates from which anybody signed in may make a machine, by name. Also those on nodes that are not
    /// allowed: a copy only reads there.
    pub fn templates(&self, _: &Actor) -> Vec<Arc<GuestLive>> {
        let snapshot = self.0.live().snapshot();
        let usable = |g: &GuestLive| {
            let limits = self.0.connections().limits(g.row.connection);
            g.state.template && limits.is_ok_and(|l| g.row.vmid.is_some_and(|v| l.allows_template(v)))
        };
        snapshot.guests.iter().filter(|g| usable(g)).cloned().collect()
    }

    fn fits(&self, filter: &Filter, g: &GuestLive) -> bool {
        let vmid = g.row.vmid.map(|v| v.to_string()).unwrap_or_default();
        filter.fits(&[&g.state.name, &g.state.node, &g.state.status, &vmid], |key| match key {
            "status" => vec![g.state.status.clone()],
            "node" => vec![g.state.node.clone()],
            "tag" => g.state.tags.clone(),
            "name" => vec![g.state.name.clone()],
            "id" => vec![vmid.clone()],
            "owner" => vec![self.0.people().name_of(g.row.owner)],
            "pool" => g.state.pool.clone().into_iter().collect(),
            "kind" => vec![g.row.kind.word().to_lowercase(), g.row.kind.name().to_owned()],
            "is" if g.state.template => vec!["template".to_owned()],
            "is" => vec![if g.is_stale() { "stale" } else { "live" }.to_owned()],
            _ => Vec::new(),
        })
    }

    /// One machine.
    ///
    /// # Errors
    /// `NotFound`, also for a machine that is not the actor's.
    pub fn get(&self, actor: &Actor, id: GuestId) -> Result<Arc<GuestLive>> {
        match self.0.live().snapshot().guest(id) {
            Some(guest) if actor.guest_right(&guest.row).is_some() => Ok(guest.clone()),
            Some(_) => Err(Error::not_found(NO_MACHINE)),
            None => Err(self.what_became(actor, id)?),
        }
    }

    /// Why a machine that was there is no more, with the job that says all of it.
    fn what_became(&self, actor: &Actor, id: GuestId) -> Result<Error> {
        let jobs = self.0.jobs().of_guest(id, 20)?;
        let told = jobs.iter().find_map(|job| Some((job, job.why_gone()?)));
        Ok(match told.filter(|(job, _)| self.0.jobs().may_see(actor, job)) {
            Some((job, why)) => Error::not_found(why).with_job(job.id),
            None => Error::not_found(NO_MACHINE),
        })
    }

    /// One machine on which the actor has at least this right.
    pub(crate) fn get_for(&self, actor: &Actor, id: GuestId, right: GuestRight) -> Result<Arc<GuestLive>> {
        let guest = self.get(actor, id)?;
        let have = actor.guest_right(&guest.row);
        if have.is_some_and(|have| have >= right) { Ok(guest) } else { Err(Error::forbidden(too_little(have))) }
    }

    /// Why nothing at all can be done to this machine now.
    pub fn general_refusal(&self, actor: &Actor, guest: &GuestLive) -> Option<String> {
        if actor.guest_right(&guest.row) < Some(GuestRight::Use) {
            return Some(too_little(actor.guest_right(&guest.row)).to_owned());
        }
        if guest.row.making.is_some() {
            return Some("It is being created right now.".to_owned());
        }
        self.why_unreachable(guest).or_else(|| self.place_refusal(guest))
    }

    /// Why nothing is known of a machine now, as a sentence.
    pub fn why_unreachable(&self, guest: &GuestLive) -> Option<String> {
        if let Err(e) = self.check_reach(guest.row.connection) {
            return Some(e.message().to_owned());
        }
        let node = &guest.state.node;
        let snapshot = self.0.live().snapshot();
        let is_off = snapshot.node(guest.row.connection, node).is_some_and(|n| n.node.status == "offline");
        is_off.then(|| format!("Node {node} is offline. Try again when it is back."))
    }

    /// Why nothing may be changed on the machine's node.
    fn place_refusal(&self, guest: &GuestLive) -> Option<String> {
        let limits = self.0.connections().limits(guest.row.connection).ok()?;
        (!limits.allows_node(&guest.state.node)).then(|| {
            format!(
                "Steward may not change anything on node {}. An admin can allow it in the settings.",
                guest.state.node
            )
        })
    }

    /// Its host must answer before anything is asked of it: a refusal now is better than a surprise later.
    pub(crate) fn check_reach(&self, connection: ConnectionId) -> Result<()> {
        let snapshot = self.0.live().snapshot();
        let known = snapshot.connection(connection);
        // A host by SSH is called by its name, a cluster by what it is.
        let by_ssh = self.0.connections().is_by_ssh(connection);
        let who = known.filter(|_| by_ssh).map_or("Proxmox".to_owned(), |c| format!("The host {}", c.name));
        match known.map(|c| &c.reach) {
            Some(Reach::Here { .. }) => Ok(()),
            Some(Reach::Away { since, why }) => Err(Error::unavailable(format!(
                "{who} has not answered for {}: {why} The last known state is shown; try again when it is back.",
                words(since.until(self.0.now()))
            ))),
            _ if by_ssh => Err(Error::unavailable(format!("{who} was not reached yet. Try again in a few seconds."))),
            _ => Err(Error::unavailable("Steward has not reached its host yet. Try again in a few seconds.")),
        }
    }

    pub(crate) async fn disown(&self, user: UserId) -> Result<()> {
        let snapshot = self.0.live().snapshot();
        let theirs: Vec<GuestId> =
            snapshot.guests.iter().filter(|g| g.row.owner == Some(user)).map(|g| g.row.id).collect();
        for id in theirs {
            self.0
                .store()
                .write(move |tx| {
                    let Some(row) = tx.get(tables::GUESTS, &id)?.filter(|row| row.owner == Some(user)) else {
                        return Ok(());
                    };
                    tx.put(tables::GUESTS, &id, &Guest { owner: None, ..row })?;
                    tx.event(Subject::Guest(id), None);
                    Ok(())
                })
                .await?;
            self.0.live().set_owner(id, None);
        }
        Ok(())
    }

    /// The machine's charts, from Proxmox's own history.
    ///
    /// # Errors
    /// `Invalid` on `range`; `Unavailable` when Proxmox does not answer.
    pub async fn history(&self, actor: &Actor, id: GuestId, timeframe: &str) -> Result<Vec<HistoryPoint>> {
        let guest = self.get(actor, id)?;
        if !TIMEFRAMES.contains(&timeframe) {
            return Err(Error::field("range", "Choose hour, day, week, month or year."));
        }
        let Some(vmid) = guest.row.vmid.filter(|_| guest.row.making.is_none()) else { return Ok(Vec::new()) };
        let target = json!({ "vmid": vmid, "kind": guest.row.kind.name(), "node": guest.state.node });
        plugin_host::call(self.0, guest.row.connection, "history", vec![target, json!(timeframe)]).await
    }

    /// Jobs and audit entries of a machine. Those who do not manage it are not told who it is shared with, and
    /// nobody but admins from where others came.
    pub fn story(&self, actor: &Actor, id: GuestId) -> Result<GuestHistory> {
        let guest = self.get(actor, id)?;
        let manages = actor.person_right(&guest.row) == Some(GuestRight::Manage);
        let sharing = |entry: &AuditEntry| {
            matches!(entry.record.action.as_str(), "guest.share" | "guest.unshare" | "guest.owner")
        };
        let mut audit = self.0.audit().about(Subject::Guest(id), 50)?;
        audit.retain(|entry| manages || !sharing(entry));
        if !actor.is_admin() {
            let others = audit.iter_mut().filter(|e| e.record.actor_id != actor.user_id());
            others.for_each(|entry| entry.record.address = None);
        }
        Ok(GuestHistory { jobs: self.0.jobs().of_guest(id, 50)?, audit })
    }
}

fn words(d: std::time::Duration) -> String {
    match d.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}
