//! Rate limits per address: a token bucket each, fed with time, so that tests need no waiting.

use base::Timestamp;
use base::ids::UserId;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Addresses remembered at most; the fullest buckets (the quietest addresses) are forgotten first.
const REMEMBER: usize = 20_000;

/// How much is allowed: `burst` at once, `per_second` in the long run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub burst: f64,
    pub per_second: f64,
}

/// One address' bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Bucket {
    pub fn full(rate: Rate, now: Timestamp) -> Self {
        Self { left: rate.burst, at: now }
    }

    /// Takes one token, or says after how many whole seconds there will be one.
    pub fn take(&mut self, rate: Rate, now: Timestamp) -> Result<(), u64> {
        self.left = self.at(rate, now);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        let seconds = ((1.0 - self.left) / rate.per_second).ceil().clamp(1.0, 3600.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 3600")]
        Err(seconds as u64)
    }

    fn at(&self, rate: Rate, now: Timestamp) -> f64 {
        (self.left + self.at.until(now).as_secs_f64() * rate.per_second).min(rate.burst)
    }
}

/// Buckets by address. An IPv6 household has a whole /64, so that is what counts as one address.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

impl Limiter {
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(HashMap::new()) }
    }

    /// Counts one request from `address`.
    pub fn take(&self, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBER {
            let rate = self.rate;
            buckets.retain(|_, b| b.at(rate, now) < rate.burst);
            if buckets.len() >= REMEMBER {
                buckets.clear();
            }
        }
        buckets.entry(household(address)).or_insert_with(|| Bucket::full(self.rate, now)).take(self.rate, now)
    }
}

/// What counts as one address.
pub fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let s = v6.segments();
                IpAddr::from([s[0], s[1], s[2], s[3], 0, 0, 0, 0])
            }
        },
    }
}

/// What a person has open of one kind, counted.
#[derive(Clone, Debug)]
pub struct PerPerson {
    most: usize,
    open: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// One of them; counted off when it is dropped.
#[derive(Debug)]
pub struct PersonSlot {
    all: PerPerson,
    user: UserId,
}

impl PerPerson {
    pub fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// One more; `None` when the person has as many as is allowed.
    pub fn enter(&self, user: UserId) -> Option<PersonSlot> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = open.entry(user).or_default();
        if *mine >= self.most {
            return None;
        }
        *mine += 1;
        Some(PersonSlot { all: self.clone(), user })
    }

    pub fn total(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for PersonSlot {
    fn drop(&mut self) {
        let mut open = self.all.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = open.get_mut(&self.user) {
            *mine -= 1;
            if *mine == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RATE: Rate = Rate { burst: 3.0, per_second: 0.5 };

    #[test]
    fn a_burst_passes_and_then_one_every_two_seconds() {
        let limiter = Limiter::new(RATE);
        let (a, t) = ("192.0.2.1".parse().unwrap(), Timestamp::from_secs(1000));
        assert_eq!((0..3).filter(|_| limiter.take(a, t).is_ok()).count(), 3);
        assert_eq!(limiter.take(a, t), Err(2));
        assert!(limiter.take("192.0.2.2".parse().unwrap(), t).is_ok());
        let later = t.plus(Duration::from_secs(2));
        assert_eq!(limiter.take(a, later), Ok(()));
        assert_eq!(limiter.take(a, later), Err(2));
    }

    #[test]
    fn a_v6_household_is_one_address() {
        let limiter = Limiter::new(RATE);
        let t = Timestamp::from_secs(1000);
        for i in 0..3 {
            assert!(limiter.take(format!("2001:db8::{i}").parse().unwrap(), t).is_ok());
        }
        assert!(limiter.take("2001:db8::ffff".parse().unwrap(), t).is_err());
        assert!(limiter.take("2001:db8:0:1::1".parse().unwrap(), t).is_ok());
    }

    #[test]
    fn a_person_has_only_so_many_and_a_closed_one_counts_no_more() {
        let (all, mira) = (PerPerson::new(3), UserId::new());
        let mut slots: Vec<_> = (0..3).map(|_| all.enter(mira).unwrap()).collect();
        assert!(all.enter(mira).is_none());
        assert!(all.enter(UserId::new()).is_some());
        slots.pop();
        assert!(all.enter(mira).is_some());
        drop(slots);
        assert_eq!(all.total(), 0);
    }

    #[test]
    fn the_memory_for_addresses_is_bounded() {
        let limiter = Limiter::new(RATE);
        let t = Timestamp::from_secs(1000);
        for i in 0..(REMEMBER as u32 + 10) {
            let _ = limiter.take(IpAddr::from(i.to_be_bytes()), t);
        }
        assert!(limiter.buckets.lock().unwrap().len() <= REMEMBER);
    }
}
