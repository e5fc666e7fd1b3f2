//! Asking for a machine, its power, its end: each is one commit with the job, the event and the audit entry.

use super::Guests;
use super::making::{Once, PendingGuest, name_taken, same_request};
use crate::jobs::{NewJob, enqueue, secrets};
use crate::live::GuestLive;
use crate::software::{new_key, put_requested};
use crate::{Actor, plugin_host, quotas};
use base::ids::{ConnectionId, GuestId, JobId};
use base::{Error, Result, Secrets};
use model::guests::actions::ProfileChange;
use model::guests::hardware::Hardware;
use model::guests::{ActionKind, Guest, GuestAction, GuestKind, GuestRequest, GuestSource, GuestSpec, System};
use model::jobs::{CopyOf, CreateGuest, GuestJob, GuestTarget, Job, JobKind, Priority};
use model::providers::Feature;
use model::quotas::{Amounts, Growth};
use model::sessions::Scope;
use model::software::{GuestKey, Software};
use model::subject::Subject;
use store::{Name, Read, tables};

/// A job to ask for, about one machine.
pub(super) struct Ask {
    pub action: GuestAction,
    /// What a profile makes of this machine, when one is applied.
    pub change: Option<ProfileChange>,
    pub title: String,
    /// For the audit log and against asking twice.
    pub word: &'static str,
    pub priority: Priority,
    /// For the audit log.
    pub detail: String,
    /// What it makes of the machine, for its owner's quota.
    pub growth: Option<Growth>,
}

impl Ask {
    pub fn of(action: &GuestAction, machine: &str) -> Self {
        Self {
            action: action.clone(),
            change: None,
            title: action.title(machine),
            word: action.kind().name(),
            priority: action.spec().priority,
            detail: action.describe(),
            growth: None,
        }
    }

    /// What the job does with this machine.
    pub fn kind(self, guest: &GuestLive, copy: Option<CopyOf>) -> JobKind {
        let target = GuestTarget { vmid: guest.row.vmid, kind: guest.row.kind, node: guest.state.node.clone() };
        JobKind::Guest(Box::new(GuestJob {
            target,
            action: self.action,
            change: self.change,
            growth: self.growth,
            copy,
        }))
    }
}

