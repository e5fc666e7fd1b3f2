//! Which job runs next. Pure: rows and the clock in, one choice out.

use super::outcome::AWAY_EVERY;
use base::Timestamp;
use base::ids::{JobId, UserId};
use model::backoff;
use model::jobs::{Job, JobState, Wait};
use std::collections::HashMap;
use std::time::Duration;

/// A job that holds a place now: it runs, or it is suspended between two steps.
#[derive(Clone, Debug)]
pub struct Active {
    pub owner: Option<UserId>,
    pub lane: Option<String>,
}

/// Can this job go on at `now`?
pub fn is_ready(job: &Job, now: Timestamp) -> bool {
    let waited = match &job.wait {
        None => true,
        Some(Wait::Until { at, pause }) => at.has_come(now, Duration::from_secs(*pause)),
        // The waiter takes the wait away when the task is over.
        Some(Wait::Task { .. } | Wait::Command(_)) => job.cancel_asked && job.state == JobState::Waiting,
    };
    match job.state {
        JobState::Queued => job.not_before.has_come(now, pause_of(job)),
        // Found running without a worker: the process died while it ran, so it goes on.
        JobState::Running => true,
        JobState::Waiting => waited || job.cancel_asked,
        JobState::Undoing => waited && job.not_before.has_come(now, pause_of(job)),
        _ => false,
    }
}

/// The longest pause that the job can be in between two tries.
fn pause_of(job: &Job) -> Duration {
    backoff::after(job.attempts).max(AWAY_EVERY)
}

/// When to look again, if nothing else happens before.
pub fn next_time(jobs: &[Job], now: Timestamp) -> Option<Timestamp> {
    let times = jobs.iter().filter_map(|job| match (&job.wait, job.state) {
        (Some(Wait::Until { at, .. }), JobState::Waiting | JobState::Undoing) => Some(*at),
        (None, JobState::Queued | JobState::Undoing) => Some(job.not_before),
        _ => None,
    });
    times.filter(|t| *t > now).min()
}

/// The next job to run among those that are ready: the highest priority first; then the person with the fewest
/// jobs running, so that one person's hundred jobs don't hold up another's one; then the oldest. A job that
/// has begun already has its place in its lane, a new one needs a free one.
pub fn pick<'a>(ready: &[&'a Job], active: &HashMap<JobId, Active>, lane_width: usize) -> Option<&'a Job> {
    let running_of = |owner: Option<UserId>| active.values().filter(|a| a.owner == owner).count();
    let has_room = |job: &Job| match &job.lane {
        Some(lane) if !active.contains_key(&job.id) => {
            active.values().filter(|a| a.lane.as_ref() == Some(lane)).count() < lane_width
        }
        _ => true,
    };
    ready
        .iter()
        .filter(|job| has_room(job))
        .min_by_key(|job| (std::cmp::Reverse(job.priority), running_of(job.owner), job.created, job.id))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::jobs::{JobKind, Priority, Progress};
    use model::subject::Subject;
    use proptest::prelude::*;
    use serde_json::Value;

    fn a_job(owner: Option<UserId>, priority: Priority, lane: Option<&str>) -> Job {
        Job {
            id: JobId::new(),
            plugin: "proxmox".into(),
            kind: JobKind::Plugin { hook: "guest_power".into(), args: Value::Null },
            title: String::new(),
            owner,
            asked_by: String::new(),
            priority,
            state: JobState::Queued,
            created: Timestamp::ZERO,
            started: None,
            finished: None,
            attempts: 0,
            max_attempts: 3,
            not_before: Timestamp::ZERO,
            plugin_hash: None,
            subject: Subject::Plugins,
            lane: lane.map(str::to_owned),
            dedup: None,
            progress: Progress::default(),
            wait: None,
            error: None,
            cancel_asked: false,
            again: false,
            result: Value::Null,
            connection: None,
        }
    }

    fn active(job: &Job) -> (JobId, Active) {
        (job.id, Active { owner: job.owner, lane: job.lane.clone() })
    }

    #[test]
    fn what_a_person_waits_for_comes_first_and_then_the_oldest() {
        let (low, high, later) =
            (a_job(None, Priority::Low, None), a_job(None, Priority::High, None), a_job(None, Priority::High, None));
        assert_eq!(pick(&[&low, &later, &high], &HashMap::new(), 1).unwrap().id, high.id);
    }

    #[test]
    fn one_persons_many_jobs_do_not_hold_up_anothers_one() {
        let (mira, jon) = (Some(UserId::new()), Some(UserId::new()));
        let running = a_job(mira, Priority::Normal, None);
        let (hers, his) = (a_job(mira, Priority::Normal, None), a_job(jon, Priority::Normal, None));
        let active = HashMap::from([active(&running)]);
        assert_eq!(pick(&[&hers, &his], &active, 1).unwrap().id, his.id);
    }

    #[test]
    fn a_full_lane_lets_only_its_own_jobs_go_on() {
        let running = a_job(None, Priority::Normal, Some("node:pve1"));
        let new = a_job(None, Priority::High, Some("node:pve1"));
        let active = HashMap::from([active(&running)]);
        assert!(pick(&[&new], &active, 1).is_none());
        assert_eq!(pick(&[&new, &running], &active, 1).unwrap().id, running.id);
        assert_eq!(pick(&[&new], &active, 2).unwrap().id, new.id);
    }

    #[test]
    fn a_wait_ends_by_the_clock_or_by_a_cancel() {
        let now = Timestamp::from_secs(100);
        let mut job = a_job(None, Priority::Normal, None);
        job.state = JobState::Waiting;
        job.wait = Some(Wait::Until { at: Timestamp::from_secs(200), pause: 100 });
        assert!(!is_ready(&job, now) && is_ready(&job, Timestamp::from_secs(200)));
        assert_eq!(next_time(std::slice::from_ref(&job), now), Some(Timestamp::from_secs(200)));
        job.cancel_asked = true;
        assert!(is_ready(&job, now));
    }

    proptest! {
        #[test]
        fn no_lane_is_ever_wider_than_allowed(lanes in proptest::collection::vec(0_u8..3, 1..40), width in 1_usize..4) {
            let jobs: Vec<Job> =
                lanes.iter().map(|l| a_job(None, Priority::Normal, Some(&format!("node:{l}")))).collect();
            let mut running = HashMap::new();
            loop {
                let ready: Vec<&Job> = jobs.iter().filter(|j| !running.contains_key(&j.id)).collect();
                let Some(job) = pick(&ready, &running, width) else { break };
                running.insert(job.id, Active { owner: job.owner, lane: job.lane.clone() });
            }
            for lane in 0..3_u8 {
                let name = format!("node:{lane}");
                let wanted = lanes.iter().filter(|l| **l == lane).count().min(width);
                let got = running.values().filter(|a| a.lane.as_deref() == Some(name.as_str())).count();
                prop_assert_eq!(got, wanted);
            }
        }
    }
}
