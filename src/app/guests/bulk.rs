//! One action for several machines: what is possible for which of them, and asking for it. Each machine gets a job of
//! its own and is judged by itself; what is refused for one does not hold up the others.

use super::Guests;
use crate::Actor;
use crate::live::GuestLive;
use base::ids::GuestId;
use base::{Error, Kind, Result};
use model::guests::GuestAction;
use model::guests::actions::{Give, Migrate};
use model::jobs::Job;
use std::sync::Arc;

/// Maximum machines per request.
const MOST: usize = 500;

/// A machine for which it can't be done, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkRefusal {
    pub guest: GuestId,
    /// Its name; the id's text when the actor may not see it.
    pub name: String,
    pub why: String,
}

/// What would be done.
#[derive(Clone, Debug, Default)]
pub struct BulkCheck {
    pub fit: Vec<Arc<GuestLive>>,
    pub refused: Vec<BulkRefusal>,
}

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct BulkDone {
    pub jobs: Vec<Job>,
    /// Machines for which it is done already, without a job.
    pub done: Vec<GuestId>,
    pub refused: Vec<BulkRefusal>,
}

impl BulkDone {
    /// For how many machines it was asked or done.
    pub fn count(&self) -> usize {
        self.jobs.len() + self.done.len()
    }
}

impl Guests<'_> {
    /// Which of these machines it could be done to now, by name, from what is known without asking providers; the
    /// others with the reason. An action need not be complete for that.
    ///
    /// # Errors
    /// `Invalid` on `guests` when there is none or too many of them, on `action` when it is not for several machines.
    pub fn bulk_check(&self, actor: &Actor, ids: &[GuestId], action: &GuestAction) -> Result<BulkCheck> {
        if !action.spec().bulk {
            return Err(Error::field("action", "This can't be done with several machines at once."));
        }
        let mut check = BulkCheck::default();
        for id in distinct(ids)? {
            match self.get(actor, id) {
                Err(e) => check.refused.push(BulkRefusal { guest: id, name: id.to_string(), why: e.message().into() }),
                Ok(guest) => match self.bulk_refusal(actor, &guest, action) {
                    None => check.fit.push(guest),
                    Some(why) => {
                        check.refused.push(BulkRefusal { guest: id, name: guest.state.name.clone(), why });
                    }
                },
            }
        }
        check.fit.sort_by(|a, b| a.state.name.cmp(&b.state.name));
        check.refused.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(check)
    }

    fn bulk_refusal(&self, actor: &Actor, guest: &GuestLive, action: &GuestAction) -> Option<String> {
        if let GuestAction::Give(Give { owner, .. }) = action {
            let may = self.check_hand_over(actor, guest);
            let named = |text: &String| self.person_for_sharing(actor, guest.row.id, "owner", text).map(drop);
            return may.and(owner.as_ref().map_or(Ok(()), named)).err().map(|e| sentence(&e));
        }
        let idle = || self.check_idle(guest, action.kind()).err().map(|e| e.message().to_owned());
        let refusal = self.action_refusal(actor, guest, action).or_else(idle);
        refusal.or_else(|| self.pointless(guest, action))
    }

    /// What would change nothing, or can't be from the start.
    fn pointless(&self, guest: &GuestLive, action: &GuestAction) -> Option<String> {
        match action {
            GuestAction::Tags(tags) if tags.changes_nothing(&guest.state.tags) => {
                Some("It already has exactly these tags.".to_owned())
            }
            GuestAction::Migrate(Migrate { node, .. }) if *node == guest.state.node => {
                Some("It is already on this node.".to_owned())
            }
            GuestAction::Migrate(Migrate { node, .. }) if !node.is_empty() => {
                let there = self.0.nodes().usable(guest.row.connection).unwrap_or_default();
                (!there.contains(node))
                    .then(|| "Its cluster has no such node, or Steward may not use it right now.".to_owned())
            }
            _ => None,
        }
    }

    /// Asks for it for each machine. What is refused for one is told, the rest goes on.
    ///
    /// # Errors
    /// `Invalid` on `guests` or what of the action is wrong; `Internal` and `Storage` end the whole.
    pub async fn bulk(&self, actor: &Actor, ids: &[GuestId], action: &GuestAction) -> Result<BulkDone> {
        action.check()?;
        if let GuestAction::Give(Give { owner: None, .. }) = action {
            // One machine can be left without an owner; many never are by a field that was left empty.
            return Err(Error::field("owner", "Name the new owner."));
        }
        let check = self.bulk_check(actor, ids, action)?;
        let mut done = BulkDone { refused: check.refused, ..BulkDone::default() };
        for guest in check.fit {
            match Box::pin(self.request_one(actor, guest.row.id, action.clone(), false)).await {
                Ok(Some(job)) => done.jobs.push(job),
                Ok(None) => done.done.push(guest.row.id),
                Err(e) if matches!(e.kind(), Kind::Internal | Kind::Storage) => return Err(e),
                Err(e) => {
                    let why = sentence(&e);
                    done.refused.push(BulkRefusal { guest: guest.row.id, name: guest.state.name.clone(), why });
                }
            }
        }
        Ok(done)
    }
}

/// What is wrong, as one sentence.
fn sentence(e: &Error) -> String {
    e.fields().values().next().map_or(e.message(), String::as_str).to_owned()
}

/// Each once, in the order in which they came.
fn distinct(ids: &[GuestId]) -> Result<Vec<GuestId>> {
    let mut seen = std::collections::HashSet::new();
    let all: Vec<GuestId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    match all.len() {
        0 => Err(Error::field("guests", "Choose at least one machine first.")),
        n if n > MOST => Err(Error::field("guests", format!("Choose {MOST} machines at most."))),
        _ => Ok(all),
    }
}
