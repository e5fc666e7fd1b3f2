//! Everything that is asked for a machine: the one way for pages, the REST API and many machines at once.

use super::Guests;
use super::request::Ask;
use crate::live::GuestLive;
use crate::{Actor, plugin_host};
use base::ids::{ConnectionId, GuestId};
use base::{Error, Result};
use model::access::GuestRight;
use model::guests::actions::{Action as _, ApplyProfile, RevertSettings};
use model::guests::{ActionKind, GuestAction, GuestKind};
use model::impact::{Ties, Weight};
use model::jobs::Job;
use model::providers::{Feature, Features};
use model::sessions::Scope;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

impl Guests<'_> {
    /// What the machine's provider can do with machines of its kind.
    pub fn features(&self, guest: &GuestLive) -> Vec<Feature> {
        self.all_features(guest).of(guest.row.kind).to_vec()
    }

    fn all_features(&self, guest: &GuestLive) -> Features {
        self.features_of(guest.row.connection)
    }

    /// Does the provider of a connection offer this for machines of that kind?
    pub fn can(&self, connection: ConnectionId, kind: GuestKind, feature: Feature) -> bool {
        self.features_of(connection).has(kind, feature)
    }

    /// What the provider of a connection can do.
    pub fn features_of(&self, connection: ConnectionId) -> Features {
        let plugin = self.0.connections().plugin_of(connection).ok();
        let plugin = plugin.and_then(|name| self.0.plugin_set().get(&name));
        plugin.map(|p| p.manifest().features.clone()).unwrap_or_default()
    }

    /// Asks for an action: one commit holds the job and the audit entry. For a copy the job's machine is the new one.
    /// `None`: it is done already, without a job.
    ///
    /// # Errors
    /// `Invalid` with the fields; `NotFound`, `Forbidden`; `Conflict` when it makes no sense now or the provider
    /// can't, with the reason; `Unavailable` while the provider is away.
    pub async fn request_action(
        &self,
        actor: &Actor,
        id: GuestId,
        action: impl Into<GuestAction>,
    ) -> Result<Option<Job>> {
        self.request_one(actor, id, action.into(), true).await
    }

    /// `alone`: the provider is asked first whether the parts are there that the action names, and what stands in its
    /// way. For one of many machines it is not; then its job fails with the reason.
    pub(super) async fn request_one(
        &self,
        actor: &Actor,
        id: GuestId,
        action: GuestAction,
        alone: bool,
    ) -> Result<Option<Job>> {
        actor.require_scope(Scope::Operate)?;
        action.check()?;
        let guest = self.get_for(actor, id, action.spec().right)?;
        if let GuestAction::Give(give) = action {
            let named = |text: &String| self.person_for_sharing(actor, id, "owner", text);
            let owner = give.owner.as_ref().map(named).transpose()?;
            return self.set_owner(actor, id, owner, give.keep).await.map(|()| None);
        }
        let action = self.as_declared(&guest, action)?;
        if let Some(why) = self.certain_refusal(actor, &guest, &action) {
            return Err(if guest.is_stale() { Error::unavailable(why) } else { Error::conflict(why) });
        }
        let action = match action {
            GuestAction::Tags(tags) => tags.change(&guest.state.tags).into(),
            other => other,
        };
        if let GuestAction::Clone(copy) = &action {
            return self.request_clone(actor, &guest, &action, copy).await.map(Some);
        }
        if alone && action.kind() == ActionKind::Delete {
            let impact = self.0.impact().of(actor, id, &ActionKind::Delete.into()).await?;
            if let Some(hit) = impact.hits.into_iter().find(|hit| hit.weight == Weight::Blocks) {
                return Err(Error::conflict(hit.text));
            }
        }
        self.check_limits(&guest, &action)?;
        self.check_idle(&guest, action.kind())?;
        if alone {
            self.check_named(actor, &guest, &action).await?;
        }
        self.check_fixed(actor, &guest, &action)?;
        self.check_move(actor, &guest, &action).await?;
        let (action, growth) = self.growth(actor, &guest, action).await?;
        let mut ask = Ask { growth, ..Ask::of(&action, &guest.state.name) };
        match action {
            GuestAction::Revert(revert) if revert.keys.is_empty() => {
                let keys = self.hardware(actor, id).await?.waiting;
                if keys.is_empty() {
                    return Err(Error::conflict("No change is waiting for a restart."));
                }
                ask = Ask::of(&RevertSettings { keys }.into(), &guest.state.name);
            }
            GuestAction::Apply(apply) => {
                let change = self.profile_change(actor, &guest, apply).await?;
                ask = Ask {
                    title: ApplyProfile { profile: change.name.clone(), ..ApplyProfile::default() }
                        .title(&guest.state.name),
                    detail: change.describe(),
                    growth: self.growth_of_profile(actor, &guest, &change).await?,
                    change: Some(change),
                    ..ask
                };
            }
            _ => {}
        }
        if let Some(growth) = ask.growth.filter(|_| guest.row.kind == GuestKind::Vm) {
            self.check_room(guest.row.connection, &guest.state.node, growth.cores, growth.memory)?;
        }
        self.request(actor, &guest, ask).await.map(Some)
    }

    /// Why this can't be asked for now, as a sentence.
    pub fn action_refusal(&self, actor: &Actor, guest: &GuestLive, action: &GuestAction) -> Option<String> {
        if actor.guest_right(&guest.row) < Some(action.spec().right) {
            return Some("You may not change this machine.".to_owned());
        }
        if let Some(why) = self.general_refusal(actor, guest) {
            return Some(why);
        }
        if action.feature().is_some_and(|feature| !self.all_features(guest).has(guest.row.kind, feature)) {
            let many = guest.row.kind.word().to_lowercase();
            return Some(format!("This can't be done with a {many} here: its provider does not offer it."));
        }
        action.refusal(guest.row.kind, &guest.state).or_else(|| self.clone_refusal(guest, action))
    }

    /// The same for a request. Where a job's end and Proxmox's list differ on the status, only what neither allows is
    /// refused: the provider looks itself.
    fn certain_refusal(&self, actor: &Actor, guest: &GuestLive, action: &GuestAction) -> Option<String> {
        let why = self.action_refusal(actor, guest, action)?;
        let Some(listed) = guest.listed.clone() else { return Some(why) };
        let mut as_listed = guest.clone();
        as_listed.state.status = listed;
        self.action_refusal(actor, &as_listed, action).map(|_| why)
    }

    /// What people who may use the machine can do with it now, each with the reason why not, where there is one. What its
    /// provider does not offer is left out.
    pub fn power_actions(&self, actor: &Actor, guest: &GuestLive) -> Vec<(ActionKind, Option<String>)> {
        let features = self.all_features(guest);
        let offered = |kind: &ActionKind| kind.spec().feature.is_none_or(|f| features.has(guest.row.kind, f));
        let refusal = |kind: ActionKind| (kind, self.action_refusal(actor, guest, &kind.empty()));
        ActionKind::power().filter(offered).map(refusal).collect()
    }

    /// Not every provider copies what runs, or makes a template of a template.
    fn clone_refusal(&self, guest: &GuestLive, action: &GuestAction) -> Option<String> {
        let GuestAction::Clone(_) = action else { return None };
        let (features, kind) = (self.all_features(guest), guest.row.kind);
        if guest.state.template && !features.has(kind, Feature::LinkedClone) {
            return Some("A template is not copied here. Make a new machine from it.".to_owned());
        }
        let off = guest.state.template || guest.state.status == "stopped";
        (!off && !features.has(kind, Feature::CloneRunning)).then(|| {
            format!(
                "It is {} now, and only a machine that is off can be copied here. Shut it down first.",
                guest.state.status
            )
        })
    }

    /// What Proxmox calls the machine, for hooks.
    pub(crate) fn target(guest: &GuestLive) -> Result<Value> {
        match guest.row.vmid.filter(|_| guest.row.making.is_none()) {
            Some(vmid) => Ok(Self::target_now(guest, vmid)),
            None => Err(Error::conflict("It is being created right now.")),
        }
    }

    /// The same with its number, also while it is being made.
    pub(super) fn target_now(guest: &GuestLive, vmid: u32) -> Value {
        json!({ "vmid": vmid, "kind": guest.row.kind.name(), "node": guest.state.node, "status": guest.state.status })
    }

    /// What ties the machine to others and to its node; `None` when its provider does not tell such things.
    pub(crate) async fn ties(&self, guest: &GuestLive) -> Result<Option<Ties>> {
        let plugin = self.0.connections().plugin_of(guest.row.connection)?;
        let tells = |p: std::sync::Arc<plugin::Plugin>| p.manifest().hooks.contains_key("guest_ties");
        if !self.0.plugin_set().get(&plugin).is_some_and(tells) {
            return Ok(None);
        }
        self.check_reach(guest.row.connection)?;
        plugin_host::call(self.0, guest.row.connection, "guest_ties", vec![Self::target(guest)?]).await.map(Some)
    }

    /// Asks an effect hook about a machine that the actor may see. The first argument is the machine.
    pub(super) async fn ask_hook<T: DeserializeOwned>(
        &self,
        actor: &Actor,
        id: GuestId,
        feature: Feature,
        hook: &'static str,
        more: Vec<Value>,
    ) -> Result<T> {
        let guest = self.get_for(actor, id, GuestRight::See)?;
        if !self.all_features(&guest).has(guest.row.kind, feature) {
            return Err(Error::conflict("The machine's provider does not offer this."));
        }
        self.check_reach(guest.row.connection)?;
        let mut args = vec![Self::target(&guest)?];
        args.extend(more);
        plugin_host::call(self.0, guest.row.connection, hook, args).await
    }
}
