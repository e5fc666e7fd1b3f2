//! Machines: seeing them, making, powering and deleting them.

use crate::app::jobs::{NewJob, enqueue};
use crate::app::live::GuestLive;
use crate::app::{Actor, App, host};
use crate::base::ids::{ConnectionId, GuestId, JobId, UserId};
use crate::base::{Error, Result};
use crate::model::access::GuestRight;
use crate::model::audit::AuditEntry;
use crate::model::connections::Reach;
use crate::model::events::EventKind;
use crate::model::filter::Filter;
use crate::model::guests::{Guest, GuestKind, GuestSource, GuestSpec, PowerAction};
use crate::model::jobs::{Job, JobState, Priority};
use crate::model::sessions::Scope;
use crate::store::{Name, Read, Scan, WriteTx, tables};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

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

/// An action on a machine's page: possible now, or greyed with the reason.
#[derive(Clone, Debug)]
pub struct ActionView {
    pub action: PowerAction,
    pub refusal: Option<String>,
}

pub struct Guests<'a>(pub(super) &'a App);

/// How the audit log and jobs name a guest.
pub fn subject(guest: &Guest) -> String {
    match guest.vmid {
        Some(vmid) => format!("{} {vmid} {}", guest.kind.word(), guest.name),
        None => format!("{} {}", guest.kind.word(), guest.name),
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

    /// Templates from which anybody signed in may make a machine, by name.
    pub fn templates(&self, _: &Actor) -> Vec<Arc<GuestLive>> {
        let snapshot = self.0.live().snapshot();
        let usable = |g: &GuestLive| {
            let limits = self.0.connections().limits(g.row.connection);
            g.state.template && limits.is_ok_and(|l| l.allows_node(&g.state.node))
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
            "is" => vec![if g.stale { "stale" } else { "live" }.to_owned()],
            _ => Vec::new(),
        })
    }

    /// One machine.
    ///
    /// # Errors
    /// `NotFound`, also for a machine that is not the actor's.
    pub fn get(&self, actor: &Actor, id: GuestId) -> Result<Arc<GuestLive>> {
        let guest = self.0.live().snapshot().guest(id).cloned();
        guest
            .filter(|g| actor.guest_right(&g.row).is_some())
            .ok_or_else(|| Error::not_found("This machine does not exist (any more)."))
    }

    fn get_for(&self, actor: &Actor, id: GuestId, right: GuestRight) -> Result<Arc<GuestLive>> {
        let guest = self.get(actor, id)?;
        if actor.guest_right(&guest.row).is_some_and(|have| have >= right) {
            Ok(guest)
        } else {
            Err(Error::forbidden("You may look at this machine, but not change it."))
        }
    }

    /// What can be done with a machine now.
    pub fn actions(&self, actor: &Actor, guest: &GuestLive) -> Vec<ActionView> {
        let general = self.general_refusal(actor, guest);
        PowerAction::ALL
            .into_iter()
            .map(|action| ActionView {
                action,
                refusal: general.clone().or_else(|| action.refusal(guest.row.kind, &guest.state)),
            })
            .collect()
    }

    /// Why nothing at all can be done to this machine now.
    pub fn general_refusal(&self, actor: &Actor, guest: &GuestLive) -> Option<String> {
        if actor.guest_right(&guest.row) < Some(GuestRight::Use) {
            return Some("You may look at this machine, but not change it.".to_owned());
        }
        if guest.row.making.is_some() {
            return Some("It is being made right now.".to_owned());
        }
        if let Err(e) = self.check_reach(guest.row.connection) {
            return Some(e.message().to_owned());
        }
        let limits = self.0.connections().limits(guest.row.connection).ok()?;
        (!limits.allows_node(&guest.state.node)).then(|| {
            format!(
                "Steward may not change anything on node {}. An admin can allow it in the settings.",
                guest.state.node
            )
        })
    }

    /// Proxmox must answer before anything is asked of it: a refusal now is better than a surprise later.
    fn check_reach(&self, connection: ConnectionId) -> Result<()> {
        match self.0.live().snapshot().connection(connection).map(|c| c.reach.clone()) {
            Some(Reach::Here { .. }) => Ok(()),
            Some(Reach::Away { since, why }) => Err(Error::unavailable(format!(
                "Proxmox has not answered for {}: {why} The last known state is shown; try again when it is back.",
                words(since.until(self.0.now()))
            ))),
            _ => Err(Error::unavailable("Steward has not reached Proxmox yet. Try again in a few seconds.")),
        }
    }

    /// Asks for a new machine: one commit holds the wanted machine, its job, the event and the audit entry.
    /// `key` makes asking twice harmless: the second time gives the first one's machine.
    ///
    /// # Errors
    /// `Invalid` with a sentence per field; `Unavailable` while Proxmox is away; `Forbidden` for a token that
    /// may only read.
    pub async fn request_create(&self, actor: &Actor, spec: GuestSpec, key: Option<&str>) -> Result<(Guest, Job)> {
        actor.require_scope(Scope::Operate)?;
        spec.check()?;
        let dedup = key.map(|k| format!("create:{}:{k}", actor.login()));
        // Asked again: the machine's own name would be in the way of the checks below.
        if let Some(first) = dedup.as_deref().map(|k| self.asked_before(k)).transpose()?.flatten() {
            return Ok(first);
        }
        let connection = self.connection_for(&spec)?;
        self.check_reach(connection)?;
        self.check_against_cluster(connection, &spec)?;
        let now = self.0.now();
        let mut guest = Guest {
            id: GuestId::new(),
            connection,
            vmid: None,
            kind: GuestKind::Qemu,
            name: spec.name.clone(),
            owner: actor.user_id(),
            created: now,
            making: None,
            missing_since: None,
            last: None,
        };
        let id = JobId::new();
        let mut args = serde_json::to_value(&spec).map_err(Error::internal)?;
        // The job knows its own machine again by this mark, after a crash too.
        args["mark"] = json!(id);
        let new = NewJob {
            id,
            plugin: self.0.connections().plugin_of(connection)?,
            hook: "guest_create".to_owned(),
            title: format!("Create {}", spec.name),
            args,
            priority: Priority::Normal,
            guest: Some(guest.id),
            connection: Some(connection),
            lane: Some(format!("node:{connection}:{}", spec.node)),
            dedup,
            max_attempts: 3,
        };
        let record = actor.record(now, "guest.create", subject(&guest), describe(&spec));
        let actor = actor.clone();
        let (guest, job) = self
            .0
            .store()
            .write(move |tx| {
                let job = enqueue(tx, &actor, new)?;
                if let Some(first) = job.guest.filter(|id| *id != guest.id) {
                    // The same request came before.
                    let row = tx.get(tables::GUESTS, &first)?;
                    return Ok((row.ok_or_else(|| Error::conflict("This machine was asked for already."))?, job));
                }
                guest.making = Some(job.id);
                tx.put(tables::GUESTS, &guest.id, &guest)?;
                tx.event(EventKind::Guest { id: guest.id }, guest.owner);
                tx.audit(record);
                Ok((guest, job))
            })
            .await?;
        self.0.live().put_rows(vec![guest.clone()]);
        self.0.job_bell().notify_one();
        Ok((guest, job))
    }

    /// The machine and the open job that an earlier request with this key made.
    fn asked_before(&self, dedup: &str) -> Result<Option<(Guest, Job)>> {
        self.0.store().read(|tx| {
            let id = tx.get(tables::JOB_DEDUP, &Name::new(dedup.to_owned()))?;
            let job: Option<Job> = id.map(|id| tx.get(tables::JOBS, &id)).transpose()?.flatten();
            let Some(job) = job.filter(|j| !j.state.is_over()) else { return Ok(None) };
            let guest = job.guest.map(|id| tx.get(tables::GUESTS, &id)).transpose()?.flatten();
            Ok(guest.map(|guest| (guest, job)))
        })
    }

    /// The connection that has the wanted node.
    fn connection_for(&self, spec: &GuestSpec) -> Result<ConnectionId> {
        let snapshot = self.0.live().snapshot();
        let node = snapshot.nodes.iter().find(|n| n.node.name == spec.node);
        if node.is_none() && snapshot.connections.iter().any(|c| c.reach == Reach::Unknown) {
            return Err(Error::unavailable("Steward has not reached Proxmox yet. Try again in a few seconds."));
        }
        node.map(|n| n.connection)
            .ok_or_else(|| Error::field("node", "There is no such node. Choose one from the list."))
    }

    fn check_against_cluster(&self, connection: ConnectionId, spec: &GuestSpec) -> Result<()> {
        let snapshot = self.0.live().snapshot();
        if !self.0.nodes().usable(connection)?.contains(&spec.node) {
            return Err(Error::field("node", "This node is away, or Steward may not use it."));
        }
        let threads = snapshot.node(connection, &spec.node).map_or(0.0, |n| n.node.maxcpu);
        if threads > 0.0 && f64::from(spec.cores) > threads {
            return Err(Error::field(
                "cores",
                format!("Node {} has {threads} threads; a machine can't have more.", spec.node),
            ));
        }
        let mut others = snapshot.guests.iter().filter(|g| g.row.connection == connection);
        if others.any(|g| g.state.name == spec.name) {
            return Err(Error::field("name", "There is a machine with this name already. Choose another."));
        }
        if let GuestSource::Template { vmid, .. } = spec.source {
            let template = snapshot.guests.iter().find(|g| g.row.connection == connection && g.row.vmid == Some(vmid));
            let Some(template) = template.filter(|g| g.state.template) else {
                return Err(Error::field("template", "This template does not exist (any more). Choose another."));
            };
            let least = template.state.maxdisk.div_ceil(1 << 30);
            if spec.disk < least {
                return Err(Error::field(
                    "disk",
                    format!("The template's disk has {least} GiB; a disk can only grow."),
                ));
            }
        }
        Ok(())
    }

    /// Asks for a power action.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Conflict` when it makes no sense now, with the reason; `Unavailable`.
    pub async fn request_power(&self, actor: &Actor, id: GuestId, action: PowerAction) -> Result<Job> {
        actor.require_scope(Scope::Operate)?;
        let guest = self.get_for(actor, id, GuestRight::Use)?;
        if let Some(why) = self.general_refusal(actor, &guest).or_else(|| action.refusal(guest.row.kind, &guest.state))
        {
            let e = if guest.stale { Error::unavailable(why) } else { Error::conflict(why) };
            return Err(e);
        }
        self.check_idle(&guest, action == PowerAction::Stop)?;
        let title = format!("{} {}", action.word(), guest.state.name);
        self.request(actor, &guest, "guest_power", title, json!({ "action": action.name() }), action.name()).await
    }

    /// Asks to delete a machine with its disks. `name` is what the person typed to confirm.
    ///
    /// # Errors
    /// `Invalid` on `name`; `NotFound`, `Forbidden`, `Conflict`, `Unavailable`.
    pub async fn request_delete(&self, actor: &Actor, id: GuestId, name: &str) -> Result<Job> {
        actor.require_scope(Scope::Operate)?;
        let guest = self.get_for(actor, id, GuestRight::Manage)?;
        if name.trim() != guest.state.name {
            return Err(Error::field("name", "Type the machine's name exactly as shown to delete it."));
        }
        if let Some(why) = self.general_refusal(actor, &guest) {
            return Err(Error::conflict(why));
        }
        self.check_idle(&guest, false)?;
        let title = format!("Delete {}", guest.state.name);
        self.request(actor, &guest, "guest_delete", title, json!({}), "delete").await
    }

    /// One job at a time works on a machine; only a stop may overtake a shutdown that hangs.
    fn check_idle(&self, guest: &GuestLive, stop: bool) -> Result<()> {
        match self.0.jobs().open_of_guest(guest.row.id)? {
            Some(job) if stop && job.hook == "guest_power" => {
                tracing::info!(job.id = %job.id, "a stop overtakes this job");
                Ok(())
            }
            Some(job) => Err(Error::conflict(format!(
                "“{}” works on this machine now. Wait until it is done, or cancel it.",
                job.title
            ))),
            None => Ok(()),
        }
    }

    async fn request(
        &self,
        actor: &Actor,
        guest: &GuestLive,
        hook: &str,
        title: String,
        extra: serde_json::Value,
        word: &str,
    ) -> Result<Job> {
        let row = &guest.row;
        let mut args = json!({ "vmid": row.vmid, "kind": row.kind.name(), "node": guest.state.node });
        if let (Some(args), Some(extra)) = (args.as_object_mut(), extra.as_object()) {
            args.extend(extra.clone());
        }
        let new = NewJob {
            id: JobId::new(),
            plugin: self.0.connections().plugin_of(row.connection)?,
            hook: hook.to_owned(),
            title,
            args,
            priority: Priority::High,
            guest: Some(row.id),
            connection: Some(row.connection),
            lane: Some(format!("node:{}:{}", row.connection, guest.state.node)),
            dedup: Some(format!("guest:{}:{word}", row.id)),
            max_attempts: 3,
        };
        let record =
            actor.record(self.0.now(), &format!("guest.{word}"), subject(row), format!("on {}", guest.state.node));
        let actor = actor.clone();
        let job = self
            .0
            .store()
            .write(move |tx| {
                let job = enqueue(tx, &actor, new)?;
                tx.audit(record);
                Ok(job)
            })
            .await?;
        self.0.job_bell().notify_one();
        Ok(job)
    }

    /// Gives a machine to a user, or to nobody.
    ///
    /// # Errors
    /// `Forbidden` unless an admin asks; `NotFound`.
    pub async fn set_owner(&self, actor: &Actor, id: GuestId, owner: Option<UserId>) -> Result<()> {
        actor.require_full_admin()?;
        let guest = self.get(actor, id)?;
        if owner.is_some_and(|o| self.0.people().get(o).is_none()) {
            return Err(Error::field("owner", "This user does not exist (any more)."));
        }
        let row = Guest { owner, ..guest.row.clone() };
        let to = self.0.people().name_of(owner);
        let record = actor.record(self.0.now(), "guest.owner", subject(&row), format!("owner is now {to}"));
        self.change_row(id, move |row| row.owner = owner, Some(record)).await
    }

    /// Changes a guest's stored row and tells the pages.
    async fn change_row(
        &self,
        id: GuestId,
        f: impl FnOnce(&mut Guest) + Send + 'static,
        record: Option<crate::model::audit::AuditRecord>,
    ) -> Result<()> {
        let row = self
            .0
            .store()
            .write(move |tx| {
                let mut row = tx.get(tables::GUESTS, &id)?.ok_or_else(|| Error::not_found("This machine is gone."))?;
                f(&mut row);
                tx.put(tables::GUESTS, &id, &row)?;
                tx.event(EventKind::Guest { id }, row.owner);
                if let Some(record) = record {
                    tx.audit(record);
                }
                Ok(row)
            })
            .await?;
        self.0.live().put_rows(vec![row]);
        Ok(())
    }

    pub(super) async fn disown(&self, user: UserId) -> Result<()> {
        let snapshot = self.0.live().snapshot();
        let theirs: Vec<GuestId> =
            snapshot.guests.iter().filter(|g| g.row.owner == Some(user)).map(|g| g.row.id).collect();
        for id in theirs {
            self.change_row(id, |row| row.owner = None, None).await?;
        }
        Ok(())
    }

    /// The machine's charts, from Proxmox' own history.
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
        let value = host::call(self.0, guest.row.connection, "history", vec![target, json!(timeframe)]).await?;
        serde_json::from_value(value).map_err(|e| {
            Error::unavailable("The plugin gave an answer that can't be read. See the Plugins page.").with_cause(e)
        })
    }

    /// The machine's addresses, as its guest agent or settings tell.
    ///
    /// # Errors
    /// `Unavailable` when Proxmox does not answer.
    pub async fn addresses(&self, actor: &Actor, id: GuestId) -> Result<Vec<String>> {
        let guest = self.get(actor, id)?;
        let Some(vmid) = guest.row.vmid.filter(|_| guest.row.making.is_none()) else { return Ok(Vec::new()) };
        let target = json!({ "vmid": vmid, "kind": guest.row.kind.name(), "node": guest.state.node, "status": guest.state.status });
        let value = host::call(self.0, guest.row.connection, "addresses", vec![target]).await?;
        serde_json::from_value(value).map_err(Error::internal)
    }

    /// Jobs and audit entries of a machine.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn story(&self, actor: &Actor, id: GuestId) -> Result<GuestHistory> {
        let guest = self.get(actor, id)?;
        Ok(GuestHistory {
            jobs: self.0.jobs().of_guest(id, 50)?,
            audit: self.0.audit().about(&subject(&guest.row), 50)?,
        })
    }

    /// Keeps a number for a job and writes it on the machine that the job makes. On a blocking thread.
    pub(super) fn keep_vmid(&self, connection: ConnectionId, vmid: u32, job: JobId) -> Result<()> {
        let row = self.0.store().write_blocking(move |tx| {
            let key = (connection, vmid);
            if tx.get(tables::VMID_RESERVATIONS, &key)?.is_some() {
                return Err(Error::conflict("Another job took this number just now."));
            }
            tx.put(tables::VMID_RESERVATIONS, &key, &job)?;
            let guest = tx.get(tables::JOBS, &job)?.and_then(|j| j.guest);
            let Some(id) = guest else { return Ok(None) };
            let Some(mut row) = tx.get(tables::GUESTS, &id)? else { return Ok(None) };
            // A job that found its first number taken comes for another one.
            if let Some(old) = row.vmid.replace(vmid) {
                tx.delete(tables::GUEST_VMIDS, &(connection, old))?;
            }
            tx.put(tables::GUESTS, &id, &row)?;
            tx.put(tables::GUEST_VMIDS, &key, &id)?;
            tx.event(EventKind::Guest { id }, row.owner);
            Ok(Some(row))
        })?;
        self.0.live().put_rows(row.into_iter().collect());
        Ok(())
    }

    /// Gives a number back. The machine that has it keeps it; what becomes of the machine is settled when the
    /// job is over.
    pub(super) fn release_vmid(&self, connection: ConnectionId, vmid: u32, job: JobId) -> Result<()> {
        self.0.store().write_blocking(move |tx| {
            let key = (connection, vmid);
            if tx.get(tables::VMID_RESERVATIONS, &key)? == Some(job) {
                tx.delete(tables::VMID_RESERVATIONS, &key)?;
            }
            Ok(())
        })
    }

    /// The wanted machine of a create job that is tried again: giving up had removed it.
    pub(super) fn want_again(tx: &mut WriteTx, job: &Job) -> Result<Option<Guest>> {
        let (Some(id), Some(connection)) = (job.guest, job.connection) else { return Ok(None) };
        if job.hook != "guest_create" || tx.get(tables::GUESTS, &id)?.is_some() {
            return Ok(None);
        }
        let name = job.args["name"].as_str().unwrap_or_default().to_owned();
        let guest = Guest {
            id,
            connection,
            vmid: None,
            kind: GuestKind::Qemu,
            name,
            owner: job.owner,
            created: tx.now(),
            making: Some(job.id),
            missing_since: None,
            last: None,
        };
        tx.put(tables::GUESTS, &id, &guest)?;
        tx.event(EventKind::Guest { id }, guest.owner);
        Ok(Some(guest))
    }

    /// What the end of a job means for its machine: made, gone, or in a new state. Called by the runner after
    /// the job's last commit; running it again does no harm.
    ///
    /// # Errors
    /// What the store says.
    pub async fn settle(&self, job: &Job) -> Result<()> {
        let Some(id) = job.guest else { return Ok(()) };
        let (job_id, ok) = (job.id, job.state == JobState::Succeeded);
        let (create, delete) = (job.hook == "guest_create", job.hook == "guest_delete");
        let row = self
            .0
            .store()
            .write(move |tx| {
                for (key, owner) in tx.list(tables::VMID_RESERVATIONS, Scan::all(), usize::MAX)? {
                    if owner == job_id {
                        tx.delete(tables::VMID_RESERVATIONS, &key)?;
                    }
                }
                let Some(mut row) = tx.get(tables::GUESTS, &id)? else { return Ok(None) };
                let gone = (create && !ok && row.making == Some(job_id)) || (delete && ok);
                if gone {
                    tx.delete(tables::GUESTS, &id)?;
                    if let Some(vmid) = row.vmid {
                        tx.delete(tables::GUEST_VMIDS, &(row.connection, vmid))?;
                    }
                } else if row.making == Some(job_id) {
                    row.making = None;
                    tx.put(tables::GUESTS, &id, &row)?;
                }
                tx.event(EventKind::Guest { id }, row.owner);
                Ok(Some((row, gone)))
            })
            .await?;
        match row {
            Some((_, true)) => self.0.live().remove_rows(&[id]),
            Some((row, false)) => self.0.live().put_rows(vec![row]),
            None => {}
        }
        if let Some(status) = job.result.get("status").and_then(serde_json::Value::as_str) {
            self.0.live().set_status(id, status);
        }
        self.0.inventory().look_soon();
        Ok(())
    }
}

/// What was asked for, for the audit log.
fn describe(spec: &GuestSpec) -> String {
    let from = match &spec.source {
        GuestSource::Template { vmid, full: true } => format!("full clone of {vmid}"),
        GuestSource::Template { vmid, full: false } => format!("linked clone of {vmid}"),
        GuestSource::Iso { volid, .. } => format!("from {volid}"),
    };
    format!("{from} on {}, {} cores, {} MiB, {} GiB", spec.node, spec.cores, spec.memory, spec.disk)
}

fn words(d: std::time::Duration) -> String {
    match d.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}
