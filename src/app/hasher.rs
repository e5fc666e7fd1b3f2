//! Password hashing takes tens of milliseconds of a core. It runs on a few blocking threads with a short
//! queue, so a flood of sign-ins waits in line and pages stay fast.

use base::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// Sign-ins that may wait; more are turned away at once.
const QUEUE: usize = 64;

pub struct Hasher {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Hasher {
    /// Half the machine's cores, at least one, may hash at the same time.
    pub(super) fn for_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { running: Arc::new(Semaphore::new((cores / 2).max(1))), waiting: AtomicUsize::new(0) }
    }

    /// Runs `work` when it is its turn.
    ///
    /// # Errors
    /// `TooMany` when the queue is full.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = QueueSlot::take(&self.waiting)?;
        let permit = Arc::clone(&self.running).acquire_owned().await.map_err(Error::internal)?;
        drop(place);
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await
        .map_err(Error::internal)
    }
}

/// A place in the queue, given back when it is dropped (also when the request is cut off while waiting).
struct QueueSlot<'a>(&'a AtomicUsize);

impl<'a> QueueSlot<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self> {
        if waiting.fetch_add(1, Ordering::SeqCst) >= QUEUE {
            waiting.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::too_many("Too many people are signing in right now. Try again in a moment.", 5));
        }
        Ok(Self(waiting))
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_turns_people_away_at_once() {
        let hasher = Hasher { running: Arc::new(Semaphore::new(0)), waiting: AtomicUsize::new(QUEUE) };
        let e = hasher.run(|| ()).await.unwrap_err();
        assert_eq!(e.retry_after(), Some(5));
        assert_eq!(hasher.waiting.load(Ordering::SeqCst), QUEUE);
    }
}
