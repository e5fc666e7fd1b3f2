//! How long to wait before the next try.

use std::time::Duration;

/// The wait before try number `attempt + 1` after `attempt` failures: 5 s, 10 s, 20 s ... at most 10 min.
pub fn after(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(7);
    Duration::from_secs(5 << doublings).min(Duration::from_secs(600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_five_seconds_to_ten_minutes() {
        let seconds: Vec<u64> = [1, 2, 3, 4, 8, 99].into_iter().map(|a| after(a).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 600, 600]);
    }
}
