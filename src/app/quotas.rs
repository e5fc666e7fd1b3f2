//! Quotas: what each person's machines may have together, checked in the same commit as the request, so that two
//! requests at once can't both take the last room.
//!
//! What counts for a machine is what its provider's list told last, and what an open job will make of it (its
//! *claim*). Machines without an owner and machines of admins have no limit.

use crate::{Actor, App};
use base::ids::{GuestId, JobId, UserId};
use base::{Error, Result, Timestamp};
use model::guests::Guest;
use model::jobs::Job;
use model::quotas::{Amounts, Claim, Growth, Quota, Resource, UserQuota};
use model::subject::Subject;
use model::users::{Role, User};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use store::{Json, Name, Read, Scan, WriteTx, tables};

/// Proxmox's list of machines is up to ten seconds old; a claim counts until a list is surely newer.
const LIST_AGE: Duration = Duration::from_secs(30);

/// The name of the setting that holds the quota for everybody.
const USUAL: &str = "quota";

pub struct Quotas<'a>(pub(super) &'a App);

/// One person's quota and what their machines have.
#[derive(Clone, Debug)]
pub struct QuotaView {
    pub user: Arc<User>,
    /// What counts for them; all open for admins.
    pub quota: Quota,
    /// What was set for them alone.
    pub own: UserQuota,
    pub used: Amounts,
}

impl Quotas<'_> {
    /// The quota of people without one of their own.
    pub fn usual(&self) -> Result<Quota> {
        self.0.store().read(|tx| usual(tx))
    }

    /// Sets it.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` on a field.
    pub async fn set_usual(&self, actor: &Actor, quota: Quota) -> Result<()> {
        actor.require_full_admin()?;
        for what in Resource::ALL {
            in_range(what, quota.get(what))?;
        }
        let detail = Resource::ALL.map(|what| limit_words(what, quota.get(what))).join(", ");
        let record = actor.record(self.0.now(), "quota.set", "everybody", detail);
        let json = Json(serde_json::to_value(quota).map_err(Error::internal)?);
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::SETTINGS, &Name::new(USUAL), &json)?;
                tx.event(Subject::Users, None);
                tx.audit(record);
                Ok(())
            })
            .await
    }

    /// The actor's own quota and use.
    pub fn mine(&self, actor: &Actor) -> Result<QuotaView> {
        self.view(actor.require_person()?)
    }

    /// Has the actor room for one more machine? Asked before a request, which looks again.
    ///
    /// # Errors
    /// `Conflict` with a sentence beside each field that is too much.
    pub fn room(&self, actor: &Actor, takes: Amounts) -> Result<()> {
        let view = self.mine(actor)?;
        let mut after = view.used;
        after += takes;
        view.quota.check(None, after, Amounts::default(), takes)
    }

    /// Somebody's quota and use.
    pub fn of(&self, actor: &Actor, user: UserId) -> Result<QuotaView> {
        actor.require_admin()?;
        self.view(user)
    }

    /// Everybody's, by login.
    pub fn all(&self, actor: &Actor) -> Result<Vec<QuotaView>> {
        actor.require_admin()?;
        self.views(self.0.people().all())
    }

    fn view(&self, user: UserId) -> Result<QuotaView> {
        let person = self.0.people().get(user);
        let person = person.ok_or_else(|| Error::not_found("This user does not exist."))?;
        let mut views = self.views(vec![person])?;
        views.pop().ok_or_else(|| Error::not_found("This user does not exist."))
    }

    /// From the live picture and the claims: no question to Proxmox, and no look at a thousand rows.
    fn views(&self, people: Vec<Arc<User>>) -> Result<Vec<QuotaView>> {
        let snapshot = self.0.live().snapshot();
        self.0.store().read(|tx| {
            let (claims, usual) = (claims(tx)?, usual(tx)?);
            let mut used: HashMap<UserId, Amounts> = HashMap::new();
            for guest in &snapshot.guests {
                let Some(owner) = guest.row.owner else { continue };
                let now = if guest.row.making.is_some() { Amounts::default() } else { Amounts::of(&guest.state) };
                *used.entry(owner).or_default() += counted(now, claims.get(&guest.row.id), None);
            }
            let one = |user: Arc<User>| {
                let own = tx.get(tables::USER_QUOTAS, &user.id)?.unwrap_or_default();
                let used = used.get(&user.id).copied().unwrap_or_default();
                Ok(QuotaView { quota: for_person(&user, &own, &usual), own, used, user })
            };
            people.into_iter().map(one).collect()
        })
    }

    /// Sets what counts for one person.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`; `Invalid` on a field.
    pub async fn set(&self, actor: &Actor, user: UserId, own: UserQuota) -> Result<()> {
        actor.require_full_admin()?;
        let person = self.view(user)?.user;
        for what in Resource::ALL {
            in_range(what, own.get(what).over(None))?;
        }
        let detail = Resource::ALL.map(|what| allowance_words(what, &own)).join(", ");
        let record = actor.record(self.0.now(), "quota.set", &person.login, detail);
        self.0
            .store()
            .write(move |tx| {
                if tx.get(tables::USERS, &user)?.is_none() {
                    return Err(Error::not_found("This user does not exist."));
                }
                if own == UserQuota::default() {
                    tx.delete(tables::USER_QUOTAS, &user)?;
                } else {
                    tx.put(tables::USER_QUOTAS, &user, &own)?;
                }
                tx.event(Subject::Users, Some(user));
                tx.audit(record);
                Ok(())
            })
            .await
    }

    /// Does what the job claimed still fit? Asked before a job goes on and when it has made a machine: an admin
    /// may have lowered the quota meanwhile. Claims of jobs that were asked for later do not count against it.
    ///
    /// # Errors
    /// `Conflict` with the sentence.
    pub fn recheck(&self, job: &Job) -> Result<()> {
        let Some(id) = job.subject.guest() else { return Ok(()) };
        self.0.store().read(|tx| {
            let claim = tx.get(tables::QUOTA_CLAIMS, &id)?.filter(|c| c.job == job.id && c.over.is_none());
            let (Some(claim), Some(row)) = (claim, tx.get(tables::GUESTS, &id)?) else { return Ok(()) };
            check(tx, row.owner, (claim.before, claim.to), Some(job.id), None)
        })
    }
}

