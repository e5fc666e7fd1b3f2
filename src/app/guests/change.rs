//! Reading a machine's hardware and options, and what a change of them would do.

use super::Guests;
use crate::app::Actor;
use crate::app::live::GuestLive;
use crate::base::ids::GuestId;
use crate::base::{Error, Result};
use crate::model::guests::GuestKind;
use crate::model::guests::hardware::{self, Hardware, Plan};
use crate::model::nodes::Choices;
use crate::model::providers::Feature;
use serde_json::json;
use std::collections::BTreeMap;

impl Guests<'_> {
    /// Hardware and options, asked from the provider now.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the provider does not offer it; `Unavailable` when it does not answer.
    pub async fn hardware(&self, actor: &Actor, id: GuestId) -> Result<Hardware> {
        self.ask_hook(actor, id, Feature::Hardware, "guest_hardware", Vec::new()).await
    }

    /// What new values would do: old and new, at once or after a restart, or why not. Nothing is changed.
    ///
    /// # Errors
    /// `Invalid` with a sentence per key; else as [`Guests::hardware`].
    pub async fn plan_change(&self, actor: &Actor, id: GuestId, values: &BTreeMap<String, String>) -> Result<Plan> {
        hardware::check(values)?;
        let more = vec![json!(values)];
        self.ask_hook(actor, id, Feature::Hardware, "guest_change_plan", more).await
    }

    /// The same, but what the provider refuses is an error beside its key.
    ///
    /// # Errors
    /// As [`Guests::plan_change`]; `Invalid` with what is refused.
    pub async fn good_plan(&self, actor: &Actor, id: GuestId, values: &BTreeMap<String, String>) -> Result<Plan> {
        let plan = self.plan_change(actor, id, values).await?;
        let refused: Vec<_> = plan.changes.iter().filter_map(|c| Some((&c.key, c.refused.as_ref()?))).collect();
        if refused.is_empty() {
            return Ok(plan);
        }
        let start = Error::invalid("Please correct the marked fields.");
        Err(refused.into_iter().fold(start, |e, (key, text)| e.with_field(key, text)))
    }

    /// What can be chosen for a machine on its node: storages for its disks, bridges, ISO images.
    ///
    /// # Errors
    /// `Unavailable` when the provider does not answer.
    pub async fn choices(&self, actor: &Actor, guest: &GuestLive) -> Result<Choices> {
        let node = &guest.state.node;
        let mut choices = self.0.nodes().choices(actor, guest.row.connection, node).await?;
        if guest.row.kind == GuestKind::Lxc {
            let snapshot = self.0.live().snapshot();
            let all = snapshot.connection(guest.row.connection).map(|c| c.storages.clone()).unwrap_or_default();
            let fits = |s: &crate::model::nodes::Storage| s.node == *node && s.content.iter().any(|c| c == "rootdir");
            choices.storages = all.into_iter().filter(fits).map(|s| s.name).collect();
        }
        Ok(choices)
    }
}
