//! What happens by the clock: looking at providers, firing schedules, sweeping up.

use app::App;
use base::Result;
use model::jobs::Job;
use std::ops::ControlFlow;
use std::time::Duration;
use store::{Read, Scan, tables};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Jobs that are over are kept this long.
const KEEP_JOBS: Duration = Duration::from_secs(90 * 24 * 3600);

/// Starts all of it; it ends with `stop`.
pub fn start(app: &App, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    let (seconds, every) =
        (Duration::from_secs, |what, period| Every { what, period, app: app.clone(), stop: stop.clone() });
    tasks.spawn(poll(app.clone(), stop.clone()));
    tasks.spawn(every("ends of jobs", seconds(15)).run(|app| async move { app.jobs().catch_up().await }));
    tasks.spawn(every("ends of sessions", seconds(15)).run(|app| async move { app.write_ends().await }));
    tasks.spawn(every("software", seconds(15)).run(|app| async move { app.software().catch_up().await }));
    tasks.spawn(every("schedules", seconds(15)).run(|app| async move { app.schedules().tick().await.map(drop) }));
    tasks.spawn(every("cloud images", seconds(60)).run(|app| async move { app.templates().tick().await }));
    tasks.spawn(every("sweeping", seconds(3600)).run(|app| async move { sweep(&app).await }));
}

/// How soon it is noticed that somebody looks again.
const WATCH: Duration = Duration::from_secs(1);

/// Looks at each provider every `poll_seconds`, less often while nobody looks, and sooner when something was just
/// changed.
async fn poll(app: App, stop: CancellationToken) {
    let inventory = app.inventory();
    loop {
        inventory.look().await;
        let began = Instant::now();
        loop {
            // Somebody may begin or cease to look meanwhile.
            let left = inventory.pause().saturating_sub(began.elapsed());
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(left.min(WATCH)) => if left <= WATCH { break },
                () = inventory.asked() => {
                    // A short pause gathers several changes into one poll.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    break;
                }
            }
        }
    }
}

/// Work that is done now and then repeated.
struct Every {
    what: &'static str,
    period: Duration,
    app: App,
    stop: CancellationToken,
}

impl Every {
    /// A failure is told in the log, and the next turn tries again. The end may come in the middle: each piece of work
    /// is made for that, as for a crash.
    async fn run<W: Future<Output = Result<()>>>(self, work: impl Fn(App) -> W) {
        let mut clock = clock(self.period);
        let turns = async {
            loop {
                clock.tick().await;
                if let Err(e) = work(self.app.clone()).await {
                    tracing::error!(work = self.what, error = e.chain(), "work in the background failed");
                }
            }
        };
        self.stop.run_until_cancelled(turns).await;
    }
}

fn clock(period: Duration) -> Interval {
    let mut clock = interval(period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}

/// Removes sessions that ended by themselves, old drafts, and jobs that were over long ago.
async fn sweep(app: &App) -> Result<()> {
    app.sessions().sweep().await?;
    app.drafts().sweep().await?;
    app.jobs().forget_old_secrets().await?;
    app.connections().sweep().await?;
    let limit = app.now().minus(KEEP_JOBS);
    let mut old = Vec::new();
    app.store().read(|tx| {
        tx.scan(tables::JOBS, Scan::all(), |_, job: Job| {
            // Ids rise with time: from here on all jobs are younger.
            if job.created > limit || old.len() == 1_000 {
                return Ok(ControlFlow::Break(()));
            }
            if job.state.is_over() {
                old.push((job.id, job.subject.guest()));
            }
            Ok(ControlFlow::Continue(()))
        })
    })?;
    app.store()
        .write(move |tx| {
            for (id, guest) in old {
                tx.delete_all(tables::STEPS, Scan::prefix(&id))?;
                tx.delete_all(tables::JOB_LOG, Scan::prefix(&id))?;
                tx.delete(tables::JOB_SECRETS, &id)?;
                if let Some(guest) = guest {
                    tx.delete(tables::GUEST_JOBS, &(guest, id))?;
                }
                tx.delete(tables::JOBS, &id)?;
            }
            Ok(())
        })
        .await
}
