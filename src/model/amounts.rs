//! Amounts in requests: numbers that count in the field's unit, or texts as people write them, like `1.5T`.

use base::amounts::{GIB, MIB, parse, unit_name};
use base::{Error, Result};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// So many bytes times `UNIT`.
struct In<const UNIT: u64>(u64);

struct Reader<const UNIT: u64>;

impl<const UNIT: u64> Visitor<'_> for Reader<UNIT> {
    type Value = In<UNIT>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "give an amount in {}, 0 or more, or one with a unit like 2G", unit_name(UNIT))
    }

    /// Stands for one that was told as wrong already.
    fn visit_unit<E>(self) -> Result<In<UNIT>, E> {
        Ok(In(0))
    }

    fn visit_u64<E>(self, n: u64) -> Result<In<UNIT>, E> {
        Ok(In(n))
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<In<UNIT>, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<In<UNIT>, E> {
        parse(text, UNIT).map(In).map_err(E::custom)
    }
}

impl<'de, const UNIT: u64> Deserialize<'de> for In<UNIT> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Reader)
    }
}

/// GiB: `#[serde(deserialize_with = "amounts::gib")]`.
///
/// # Errors
/// A sentence for the field; likewise below.
pub fn gib<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    In::<GIB>::deserialize(d).map(|n| n.0)
}

/// MiB.
pub fn mib<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    In::<MIB>::deserialize(d).map(|n| n.0)
}

/// GiB, or nothing: with `default` as well.
pub fn maybe_gib<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<In<GIB>>::deserialize(d)?.map(|n| n.0))
}

/// MiB, or nothing: with `default` as well.
pub fn maybe_mib<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<In<MIB>>::deserialize(d)?.map(|n| n.0))
}

/// How large a disk shall be, in GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewSize {
    /// So large in all.
    Whole(u64),
    /// So much larger than it is: `+10`.
    More(u64),
}

impl NewSize {
    /// The size in all, in GiB, of a disk that has so many bytes. It never gets smaller.
    ///
    /// # Errors
    /// `Invalid` on `gib`.
    pub fn of(self, has: u64) -> Result<u64> {
        let whole = match self {
            Self::Whole(gib) => gib,
            Self::More(_) if has == 0 => {
                return Err(Error::field("gib", "Its size is not known. Give the size in all."));
            }
            // A broken size counts as a whole one.
            Self::More(gib) => has.div_ceil(GIB).saturating_add(gib),
        };
        if whole.saturating_mul(GIB) < has {
            let now = base::amounts::bytes(has);
            let text = format!("It has {now}, and a disk never gets smaller. +{whole} makes it {whole} GiB larger.");
            return Err(Error::field("gib", text));
        }
        Ok(whole)
    }
}

impl Default for NewSize {
    fn default() -> Self {
        Self::Whole(0)
    }
}

impl fmt::Display for NewSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(gib) => write!(f, "to {gib} GiB"),
            Self::More(gib) => write!(f, "by {gib} GiB"),
        }
    }
}

impl FromStr for NewSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().strip_prefix('+') {
            Some(more) => parse(more, GIB).map(Self::More),
            None => parse(text, GIB).map(Self::Whole),
        }
    }
}

impl Serialize for NewSize {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(gib) => s.serialize_u64(*gib),
            Self::More(gib) => s.collect_str(&format_args!("+{gib}")),
        }
    }
}

impl<'de> Deserialize<'de> for NewSize {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Size;
        impl Visitor<'_> for Size {
            type Value = NewSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("give a size in GiB or like 1.5T, or what to add like +10")
            }

            fn visit_unit<E>(self) -> Result<NewSize, E> {
                Ok(NewSize::default())
            }

            fn visit_u64<E>(self, n: u64) -> Result<NewSize, E> {
                Ok(NewSize::Whole(n))
            }

            fn visit_f64<E: de::Error>(self, n: f64) -> Result<NewSize, E> {
                self.visit_str(&n.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<NewSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_any(Size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn numbers_count_in_the_unit_and_texts_may_name_one() {
        let read = |value: Value| gib(value).map_err(|e| e.to_string());
        assert_eq!(read(json!(32)), Ok(32));
        assert_eq!(read(json!("1.5T")), Ok(1536));
        assert_eq!(mib(json!("2G")).ok(), Some(2048));
        assert_eq!(maybe_mib(Value::Null).ok(), Some(None));
        assert!(read(json!(1.5)).unwrap_err().contains("whole number of GiB"));
        assert!(read(json!(-1)).unwrap_err().contains("give an amount in GiB"));
        assert!(read(json!("+1")).is_err() && read(json!(true)).is_err());
    }

    #[test]
    fn a_plus_adds_and_a_disk_never_gets_smaller() {
        let of = |text: &str, has: u64| text.parse::<NewSize>().unwrap().of(has);
        assert_eq!(of("+1G", 32 << 30).unwrap(), 33);
        assert_eq!(of("+ 1T", 32 << 30).unwrap(), 1056);
        assert_eq!(of("+1", (2 << 30) + 1).unwrap(), 4, "what is broken counts as whole");
        assert_eq!((of("32", 32 << 30).unwrap(), of("40", 0).unwrap()), (32, 40));
        let small = of("1G", 32 << 30).unwrap_err();
        assert!(small.fields()["gib"].contains("It has 32 GiB") && of("+1", 0).is_err());
        for size in [NewSize::Whole(40), NewSize::More(1)] {
            assert_eq!(serde_json::from_value::<NewSize>(json!(size)).unwrap(), size);
        }
    }
}
