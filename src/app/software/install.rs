//! From wanted to installed: one job at a time for each machine, in the order in which things were asked for.

use super::{SoftwarePages, row_key, state_after};
use crate::Actor;
use crate::jobs::{NewJob, enqueue_for, secrets};
use crate::ssh::SshTarget;
use base::ids::{GuestId, JobId, UserId};
use base::{Result, Secrets, Timestamp};
use model::access::GuestRight;
use model::guests::Guest;
use model::jobs::{Install, InstallGuest, Job, JobKind, JobState, Priority};
use model::software::{Link, Software, SoftwareState};
use model::subject::Subject;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use store::{Read, Scan, WriteTx, tables};

/// Links kept of one recipe.
const LINKS: usize = 20;

impl SoftwarePages<'_> {
    /// What the end of a job means for the software of its machine.
    pub(crate) async fn settle(&self, job: &Job) -> Result<()> {
        let Some(guest) = job.subject.guest() else { return Ok(()) };
        let done = job.clone();
        self.0.store().write(move |tx| take_in(tx, guest, &done)).await?;
        if job.kind.is_install() && job.state == JobState::Cancelled {
            let (app, id, agent) = (self.0.clone(), job.id, self.is_by_agent(&job.plugin));
            // The machine may be slow to answer, or gone: the queue does not wait for that.
            tokio::spawn(async move {
                let ended = if agent {
                    app.agent().end_all(guest, id).await.map_err(|e| e.message)
                } else {
                    app.ssh().end_all(SshTarget::Guest(guest), id).await.map_err(|e| e.message)
                };
                if let Err(why) = ended {
                    tracing::warn!(job.id = %id, error = why, "commands of a cancelled job could not be ended");
                }
            });
        }
        self.start_next(guest).await
    }

    /// Makes the job of the next wanted recipe, if the machine is there and nothing works on it.
    pub(super) async fn start_next(&self, id: GuestId) -> Result<()> {
        if self.0.jobs().open_of_guest(id)?.is_some() {
            return Ok(());
        }
        let lost = self.lost_rights(id)?;
        let made = self
            .0
            .store()
            .write(move |tx| {
                refuse(tx, id, &lost)?;
                next_job(tx, id)
            })
            .await?;
        if let Some(job) = made {
            tracing::info!(job.id = %job.id, job.title = job.title, "software job made");
            self.0.job_bell().notify_one();
        }
        Ok(())
    }

    /// People who requested software on a machine and may no longer change it.
    fn lost_rights(&self, id: GuestId) -> Result<Vec<UserId>> {
        let Some(guest) = self.0.store().read(|tx| tx.get(tables::GUESTS, &id))? else { return Ok(Vec::new()) };
        let mut askers: Vec<UserId> = self.rows(id)?.iter().filter_map(is_wanted_by).collect();
        askers.dedup();
        let may = |user: &UserId| {
            let actor = Actor::on_behalf(self.0, *user, "software");
            actor.is_ok_and(|actor| actor.guest_right(&guest) >= Some(GuestRight::Manage))
        };
        askers.retain(|user| !may(user));
        Ok(askers)
    }

    /// Starts what waits for its machine, and sweeps up rows of machines that are gone.
    pub async fn catch_up(&self) -> Result<()> {
        let (mut wanted, mut all) = (BTreeSet::new(), BTreeSet::new());
        self.0.store().read(|tx| {
            tx.scan(tables::SOFTWARE, Scan::all(), |(guest, _), row: Software| {
                all.insert(guest);
                if row.state == SoftwareState::Wanted {
                    wanted.insert(guest);
                }
                Ok(ControlFlow::Continue(()))
            })?;
            tx.scan(tables::GUEST_KEYS, Scan::all(), |guest, _| {
                all.insert(guest);
                Ok(ControlFlow::Continue(()))
            })
        })?;
        for guest in wanted {
            self.start_next(guest).await?;
        }
        self.sweep(all).await
    }

    /// Key and list of a machine go with it, except while the job that failed to make it can be tried again.
    async fn sweep(&self, guests: BTreeSet<GuestId>) -> Result<()> {
        for id in guests {
            let gone = self.0.store().read(|tx| {
                if tx.has(tables::GUESTS, &id)? {
                    return Ok(false);
                }
                for ((_, job), ()) in tx.list(tables::GUEST_JOBS, Scan::prefix(&id), usize::MAX)? {
                    let job: Option<Job> = tx.get(tables::JOBS, &job)?;
                    let over = |j: &Job| matches!(j.state, JobState::Succeeded | JobState::Discarded);
                    if job.is_some_and(|j| matches!(j.kind, JobKind::CreateGuest(_)) && !over(&j)) {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?;
            if gone {
                self.0
                    .store()
                    .write(move |tx| {
                        tx.delete(tables::GUEST_KEYS, &id)?;
                        tx.delete_all(tables::SOFTWARE, Scan::prefix(&id))
                    })
                    .await?;
            }
        }
        Ok(())
    }
}

/// Writes a job's end into the row that it worked for.
fn take_in(tx: &mut WriteTx, guest: GuestId, job: &Job) -> Result<()> {
    let key = row_key(guest, &job.plugin);
    let Some(mut row) = tx.get(tables::SOFTWARE, &key)?.filter(|r: &Software| r.job == Some(job.id)) else {
        return Ok(());
    };
    if !job.state.is_over() {
        return Ok(());
    }
    row.state = state_after(job.state);
    row.error.clone_from(&job.error);
    if row.state == SoftwareState::Installed {
        row.installed = job.finished;
        row.error = None;
        row.links = links(job);
    }
    tx.put(tables::SOFTWARE, &key, &row)?;
    tx.event(Subject::Guest(guest), row.owner);
    Ok(())
}

/// `links` of the job's result: only what a browser may open.
fn links(job: &Job) -> Vec<Link> {
    let list: Vec<Link> = serde_json::from_value(job.result["links"].clone()).unwrap_or_default();
    let opens = |l: &Link| (l.url.starts_with("http://") || l.url.starts_with("https://")) && l.url.len() <= 300;
    list.into_iter().filter(opens).take(LINKS).collect()
}

fn is_wanted_by(row: &Software) -> Option<UserId> {
    row.owner.filter(|_| row.state == SoftwareState::Wanted)
}

/// What these people requested is not done.
fn refuse(tx: &mut WriteTx, guest: GuestId, lost: &[UserId]) -> Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    for (_, mut row) in tx.list(tables::SOFTWARE, Scan::prefix(&guest), usize::MAX)? {
        if is_wanted_by(&row).is_some_and(|user| lost.contains(&user)) {
            (row.state, row.secrets) = (SoftwareState::Failed, Secrets::default());
            row.error = Some(format!("{} asked for it and may not change this machine any more.", row.asked_by));
            tx.put(tables::SOFTWARE, &row_key(guest, &row.recipe), &row)?;
            tx.event(Subject::Guest(guest), row.owner);
        }
    }
    Ok(())
}

fn next_job(tx: &mut WriteTx, id: GuestId) -> Result<Option<Job>> {
    let Some(guest) = tx.get(tables::GUESTS, &id)?.filter(|g: &Guest| g.making.is_none()) else { return Ok(None) };
    let mut rows = tx.list(tables::SOFTWARE, Scan::prefix(&id), usize::MAX)?;
    rows.sort_by_key(|(_, r)| (r.order, r.asked));
    for (_, row) in rows.iter().filter(|(_, r)| r.state == SoftwareState::Installing) {
        let job = row.job.map(|job| tx.get(tables::JOBS, &job)).transpose()?.flatten();
        if job.is_some_and(|j| !j.state.is_over()) {
            return Ok(None);
        }
    }
    let Some((_, mut row)) = rows.into_iter().find(|(_, r)| r.state == SoftwareState::Wanted) else { return Ok(None) };
    let new = new_job(&guest, &row);
    let job = enqueue_for(tx, row.owner, &row.asked_by, new)?;
    secrets::keep(tx, job.id, &std::mem::take(&mut row.secrets))?;
    (row.state, row.job, row.error) = (SoftwareState::Installing, Some(job.id), None);
    tx.put(tables::SOFTWARE, &row_key(id, &row.recipe), &row)?;
    tx.event(Subject::Guest(id), guest.owner);
    Ok(Some(job))
}

fn new_job(guest: &Guest, row: &Software) -> NewJob {
    NewJob {
        id: JobId::new(),
        plugin: row.recipe.clone(),
        kind: JobKind::Install(Install {
            options: row.options.clone(),
            version: row.version.clone(),
            guest: InstallGuest { name: guest.name.clone(), vmid: guest.vmid },
        }),
        title: format!("Install {} on {}", row.title, guest.name),
        priority: Priority::Normal,
        subject: Subject::Guest(guest.id),
        connection: Some(guest.connection),
        lane: Some(format!("guest:{}", guest.id)),
        dedup: Some(format!("software:{}", guest.id)),
        max_attempts: 3,
    }
}

/// Rows of requests for a machine that is just being requested.
pub(crate) fn put_requested(tx: &mut WriteTx, guest: GuestId, rows: &[Software], now: Timestamp) -> Result<()> {
    for row in rows {
        tx.put(tables::SOFTWARE, &row_key(guest, &row.recipe), &Software { asked: now, ..row.clone() })?;
    }
    Ok(())
}
