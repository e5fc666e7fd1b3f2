//! What a request names must exist: disks, network cards, snapshots; storages, bridges and images of a node. The
//! provider is asked before there is a job, so that a mistyped name is told at once and beside its field.

use super::Guests;
use crate::Actor;
use crate::live::GuestLive;
use base::ids::ConnectionId;
use base::{Error, Result};
use model::guests::actions::Part;
use model::guests::{GuestAction, GuestSource, GuestSpec};
use model::providers::Feature;

impl Guests<'_> {
    /// Asks the provider whether the request is possible met: its parts exist and the values are accepted.
    pub(super) async fn check_named(&self, actor: &Actor, guest: &GuestLive, action: &GuestAction) -> Result<()> {
        let (id, features) = (guest.row.id, self.features(guest));
        if let GuestAction::Change(change) = action {
            return self.check_values(actor, guest, &change.values).await;
        }
        let Some(part) = action.part() else { return Ok(()) };
        let sentence = match part {
            Part::Disk(_) | Part::Nic(_) if !features.contains(&Feature::Hardware) => return Ok(()),
            Part::Disk(key) if !self.hardware(actor, id).await?.disks.iter().any(|d| d.key == key) => {
                format!("The machine has no disk {key}.")
            }
            Part::Nic(key) if !self.hardware(actor, id).await?.nics.iter().any(|n| n.key == key) => {
                format!("The machine has no network card {key}.")
            }
            Part::Snapshot(name) if self.snapshots(actor, id).await?.get(name).is_none() => {
                format!("The machine has no snapshot {name}.")
            }
            Part::NewSnapshot(name) if self.snapshots(actor, id).await?.get(name).is_some() => {
                format!("There is a snapshot called {name} already. Choose another name.")
            }
            _ => return Ok(()),
        };
        Err(match action {
            GuestAction::Snapshot(_) => Error::field("name", sentence),
            GuestAction::Clone(_) => Error::field("snapshot", sentence),
            _ => Error::not_found(sentence),
        })
    }

    /// Storage, bridge and ISO image of a new machine must be there on its node. A node that tells nothing of a kind
    /// is not asked more than it knows.
    pub(super) async fn check_choices(&self, actor: &Actor, connection: ConnectionId, spec: &GuestSpec) -> Result<()> {
        let there = self.0.nodes().choices(actor, connection, &spec.node).await?;
        let lacks = |all: &[String], name: &str| !all.is_empty() && !all.iter().any(|have| have == name);
        let node = &spec.node;
        if let Some(storage) = spec.storage.as_deref().filter(|s| lacks(&there.storages, s)) {
            return Err(Error::field("storage", format!("Node {node} has no storage {storage} for disks.")));
        }
        if lacks(&there.bridges, &spec.bridge) {
            return Err(Error::field("bridge", format!("Node {node} has no bridge {}.", spec.bridge)));
        }
        match &spec.source {
            GuestSource::Iso { volid, .. } if lacks(&there.isos, volid) => {
                Err(Error::field("volid", format!("Node {node} can't reach an ISO image {volid}.")))
            }
            _ => Ok(()),
        }
    }
}