/// Claims room for a machine that `job` makes, in the commit that asks for it. `guest` must be written already.
pub(crate) fn claim_new(tx: &mut WriteTx, guest: &Guest, job: JobId, to: Amounts) -> Result<()> {
    claim(tx, guest, job, Amounts::default(), to)
}

/// The same for a change of a machine that is there.
pub(crate) fn claim_change(tx: &mut WriteTx, guest: GuestId, job: JobId, growth: &Growth) -> Result<()> {
    let row = tx.get(tables::GUESTS, &guest)?.ok_or_else(|| Error::not_found("This machine is gone."))?;
    let before = counted(told(&row), tx.get(tables::QUOTA_CLAIMS, &guest)?.as_ref(), None);
    claim(tx, &row, job, before, growth.of(before))
}

fn claim(tx: &mut WriteTx, guest: &Guest, job: JobId, before: Amounts, to: Amounts) -> Result<()> {
    tx.put(tables::QUOTA_CLAIMS, &guest.id, &Claim { job, before, to, over: None })?;
    let asker = tx.get(tables::JOBS, &job)?.and_then(|job| job.owner);
    check(tx, guest.owner, (before, to), None, asker)
}

/// May `owner` take over `guest` as it is? In the commit that hands it over, after the row was written.
pub(crate) fn check_takeover(tx: &WriteTx, guest: &Guest) -> Result<()> {
    let has = counted(told(guest), tx.get(tables::QUOTA_CLAIMS, &guest.id)?.as_ref(), None);
    check(tx, guest.owner, (Amounts::default(), has), None, None)
}

/// What the end of a job means for its claim. Running it again does no harm.
pub(crate) fn settle(tx: &mut WriteTx, guest: GuestId, job: JobId, succeeded: bool) -> Result<()> {
    let open = tx.get(tables::QUOTA_CLAIMS, &guest)?.filter(|c| c.job == job && c.over.is_none());
    let Some(claim) = open else { return Ok(()) };
    match claim.settled(succeeded, tx.now()) {
        Some(left) => tx.put(tables::QUOTA_CLAIMS, &guest, &left),
        None => tx.delete(tables::QUOTA_CLAIMS, &guest).map(|_| ()),
    }
}

/// The machine is gone, and its claim with it.
pub(crate) fn forget(tx: &mut WriteTx, guest: GuestId) -> Result<()> {
    tx.delete(tables::QUOTA_CLAIMS, &guest).map(|_| ())
}

