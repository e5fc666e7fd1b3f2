//! What a run's end means for the job. Pure: row and outcome in, changed row out.

use base::{Timestamp, excerpt};
use model::backoff;
use model::jobs::{Job, JobState};
use plugin::{Failure, Outcome};
use std::time::Duration;

/// While its provider is away a job does not use up its tries; it looks again this often.
pub(super) const AWAY_EVERY: Duration = Duration::from_secs(10);
/// ... but not for ever.
const AWAY_AT_MOST: Duration = Duration::from_secs(3600);

/// Writes the outcome of a run into the row. `away`: the failure was that its provider could not be reached.
pub fn apply(job: &mut Job, outcome: Outcome, now: Timestamp, away: bool) {
    let undoing = job.state == JobState::Undoing;
    job.wait = None;
    match outcome {
        Outcome::Done(result) => {
            job.result = result;
            job.error = None;
            job.progress.done = job.progress.total;
            end(job, JobState::Succeeded, now);
        }
        Outcome::Wait(wait) => {
            job.wait = Some(wait);
            if !undoing {
                job.state = JobState::Waiting;
            }
        }
        Outcome::Undone if job.cancel_asked => end(job, JobState::Cancelled, now),
        Outcome::Undone if job.again => job.start_anew(now),
        Outcome::Undone => end(job, JobState::Failed, now),
        Outcome::Cancelled => take_back(job, now),
        Outcome::Failed(failure) => failed(job, &failure, now, away && within_patience(job, now)),
    }
}

fn within_patience(job: &Job, now: Timestamp) -> bool {
    job.started.is_none_or(|t| t.until(now) < AWAY_AT_MOST)
}

fn failed(job: &mut Job, failure: &Failure, now: Timestamp, away: bool) {
    let why = excerpt::error(failure.error.message.as_str());
    let undoing = job.state == JobState::Undoing;
    if away && failure.retry {
        job.not_before = now.plus(AWAY_EVERY);
        // The reason for undoing is kept; that the provider is unreachable goes to the log.
        if !undoing {
            job.error = Some(format!("{why} Steward continues as soon as it is back."));
            job.state = JobState::Queued;
        }
        return;
    }
    job.attempts += 1;
    if failure.mismatch {
        // Nothing is guessed: a person has to look.
        job.error = Some(why);
        end(job, JobState::Failed, now);
    } else if (failure.retry || undoing) && job.attempts < job.max_attempts {
        job.not_before = now.plus(backoff::after(job.attempts));
        if !undoing {
            job.error = Some(why);
            job.state = JobState::Queued;
        }
    } else if undoing {
        // Each undo that is tried again adds its reason.
        job.error = Some(excerpt::error(both_reasons(&job.error.take().unwrap_or_default(), &why)));
        end(job, JobState::Failed, now);
    } else {
        job.error = Some(why);
        take_back(job, now);
    }
}

fn both_reasons(first: &str, text: &str) -> String {
    const ADVICE: &str = "Look at the steps and clean up by hand, or try again once the cause is fixed.";
    match first {
        "" => format!("Undoing it failed: {text} {ADVICE}"),
        first if first == text => format!("{first} It could not be undone for the same reason. {ADVICE}"),
        first => format!("{first} Undoing it failed too: {text} {ADVICE}"),
    }
}

/// From here on the job only undoes. Undoing has tries of its own.
fn take_back(job: &mut Job, now: Timestamp) {
    job.state = JobState::Undoing;
    job.attempts = 0;
    job.not_before = now;
}

