//! Values that must not be printed: no `Display`, `Debug` says only that something is there, wiped on drop.

use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret of any kind. `expose()` is the only way in, so that every use can be searched for.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The bare value. Never log, format or store what this returns.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Compares without telling by its time where the first difference is.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_ref().ct_eq(other).into()
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl<'de> serde::Deserialize<'de> for Secret<String> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        // As a newtype, so that a reader of forms can tell it from a text whose blanks don't count.
        #[derive(serde::Deserialize)]
        #[serde(rename = "Secret")]
        struct Bare(String);
        Bare::deserialize(d).map(|Bare(text)| Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let s = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{s:?}"), "Secret(hidden)");
        assert!(s.matches(b"hunter2") && !s.matches(b"hunter3"));
    }
}
