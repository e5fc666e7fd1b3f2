//! Cron schedules: when they are due they create a job, nothing more.

use crate::crontab::next_time;
use crate::jobs::{NewJob, enqueue};
use crate::{Actor, App};
use base::ids::{JobId, ScheduleId};
use base::text::is_name;
use base::{Error, Result, Timestamp};
use model::audit::AuditRecord;
use model::jobs::{JobKind, Priority};
use model::plugins::{HookMode, Manifest};
use model::schedules::Schedule;
use model::subject::Subject;
use store::{Read, Scan, tables};

pub struct Schedules<'a>(pub(super) &'a App);

fn is_job(manifest: &Manifest, hook: &str) -> bool {
    manifest.hooks.get(hook).is_some_and(|h| h.mode == HookMode::Job)
}

impl Schedules<'_> {
    /// All schedules.
    pub fn list(&self, actor: &Actor) -> Result<Vec<Schedule>> {
        actor.require_admin()?;
        Ok(self.all()?.into_iter().map(|(_, s)| s).collect())
    }

    fn all(&self) -> Result<Vec<(ScheduleId, Schedule)>> {
        self.0.store().read(|tx| tx.list(tables::SCHEDULES, Scan::all(), usize::MAX))
    }

    /// Adds or replaces a schedule. It acts for whoever set it last.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid` on `cron`, `name` or `hook`.
    pub async fn put(&self, actor: &Actor, schedule: Schedule) -> Result<()> {
        actor.require_full_admin()?;
        let schedule = Schedule { owner: actor.user_id(), ..schedule };
        next_time(&schedule.cron, self.0.now())?;
        if schedule.name.trim().is_empty() || !is_name(&schedule.name, 100) {
            return Err(Error::field("name", "Give the schedule a name of 1 to 100 characters that can be seen."));
        }
        let plugin = self.0.plugin_set().get(&schedule.plugin);
        if !plugin.is_some_and(|p| is_job(p.manifest(), &schedule.hook)) {
            return Err(Error::field("hook", "This plugin has no such job."));
        }
        let record = actor.record(self.0.now(), "schedule.change", &schedule.name, &schedule.cron);
        self.0
            .store()
            .write(move |tx| {
                tx.put(tables::SCHEDULES, &schedule.id, &schedule)?;
                tx.audit(record);
                Ok(())
            })
            .await
    }

    /// Removes a schedule.
    pub async fn remove(&self, actor: &Actor, id: ScheduleId) -> Result<()> {
        actor.require_full_admin()?;
        let record = actor.record(self.0.now(), "schedule.remove", id.to_string(), "");
        self.0
            .store()
            .write(move |tx| {
                if !tx.delete(tables::SCHEDULES, &id)? {
                    return Err(Error::not_found("This schedule has already been deleted."));
                }
                tx.audit(record);
                Ok(())
            })
            .await
    }

    /// Makes the jobs whose time has come. A time that was missed while the appliance was off is made up for
    /// once; a second job is not made while the first is open.
    pub async fn tick(&self) -> Result<usize> {
        let now = self.0.now();
        let mut made = 0;
        for (_, schedule) in self.all()? {
            // A schedule that never fired counts from the start of this process.
            // A last time in the future comes from a clock that was ahead.
            let since = schedule.last.unwrap_or_else(|| self.0.started()).min(now);
            if !schedule.active || !next_time(&schedule.cron, since).is_ok_and(|t| t <= now) {
                continue;
            }
            made += usize::from(self.fire(schedule, now).await?);
        }
        if made > 0 {
            self.0.job_bell().notify_one();
        }
        Ok(made)
    }

    /// False when the person who set it may no longer do this.
    async fn fire(&self, schedule: Schedule, now: Timestamp) -> Result<bool> {
        let name = format!("schedule {}", schedule.name);
        let actor = Actor::on_behalf_of(self.0, schedule.owner, &name);
        let actor = actor.and_then(|actor| actor.require_full_admin().map(|()| actor));
        let new = NewJob {
            id: JobId::new(),
            plugin: schedule.plugin.clone(),
            kind: JobKind::Plugin { hook: schedule.hook.clone(), args: schedule.args.clone() },
            title: schedule.name.clone(),
            priority: Priority::Low,
            subject: Subject::Plugins,
            connection: self.0.connections().ids().into_iter().next(),
            lane: None,
            dedup: Some(format!("schedule:{}", schedule.id)),
            max_attempts: 3,
        };
        self.0
            .store()
            .write(move |tx| {
                let fired = actor.is_ok();
                match actor {
                    Ok(actor) => _ = enqueue(tx, &actor, new)?,
                    Err(why) => tx.audit(refused(&schedule, now, name, &why)),
                }
                tx.put(tables::SCHEDULES, &schedule.id, &Schedule { last: Some(now), ..schedule })?;
                Ok(fired)
            })
            .await
    }
}

fn refused(schedule: &Schedule, at: Timestamp, actor: String, why: &Error) -> AuditRecord {
    AuditRecord {
        at,
        actor,
        actor_id: schedule.owner,
        action: "schedule.fire".to_owned(),
        subject: schedule.name.clone(),
        detail: why.message().to_owned(),
        address: None,
        ok: false,
        about: None,
    }
}