fn end(job: &mut Job, state: JobState, now: Timestamp) {
    (job.state, job.again) = (state, false);
    job.finished = Some(now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ids::JobId;
    use model::jobs::{JobKind, Priority, Progress};
    use model::plugins::ScriptError;
    use model::subject::Subject;
    use serde_json::{Value, json};

    fn a_job() -> Job {
        Job {
            id: JobId::new(),
            plugin: "proxmox".into(),
            kind: JobKind::Plugin { hook: "guest_create".into(), args: Value::Null },
            title: String::new(),
            owner: None,
            asked_by: String::new(),
            priority: Priority::Normal,
            state: JobState::Running,
            created: Timestamp::ZERO,
            started: Some(Timestamp::ZERO),
            finished: None,
            attempts: 0,
            max_attempts: 3,
            not_before: Timestamp::ZERO,
            plugin_hash: None,
            subject: Subject::Plugins,
            lane: None,
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

    fn failure(retry: bool) -> Outcome {
        failure_of(retry, "No room.")
    }

    fn failure_of(retry: bool, why: &str) -> Outcome {
        let error = ScriptError { file: "main.rhai".into(), line: 1, column: 1, message: why.into() };
        Outcome::Failed(Failure { error, retry, mismatch: false, unreachable: false })
    }

    #[test]
    fn three_tries_with_growing_waits_then_everything_is_taken_back() {
        let (mut job, now) = (a_job(), Timestamp::from_secs(1000));
        apply(&mut job, failure(true), now, false);
        assert_eq!((job.state, job.not_before), (JobState::Queued, now.plus(Duration::from_secs(5))));
        apply(&mut job, failure(true), now, false);
        assert_eq!(job.not_before, now.plus(Duration::from_secs(10)));
        apply(&mut job, failure(true), now, false);
        assert_eq!((job.state, job.attempts), (JobState::Undoing, 0));
        apply(&mut job, Outcome::Undone, now, false);
        assert_eq!((job.state, job.error.as_deref()), (JobState::Failed, Some("No room.")));
    }

    #[test]
    fn a_cancelled_job_is_taken_back_and_is_not_a_failure() {
        let mut job = Job { cancel_asked: true, ..a_job() };
        apply(&mut job, Outcome::Cancelled, Timestamp::ZERO, false);
        assert_eq!(job.state, JobState::Undoing);
        apply(&mut job, Outcome::Undone, Timestamp::ZERO, false);
        assert_eq!(job.state, JobState::Cancelled);
    }

    #[test]
    fn proxmox_being_away_costs_no_try_for_an_hour() {
        let mut job = a_job();
        for _ in 0..20 {
            apply(&mut job, failure(true), Timestamp::from_secs(60), true);
            assert_eq!((job.state, job.attempts), (JobState::Queued, 0));
        }
        apply(&mut job, failure(true), Timestamp::from_secs(4000), true);
        assert_eq!(job.attempts, 1);
    }

    #[test]
    fn an_undo_that_fails_for_good_says_both_reasons() {
        let mut job = Job { state: JobState::Undoing, error: Some("Busy.".into()), attempts: 2, ..a_job() };
        apply(&mut job, failure(true), Timestamp::ZERO, false);
        assert_eq!(job.state, JobState::Failed);
        assert!(job.error.unwrap().starts_with("Busy. Undoing it failed too: No room."));
    }

    #[test]
    fn taking_back_while_proxmox_is_away_keeps_the_first_reason() {
        let mut job = Job { state: JobState::Undoing, error: Some("No room.".into()), ..a_job() };
        apply(&mut job, failure(true), Timestamp::ZERO, true);
        assert_eq!((job.state, job.error.as_deref(), job.attempts), (JobState::Undoing, Some("No room."), 0));
    }

    #[test]
    fn a_retry_of_what_was_not_taken_back_starts_anew_once_it_is() {
        let mut job = Job { state: JobState::Undoing, again: true, attempts: 2, ..a_job() };
        apply(&mut job, Outcome::Undone, Timestamp::from_secs(9), false);
        assert_eq!((job.state, job.again, job.attempts), (JobState::Queued, false, 0));
    }

    #[test]
    fn a_finished_job_keeps_its_result() {
        let mut job = a_job();
        apply(&mut job, Outcome::Done(json!({ "vmid": 104 })), Timestamp::ZERO, false);
        assert_eq!((job.state, &job.result["vmid"]), (JobState::Succeeded, &json!(104)));
    }

    #[test]
    fn an_endless_error_is_cut_and_undoing_again_and_again_adds_no_more() {
        let long = format!("Clone failed: {} no space left", "x".repeat(512 << 10));
        let mut job = a_job();
        apply(&mut job, failure_of(false, &long), Timestamp::ZERO, false);
        let kept = job.error.clone().unwrap();
        assert!(
            kept.len() <= excerpt::ERROR_BYTES && kept.starts_with("Clone failed") && kept.ends_with("no space left")
        );
        for _ in 0..5 {
            (job.state, job.attempts) = (JobState::Undoing, job.max_attempts);
            apply(&mut job, failure_of(false, &format!("{long}.")), Timestamp::ZERO, false);
        }
        assert!(job.error.unwrap().len() <= excerpt::ERROR_BYTES);
    }
}
