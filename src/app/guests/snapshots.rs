//! Reading a machine's snapshots.

use super::Guests;
use crate::app::Actor;
use crate::base::Result;
use crate::base::ids::GuestId;
use crate::model::guests::snapshots::Snapshots;
use crate::model::providers::Feature;

impl Guests<'_> {
    /// The machine's snapshots, asked from its provider now.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the provider has none; `Unavailable` when it does not answer.
    pub async fn snapshots(&self, actor: &Actor, id: GuestId) -> Result<Snapshots> {
        self.ask_hook(actor, id, Feature::Snapshots, "guest_snapshots", Vec::new()).await
    }
}
