//! One appliance (app and runner, without pages) with a simulated cluster of its own, and time that is skipped
//! where a job only waits for it.

use crate::appliance::connection;
use app::{Actor, App};
use base::ids::{GuestId, JobId};
use base::{Clock, SystemClock, Timestamp};
use config::Settings;
use crypto::SealKey;
use model::connections::{Reach, Transport, Trust};
use model::jobs::{Job, JobState, LogLevel, LogLine, Wait};
use sim::images::Images;
use sim::{self, Sim};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use store::{Read, Scan, tables};
use tokio_util::sync::CancellationToken;

/// The machine's time and what was skipped of it, the same for the appliance and the cluster.
#[derive(Debug, Default)]
pub struct Skipping(AtomicI64);

impl Skipping {
    pub fn skip(&self, d: Duration) {
        self.0.fetch_add(i64::try_from(d.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// All that was skipped so far.
    pub fn skipped(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

impl Clock for Skipping {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.skipped())
    }

    fn pause(&self, d: Duration) -> Duration {
        d / 40
    }
}

pub struct Stage {
    pub app: App,
    pub cluster: Sim,
    pub clock: Arc<Skipping>,
    _publisher: Images,
    stop: CancellationToken,
    runner: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub async fn open() -> Self {
        web::install_crypto();
        let clock = Arc::new(Skipping::default());
        let options = sim::Options {
            nodes: 2,
            guests: 10,
            time_scale: 0.002,
            clock: Arc::<Skipping>::clone(&clock),
            ..sim::Options::default()
        };
        let cluster = sim::start(options).await.unwrap();
        // With it the download of an image can be removed again.
        cluster.faults().allow("Steward", "Datastore.Allocate");
        let publisher = crate::templates::publisher().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            built_in: embedded::FILES,
            data_dir: folder.path().to_owned(),
            plugins_dir: None,
            images_file: None,
            image_mirror: Some(publisher.url.clone()),
            ..Settings::default()
        };
        let app = App::open(settings, SealKey::from_bytes([7; 64]), Arc::<Skipping>::clone(&clock)).unwrap();
        let mut row = connection(&cluster);
        if let Transport::Pve(pve) = &mut row.transport {
            pve.trust = Trust::Ca(cluster.ca_pem.clone());
        }
        app.connections().add_known(&Actor::host_console(), row).await.unwrap();
        let stop = CancellationToken::new();
        let runner = tokio::spawn(jobs::run(app.clone(), stop.clone()));
        let stage = Self { app, cluster, clock, _publisher: publisher, stop, runner, _folder: folder };
        stage.look().await;
        stage
    }

    pub async fn close(self) {
        self.stop.cancel();
        self.runner.await.unwrap();
        self.cluster.stop().await;
        self.app.close();
    }

    /// Looks at the cluster as it is now; machines that are gone are forgotten.
    pub async fn look(&self) {
        self.seen().await;
        self.clock.skip(Duration::from_secs(40));
        self.app.inventory().look().await;
    }

    /// Looks until Proxmox answers: it may have come back a moment ago.
    pub async fn seen(&self) {
        for _ in 0..100 {
            self.app.inventory().look().await;
            if self.app.live().snapshot().connections.iter().all(|c| matches!(c.reach, Reach::Here { .. })) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn job(&self, id: JobId) -> Job {
        self.app.store().read(|tx| tx.get(tables::JOBS, &id)).unwrap().expect("the job's row")
    }

    /// Runs the job to its end without any disturbance.
    pub async fn finish(&self, id: JobId) -> Result<Job, String> {
        let began = std::time::Instant::now();
        loop {
            let job = self.job(id);
            if job.state.is_over() {
                return Ok(self.settled(job).await);
            }
            if !self.skip_wait(&job, Duration::MAX) {
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
            if began.elapsed() > Duration::from_secs(40) {
                return Err(self.story(&job));
            }
        }
    }

    /// All that is known of a job that hangs.
    pub fn story(&self, job: &Job) -> String {
        let kept = self.app.store().read(|tx| tx.list(tables::STEPS, Scan::prefix(&job.id), 99)).unwrap();
        let steps: Vec<_> = kept.iter().map(|(_, s)| format!("{} {:?} {}", s.name, s.state, s.result)).collect();
        format!("it does not end: {job:?}\n    {}", steps.join("\n    "))
    }

    /// When the job only waits for a time: skips there (at least `least`, if it waits at all).
    pub fn skip_wait(&self, job: &Job, least: Duration) -> bool {
        let at = match (&job.wait, job.state) {
            (Some(Wait::Until { at, .. }), JobState::Waiting | JobState::Undoing) => *at,
            (None, JobState::Queued | JobState::Undoing) => job.not_before,
            _ => return false,
        };
        let left = self.clock.now().until(at);
        if left.is_zero() {
            return false;
        }
        let more = if least == Duration::MAX { Duration::ZERO } else { least };
        self.clock.skip(left.max(more) + Duration::from_millis(1));
        self.app.job_bell().notify_one();
        true
    }

    /// Waits until what hangs on a finished job is written too.
    async fn settled(&self, job: Job) -> Job {
        for _ in 0..200 {
            if self.loose_ends(&job).is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        job
    }

    /// Rows that an ended job must not leave: kept numbers, claims, machines that are still being made.
    pub fn loose_ends(&self, job: &Job) -> Vec<String> {
        self.app
            .store()
            .read(|tx| {
                let mut found = Vec::new();
                if tx.get(tables::ENDED_JOBS, &job.id)?.is_some() {
                    found.push("its end is not worked off".to_owned());
                }
                for ((_, vmid), owner) in tx.list(tables::VMID_RESERVATIONS, Scan::all(), usize::MAX)? {
                    if owner == job.id {
                        found.push(format!("number {vmid} is still kept"));
                    }
                }
                for (_, claim) in tx.list(tables::QUOTA_CLAIMS, Scan::all(), usize::MAX)? {
                    // What a good end leaves fades with the next look.
                    if claim.job == job.id && claim.over.is_none() {
                        found.push("its claim on the quota is still open".to_owned());
                    }
                }
                for (_, row) in tx.list(tables::GUESTS, Scan::all(), usize::MAX)? {
                    if row.making == Some(job.id) {
                        found.push(format!("machine {} is still being made", row.name));
                    }
                }
                Ok(found)
            })
            .unwrap()
    }

    /// The last warning in the job's log.
    pub fn warning(&self, id: JobId) -> Option<String> {
        let log = self.app.jobs().log(&Actor::host_console(), id, 0, 1000).unwrap();
        let ours = |line: &LogLine| line.level == LogLevel::Warn && !line.text.starts_with("Proxmox: ");
        log.into_iter().map(|(_, line)| line).rfind(ours).map(|line| line.text)
    }

    /// Whether the person can ask for the next thing: no job holds the machine.
    pub fn busy(&self, guest: Option<GuestId>) -> Option<String> {
        let guest = guest?;
        let open = self.app.jobs().open_of_guest(guest).unwrap()?;
        Some(format!("“{}” still holds the machine", open.title))
    }
}