impl Guests<'_> {
    /// Asks for a new machine: one commit holds the wanted machine, its job, the event and the audit entry.
    /// `once` makes asking twice harmless: the second time gives the first one's machine.
    ///
    /// # Errors
    /// `Invalid` with a sentence per field; `Unavailable` while Proxmox is away; `Forbidden` for a token that
    /// may only read; `Conflict` when the key of `once` stands for another request.
    pub async fn request_create(
        &self,
        actor: &Actor,
        request: GuestRequest,
        once: Option<&Once>,
    ) -> Result<(Guest, Job)> {
        actor.require_scope(Scope::Operate)?;
        let connection = self.0.nodes().connection_of(&request.node, request.connection.as_deref());
        request.check(&match &connection {
            Ok(connection) => self.settings_of(*connection, GuestKind::Vm),
            Err(_) => self.0.hardware_profiles().settings(),
        })?;
        let software = self.0.software().accept(actor, &request.software)?;
        let dedup = once.map(|o| format!("create:{}:{}", actor.login(), o.key));
        // Asked again: the machine's own name would be in the way of the checks below.
        if let Some(first) = dedup.as_deref().map(|k| self.asked_before(k)).transpose()?.flatten() {
            once.map(|o| same_request(&first.1, Some(&o.mark))).transpose()?;
            return Ok(first);
        }
        let connection = connection?;
        self.check_reach(connection)?;
        let mut spec = self.0.hardware_profiles().spec(actor, connection, &request)?;
        self.check_against_cluster(connection, &spec)?;
        self.check_choices(actor, connection, &spec).await?;
        self.check_template_storages(connection, &spec).await?;
        if self.check_system(connection, &request, &software).await? == System::Windows {
            // Windows takes no SSH keys.
            spec.ssh_keys.clear();
            spec.windows = true;
        }
        let mut hidden = Secrets::default();
        if let Some(password) = request.password {
            hidden.put("password", password);
        }
        let now = self.0.now();
        let wanted = Guest::wanted(connection, GuestKind::Vm, spec.name.clone(), actor.user_id(), now);
        let guest = Guest { profile: spec.profile, ..wanted };
        let access = self.own_key(guest.id, &mut spec)?;
        let record = actor.record(now, "guest.create", &guest, describe(&spec));
        let takes = Amounts::wanted(&spec);
        // Two clusters in one network count their machines alike; this keeps the addresses apart.
        let mac_salt = spec.hardware.contains_key("mac_prefix").then(|| salt(connection));
        let new = NewJob {
            id: JobId::new(),
            plugin: self.0.connections().plugin_of(connection)?,
            title: format!("Create {}", spec.name),
            priority: Priority::Normal,
            subject: Subject::Guest(guest.id),
            connection: Some(connection),
            lane: Some(format!("node:{connection}:{}", spec.node)),
            dedup,
            max_attempts: 3,
            kind: JobKind::CreateGuest(Box::new(CreateGuest { spec, mac_salt, request: once.map(|o| o.mark.clone()) })),
        };
        let wanted = PendingGuest { guest, job: new, takes, record };
        self.make(actor, wanted, move |tx, guest, job| {
            if let Some(access) = &access {
                tx.put(tables::GUEST_KEYS, &guest, access)?;
            }
            secrets::keep(tx, job, &hidden)?;
            put_requested(tx, guest, &software, now)
        })
        .await
    }

    /// User, password and software must fit the system that the template holds.
    async fn check_system(
        &self,
        connection: ConnectionId,
        request: &GuestRequest,
        software: &[Software],
    ) -> Result<System> {
        let GuestSource::Template { vmid, .. } = request.source else {
            return request.check_system(System::Unknown).map(|()| System::Unknown);
        };
        let snapshot = self.0.live().snapshot();
        let mut all = snapshot.guests.iter().filter(|g| g.row.connection == connection);
        let system = match all.find(|g| g.row.vmid == Some(vmid)) {
            Some(template) => self.system(template).await,
            None => System::Unknown,
        };
        request.check_system(system)?;
        for one in software {
            self.0.software().check_system(&one.recipe, system)?;
            if request.user.is_none() && !self.0.software().is_by_agent(&one.recipe) {
                return Err(Error::field("user", "Steward needs a user there to install software."));
            }
        }
        Ok(system)
    }

    /// A key of Steward's own for a machine with cloud-init, its public line among the spec's keys: with it
    /// software is installed there later.
    fn own_key(&self, id: GuestId, spec: &mut GuestSpec) -> Result<Option<GuestKey>> {
        let by_key = matches!(spec.source, GuestSource::Template { .. }) && !spec.windows;
        let Some(user) = spec.user.as_deref().filter(|_| by_key) else { return Ok(None) };
        let key = new_key(id, &spec.name, user, self.0.now())?;
        let theirs = spec.ssh_keys.trim_end();
        let between = if theirs.is_empty() { "" } else { "\n" };
        spec.ssh_keys = format!("{theirs}{between}{}", key.public);
        Ok(Some(key))
    }

    /// The machine and the open job that an earlier request with this key made.
    pub(super) fn asked_before(&self, dedup: &str) -> Result<Option<(Guest, Job)>> {
        self.0.store().read(|tx| {
            let id = tx.get(tables::JOB_DEDUP, &Name::new(dedup.to_owned()))?;
            let job: Option<Job> = id.map(|id| tx.get(tables::JOBS, &id)).transpose()?.flatten();
            let Some(job) = job.filter(|j| !j.state.is_over()) else { return Ok(None) };
            let guest = job.subject.guest().map(|id| tx.get(tables::GUESTS, &id)).transpose()?.flatten();
            Ok(guest.map(|guest| (guest, job)))
        })
    }

    fn check_against_cluster(&self, connection: ConnectionId, spec: &GuestSpec) -> Result<()> {
        let snapshot = self.0.live().snapshot();
        if !self.0.nodes().usable(connection)?.contains(&spec.node) {
            return Err(Error::field("node", "This node is not available, or Steward may not use it."));
        }
        self.check_room(connection, &spec.node, Some(spec.all_cores()), Some(spec.memory))?;
        let mut others = snapshot.guests.iter().filter(|g| g.row.connection == connection);
        // What was made a moment ago has no name in Proxmox's list yet.
        if others.any(|g| g.state.name == spec.name || g.row.name == spec.name) {
            return Err(name_taken());
        }
        for (asked, feature, field, text) in [
            (spec.vlan.is_some(), Feature::Vlan, "vlan", "This host does not support VLAN tags. Leave this empty."),
            (!spec.tags.is_empty(), Feature::Tags, "tags", "Machines on this host can't have tags. Leave this empty."),
        ] {
            if asked && !self.can(connection, GuestKind::Vm, feature) {
                return Err(Error::field(field, text));
            }
        }
        let limits = self.0.connections().limits(connection)?;
        if let Some(storage) = spec.storage.as_deref().filter(|s| !limits.allows_storage(s)) {
            return Err(Error::field("storage", format!("Steward may not put disks on {storage}. Choose another.")));
        }
        if !limits.allows_bridge(&spec.bridge) {
            let text = format!("Steward may not connect machines to {}. Choose another.", spec.bridge);
            return Err(Error::field("bridge", text));
        }
        if let GuestSource::Template { vmid, .. } = spec.source {
            if !limits.allows_template(vmid) {
                return Err(Error::field(
                    "template",
                    "Machines may not be created from this template. Choose another.",
                ));
            }
            let template = snapshot.guests.iter().find(|g| g.row.connection == connection && g.row.vmid == Some(vmid));
            let Some(template) = template.filter(|g| g.state.template) else {
                return Err(Error::field("template", "This template does not exist. Choose another."));
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

    /// Without a storage the copy's disks go where the template's are: then those must be allowed. The provider is
    /// only asked when there is a list.
    async fn check_template_storages(&self, connection: ConnectionId, spec: &GuestSpec) -> Result<()> {
        let limits = self.0.connections().limits(connection)?;
        let (GuestSource::Template { vmid, .. }, None) = (&spec.source, &spec.storage) else { return Ok(()) };
        if limits.storages.is_empty() {
            return Ok(());
        }
        let snapshot = self.0.live().snapshot();
        let mut all = snapshot.guests.iter().filter(|g| g.row.connection == connection);
        let Some(template) = all.find(|g| g.row.vmid == Some(*vmid)) else { return Ok(()) };
        if !self.can(connection, template.row.kind, Feature::Hardware) {
            return Err(Error::field("storage", "Choose a storage: Steward may put disks on some storages only."));
        }
        let asked = plugin_host::call(self.0, connection, "guest_hardware", vec![Self::target(template)?]);
        let hardware: Hardware = asked.await?;
        let mut copied =
            hardware.disks.iter().filter(|d| !d.storage.is_empty() && d.kind != "cd" && d.kind != "unused");
        match copied.find(|d| !limits.allows_storage(&d.storage)) {
            Some(d) => Err(Error::field(
                "storage",
                format!("The template's disk is on {}, where Steward may not put disks. Choose a storage.", d.storage),
            )),
            None => Ok(()),
        }
    }

    /// One job at a time works on a machine; only a stop may overtake a shutdown that hangs.
    pub(super) fn check_idle(&self, guest: &GuestLive, action: ActionKind) -> Result<()> {
        match self.0.jobs().open_of_guest(guest.row.id)? {
            Some(job) if action == ActionKind::Stop && job.kind.is_power() => {
                tracing::info!(job.id = %job.id, "a stop overtakes this job");
                Ok(())
            }
            Some(job) => Err(Error::conflict(format!(
                "“{}” is working on this machine now. Wait until it is done, or cancel it.",
                job.title
            ))),
            None => Ok(()),
        }
    }

    /// One commit with the job and its audit entry.
    pub(super) async fn request(&self, actor: &Actor, guest: &GuestLive, ask: Ask) -> Result<Job> {
        let (row, growth) = (&guest.row, ask.growth);
        let on = format!("on {}", guest.state.node);
        let detail = if ask.detail.is_empty() { on } else { format!("{}, {on}", ask.detail) };
        let record = actor.record(self.0.now(), &format!("guest.{}", ask.word), row, detail);
        let new = NewJob {
            id: JobId::new(),
            plugin: self.0.connections().plugin_of(row.connection)?,
            title: ask.title.clone(),
            priority: ask.priority,
            subject: Subject::Guest(row.id),
            connection: Some(row.connection),
            lane: Some(format!("node:{}:{}", row.connection, guest.state.node)),
            dedup: Some(format!("guest:{}:{}", row.id, ask.word)),
            max_attempts: 3,
            kind: ask.kind(guest, None),
        };
        let (actor, id, guest) = (actor.clone(), new.id, row.id);
        let job = self
            .0
            .store()
            .write(move |tx| {
                let job = enqueue(tx, &actor, new)?;
                if let Some(growth) = growth.filter(|_| job.id == id) {
                    quotas::claim_change(tx, guest, job.id, &growth)?;
                }
                tx.audit(record);
                Ok(job)
            })
            .await?;
        self.0.job_bell().notify_one();
        Ok(job)
    }
}

/// 24 bits of a connection's id that are chance.
fn salt(connection: ConnectionId) -> u32 {
    let [.., a, b, c] = *connection.bytes();
    u32::from_be_bytes([0, a, b, c])
}

/// What was asked for, for the audit log.
fn describe(spec: &GuestSpec) -> String {
    let from = match &spec.source {
        GuestSource::Template { vmid, full: true } => format!("full clone of {vmid}"),
        GuestSource::Template { vmid, full: false } => format!("linked clone of {vmid}"),
        GuestSource::Iso { volid, .. } => format!("from {volid}"),
    };
    let all = (spec.all_cores(), spec.all_disks());
    format!("{from} on {}, {} cores, {} MiB, {} GiB", spec.node, all.0, spec.memory, all.1)
}
