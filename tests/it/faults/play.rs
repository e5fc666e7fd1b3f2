//! One cell: the job with one trouble, to its end and beyond.

use super::judge::{self, Facts};
use super::stage::Stage;
use super::troubles::{Course, Trace, Trouble};
use super::work::Work;
use crate::dying::{self, Death};
use app::Actor;
use model::jobs::{Job, JobState, Wait};
use plugin::{Mode, Outcome};
use sim::{Fault, SavedCluster};
use std::time::{Duration, Instant};

/// How it came out.
#[derive(Clone, Debug)]
pub struct Played {
    pub state: JobState,
    /// What the person reads.
    pub said: String,
    /// What stays behind in the cluster when it did not succeed.
    pub left: Vec<String>,
    /// Somebody had to end the task in Proxmox.
    pub helped: bool,
    /// It waited for a task that nobody could ask for, with these words, until the person cancelled it.
    pub waited: Option<String>,
    pub wrongs: Vec<String>,
}

/// A job that is over, and how it came to that.
struct Over {
    job: Job,
    came: bool,
    /// The trouble was ended before the job was over.
    ended: bool,
    helped: bool,
    waited: Option<String>,
}

/// A job on its stage, with all that is known of a good run.
pub struct Scene<'a> {
    stage: &'a Stage,
    work: Work,
    subject: Option<u32>,
    kept: SavedCluster,
    before: Facts,
    good: Vec<String>,
    /// The good run's row.
    job: Option<Job>,
}

impl<'a> Scene<'a> {
    /// Prepares the machine and runs the job once without any trouble.
    pub async fn set(stage: &'a Stage, work: Work) -> (Self, Trace) {
        let subject = work.prepare(stage).await;
        let kept = stage.cluster.keep();
        stage.cluster.put_back(&kept).await;
        let before = judge::facts(&stage.cluster);
        let mut scene = Self { stage, work, subject, kept, before, good: Vec::new(), job: None };
        let old = judge::tasks(&stage.cluster).len();
        let job = work.request(stage, subject).await.unwrap_or_else(|e| panic!("{work:?}: {}", e.chain()));
        let job = stage.finish(job.id).await.unwrap();
        assert_eq!(job.state, JobState::Succeeded, "{work:?}: {job:#?}");
        scene.good = scene.changed();
        let sign = work.sign();
        assert!(scene.good.iter().any(|l| l.contains(sign)), "{work:?} shows no {sign:?}: {:#?}", scene.good);
        let mut trace = Trace { writes: stage.cluster.faults().writes(), tasks: Vec::new() };
        for (kind, _) in judge::tasks(&stage.cluster).into_iter().skip(old) {
            if !trace.tasks.contains(&kind) {
                trace.tasks.push(kind);
            }
        }
        scene.job = Some(job);
        (scene, trace)
    }

    /// The process is killed at some of the points where something happens or is recorded, and started again:
    /// the journal and the cluster are what stays.
    pub async fn kill(&self) -> Vec<Played> {
        let good = self.job.as_ref().expect("a good run");
        let (mut all, mut total) = (Vec::new(), usize::MAX);
        for nth in 0..5 {
            self.stage.cluster.put_back(&self.kept).await;
            let mut played = dying::Played::of(&self.stage.cluster, good.kind.hook(), |_| good.kind.args(good.id));
            played.hurry = true;
            // The first goes through, to count the points.
            let death = Death::at(if nth == 0 { usize::MAX } else { (total - 1) * nth / 5 + 1 });
            let mut last = played.life(&death, Mode::Forward, false).await;
            if last.is_none() {
                last = played.life(&Death::at(usize::MAX), Mode::Forward, false).await;
            }
            total = if nth == 0 { death.passed() } else { total };
            let mut found = Played {
                state: JobState::Succeeded,
                said: String::new(),
                left: Vec::new(),
                helped: false,
                waited: None,
                wrongs: Vec::new(),
            };
            if !matches!(last, Some(Outcome::Done(_))) {
                found.wrongs.push(format!("killed at point {nth} of 5: {last:?}"));
            }
            self.compare(&self.changed(), "after the restart", &mut found);
            all.push(found);
        }
        all
    }

    fn changed(&self) -> Vec<String> {
        judge::difference(&self.before, &judge::facts(&self.stage.cluster))
    }

    /// Plays it; `Err` when it does not come to an end, so that the stage is of no use any more.
    pub async fn play(&self, trouble: &Trouble) -> Result<Played, String> {
        let stage = self.stage;
        stage.cluster.put_back(&self.kept).await;
        if self.work.changes_the_list() {
            stage.look().await;
        } else {
            stage.seen().await;
        }
        stage.cluster.faults().clear();
        let job = match self.work.request(stage, self.subject).await {
            Ok(job) => job,
            Err(e) => return Err(format!("it is refused: {}", e.chain())),
        };
        for fault in &trouble.on {
            stage.cluster.faults().set(fault.clone()).await.unwrap();
        }
        let over = self.run(job, trouble).await?;
        if !over.ended {
            self.end(trouble).await;
        }
        stage.cluster.faults().clear();
        let mut played = Played {
            state: over.job.state,
            said: String::new(),
            left: Vec::new(),
            helped: over.helped,
            waited: over.waited,
            wrongs: Vec::new(),
        };
        if !over.came {
            played.wrongs.push("the trouble never came".to_owned());
        }
        self.judge(over.job, &mut played).await?;
        Ok(played)
    }

