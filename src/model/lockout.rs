//! Growing delays after failed sign-ins, by account and by address. Pure: fed with time, stored by the caller.

use base::Timestamp;
use minicbor::{Decode, Encode};
use std::time::Duration;

/// Failures of one account that cost nothing.
pub const FREE_ACCOUNT: u32 = 3;
/// Failures from one address that cost nothing: a household shares one.
pub const FREE_ADDRESS: u32 = 20;
/// A quiet time after which failures are forgotten.
const FORGET: Duration = Duration::from_secs(24 * 3600);
/// The longest delay.
const LONGEST: Duration = Duration::from_secs(3600);

/// Failed tries of one account or one address, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Failures {
    #[n(0)]
    pub count: u32,
    #[n(1)]
    pub last: Timestamp,
}

impl Failures {
    /// Counts one more failure.
    #[must_use]
    pub fn failed(&self, now: Timestamp) -> Self {
        let count = if self.last.until(now) > FORGET { 0 } else { self.count };
        Self { count: count.saturating_add(1), last: now }
    }

    /// How long until the next try is looked at: nothing for the first `free` failures (people mistype),
    /// then 2, 4, 8 ... seconds, at most an hour.
    pub fn wait(&self, now: Timestamp, free: u32) -> Option<Duration> {
        // A failure of the future: the clock was ahead then, and how long ago it was cannot be known.
        if self.count <= free || self.last.until(now) > FORGET || self.last > now {
            return None;
        }
        let delay = Duration::from_secs(1_u64 << (self.count - free).min(12)).min(LONGEST);
        let passed = self.last.until(now);
        (passed < delay).then(|| delay - passed)
    }

    /// So long ago that it no longer counts.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.last.until(now) > FORGET
    }

    /// An account that had ten failures or more counts as locked on the users page.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.count >= 10 && self.wait(now, FREE_ACCOUNT).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_and_is_forgotten_after_a_quiet_day() {
        let t = Timestamp::from_secs(1_000_000);
        let mut f = Failures::default();
        for _ in 0..3 {
            f = f.failed(t);
        }
        assert_eq!(f.wait(t, FREE_ACCOUNT), None);
        f = f.failed(t);
        assert_eq!(f.wait(t, FREE_ACCOUNT), Some(Duration::from_secs(2)));
        for _ in 0..40 {
            f = f.failed(t);
        }
        assert_eq!(f.wait(t, FREE_ACCOUNT), Some(Duration::from_secs(3600)));
        assert!(f.is_locked(t));
        let corrected = t.minus(Duration::from_secs(365 * 24 * 3600));
        assert_eq!(f.wait(corrected, FREE_ACCOUNT), None, "nobody waits a year because the clock was a year ahead");
        assert_eq!(
            f.failed(corrected).wait(corrected, FREE_ACCOUNT),
            Some(Duration::from_secs(3600)),
            "and it counts on"
        );
        let later = t.plus(Duration::from_secs(25 * 3600));
        assert_eq!(f.wait(later, FREE_ACCOUNT), None);
        assert_eq!(f.failed(later).count, 1);
    }
}
