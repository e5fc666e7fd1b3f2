//! Amounts as people read and write them.

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

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// Bytes of a unit that values are declared in; `None` for a unit of another kind.
pub fn unit_of(name: &str) -> Option<u64> {
    [MIB, GIB].into_iter().find(|unit| unit_name(*unit) == name)
}

pub fn unit_name(unit: u64) -> &'static str {
    if unit == GIB { "GiB" } else { "MiB" }
}

/// An amount as people write it, in `unit` bytes: a bare number counts in that unit, others name theirs: `512M`,
/// `1.5 TiB`, `2 GB`. A unit is binary whatever it is called, as everywhere with virtual machines.
///
/// # Errors
/// A sentence for the field.
pub fn parse(text: &str, unit: u64) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic());
    let name = unit_name(unit);
    let bytes = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => unit,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => MIB,
        "g" | "gb" | "gib" => GIB,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(format!("Write it in {name}, or with a unit: M, G or T, like 2G.")),
    };
    let (whole, part) = digits.trim_end().split_once('.').unwrap_or((digits.trim_end(), "0"));
    let plain = |t: &str| (1..=12).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
    let number = |t: &str| t.parse::<u128>().ok().filter(|_| plain(t));
    let (Some(whole), Some(fraction)) = (number(whole), number(part)) else {
        return Err(format!("Give a number of {name}, or one with a unit like 2G or 1.5T."));
    };
    let parts = 10_u128.pow(u32::try_from(part.len()).unwrap_or_default());
    let all = (whole * parts + fraction) * u128::from(bytes);
    let one = parts * u128::from(unit);
    if !all.is_multiple_of(one) {
        return Err(format!("This is not a whole number of {name}."));
    }
    u64::try_from(all / one).map_err(|_| "This is too much.".to_owned())
}

/// MiB of an amount as people write it.
///
/// # Errors
/// A sentence; likewise for GiB.
pub fn mebibytes(text: &str) -> Result<u64, String> {
    parse(text, MIB)
}

pub fn gibibytes(text: &str) -> Result<u64, String> {
    parse(text, GIB)
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
    fn amounts_are_read_with_and_without_a_unit() {
        let good = [("2048", 2048), ("2G", 2048), (" 1.5 GiB ", 1536), ("2097152k", 2048), ("0", 0), ("1TB", 1 << 20)];
        assert_eq!(good.map(|(text, _)| mebibytes(text)), good.map(|(_, n)| Ok(n)));
        assert_eq!((gibibytes("1.5T"), gibibytes("1024M"), gibibytes("7")), (Ok(1536), Ok(1), Ok(7)));
        for bad in
            ["", "G", "+1G", "-1", "1,5G", "1.G", ".5G", "1e3", "2x", "much", "0x10", "1 2G", "½G", "9999999999999T"]
        {
            assert!(gibibytes(bad).is_err(), "{bad}");
        }
        assert!(gibibytes("512M").unwrap_err().contains("whole number of GiB"));
        assert!(gibibytes("1.5").is_err() && mebibytes("2x").unwrap_err().contains("M, G or T"));
    }

    #[test]
    fn lengths_of_time_have_two_units_at_most() {
        let long = [45, 75, 3600, 7500, 1_036_800].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(long, ["45 s", "1 min 15 s", "1 h", "2 h 5 min", "12 days"]);
    }
}
