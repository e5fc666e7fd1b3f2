//! Reading a machine's snapshots.

use super::Guests;
use crate::Actor;
use base::Result;
use base::ids::GuestId;
use model::guests::snapshots::Snapshots;
use model::providers::Feature;

impl Guests<'_> {
    /// The machine's snapshots, asked from its provider now.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the provider has none; `Unavailable` when it does not answer.
    pub async fn snapshots(&self, actor: &Actor, id: GuestId) -> Result<Snapshots> {
        self.ask_hook(actor, id, Feature::Snapshots, "guest_snapshots", Vec::new()).await
    }
}
