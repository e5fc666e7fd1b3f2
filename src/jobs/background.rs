//! What happens by the clock: looking at Proxmox, firing schedules, sweeping up.

use app::App;
use base::Result;
use model::jobs::Job;
use std::ops::ControlFlow;
use std::time::Duration;
use store::{Read, Scan, tables};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Jobs that are over are kept this long.
const KEEP_JOBS: Duration = Duration::from_secs(90 * 24 * 3600);

/// Looks at Proxmox every `poll_seconds`, and sooner when something was just changed.
pub async fn poll(app: App, stop: CancellationToken) {
    let mut clock = interval(Duration::from_secs(app.settings().poll_seconds));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let inventory = app.inventory();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = clock.tick() => {}
            () = inventory.asked() => {
                // A short breath gathers several changes into one look.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        inventory.look().await;
    }
}

/// Fires schedules and sweeps.
pub async fn clock(app: App, stop: CancellationToken) {
    let mut minute = interval(Duration::from_secs(15));
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = 0_u64;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = minute.tick() => {}
        }
        if let Err(e) = app.software().catch_up().await {
            tracing::error!(error = e.chain(), "wanted software could not be looked at");
        }
        if let Err(e) = app.schedules().tick().await {
            tracing::error!(error = e.chain(), "schedules could not be looked at");
        }
        if rounds.is_multiple_of(240)
            && let Err(e) = sweep(&app).await
        {
            tracing::error!(error = e.chain(), "sweeping failed");
        }
        rounds += 1;
    }
}

/// Looks for newer cloud images when it is time. Its own loop: a publisher's server may take half a minute.
pub async fn images(app: App, stop: CancellationToken) {
    let mut minute = interval(Duration::from_secs(60));
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = minute.tick() => {}
        }
        let tick = async { app.templates().tick().await };
        tokio::select! {
            () = stop.cancelled() => return,
            done = tick => if let Err(e) = done {
                tracing::error!(error = e.chain(), "cloud images could not be looked at");
            },
        }
    }
}

/// Removes sessions that ended by themselves and jobs that were over long ago.
///
/// # Errors
/// What the store says.
pub async fn sweep(app: &App) -> Result<()> {
    app.sessions().sweep().await?;
    app.jobs().forget_old_secrets().await?;
    let limit = app.now().minus(KEEP_JOBS);
    let mut old = Vec::new();
    app.store().read(|tx| {
        tx.scan(tables::JOBS, Scan::all(), |_, job: Job| {
            // Ids rise with time: from here on all jobs are younger.
            if job.created > limit || old.len() == 1_000 {
                return Ok(ControlFlow::Break(()));
            }
            if job.state.is_over() {
                old.push((job.id, job.guest));
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
