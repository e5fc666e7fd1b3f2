//! Who else may see, use or manage a machine: sharing it, taking that back, handing it over.

use super::Guests;
use crate::live::GuestLive;
use crate::{Actor, App, quotas};
use arc_swap::ArcSwap;
use base::ids::{GuestId, UserId};
use base::{Error, Result, Timestamp};
use model::access::{GuestGrant, GuestRight};
use model::guests::Guest;
use model::sessions::Scope;
use model::subject::Subject;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Read, Scan, Store, WriteTx, tables};

/// People that one machine can be shared with.
const MOST: usize = 100;

/// All grants in memory, so that a list of a thousand machines asks the store for nothing.
#[derive(Default)]
pub struct Grants {
    now: ArcSwap<Index>,
    /// Held while rows are read and inserted, so that the last writer has also read last.
    work: Mutex<()>,
}

#[derive(Clone, Default)]
struct Index {
    by_guest: HashMap<GuestId, Vec<(UserId, GuestRight)>>,
    version: u64,
}

impl Grants {
    pub(crate) fn load(store: &Store) -> Result<Self> {
        let rows = store.read(|tx| tx.list(tables::GUEST_GRANTS, Scan::all(), usize::MAX))?;
        let mut index = Index::default();
        for ((guest, user), grant) in rows {
            index.by_guest.entry(guest).or_default().push((user, grant.right));
        }
        Ok(Self { now: ArcSwap::from_pointee(index), work: Mutex::default() })
    }

    /// What `user` was given on a machine.
    pub fn right(&self, guest: GuestId, user: UserId) -> Option<GuestRight> {
        let index = self.now.load();
        index.by_guest.get(&guest)?.iter().find(|(u, _)| *u == user).map(|(_, right)| *right)
    }

    /// Changes whenever a grant does.
    pub fn version(&self) -> u64 {
        self.now.load().version
    }

    /// Who a machine is shared with.
    pub(crate) fn on(&self, guest: GuestId) -> Vec<(UserId, GuestRight)> {
        self.now.load().by_guest.get(&guest).cloned().unwrap_or_default()
    }

    /// Machines shared with `user`.
    fn of(&self, user: UserId) -> Vec<(GuestId, GuestRight)> {
        let index = self.now.load();
        let each = index
            .by_guest
            .iter()
            .filter_map(|(g, list)| list.iter().find(|(u, _)| *u == user).map(|(_, right)| (*g, *right)));
        each.collect()
    }

    /// Reads the grants of these machines anew, after they were changed.
    pub(crate) fn reload(&self, store: &Store, guests: &[GuestId]) -> Result<()> {
        if guests.is_empty() {
            return Ok(());
        }
        let _work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let mut index = Index::clone(&self.now.load());
        store.read(|tx| {
            for guest in guests {
                let rows = tx.list(tables::GUEST_GRANTS, Scan::prefix(guest), usize::MAX)?;
                if rows.is_empty() {
                    index.by_guest.remove(guest);
                } else {
                    index.by_guest.insert(*guest, rows.into_iter().map(|((_, u), g)| (u, g.right)).collect());
                }
            }
            Ok(())
        })?;
        index.version += 1;
        self.now.store(Arc::new(index));
        Ok(())
    }
}

impl App {
    pub fn grants(&self) -> &Grants {
        &self.0.grants
    }

    pub(crate) fn shared_grants(&self) -> Arc<Grants> {
        Arc::clone(&self.0.grants)
    }
}

/// Removes what depends on a machine, its grants and what counts for its owner's quota, in the commit that takes
/// the machine away; open pages of the people it was shared with reload. Call [`Grants::reload`] afterwards.
pub(crate) fn drop_of_guest(tx: &mut WriteTx, guest: GuestId) -> Result<()> {
    for (key, _) in tx.list(tables::GUEST_GRANTS, Scan::prefix(&guest), usize::MAX)? {
        tx.delete(tables::GUEST_GRANTS, &key)?;
        tx.event(Subject::Guest(guest), Some(key.1));
    }
    for (key, ()) in tx.list(tables::GUEST_COPIES, Scan::all(), usize::MAX)? {
        if key.0 == guest || key.1 == guest {
            tx.delete(tables::GUEST_COPIES, &key)?;
        }
    }
    quotas::forget(tx, guest)
}

/// Removes everything shared with a person, in the commit that deletes them.
pub(crate) fn drop_of_user(tx: &mut WriteTx, user: UserId) -> Result<Vec<GuestId>> {
    let all = tx.list(tables::GUEST_GRANTS, Scan::all(), usize::MAX)?;
    let theirs: Vec<GuestId> = all.into_iter().filter(|((_, u), _)| *u == user).map(|((g, _), _)| g).collect();
    for guest in &theirs {
        tx.delete(tables::GUEST_GRANTS, &(*guest, user))?;
    }
    Ok(theirs)
}

/// One person's grant on a machine, with words for people.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GrantView {
    pub user: UserId,
    pub login: String,
    pub name: String,
    pub right: GuestRight,
    /// Who shared it.
    pub by: String,
    pub at: Timestamp,
}

