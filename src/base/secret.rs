//! Values that must not be printed: no `Display`, `Debug` says only that something is there, wiped on drop.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use std::collections::BTreeMap;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A secret of any kind. `expose()` is the only way in, so that every use can be searched for. It can be stored and
/// read, but has no `Serialize`: it never becomes JSON.
#[derive(Clone, Default)]
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
    /// Compares in constant time, so that timing does not reveal where the first difference is.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_ref().ct_eq(other).into()
    }
}

impl Secret<String> {
    /// All parts in one text, leaving no partially built copy behind.
    pub fn joined<'a>(parts: impl IntoIterator<Item = &'a str, IntoIter: Clone>) -> Self {
        let parts = parts.into_iter();
        let mut text = String::with_capacity(parts.clone().map(str::len).sum());
        parts.for_each(|part| text.push_str(part));
        Self(text)
    }
}

impl<T: Zeroize + AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_ref())
    }
}

impl<T: Zeroize + AsRef<[u8]>> Eq for Secret<T> {}

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
        // As a newtype, so that a form reader can tell it from a text whose surrounding spaces don't count.
        #[derive(serde::Deserialize)]
        #[serde(rename = "Secret")]
        struct Bare(String);
        Bare::deserialize(d).map(|Bare(text)| Self(text))
    }
}

/// As its text: rows are sealed.
impl<C> Encode<C> for Secret<String> {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Secret<String> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.str().map(|text| Self(text.to_owned()))
    }
}

/// Several secrets by name. `Debug` shows the names.
#[derive(Clone, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Secrets(#[n(0)] BTreeMap<String, Secret<String>>);

impl Secrets {
    /// Keeps a secret under a name; an empty one is none.
    pub fn put(&mut self, name: impl Into<String>, secret: Secret<String>) {
        if !secret.expose().is_empty() {
            self.0.insert(name.into(), secret);
        }
    }

    /// The secret; `None` when there is none or it was forgotten.
    pub fn get(&self, name: &str) -> Option<&Secret<String>> {
        self.0.get(name).filter(|secret| !secret.expose().is_empty())
    }

    /// Forgets all of them but their names, so that missing ones can be named.
    pub fn forget(&mut self) {
        self.0.values_mut().for_each(|secret| *secret = Secret::default());
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// No secret is left.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|secret| secret.expose().is_empty())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Removes exactly these secrets from a text that comes from outside: whatever got them may have printed them.
pub fn without_secrets<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret<String>>) -> String {
    let hidden = |text: Zeroizing<String>, secret: &str| match secret {
        "" => text,
        secret => Zeroizing::new(text.replace(secret, "••••••")),
    };
    secrets.into_iter().fold(Zeroizing::new(text.to_owned()), |text, s| hidden(text, s.expose())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let s = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{s:?}"), "Secret(hidden)");
        assert!(s.matches(b"hunter2") && !s.matches(b"hunter3"));
        let mut all = Secrets::default();
        all.put("password", s);
        all.put("none", Secret::default());
        assert_eq!(format!("{all:?}"), r#"{"password"}"#);
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let mut all = Secrets::default();
        all.put("password", Secret::new("hunter2".to_owned()));
        let read: Secrets = decode(&minicbor::to_vec(&all).unwrap()).unwrap();
        assert_eq!(read.get("password").unwrap().expose(), "hunter2");
        let text: String = decode(&minicbor::to_vec(read.get("password").unwrap()).unwrap()).unwrap();
        assert_eq!(text, "hunter2");
        let mut gone = read.clone();
        gone.forget();
        assert!(gone.is_empty() && gone.get("password").is_none() && gone.names().eq(["password"]));
    }

    #[test]
    fn a_secret_of_any_length_is_taken_out() {
        let (one, two) = (Secret::new("x".to_owned()), Secret::new("three green".to_owned()));
        assert_eq!(without_secrets("axb three greens", [&one, &two, &Secret::default()]), "a••••••b ••••••s");
    }
}
