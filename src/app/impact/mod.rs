//! What depends on a machine, before it is stopped, moved, changed or deleted. Each source of facts is one function
//! in `sources.rs`; a new noun that depends on machines needs a new one there.

mod own;
mod sources;

use crate::live::GuestLive;
use crate::software::SoftwareView;
use crate::{Actor, App};
use base::ids::{ConnectionId, GuestId};
use base::{Error, Result};
use model::guests::ActionKind;
use model::guests::hardware::Hardware;
use model::guests::snapshots::Snapshots;
use model::impact::{Impact, Ties, needs_ties};
use model::jobs::Job;
use model::providers::Feature;
use own::Own;
use std::collections::BTreeMap;
use std::time::Duration;

/// A person waits for the answer; what the provider has not reported by then is shown as unknown.
const PATIENCE: Duration = Duration::from_secs(4);

pub struct Impacts<'a>(pub(super) &'a App);

/// What is about to be done to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedAction {
    pub action: ActionKind,
    /// The snapshot to go back to.
    pub snapshot: Option<String>,
}

impl From<ActionKind> for ProposedAction {
    fn from(action: ActionKind) -> Self {
        Self { action, snapshot: None }
    }
}

/// What the provider told of one machine now. `None`: not asked, or no answer.
#[derive(Default)]
struct ProviderAnswers {
    hardware: Option<Hardware>,
    snapshots: Option<Snapshots>,
    ties: Option<Ties>,
    software: Vec<SoftwareView>,
    unknown: Vec<String>,
}

/// What a source may look at.
struct Scene<'a> {
    app: &'a App,
    actor: &'a Actor,
    guest: &'a GuestLive,
    asked: &'a ProposedAction,
    told: &'a ProviderAnswers,
    /// All jobs that are not over.
    open: &'a [Job],
    own: &'a Own,
}

impl Impacts<'_> {
    /// What hangs on one machine; its provider is asked too. The names of what the actor may not see are left out
    /// and counted.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` on `snapshot` when there is no such snapshot.
    pub async fn of(&self, actor: &Actor, id: GuestId, asked: &ProposedAction) -> Result<Impact> {
        let guest = self.0.guests().get(actor, id)?;
        let own = Own::read();
        let told = self.ask(actor, &guest, asked, &own).await;
        if let (Some(name), Some(all)) = (&asked.snapshot, &told.snapshots)
            && all.get(name).is_none()
        {
            return Err(Error::field("snapshot", "There is no such snapshot."));
        }
        let open = self.0.jobs().all_open()?;
        let scene = Scene { app: self.0, actor, guest: &guest, asked, told: &told, open: &open, own: &own };
        let facts = sources::facts(&scene)?;
        Ok(Impact::of(asked.action, facts, told.unknown))
    }

    /// The same for several machines, summed up, from what is known without asking the provider: for a hundred
    /// machines that would be hundreds of calls. Machines that the actor may not see are left out.
    pub fn of_many(&self, actor: &Actor, ids: &[GuestId], action: ActionKind) -> Result<Impact> {
        let open = self.0.jobs().all_open()?;
        let (own, asked) = (Own::read(), ProposedAction::from(action));
        let mut each = Vec::with_capacity(ids.len());
        for guest in ids.iter().filter_map(|id| self.0.guests().get(actor, *id).ok()) {
            let told =
                ProviderAnswers { software: self.0.software().known(guest.row.id)?, ..ProviderAnswers::default() };
            let scene = Scene { app: self.0, actor, guest: &guest, asked: &asked, told: &told, open: &open, own: &own };
            each.push((guest.row.id, guest.state.name.clone(), sources::facts(&scene)?));
        }
        Ok(Impact::of_many(action, each))
    }

    /// What goes when Steward forgets a connection.
    pub fn of_connection(&self, actor: &Actor, id: ConnectionId) -> Result<Impact> {
        actor.require_admin()?;
        let snapshot = self.0.live().snapshot();
        let theirs: Vec<_> = snapshot.guests.iter().filter(|g| g.row.connection == id).collect();
        let mut owners: BTreeMap<String, usize> = BTreeMap::new();
        for owner in theirs.iter().filter_map(|g| g.row.owner).filter(|o| Some(*o) != actor.user_id()) {
            *owners.entry(self.0.people().name_of(Some(owner))).or_default() += 1;
        }
        let owners: Vec<(String, usize)> = owners.into_iter().collect();
        let machines = theirs.iter().map(|g| (g.row.id, g.state.name.clone())).collect();
        Ok(Impact::of_connection(machines, &owners))
    }

    /// Asks the provider what matters for this action, all at once.
    async fn ask(&self, actor: &Actor, guest: &GuestLive, asked: &ProposedAction, own: &Own) -> ProviderAnswers {
        let id = guest.row.id;
        let (guests, features) = (self.0.guests(), self.0.guests().features(guest));
        let software = async { self.0.software().of_guest(actor, id).await.unwrap_or_default() };
        if guest.row.vmid.is_none() || guest.row.making.is_some() {
            return ProviderAnswers { software: software.await, ..ProviderAnswers::default() };
        }
        if let Err(e) = guests.check_reach(guest.row.connection) {
            let unknown = vec![format!("Its disks, snapshots and devices can't be read right now. {}", e.message())];
            return ProviderAnswers {
                software: self.0.software().known(id).unwrap_or_default(),
                unknown,
                ..ProviderAnswers::default()
            };
        }
        let has = |feature| features.contains(&feature);
        let wants_hardware = asked.action == ActionKind::Delete || own.has_cards();
        let hardware = wanted(has(Feature::Hardware) && wants_hardware, "hardware", guests.hardware(actor, id));
        let past = matches!(asked.action, ActionKind::Delete | ActionKind::Rollback | ActionKind::Template);
        let snapshots = has(Feature::Snapshots) && past && !guest.state.template;
        let snapshots = wanted(snapshots, "snapshots", guests.snapshots(actor, id));
        let ties = wanted(needs_ties(asked.action), "devices and links to other machines", guests.ties(guest));
        let (hardware, snapshots, ties, software) = tokio::join!(hardware, snapshots, ties, software);
        let mut told = ProviderAnswers { software, ..ProviderAnswers::default() };
        (told.hardware, told.snapshots) = (told.keep(hardware), told.keep(snapshots));
        told.ties = told.keep(ties).flatten();
        told
    }
}

impl ProviderAnswers {
    fn keep<T>(&mut self, answer: Option<Result<T, String>>) -> Option<T> {
        match answer? {
            Ok(value) => Some(value),
            Err(why) => {
                self.unknown.push(why);
                None
            }
        }
    }
}

/// Asks if it is wanted, and waits only that long.
async fn wanted<T>(wanted: bool, what: &str, ask: impl Future<Output = Result<T>>) -> Option<Result<T, String>> {
    if !wanted {
        return None;
    }
    Some(match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(format!("Its {what} can't be read right now. {}", e.message())),
        Err(_) => Err(format!("Its {what} are not known: the answer is taking too long.")),
    })
}
