//! One wish for several machines: what is possible for which of them, and asking for it. Each machine gets a job of
//! its own and is judged by itself; what is refused for one does not hold up the others.

use super::Guests;
use crate::Actor;
use crate::live::GuestLive;
use base::ids::GuestId;
use base::{Error, Kind, Result};
use model::access::GuestRight;
use model::guests::bulk::{BulkWish, MOST};
use model::jobs::Job;
use model::providers::Feature;
use std::sync::Arc;

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
    /// others with the reason. A wish need not be complete for that.
    ///
    /// # Errors
    /// `Invalid` on `guests` when there is none or too many of them.
    pub fn bulk_check(&self, actor: &Actor, ids: &[GuestId], wish: &BulkWish) -> Result<BulkCheck> {
        let mut check = BulkCheck::default();
        for id in distinct(ids)? {
            match self.get(actor, id) {
                Err(e) => check.refused.push(BulkRefusal { guest: id, name: id.to_string(), why: e.message().into() }),
                Ok(guest) => match self.bulk_refusal(actor, &guest, wish) {
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

    fn bulk_refusal(&self, actor: &Actor, guest: &GuestLive, wish: &BulkWish) -> Option<String> {
        let idle = |stop| self.check_idle(guest, stop).err().map(|e| e.message().to_owned());
        let state = &guest.state;
        match wish {
            BulkWish::Power(action) => self
                .general_refusal(actor, guest)
                .or_else(|| action.refusal(guest.row.kind, state))
                .or_else(|| idle(*action == model::guests::PowerAction::Stop)),
            BulkWish::Give { .. } if !self.may_hand_over(actor, guest) => {
                Some("Only its owner and admins may hand this machine over.".to_owned())
            }
            BulkWish::Give { owner, .. } if owner.is_empty() => None,
            BulkWish::Give { owner, .. } => {
                self.person_for_sharing(actor, guest.row.id, owner).err().map(|e| sentence(&e))
            }
            BulkWish::Delete => {
                let manage = actor.guest_right(&guest.row) == Some(GuestRight::Manage);
                let foreign = (!manage).then(|| "You may not delete this machine.".to_owned());
                foreign.or_else(|| self.general_refusal(actor, guest)).or_else(|| idle(false))
            }
            BulkWish::Hibernate | BulkWish::Snapshot { .. } | BulkWish::Tags { .. } | BulkWish::Migrate { .. } => {
                let action = wish.action(state)?;
                let refusal = self.action_refusal(actor, guest, &action).or_else(|| idle(false));
                refusal.or_else(|| self.senseless(guest, wish))
            }
        }
    }

    /// What would change nothing, or can't be from the start.
    fn senseless(&self, guest: &GuestLive, wish: &BulkWish) -> Option<String> {
        match wish {
            BulkWish::Tags { .. } if !self.features(guest).contains(&Feature::Tags) => {
                Some("Its provider has no tags.".to_owned())
            }
            BulkWish::Tags { add, remove } if !(add.is_empty() && remove.is_empty()) => {
                let tags = &guest.state.tags;
                let same = add.iter().all(|t| tags.iter().any(|have| have.eq_ignore_ascii_case(t)))
                    && !remove.iter().any(|t| tags.iter().any(|have| have.eq_ignore_ascii_case(t)));
                same.then(|| "Its tags are as wished already.".to_owned())
            }
            BulkWish::Migrate { node, .. } if *node == guest.state.node => {
                Some("It is on this node already.".to_owned())
            }
            BulkWish::Migrate { node, .. } if !node.is_empty() => {
                let there = self.0.nodes().usable(guest.row.connection).unwrap_or_default();
                (!there.contains(node)).then(|| "Its cluster has no such node that Steward may use now.".to_owned())
            }
            _ => None,
        }
    }

    /// Asks for it for each machine. What is refused for one is told, the rest goes on.
    ///
    /// # Errors
    /// `Invalid` on `guests` or what of the wish is wrong; `Internal` and `Storage` end the whole.
    pub async fn bulk(&self, actor: &Actor, ids: &[GuestId], wish: &BulkWish) -> Result<BulkDone> {
        wish.check()?;
        let check = self.bulk_check(actor, ids, wish)?;
        let mut done = BulkDone { refused: check.refused, ..BulkDone::default() };
        for guest in check.fit {
            match Box::pin(self.bulk_one(actor, &guest, wish)).await {
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

    async fn bulk_one(&self, actor: &Actor, guest: &GuestLive, wish: &BulkWish) -> Result<Option<Job>> {
        let id = guest.row.id;
        if let Some(action) = wish.action(&guest.state) {
            return self.request_action_of_many(actor, id, action).await.map(Some);
        }
        match wish {
            BulkWish::Power(action) => self.request_power(actor, id, *action).await.map(Some),
            // What was typed is how many there are; the id stands for the name.
            BulkWish::Delete => self.request_delete_of_many(actor, id, &guest.state.name).await.map(Some),
            BulkWish::Give { owner, keep } => {
                let owner = self.person_for_sharing(actor, id, owner)?;
                self.set_owner(actor, id, Some(owner), *keep).await?;
                Ok(None)
            }
            _ => Err(Error::internal("a wish without a way")),
        }
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
