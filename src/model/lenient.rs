//! Figures as other systems write them: a number, a number as text, with decimals, below nothing or beyond what fits.
//! For `#[serde(deserialize_with)]` on what a provider reports.

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;

/// A whole number of 0 or more: decimals are cut off, what does not fit becomes the nearest that does.
///
/// # Errors
/// For text that is no number, and for other kinds of values.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` gives the nearest that fits")]
    deserializer.deserialize_any(Number).map(|number| match number {
        Read::Whole(whole) => whole,
        Read::Decimal(decimal) => decimal as u64,
    })
}

/// A number; as [`whole`], with its decimals.
///
/// # Errors
/// As [`whole`].
pub fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[expect(clippy::cast_precision_loss, reason = "shares and processors")]
    deserializer.deserialize_any(Number).map(|number| match number {
        Read::Whole(whole) => whole as f64,
        Read::Decimal(decimal) => decimal,
    })
}

/// A number that names something, so it must be exact.
///
/// # Errors
/// As [`whole`], and for what is no number from 0 to 4,294,967,295.
pub fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match deserializer.deserialize_any(Number)? {
        Read::Whole(whole) => {
            u32::try_from(whole).map_err(|_| D::Error::invalid_value(Unexpected::Unsigned(whole), &Number))
        }
        Read::Decimal(decimal) => Err(D::Error::invalid_value(Unexpected::Float(decimal), &Number)),
    }
}

enum Read {
    Whole(u64),
    Decimal(f64),
}

struct Number;

impl Visitor<'_> for Number {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Read, E> {
        Ok(Read::Whole(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Read, E> {
        Ok(Read::Whole(u64::try_from(number).unwrap_or(0)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Read, E> {
        if number.is_finite() {
            Ok(Read::Decimal(number))
        } else {
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Read, E> {
        let trimmed = text.trim();
        match trimmed.parse() {
            Ok(whole) => Ok(Read::Whole(whole)),
            Err(_) => match trimmed.parse::<f64>() {
                Ok(decimal) if decimal.is_finite() => Ok(Read::Decimal(decimal)),
                _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Deserialize)]
    struct Row {
        #[serde(default, deserialize_with = "super::whole")]
        mem: u64,
        #[serde(default, deserialize_with = "super::decimal")]
        cpu: f64,
        #[serde(default, deserialize_with = "super::id")]
        vmid: u32,
    }

    fn row(value: serde_json::Value) -> Result<Row, serde_json::Error> {
        Row::deserialize(value)
    }

    #[test]
    fn a_number_is_read_however_it_is_written() {
        for (given, mem) in [
            (json!(7), 7),
            (json!("2147483648"), 2_147_483_648),
            (json!(" 7 "), 7),
            (json!(7.9), 7),
            (json!("7.9e3"), 7_900),
            (json!(-1), 0),
            (json!(-0.5), 0),
            (json!(1e300), u64::MAX),
            (json!("18446744073709551616"), u64::MAX),
        ] {
            assert_eq!(row(json!({ "mem": given.clone() })).unwrap().mem, mem, "{given}");
        }
        assert!((row(json!({ "cpu": "0.25" })).unwrap().cpu - 0.25).abs() < f64::EPSILON);
        assert_eq!(row(json!({})).unwrap().mem, 0);
    }

    #[test]
    fn what_is_none_is_refused_and_a_name_must_be_exact() {
        for bad in [json!("many"), json!("NaN"), json!("inf"), json!(""), json!(true), json!([1]), json!({})] {
            assert!(row(json!({ "mem": bad.clone() })).is_err(), "{bad}");
        }
        assert_eq!(row(json!({ "vmid": "101" })).unwrap().vmid, 101);
        for bad in [json!(1.5), json!(4_294_967_296_u64), json!("1e2")] {
            assert!(row(json!({ "vmid": bad.clone() })).is_err(), "{bad}");
        }
    }
}
