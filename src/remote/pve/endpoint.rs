//! Addresses of a cluster's nodes, and which of them to ask.

use super::error::{PveError, PveErrorKind};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Proxmox's port when the address names none.
pub(super) const DEFAULT_PORT: u16 = 8006;

/// One node's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// `host:port` as it stands in a URL.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())
    }
}

impl FromStr for Endpoint {
    type Err = PveError;

    /// Reads `https://host:8006`, `host:8006` or `host`.
    fn from_str(text: &str) -> Result<Self, PveError> {
        let bad = || {
            PveError::new(
                PveErrorKind::Invalid,
                "Give the address as host, host:8006 or https://host:8006, like https://192.168.1.10:8006.",
            )
        };
        let text = text.trim();
        if let Some(sentence) = model::connections::without_brackets(text) {
            return Err(PveError::new(PveErrorKind::Invalid, sentence));
        }
        if text.starts_with("http://") {
            return Err(PveError::new(PveErrorKind::Invalid, "Proxmox answers only https. Use https://…:8006."));
        }
        let rest = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        if rest.contains(['/', '@', '?', '#']) {
            return Err(bad());
        }
        let authority: http::uri::Authority = rest.parse().map_err(|_| bad())?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || (authority.host() != rest && authority.port_u16().is_none()) {
            return Err(bad());
        }
        Ok(Self { host: host.to_ascii_lowercase(), port: authority.port_u16().unwrap_or(DEFAULT_PORT) })
    }
}

/// How long an address is passed over after its first failure; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Remembers which address works. Pure: fed with time, tested without a network.
#[derive(Debug)]
pub(super) struct Choice {
    preferred: usize,
    health: Vec<Health>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Health {
    failures: u32,
    bad_until: Option<Instant>,
}

impl Choice {
    pub(super) fn new(count: usize) -> Self {
        Self { preferred: 0, health: vec![Health::default(); count] }
    }

    /// All addresses in the order to try them: the preferred one and those after it, then the ones that
    /// failed lately, soonest due first. Nothing is left out: when all are down, all are asked.
    pub(super) fn order(&self, now: Instant) -> Vec<usize> {
        let count = self.health.len();
        let ring = (0..count).map(|i| (self.preferred + i) % count);
        let (mut good, mut bad): (Vec<_>, Vec<_>) =
            ring.partition(|i| self.health[*i].bad_until.is_none_or(|until| until <= now));
        bad.sort_by_key(|i| self.health[*i].bad_until);
        good.append(&mut bad);
        good
    }

    /// It answered: stay with it.
    pub(super) fn worked(&mut self, index: usize) {
        self.preferred = index;
        self.health[index] = Health::default();
    }

    /// No connection or no answer: pass it over for a while, longer each time.
    pub(super) fn failed(&mut self, index: usize, now: Instant) {
        let health = &mut self.health[index];
        let pause = FIRST_PAUSE.saturating_mul(1 << health.failures.min(6)).min(MAX_PAUSE);
        health.failures = health.failures.saturating_add(1);
        health.bad_until = Some(now + pause);
        self.move_on(index);
    }

    /// It answers but its proxy has trouble (595 to 599): another node may have a better way.
    pub(super) fn move_on(&mut self, index: usize) {
        if self.preferred == index {
            self.preferred = (index + 1) % self.health.len().max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_all_the_ways_people_write_them() {
        for (text, shown) in [
            ("https://pve1.lan:8006/", "pve1.lan:8006"),
            ("192.168.1.10", "192.168.1.10:8006"),
            ("PVE1:443", "pve1:443"),
            ("https://[fd00::1]", "[fd00::1]:8006"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
        for text in ["", "http://pve1:8006", "https://pve1/api2", "pve1:99999", "user@pve1", "pve 1", "fd00::1"] {
            assert_eq!(text.parse::<Endpoint>().unwrap_err().kind, PveErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn a_failed_address_is_asked_last_until_its_pause_is_over() {
        let start = Instant::now();
        let mut choice = Choice::new(3);
        choice.failed(0, start);
        assert_eq!(choice.order(start), [1, 2, 0]);
        choice.worked(2);
        assert_eq!(choice.order(start), [2, 1, 0]);
        assert_eq!(choice.order(start + FIRST_PAUSE), [2, 0, 1]);
    }

    #[test]
    fn pauses_grow_to_a_minute_and_end_with_the_first_answer() {
        let start = Instant::now();
        let mut choice = Choice::new(2);
        for _ in 0..10 {
            choice.failed(0, start);
        }
        choice.worked(1);
        assert_eq!(choice.order(start + Duration::from_secs(59)), [1, 0]);
        assert_eq!(choice.health[0].bad_until, Some(start + MAX_PAUSE));
        choice.worked(0);
        assert_eq!(choice.order(start), [0, 1]);
    }

    #[test]
    fn a_single_address_is_always_asked() {
        let start = Instant::now();
        let mut choice = Choice::new(1);
        choice.failed(0, start);
        assert_eq!(choice.order(start), [0]);
    }
}
