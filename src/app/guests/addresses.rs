//! Where a machine can be reached: as its provider reports, else as Steward's own network knows its cards.

use super::Guests;
use crate::live::GuestLive;
use crate::{Actor, plugin_host};
use base::Result;
use base::ids::GuestId;
use model::guests::hardware::Hardware;
use model::providers::Feature;

impl Guests<'_> {
    /// The machine's addresses, as its guest agent or settings tell. For a running machine that reports none: what the
    /// kernel knows about its network cards.
    pub async fn addresses(&self, actor: &Actor, id: GuestId) -> Result<Vec<String>> {
        let guest = self.get(actor, id)?;
        if guest.row.making.is_some() {
            return Ok(Vec::new());
        }
        self.addresses_of(&guest, false).await
    }

    /// The same for Steward's own use; with `search` the own network is asked for a machine that tells none.
    pub(crate) async fn addresses_of(&self, guest: &GuestLive, search: bool) -> Result<Vec<String>> {
        // One that is being made has an address before it is ready for anything else.
        let Some(target) = guest.row.vmid.map(|vmid| Self::target_now(guest, vmid)) else { return Ok(Vec::new()) };
        let asked = plugin_host::call(self.0, guest.row.connection, "addresses", vec![target.clone()]);
        let told: Vec<String> = asked.await?;
        let hidden = told.is_empty() && guest.state.status == "running";
        if !hidden || !self.features(guest).contains(&Feature::Hardware) {
            return Ok(told);
        }
        // Only a help: when it fails, the machine has no address, as the provider said.
        let hardware = plugin_host::call(self.0, guest.row.connection, "guest_hardware", vec![target]).await;
        let hardware: Hardware = hardware.unwrap_or_default();
        let cards: Vec<String> = hardware.nics.into_iter().map(|n| n.mac).filter(|m| !m.is_empty()).collect();
        let neighbours = self.0.neighbours();
        let found = if search { neighbours.search(&cards).await } else { neighbours.known(&cards).await };
        Ok(found.iter().map(ToString::to_string).collect())
    }
}
