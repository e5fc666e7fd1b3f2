//! Copies of machines, and moving them to another node.

use super::Guests;
use super::making::{PendingGuest, name_taken};
use super::request::Ask;
use crate::Actor;
use crate::jobs::NewJob;
use crate::live::GuestLive;
use base::ids::{GuestId, JobId};
use base::{Error, Result};
use model::guests::actions::{CloneGuest, Migrate};
use model::guests::moving::MoveCheck;
use model::guests::{ActionKind, Guest, GuestAction, GuestKind, GuestState, copy_name};
use model::jobs::{CopyOf, Job};
use model::providers::Feature;
use model::quotas::Amounts;
use model::subject::Subject;

impl Guests<'_> {
    /// A copy: one commit holds the wanted machine, its job, the event and the audit entry. The copy belongs to the person who
    /// asks. Asked again under the same name while the job is open gives the first one.
    pub(super) async fn request_clone(
        &self,
        actor: &Actor,
        source: &GuestLive,
        action: &GuestAction,
        CloneGuest { name, node, storage, .. }: &CloneGuest,
    ) -> Result<Job> {
        let connection = source.row.connection;
        let dedup = format!("clone:{connection}:{}:{name}", source.row.id);
        // Asked again: the copy's own name would be in the way of the checks below.
        if let Some((_, job)) = self.asked_before(&dedup)? {
            return Ok(job);
        }
        self.check_idle(source, ActionKind::Clone)?;
        self.check_named(actor, source, action).await?;
        let snapshot = self.0.live().snapshot();
        let mut others = snapshot.guests.iter().filter(|g| g.row.connection == connection);
        // What was made a moment ago has no name in Proxmox's list yet.
        if others.any(|g| g.state.name == *name || g.row.name == *name) {
            return Err(name_taken());
        }
        let to = node.as_deref().unwrap_or(&source.state.node);
        self.check_place(source, to)?;
        let limits = self.0.connections().limits(connection)?;
        if source.state.template && source.row.vmid.is_some_and(|vmid| !limits.allows_template(vmid)) {
            return Err(Error::conflict("Machines may not be created from this template. Choose another."));
        }
        if let Some(storage) = storage.as_deref().filter(|s| !limits.allows_storage(s)) {
            return Err(Error::field("storage", format!("Steward may not put disks on {storage}. Choose another.")));
        }
        if let Some(storage) = storage.as_ref().filter(|s| !self.storages_for(source, to).contains(s)) {
            return Err(Error::field("storage", format!("Node {to} has no storage {storage} for disks.")));
        }
        let wanted = Guest::wanted(connection, source.row.kind, name.clone(), actor.user_id(), self.0.now());
        // What the original's profile fixes is fixed for the copy too.
        let guest = Guest { profile: source.row.profile, ..wanted };
        let job = JobId::new();
        let ask = Ask::of(action, &source.state.name);
        // A template counts nothing, a copy of it does.
        let takes = Amounts::of(&GuestState { template: false, ..source.state.clone() });
        let record = actor.record(guest.created, "guest.clone", &source.row, ask.detail.clone());
        let copy = Some(CopyOf { takes, profile: guest.profile });
        let new = NewJob {
            id: job,
            plugin: self.0.connections().plugin_of(connection)?,
            title: ask.title.clone(),
            priority: ask.priority,
            subject: Subject::Guest(guest.id),
            connection: Some(connection),
            lane: Some(format!("node:{connection}:{}", source.state.node)),
            dedup: Some(dedup),
            max_attempts: 3,
            kind: ask.kind(source, copy),
        };
        self.make(actor, PendingGuest { guest, job: new, takes, record }, |_, _, _| Ok(())).await.map(|(_, job)| job)
    }

    /// What prevents moving the machine to each of the other nodes, asked from its provider now.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the provider can't move machines; `Unavailable` when it does not answer.
    pub async fn migrate_check(&self, actor: &Actor, id: GuestId) -> Result<MoveCheck> {
        let mut check: MoveCheck =
            self.ask_hook(actor, id, Feature::Migrate, "guest_migrate_check", Vec::new()).await?;
        let guest = self.get(actor, id)?;
        let limits = self.0.connections().limits(guest.row.connection)?;
        for node in check.nodes.iter_mut().filter(|n| !limits.allows_node(&n.name)) {
            node.problems.push("Steward may not use it. An admin can allow it in the settings.".to_owned());
        }
        check.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(check)
    }

    /// Whether the machine can be moved like this now. The job looks again: hours may pass until it runs.
    pub(super) async fn check_move(&self, actor: &Actor, guest: &GuestLive, action: &GuestAction) -> Result<()> {
        let GuestAction::Migrate(Migrate { node, disks, storage }) = action else { return Ok(()) };
        if *node == guest.state.node {
            return Err(Error::field("node", "It is already on this node."));
        }
        self.migrate_check(actor, guest.row.id).await?.allows(node, *disks, storage.as_deref())
    }

    fn check_place(&self, guest: &GuestLive, node: &str) -> Result<()> {
        if self.0.nodes().usable(guest.row.connection)?.iter().any(|n| n == node) {
            Ok(())
        } else {
            Err(Error::field("node", "This node is not available, or Steward may not use it."))
        }
    }

    /// Storages on a node that take the disks of such a machine, by name.
    pub fn storages_for(&self, guest: &GuestLive, node: &str) -> Vec<String> {
        let content = match guest.row.kind {
            GuestKind::Vm => "images",
            GuestKind::Container => "rootdir",
        };
        let snapshot = self.0.live().snapshot();
        let all = snapshot.connection(guest.row.connection).map(|c| c.storages.as_slice()).unwrap_or_default();
        let fits =
            all.iter().filter(|s| s.node == node && s.status == "available" && s.content.iter().any(|c| c == content));
        let mut names: Vec<String> = fits.map(|s| s.name.clone()).collect();
        names.sort();
        names
    }

    /// Nodes on which a copy of the machine can be made: those that Steward may use and that answer.
    pub fn nodes_for(&self, guest: &GuestLive) -> Vec<String> {
        self.0.nodes().usable(guest.row.connection).unwrap_or_default()
    }

    /// A name for a copy that no other machine has.
    pub fn free_name(&self, guest: &GuestLive) -> String {
        let snapshot = self.0.live().snapshot();
        let taken = |name: &str| snapshot.guests.iter().any(|g| g.state.name == name);
        (1..1000).map(|n| copy_name(&guest.state.name, n)).find(|name| !taken(name)).unwrap_or_default()
    }
}