/// Claims whose jobs were over before the list that was asked for at `asked` was made.
pub(crate) fn ripe(app: &App, asked: Timestamp) -> Result<Vec<GuestId>> {
    let all = app.store().read(|tx| claims(tx))?;
    let over = |c: &Claim| c.over.is_some_and(|at| at.plus(LIST_AGE) <= asked);
    // What is left of a claim after that is only disk that the list does not tell; it has nothing to lose.
    let fades = |c: &Claim| c.to.machines > 0 || c.to.cores > 0 || c.to.memory > 0;
    Ok(all.into_iter().filter(|(_, c)| over(c) && fades(c)).map(|(id, _)| id).collect())
}

/// Drops claims that the list now covers.
pub(crate) fn fade(tx: &mut WriteTx, guests: &[GuestId]) -> Result<()> {
    for id in guests {
        let (Some(claim), Some(row)) = (tx.get(tables::QUOTA_CLAIMS, id)?, tx.get(tables::GUESTS, id)?) else {
            continue;
        };
        let now = told(&row);
        // A machine that was just made is listed without its figures for a while.
        let not_yet = now.machines > 0 && now.cores == 0;
        match claim.seen(now) {
            _ if claim.over.is_none() || not_yet => {}
            Some(left) => tx.put(tables::QUOTA_CLAIMS, id, &left)?,
            None => _ = tx.delete(tables::QUOTA_CLAIMS, id)?,
        }
    }
    Ok(())
}

fn claims(tx: &impl Read) -> Result<HashMap<GuestId, Claim>> {
    Ok(tx.list(tables::QUOTA_CLAIMS, Scan::all(), usize::MAX)?.into_iter().collect())
}

fn usual(tx: &impl Read) -> Result<Quota> {
    match tx.get(tables::SETTINGS, &Name::new(USUAL))? {
        Some(Json(value)) => serde_json::from_value(value).map_err(Error::internal),
        None => Ok(Quota::default()),
    }
}

fn for_person(user: &User, own: &UserQuota, usual: &Quota) -> Quota {
    if user.role == Role::Admin { Quota::default() } else { own.over(usual) }
}

/// What a stored row says that its machine has. One that is being made has nothing yet: its claim counts.
fn told(row: &Guest) -> Amounts {
    match &row.last {
        _ if row.making.is_some() => Amounts::default(),
        Some(state) => Amounts::of(state),
        None => Amounts { machines: 1, ..Amounts::default() },
    }
}

/// What counts for a machine that has `now`. Claims of jobs after `upto` count as not made.
fn counted(now: Amounts, claim: Option<&Claim>, upto: Option<JobId>) -> Amounts {
    match claim {
        None => now,
        Some(claim) if claim.over.is_none() && upto.is_some_and(|job| claim.job > job) => now.max(claim.before),
        Some(claim) => claim.counted(now),
    }
}

/// `reader`: the person who is told. Claims of jobs after `upto` do not count.
fn check(
    tx: &impl Read,
    owner: Option<UserId>,
    (before, to): (Amounts, Amounts),
    upto: Option<JobId>,
    reader: Option<UserId>,
) -> Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let Some(user) = tx.get(tables::USERS, &owner)? else { return Ok(()) };
    let own = tx.get(tables::USER_QUOTAS, &owner)?.unwrap_or_default();
    let quota = for_person(&user, &own, &usual(tx)?);
    if quota.is_open() {
        return Ok(());
    }
    let claims = claims(tx)?;
    let mut after = Amounts::default();
    tx.scan(tables::GUESTS, Scan::all(), |id, row: Guest| {
        if row.owner == Some(owner) {
            after += counted(told(&row), claims.get(&id), upto);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    quota.check(Some(user.login.as_str()).filter(|_| reader != Some(owner)), after, before, to)
}

fn in_range(what: Resource, most: Option<u64>) -> Result<()> {
    match most {
        Some(n) if n > what.most() => Err(Error::field(what.name(), format!("Give 0 to {}.", what.most()))),
        _ => Ok(()),
    }
}

fn limit_words(what: Resource, most: Option<u64>) -> String {
    most.map_or_else(|| format!("{} without limit", what.name()), |n| what.words(n))
}

fn allowance_words(what: Resource, own: &UserQuota) -> String {
    use model::quotas::Allowance::{AtMost, NoLimit, Usual};
    match own.get(what) {
        Usual => format!("{} as usual", what.name()),
        NoLimit => limit_words(what, None),
        AtMost(n) => limit_words(what, Some(n)),
    }
}