    /// Over, with the trouble ended when its time has come.
    async fn run(&self, mut job: Job, trouble: &Trouble) -> Result<Over, String> {
        let stage = self.stage;
        let (began, mut came): (Instant, Option<(Instant, Duration)>) = (Instant::now(), None);
        let (mut open, mut skips, mut cancelled, mut helped) = (true, 0, None::<Instant>, false);
        let mut waited = None;
        loop {
            job = stage.job(job.id);
            if job.state.is_over() {
                let came = came.is_some() || stage.cluster.faults().came() > 0;
                return Ok(Over { job: stage.finish(job.id).await?, came, ended: !open, helped, waited });
            }
            if came.is_none() && (trouble.at_once || stage.cluster.faults().came() > 0) {
                came = Some((Instant::now(), stage.clock.skipped()));
            }
            let waits = matches!(job.wait, Some(Wait::Task { .. }));
            if let (Some((at, skipped)), Course::Passes(lasts), true) = (came, trouble.course, open) {
                let passed = stage.clock.skipped().saturating_sub(skipped);
                // A task goes on in real time; nothing is skipped while it does.
                if passed >= Duration::from_secs(lasts) || (waits && at.elapsed() > Duration::from_millis(120)) {
                    open = false;
                    self.end(trouble).await;
                }
            }
            if trouble.course == Course::Cancelled && waits {
                let hangs = came.is_some_and(|(at, _)| at.elapsed() > Duration::from_millis(80));
                match cancelled {
                    None if hangs => {
                        cancelled = Some(Instant::now());
                        stage.app.jobs().cancel(&Actor::host_console(), job.id).await.unwrap();
                    }
                    Some(at) if at.elapsed() > Duration::from_millis(1500) && !helped => {
                        helped = true;
                        stage.cluster.interrupt().await;
                    }
                    _ => {}
                }
            }
            // As long as Proxmox is away nobody knows what became of a task: the job waits until the person has enough.
            let stuck = waits && came.is_some() && job.progress.label.contains("waits until it answers");
            if trouble.course == Course::Stays && stuck && waited.is_none() && trouble.hides_tasks() {
                waited = Some(job.progress.label.clone());
                stage.clock.skip(Duration::from_secs(7200));
                stage.app.jobs().cancel(&Actor::host_console(), job.id).await.unwrap();
            }
            // What lasts for hours is not waited for in steps of seconds.
            let least = if trouble.course == Course::Stays && skips > 1 { 1200 } else { 0 };
            if stage.skip_wait(&job, Duration::from_secs(least)) {
                skips += 1;
            }
            tokio::time::sleep(Duration::from_millis(7)).await;
            if began.elapsed() > Duration::from_secs(40) {
                return Err(format!("{trouble:?}: {}", stage.story(&job)));
            }
        }
    }

    async fn end(&self, trouble: &Trouble) {
        for fault in &trouble.off {
            // A backup takes away its own lock only.
            if let Fault::Lock { vmid, lock: None } = fault
                && !judge::is_locked(&self.stage.cluster, *vmid, "backup")
            {
                continue;
            }
            self.stage.cluster.faults().set(fault.clone()).await.unwrap();
        }
        self.stage.cluster.faults().clear();
    }

    async fn judge(&self, job: Job, played: &mut Played) -> Result<(), String> {
        let stage = self.stage;
        played.wrongs.extend(stage.loose_ends(&job));
        let running = judge::tasks_under_way(&stage.cluster);
        let warned = stage.warning(job.id);
        if !running.is_empty() && warned.is_none() {
            played.wrongs.push(format!("tasks still run in Proxmox: {running:?}"));
        }
        stage.cluster.interrupt().await;
        let subject = job.subject.guest();
        if let Some(why) = stage.busy(subject) {
            played.wrongs.push(why);
        }
        let changed = self.changed();
        if job.state == JobState::Succeeded {
            if warned.is_some() && changed != self.good {
                played.left = changed.into_iter().filter(|l| !self.good.contains(l)).collect();
                played.said = warned.unwrap_or_default();
            } else {
                self.compare(&changed, "after success", played);
            }
            return Ok(());
        }
        played.said = job.error.clone().unwrap_or_default();
        if job.state == JobState::Failed {
            let secret = stage.cluster.token_secret.expose();
            played.wrongs.extend(judge::faults_of(&played.said, secret));
        }
        if let Some(warned) = warned.filter(|_| !changed.is_empty() || played.said.is_empty()) {
            played.said = [played.said.as_str(), "The log says:", &warned].join(" ").trim().to_owned();
        }
        // Where only the host can help, the person is told the commands, and does what they are told.
        if played.said.contains("as root:") {
            played.helped = true;
            stage.cluster.put_back(&self.kept).await;
        }
        played.left = changed;
        // The trouble is over: another try leads to a good end, as if nothing had been.
        match stage.app.jobs().retry(&Actor::host_console(), job.id).await {
            Ok(()) => {
                let again = stage.finish(job.id).await.map_err(|e| format!("the retry: {e}"))?;
                if again.state == JobState::Succeeded {
                    // What had to stay the first time is still there.
                    let stayed = |line: &String| !played.left.contains(line) || self.good.contains(line);
                    let changed: Vec<String> = self.changed().into_iter().filter(stayed).collect();
                    self.compare(&changed, "after the retry", played);
                } else {
                    let why = again.error.clone().unwrap_or_default();
                    played.wrongs.push(format!("the retry is {}: {why}", again.state.name()));
                }
                played.wrongs.extend(stage.loose_ends(&again).into_iter().map(|w| format!("after the retry {w}")));
            }
            Err(e) => played.wrongs.push(format!("no retry: {}", e.message())),
        }
        Ok(())
    }

    fn compare(&self, changed: &[String], when: &str, played: &mut Played) {
        let lacks = self.good.iter().filter(|l| !changed.contains(l)).map(|l| format!("{when} lacks: {l}"));
        let more = changed.iter().filter(|l| !self.good.contains(l)).map(|l| format!("{when} too much: {l}"));
        played.wrongs.extend(lacks.chain(more));
    }
}
