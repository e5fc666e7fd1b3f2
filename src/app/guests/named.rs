//! What a request names must exist: disks, network cards, snapshots; storages, bridges and images of a node. The
//! provider is asked before there is a job, so that a mistyped name is told at once and beside its field.

use super::Guests;
use crate::live::GuestLive;
use crate::{Actor, plugin_host};
use base::ids::ConnectionId;
use base::{Error, Result};
use futures_util::{StreamExt as _, stream};
use model::access::GuestRight;
use model::guests::actions::{AddNic, ChangeNic, Part};
use model::guests::hardware::{Hardware, Nic};
use model::guests::{GuestAction, GuestSource, GuestSpec};
use model::providers::Feature;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// So long other machines are asked for their cards.
const LOOK_FOR_CARDS: Duration = Duration::from_secs(8);

impl Guests<'_> {
    /// Asks the provider whether the request is possible met: its parts exist and the values are accepted.
    pub(super) async fn check_named(&self, actor: &Actor, guest: &GuestLive, action: &GuestAction) -> Result<()> {
        let (id, features) = (guest.row.id, self.features(guest));
        if let GuestAction::Change(change) = action {
            return self.check_values(actor, guest, &change.values).await;
        }
        self.check_card(actor, guest, action).await?;
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

    /// Two cards with one hardware address disturb each other: in one machine always, else in the same network.
    async fn check_card(&self, actor: &Actor, guest: &GuestLive, action: &GuestAction) -> Result<()> {
        let (own, nic) = match action {
            GuestAction::AddNic(AddNic { nic }) => ("", nic),
            GuestAction::ChangeNic(ChangeNic { key, nic }) => (key.as_str(), nic),
            _ => return Ok(()),
        };
        let tells = self.can(guest.row.connection, guest.row.kind, Feature::Hardware);
        let Some(mac) = nic.mac.as_deref().filter(|_| tells) else { return Ok(()) };
        let same = |n: &Nic| n.mac.eq_ignore_ascii_case(mac);
        let mine = self.hardware(actor, guest.row.id).await?.nics;
        if let Some(other) = mine.iter().find(|n| n.key != own && same(n)) {
            return Err(Error::field("mac", format!("{} of this machine has this address already.", other.key)));
        }
        if mine.iter().any(|n| n.key == own && same(n) && n.bridge == nic.bridge && n.vlan == nic.vlan) {
            return Ok(());
        }
        let find = async {
            let mut told = stream::iter(self.with_cards(guest)).map(|(g, at)| self.cards(g, at)).buffer_unordered(4);
            while let Some((other, cards)) = told.next().await {
                if let Some(card) = cards.iter().find(|n| same(n) && n.bridge == nic.bridge && n.vlan == nic.vlan) {
                    return Some((other, card.key.clone()));
                }
            }
            None
        };
        // A machine that does not answer is no reason to wait for long, nor to refuse.
        let found = tokio::time::timeout(LOOK_FOR_CARDS, find).await.ok().flatten();
        let Some((other, key)) = found else { return Ok(()) };
        let name = match self.get_for(actor, other.row.id, GuestRight::See) {
            Ok(_) => format!("{key} of {}", other.state.name),
            Err(_) => "A card of another person's machine".to_owned(),
        };
        Err(Error::field("mac", format!("{name} has this address in the same network. Choose another.")))
    }

    /// The other machines of a connection, as their provider calls them. Templates do not run.
    fn with_cards(&self, guest: &GuestLive) -> Vec<(Arc<GuestLive>, Value)> {
        let mut all = Vec::new();
        for other in &self.0.live().snapshot().guests {
            let row = &other.row;
            if row.connection != guest.row.connection || row.id == guest.row.id || other.state.template {
                continue;
            }
            if let (true, Ok(target)) = (self.can(row.connection, row.kind, Feature::Hardware), Self::target(other)) {
                all.push((Arc::clone(other), target));
            }
        }
        all
    }

    /// The cards of a machine; none when it does not answer.
    async fn cards(&self, guest: Arc<GuestLive>, target: Value) -> (Arc<GuestLive>, Vec<Nic>) {
        let told = plugin_host::call(self.0, guest.row.connection, "guest_hardware", vec![target]).await;
        let hardware = told.ok().and_then(|value| serde_json::from_value::<Hardware>(value).ok());
        (guest, hardware.map(|h| h.nics).unwrap_or_default())
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
