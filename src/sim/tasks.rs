//! Workers: what a UPID stands for. A task runs in the background, waits in scaled time, writes a log,
//! can be interrupted, and ends with an exit text.

use super::access::who::Who;
use super::faults::Planned;
use super::state::{Cluster, Task};
use super::world::{FileLock, World, lock};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

/// How a worker ends: fine, or with the text that becomes `exitstatus`.
pub type Work<T = ()> = Result<T, String>;

/// Ended tasks that are kept.
const KEPT: usize = 2000;
const INTERRUPTED: &str = "received interrupt";

/// A worker's own handle.
#[derive(Debug)]
pub struct Job {
    pub world: Arc<World>,
    pub upid: String,
    cancel: CancellationToken,
    killed: CancellationToken,
    planned: Mutex<Option<Planned>>,
    warnings: AtomicU32,
}

impl Job {
    /// Works for `seconds`. An interrupt, or a fault planned for this task, ends it here, half-way:
    /// the caller's clean-up must then run, as in the real workers.
    pub async fn wait(&self, seconds: f64) -> Work {
        let planned = lock(&self.planned).take();
        if matches!(planned, Some(Planned::Hang)) {
            self.cancel.cancelled().await;
        }
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Err(INTERRUPTED.into()),
            () = tokio::time::sleep(self.world.scaled(seconds)) => {}
        }
        match planned {
            Some(Planned::Fail { text, say }) => {
                say.into_iter().for_each(|line| self.log(line));
                Err(text)
            }
            Some(Planned::Kill) => {
                self.killed.cancel();
                std::future::pending().await
            }
            Some(Planned::Warn(text)) => {
                self.warn(&text);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The guest's file lock, waited for at most `seconds`.
    pub async fn file_lock(&self, vmid: u32, seconds: f64) -> Work<FileLock> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(INTERRUPTED.into()),
            got = self.world.file_lock(vmid, seconds) => got,
        }
    }

    pub fn log(&self, line: impl Into<String>) {
        let line = line.into();
        self.world.change(|c| {
            if let Some(task) = c.tasks.iter_mut().rev().find(|t| t.upid == self.upid) {
                task.log.push(line);
            }
        });
    }

    /// A warning: the task still succeeds, as `WARNINGS: n`.
    pub fn warn(&self, line: &str) {
        self.warnings.fetch_add(1, Ordering::Relaxed);
        self.log(format!("WARN: {line}"));
    }
}

/// Starts a worker on `node` and returns its UPID at once.
pub fn spawn<F, Fut>(world: &Arc<World>, who: &Who, node: &str, kind: &str, id: &str, body: F) -> String
where
    F: FnOnce(Arc<Job>) -> Fut + Send + 'static,
    Fut: Future<Output = Work> + Send + 'static,
{
    let upid = world.change(|c| register(c, who, node, kind, id, world.seconds()));
    let cancel = CancellationToken::new();
    lock(&world.running).insert(upid.clone(), cancel.clone());
    let planned = Mutex::new(world.faults.plan_for(kind));
    let killed = CancellationToken::new();
    let (world2, warnings) = (Arc::clone(world), AtomicU32::new(0));
    let job = Arc::new(Job { world: world2, upid: upid.clone(), cancel, killed: killed.clone(), planned, warnings });
    world.background(async move {
        let work = async {
            body(Arc::clone(&job)).await?;
            // A worker that never waited still gets what was planned for it.
            job.wait(0.0).await
        };
        tokio::select! {
            result = work => finish(&job, Some(result)),
            () = killed.cancelled() => finish(&job, None),
        }
    });
    upid
}

pub fn register(c: &mut Cluster, who: &Who, node: &str, kind: &str, id: &str, now: i64) -> String {
    c.next_pid = c.next_pid.wrapping_add(7).max(1000);
    let (pid, pstart) = (c.next_pid, 0x0010_0000 + c.next_pid.wrapping_mul(13) % 0x0F00_0000);
    let upid = format!("UPID:{node}:{pid:08X}:{pstart:08X}:{now:08X}:{kind}:{id}:{}:", who.id());
    c.tasks.push(Task {
        upid: upid.clone(),
        node: node.to_owned(),
        pid,
        pstart,
        starttime: now,
        kind: kind.to_owned(),
        id: id.to_owned(),
        user: who.user.clone(),
        tokenid: who.token.clone(),
        endtime: None,
        exit: None,
        log: Vec::new(),
    });
    if c.tasks.len() > KEPT
        && let Some(oldest) = c.tasks.iter().position(|t| t.exit.is_some())
    {
        c.tasks.remove(oldest);
    }
    upid
}

/// `None`: it was killed, and leaves neither a last line nor an exit text of its own.
fn finish(job: &Job, result: Option<Work>) {
    let warnings = job.warnings.load(Ordering::Relaxed);
    let (exit, last) = match result {
        Some(Ok(())) if warnings > 0 => (format!("WARNINGS: {warnings}"), Some(format!("TASK WARNINGS: {warnings}"))),
        Some(Ok(())) => ("OK".to_owned(), Some("TASK OK".to_owned())),
        Some(Err(text)) => (text.trim().replace('\n', " "), Some(format!("TASK ERROR: {}", text.trim()))),
        None => ("unexpected status".to_owned(), None),
    };
    lock(&job.world.running).remove(&job.upid);
    let now = job.world.seconds();
    job.world.change(|c| {
        if let Some(task) = c.tasks.iter_mut().rev().find(|t| t.upid == job.upid) {
            task.endtime = Some(now);
            task.exit = Some(exit);
            task.log.extend(last);
        }
    });
}

/// SIGTERM to a worker.
pub fn interrupt(world: &World, upid: &str) {
    if let Some(cancel) = lock(&world.running).get(upid) {
        cancel.cancel();
    }
}

/// Interrupts the running tasks of one type on one guest; says whether there were any.
pub fn interrupt_kind(world: &World, kind: &str, vmid: u32) -> bool {
    let id = vmid.to_string();
    let found: Vec<String> = world.read(|c| {
        let open = c.tasks.iter().filter(|t| t.exit.is_none() && t.kind == kind && t.id == id);
        open.map(|t| t.upid.clone()).collect()
    });
    found.iter().for_each(|upid| interrupt(world, upid));
    !found.is_empty()
}