impl Guests<'_> {
    /// Who a machine is shared with, by login. For those who manage it, also through a read-only token.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for those who may not manage it.
    pub fn shared(&self, actor: &Actor, id: GuestId) -> Result<Vec<GrantView>> {
        let guest = self.get(actor, id)?;
        if actor.person_right(&guest.row) != Some(GuestRight::Manage) {
            return Err(Error::forbidden("Only people who manage this machine may see who it is shared with."));
        }
        let rows = self.0.store().read(|tx| tx.list(tables::GUEST_GRANTS, Scan::prefix(&id), usize::MAX))?;
        let mut all: Vec<GrantView> = rows.into_iter().filter_map(|((_, user), g)| self.grant_view(user, g)).collect();
        all.sort_by(|a, b| a.login.cmp(&b.login));
        Ok(all)
    }

    fn grant_view(&self, user: UserId, grant: GuestGrant) -> Option<GrantView> {
        let person = self.0.people().get(user)?;
        let GuestGrant { right, by, at } = grant;
        Some(GrantView { user, login: person.login.clone(), name: person.name.clone(), right, by, at })
    }

    /// Machines shared with somebody, by name.
    pub fn shared_with(&self, actor: &Actor, user: UserId) -> Result<Vec<(Arc<GuestLive>, GuestRight)>> {
        actor.require_admin()?;
        let snapshot = self.0.live().snapshot();
        let all = self.0.grants().of(user).into_iter();
        let mut all: Vec<_> = all.filter_map(|(id, right)| Some((Arc::clone(snapshot.guest(id)?), right))).collect();
        all.sort_by(|(a, _), (b, _)| a.state.name.cmp(&b.state.name));
        Ok(all)
    }

    /// Somebody named by login or id, for sharing a machine with them. Only who may share it can ask, so that
    /// nobody without a machine tries out logins here.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`; `Invalid` on `field`, which is what the caller calls the person.
    pub fn person_for_sharing(&self, actor: &Actor, id: GuestId, field: &str, text: &str) -> Result<UserId> {
        self.for_sharing(actor, id)?;
        let text = text.trim();
        let by_id = || text.parse::<UserId>().ok().and_then(|id| self.0.people().get(id));
        let found = self.0.people().by_login(&text.to_lowercase()).or_else(by_id);
        found.map(|u| u.id).ok_or_else(|| Error::field(field, "There is nobody with this login."))
    }

    /// The machine, for somebody who wants to change who may do what with it.
    fn for_sharing(&self, actor: &Actor, id: GuestId) -> Result<Arc<GuestLive>> {
        let guest = self.get_for(actor, id, GuestRight::Manage)?;
        actor.require_scope(Scope::Full)?;
        Ok(guest)
    }

    /// Shares a machine with somebody, or changes what they may do with it.
    ///
    /// # Errors
    /// `Invalid` on `login`; `NotFound`, `Forbidden`; `Conflict` when it is shared with too many.
    pub async fn share(&self, actor: &Actor, id: GuestId, with: UserId, right: GuestRight) -> Result<GrantView> {
        let guest = self.for_sharing(actor, id)?;
        let person = self.0.people().get(with);
        let person = person.ok_or_else(|| Error::field("login", "There is nobody with this login."))?;
        if !person.active {
            return Err(Error::field("login", format!("{} is deactivated and can't sign in.", person.login)));
        }
        let detail = format!("{} may {} it", person.login, right.name());
        let record = actor.record(self.0.now(), "guest.share", &guest.row, detail);
        let who = actor.clone();
        let grant = self
            .0
            .store()
            .write(move |tx| {
                let row = still_managed(tx, &who, id)?;
                if row.owner == Some(with) {
                    return Err(Error::field("login", "They own this machine, so they may do everything with it."));
                }
                let before = tx.get(tables::GUEST_GRANTS, &(id, with))?;
                if before.is_none() && tx.list(tables::GUEST_GRANTS, Scan::prefix(&id), MOST)?.len() >= MOST {
                    return Err(Error::conflict(format!("A machine can be shared with {MOST} people at most.")));
                }
                if let Some(same) = before.filter(|g| g.right == right) {
                    return Ok(same);
                }
                let grant = GuestGrant { right, by: who.label().to_owned(), at: tx.now() };
                tx.put(tables::GUEST_GRANTS, &(id, with), &grant)?;
                tx.event(Subject::Guest(id), Some(with));
                tx.audit(record);
                Ok(grant)
            })
            .await?;
        self.0.grants().reload(self.0.store(), &[id])?;
        self.grant_view(with, grant).ok_or_else(|| Error::field("login", "There is nobody with this login."))
    }

    /// Stops sharing with somebody. It takes effect at once, for open pages too. People may always
    /// give back what was shared with them.
    ///
    /// # Errors
    /// `NotFound`, also when it was not shared with them; `Forbidden`.
    pub async fn unshare(&self, actor: &Actor, id: GuestId, with: UserId) -> Result<()> {
        let own = actor.user_id() == Some(with);
        let guest = if own { self.get(actor, id)? } else { self.for_sharing(actor, id)? };
        actor.require_scope(Scope::Full)?;
        let login = self.0.people().name_of(Some(with));
        let detail = if own { "given back".to_owned() } else { format!("no longer with {login}") };
        let record = actor.record(self.0.now(), "guest.unshare", &guest.row, detail);
        let who = actor.clone();
        self.0
            .store()
            .write(move |tx| {
                if !own {
                    still_managed(tx, &who, id)?;
                }
                if !tx.delete(tables::GUEST_GRANTS, &(id, with))? {
                    return Err(Error::not_found("It is not shared with them."));
                }
                tx.event(Subject::Guest(id), Some(with));
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.grants().reload(self.0.store(), &[id])
    }

    /// May the actor hand the machine to somebody else? Its owner and admins may.
    pub fn may_hand_over(&self, actor: &Actor, guest: &GuestLive) -> bool {
        let owner = actor.user_id().is_some() && actor.user_id() == guest.row.owner;
        (owner || actor.is_admin()) && actor.require_scope(Scope::Full).is_ok()
    }

    pub(super) fn check_hand_over(&self, actor: &Actor, guest: &GuestLive) -> Result<()> {
        if self.may_hand_over(actor, guest) { Ok(()) } else { Err(not_theirs()) }
    }

    /// Gives a machine to a user, or (only admins may) to nobody. `keep` is what the old owner may still do.
    ///
    /// # Errors
    /// `Forbidden` for others than its owner and admins; `Invalid` on `owner`; `Conflict` when the new owner's quota
    /// has no room; `NotFound`.
    pub async fn set_owner(
        &self,
        actor: &Actor,
        id: GuestId,
        owner: Option<UserId>,
        keep: Option<GuestRight>,
    ) -> Result<()> {
        let guest = self.get(actor, id)?;
        self.check_hand_over(actor, &guest)?;
        match owner.map(|o| self.0.people().get(o)) {
            None if !actor.is_admin() => return Err(Error::field("owner", "Enter the login of the new owner.")),
            None => actor.require_full_admin()?,
            Some(person) if !person.as_ref().is_some_and(|p| p.active) => {
                return Err(Error::field("owner", "This user does not exist, or can't sign in."));
            }
            Some(_) => {}
        }
        let detail = format!("owner is now {}", self.0.people().name_of(owner));
        let record = actor.record(self.0.now(), "guest.owner", &guest.row, detail);
        let (admin, me, by) = (actor.is_admin(), actor.user_id(), actor.label().to_owned());
        self.0
            .store()
            .write(move |tx| {
                let mut row = tx.get(tables::GUESTS, &id)?.ok_or_else(|| Error::not_found("This machine is gone."))?;
                if !admin && row.owner != me {
                    return Err(not_theirs());
                }
                let before = std::mem::replace(&mut row.owner, owner);
                tx.put(tables::GUESTS, &id, &row)?;
                if before != owner {
                    quotas::check_takeover(tx, &row).map_err(in_owner)?;
                }
                if let Some(owner) = owner {
                    tx.delete(tables::GUEST_GRANTS, &(id, owner))?;
                }
                if let (Some(old), Some(right)) = (before.filter(|old| Some(*old) != owner), keep) {
                    tx.put(tables::GUEST_GRANTS, &(id, old), &GuestGrant { right, by, at: tx.now() })?;
                }
                // Both look again: the one who has it now and the one who no longer has.
                for who in [before, owner].into_iter().flatten() {
                    tx.event(Subject::Guest(id), Some(who));
                }
                tx.event(Subject::Guest(id), None);
                tx.audit(record);
                Ok(())
            })
            .await?;
        self.0.live().set_owner(id, owner);
        self.0.grants().reload(self.0.store(), &[id])
    }
}

fn not_theirs() -> Error {
    Error::forbidden("Only its owner and admins may hand this machine over.")
}

/// A quota without room for the machine belongs beside the choice of the new owner.
fn in_owner(e: Error) -> Error {
    let text = e.message().to_owned();
    Error::new(e.kind(), text.clone()).with_field("owner", text)
}

/// The machine's row, when the actor still manages it at the moment of the commit: somebody whose right is being
/// removed can't pass it on in the meantime.
fn still_managed(tx: &WriteTx, actor: &Actor, id: GuestId) -> Result<Guest> {
    let gone = || Error::not_found("This machine does not exist.");
    let row = tx.get(tables::GUESTS, &id)?.ok_or_else(gone)?;
    let Some(user) = actor.user_id() else { return Ok(row) };
    if actor.is_admin() || row.owner == Some(user) {
        return Ok(row);
    }
    match tx.get(tables::GUEST_GRANTS, &(id, user))? {
        Some(grant) if grant.right == GuestRight::Manage => Ok(row),
        _ => Err(gone()),
    }
}
