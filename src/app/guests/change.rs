//! Reading a machine's hardware and options, and what a change of them would do.

use super::Guests;
use crate::Actor;
use crate::live::GuestLive;
use base::amounts::{GIB, MIB};
use base::ids::{ConnectionId, GuestId};
use base::{Error, Result};
use model::access::GuestRight;
use model::amounts::NewSize;
use model::guests::GuestKind;
use model::guests::actions::{
    Action as _, AddDisk, AddNic, ChangeNic, DeleteDisk, GuestAction, MoveDisk, ProfileChange,
};
use model::guests::hardware::{Hardware, Plan};
use model::nodes::Choices;
use model::providers::Feature;
use model::quotas::Growth;
use serde_json::json;
use std::collections::BTreeMap;

impl Guests<'_> {
    /// Hardware and options, asked from the provider now.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the provider does not offer it; `Unavailable` when it does not answer.
    pub async fn hardware(&self, actor: &Actor, id: GuestId) -> Result<Hardware> {
        let mut all: Hardware = self.ask_hook(actor, id, Feature::Hardware, "guest_hardware", Vec::new()).await?;
        // What the provider did not declare is not offered; the rest comes in the order of the declaration.
        let guest = self.get_for(actor, id, GuestRight::See)?;
        let settings = self.settings(&guest);
        let place = |key: &str| settings.iter().position(|s| s.key == key);
        all.values.retain(|v| place(&v.key).is_some());
        all.values.sort_by_key(|v| place(&v.key));
        Ok(all)
    }

    /// What new values would do: old and new, at once or after a restart, or why not. Nothing is changed.
    ///
    /// # Errors
    /// `Invalid` with a sentence per key; else as [`Guests::hardware`].
    pub async fn plan_change(&self, actor: &Actor, id: GuestId, values: &BTreeMap<String, String>) -> Result<Plan> {
        let guest = self.get_for(actor, id, GuestRight::See)?;
        let values = self.settings(&guest).change(values)?;
        self.check_routers(actor, &guest, &values).await?;
        self.ask_hook(actor, id, Feature::Hardware, "guest_change_plan", vec![json!(values)]).await
    }

    /// A router must suit the machine's address. The provider is asked for what is not given.
    async fn check_routers(&self, actor: &Actor, guest: &GuestLive, values: &BTreeMap<String, String>) -> Result<()> {
        let settings = self.settings(guest);
        let mut touched = settings.routers(values).peekable();
        if touched.peek().is_none() {
            return Ok(());
        }
        let all = match touched.all(|(router, own)| values.contains_key(router) && values.contains_key(own)) {
            true => Hardware::default(),
            false => self.hardware(actor, guest.row.id).await?,
        };
        let now = |key: &str| all.value(key).map(|v| v.wanted().to_owned()).unwrap_or_default();
        Error::of_fields(settings.wrong_routers(values, now))
    }

    /// The same, but what the provider refuses is an error beside its key.
    ///
    /// # Errors
    /// As [`Guests::plan_change`]; `Invalid` with what is refused.
    pub async fn good_plan(&self, actor: &Actor, id: GuestId, values: &BTreeMap<String, String>) -> Result<Plan> {
        let plan = self.plan_change(actor, id, values).await?;
        refused(&plan)?;
        Ok(plan)
    }

    /// As [`Guests::good_plan`] for a request, when the job will look again: a provider may have a shorter way.
    pub(super) async fn check_values(
        &self,
        actor: &Actor,
        guest: &GuestLive,
        values: &BTreeMap<String, String>,
    ) -> Result<()> {
        let plugin = self.0.connections().plugin_of(guest.row.connection)?;
        let has = |hook: &str| self.0.plugin_set().get(&plugin).is_some_and(|p| p.manifest().hooks.contains_key(hook));
        if !has("guest_change_check") {
            return self.good_plan(actor, guest.row.id, values).await.map(|_| ());
        }
        let values = self.settings(guest).change(values)?;
        self.check_routers(actor, guest, &values).await?;
        let more = vec![json!(values)];
        let plan = self.ask_hook(actor, guest.row.id, Feature::Hardware, "guest_change_check", more).await?;
        refused(&plan)
    }

    /// The action with the sizes that come of it, and what it takes of the quota of the machine's owner; `None` when it
    /// takes nothing. What the action does not say is asked from the provider.
    pub(super) async fn growth(
        &self,
        actor: &Actor,
        guest: &GuestLive,
        mut action: GuestAction,
    ) -> Result<(GuestAction, Option<Growth>)> {
        let of_disk = |gib: i64| Some(Growth { disk: gib, ..Growth::default() });
        let growth = match &mut action {
            GuestAction::AddDisk(add) => of_disk(gigabytes(add.gib)),
            GuestAction::GrowDisk(grow) => {
                let has = self.disk_size(actor, guest, &grow.disk).await?;
                let whole = grow.gib.of(has)?;
                grow.gib = NewSize::Whole(whole);
                // What it has now was added to that.
                grow.check()?;
                of_disk(gigabytes(whole.saturating_sub(has.div_ceil(GIB))))
            }
            GuestAction::DeleteDisk(DeleteDisk { disk }) => {
                of_disk(-gigabytes(self.disk_size(actor, guest, disk).await?.div_ceil(GIB)))
            }
            GuestAction::Change(change) => self.growth_of_values(actor, guest, &change.values).await?,
            _ => None,
        };
        Ok((action, growth))
    }

    /// A machine with more than its node has would not start.
    pub(super) fn check_room(
        &self,
        connection: ConnectionId,
        node: &str,
        cores: Option<u64>,
        memory: Option<u64>,
    ) -> Result<()> {
        let snapshot = self.0.live().snapshot();
        let Some(has) = snapshot.node(connection, node).map(|n| &n.node) else { return Ok(()) };
        let mut wrong = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "a number of cores")]
        if cores.is_some_and(|cores| has.maxcpu > 0.0 && cores as f64 > has.maxcpu) {
            wrong.push(("cores", format!("Node {node} has {} threads; a machine can't have more.", has.maxcpu)));
        }
        if memory.is_some_and(|mib| has.maxmem > 0 && mib.saturating_mul(MIB) > has.maxmem) {
            let most = has.maxmem / MIB;
            wrong.push(("memory", format!("Node {node} has {most} MiB of memory; a machine can't have more.")));
        }
        Error::of_fields(wrong)
    }

    /// The same for the values and disks of a profile.
    pub(super) async fn growth_of_profile(
        &self,
        actor: &Actor,
        guest: &GuestLive,
        change: &ProfileChange,
    ) -> Result<Option<Growth>> {
        let mut growth = self.growth_of_values(actor, guest, &change.values).await?.unwrap_or_default();
        growth.disk = gigabytes(change.add.iter().fold(0, |sum, d| sum.saturating_add(d.gib)));
        if let Some(g) = &change.grow {
            let has = self.disk_size(actor, guest, &g.disk).await?.div_ceil(GIB);
            growth.disk = growth.disk.saturating_add(gigabytes(g.gib.saturating_sub(has)));
        }
        Ok((growth != Growth::default()).then_some(growth))
    }

    /// Storages and bridges of an action must be among those that Steward may use.
    pub(super) fn check_limits(&self, guest: &GuestLive, action: &GuestAction) -> Result<()> {
        let limits = self.0.connections().limits(guest.row.connection)?;
        match action {
            GuestAction::AddDisk(AddDisk { storage, .. }) | GuestAction::MoveDisk(MoveDisk { storage, .. })
                if !limits.allows_storage(storage) =>
            {
                Err(Error::field("storage", format!("Steward may not put disks on {storage}. Choose another.")))
            }
            GuestAction::AddNic(AddNic { nic }) | GuestAction::ChangeNic(ChangeNic { nic, .. })
                if !limits.allows_bridge(&nic.bridge) =>
            {
                let text = format!("Steward may not connect machines to {}. Choose another.", nic.bridge);
                Err(Error::field("bridge", text))
            }
            _ => Ok(()),
        }
    }

    /// Bytes of a disk; 0 for one that is not there.
    async fn disk_size(&self, actor: &Actor, guest: &GuestLive, key: &str) -> Result<u64> {
        let all = self.hardware(actor, guest.row.id).await?;
        Ok(all.disks.iter().find(|d| d.key == key).map_or(0, |d| d.size))
    }

    async fn growth_of_values(
        &self,
        actor: &Actor,
        guest: &GuestLive,
        values: &BTreeMap<String, String>,
    ) -> Result<Option<Growth>> {
        let memory = values.get("memory").and_then(|v| v.parse().ok());
        // Cores that were kept back count when they are used: a claim for some of them is one for all.
        if !["cores", "sockets", "cpus"].iter().any(|key| values.contains_key(*key)) {
            return Ok(memory.map(|m| Growth { memory: Some(m), ..Growth::default() }));
        }
        let all = self.hardware(actor, guest.row.id).await?;
        let requested = |key: &str| -> Option<u64> {
            let now = all.values.iter().find(|v| v.key == key);
            let now = now.map(|v| v.pending.as_deref().unwrap_or(&v.current));
            values.get(key).map(String::as_str).or(now).and_then(|v| v.parse().ok())
        };
        // A container without a number may use all of its node's threads; a virtual machine has one core then.
        let unsaid = match guest.row.kind {
            GuestKind::Container => self.threads(guest),
            GuestKind::Vm => 1,
        };
        let cores = requested("cores").unwrap_or(unsaid).saturating_mul(requested("sockets").unwrap_or(1));
        Ok(Some(Growth { cores: Some(cores), memory, disk: 0 }))
    }

    /// Threads of the node that the machine is on.
    fn threads(&self, guest: &GuestLive) -> u64 {
        let snapshot = self.0.live().snapshot();
        let threads = snapshot.node(guest.row.connection, &guest.state.node).map_or(1.0, |n| n.node.maxcpu);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "threads of a node, clamped")]
        let threads = threads.clamp(1.0, 1e6).ceil() as u64;
        threads
    }

    /// What can be chosen for a machine on its node: storages for its disks, bridges, ISO images.
    ///
    /// # Errors
    /// `Unavailable` when the provider does not answer.
    pub async fn choices(&self, actor: &Actor, guest: &GuestLive) -> Result<Choices> {
        let node = &guest.state.node;
        let mut choices = self.0.nodes().choices(actor, guest.row.connection, node).await?;
        if guest.row.kind == GuestKind::Container {
            let snapshot = self.0.live().snapshot();
            let all = snapshot.connection(guest.row.connection).map(|c| c.storages.clone()).unwrap_or_default();
            let fits = |s: &model::nodes::Storage| s.node == *node && s.content.iter().any(|c| c == "rootdir");
            choices.storages = all.into_iter().filter(fits).map(|s| s.name).collect();
        }
        Ok(choices)
    }
}

/// What the provider refuses, beside its key.
fn refused(plan: &Plan) -> Result<()> {
    Error::of_fields(plan.changes.iter().filter_map(|c| Some((&c.key, c.refused.as_ref()?))))
}

/// A disk's GiB as a difference; checked before to be 65536 at most.
fn gigabytes(gib: u64) -> i64 {
    i64::try_from(gib).unwrap_or(i64::MAX)
}
