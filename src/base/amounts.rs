//! Amounts as people read them.

use std::time::Duration;

/// Bytes in binary units with at most three digits: `4.1 GiB`, `512 MiB`, `0 B`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut amount = n as f64;
    while amount >= 1023.5 && unit < UNITS.len() - 1 {
        amount /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && amount < 99.95 && (amount * 10.0).round() % 10.0 > 0.0);
    format!("{amount:.digits$} {}", UNITS[unit])
}

/// A share of one as whole percents: `93 %`. A small share that is not nothing shows as `<1 %`.
pub fn percent(share: f64) -> String {
    let p = share * 100.0;
    if p > 0.0 && p < 0.5 { "<1 %".to_owned() } else { format!("{p:.0} %") }
}

/// A length of time in its two largest units: `48 s`, `3 min`, `2 h 5 min`, `12 days`.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..600 if !s.is_multiple_of(60) => format!("{} min {} s", s / 60, s % 60),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 if s % 3600 >= 60 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        3600..86_400 => format!("{} h", s / 3600),
        86_400..172_800 => "1 day".to_owned(),
        _ => format!("{} days", s / 86_400),
    }
}

/// The same from whole seconds.
pub fn seconds(s: u64) -> String {
    duration(Duration::from_secs(s))
}

/// `1 machine`, `2 machines`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short_and_have_units() {
        let shown = [0, 1023, 1024, 1536, 536_870_912, 4_402_341_478, (16 << 30) - (20 << 20), 109_951_162_777_600];
        let wanted = ["0 B", "1023 B", "1 KiB", "1.5 KiB", "512 MiB", "4.1 GiB", "16 GiB", "100 TiB"];
        assert_eq!(shown.map(bytes), wanted);
        assert_eq!((percent(0.001), percent(0.074)), ("<1 %".to_owned(), "7 %".to_owned()));
    }

    #[test]
    fn lengths_of_time_have_two_units_at_most() {
        let long = [45, 75, 3600, 7500, 1_036_800].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(long, ["45 s", "1 min 15 s", "1 h", "2 h 5 min", "12 days"]);
    }
}
