//! Keys: parts of fixed length, so that joined parts sort and split by themselves.

use super::Seal;
use base::ids::{ConnectionId, DraftId, GuestId, InviteId, JobId, ProfileId, ScheduleId, SessionId, TokenId, UserId};

/// Bytes of a sealed name.
const NAME_LEN: usize = 16;

/// A name in a key: a login, a step's name, a setting's name. The file contains only the tag of the sealed
/// name, bound to the table and the place in the key: it can be looked up, not read back. So a name that came
/// from a scan compares equal only to another one that did, but can be used for `get` and `delete`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(NameForm);

#[derive(Clone, PartialEq, Eq, Hash)]
enum NameForm {
    Clear(String),
    Sealed([u8; NAME_LEN]),
}

impl Name {
    pub fn new(text: impl Into<String>) -> Self {
        Self(NameForm::Clear(text.into()))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            NameForm::Clear(text) => write!(f, "Name({text:?})"),
            NameForm::Sealed(tag) => write!(f, "Name(sealed {})", hex::encode(tag)),
        }
    }
}

/// A key being written: its bytes, with room for the names, which are sealed at the end.
#[derive(Clone, Debug, Default)]
pub struct KeyBuf {
    bytes: Vec<u8>,
    names: Vec<(usize, String)>,
}

impl KeyBuf {
    pub(super) fn of(key: &impl Key) -> Self {
        let mut out = Self::default();
        key.write(&mut out);
        out
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The key as it stands in `table`, after `lead` (the owner, or nothing).
    pub(super) fn sealed(&self, lead: &[u8], table: &str, seal: &dyn Seal) -> Vec<u8> {
        let mut out = lead.to_vec();
        out.extend_from_slice(&self.bytes);
        for (at, text) in &self.names {
            let place = [u8::try_from(*at).unwrap_or(u8::MAX)];
            let tag = seal.seal(&[b"name", table.as_bytes(), &place], text.as_bytes());
            out[lead.len() + at..][..NAME_LEN].copy_from_slice(&tag[..NAME_LEN]);
        }
        out
    }
}

/// What can be a key: parts of fixed length whose bytes sort as the values do.
pub trait Key: Sized {
    /// Bytes in the file.
    const LEN: usize;
    fn write(&self, out: &mut KeyBuf);
    /// From exactly `LEN` bytes; `None` when they are none.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// `Self` is the first part of the joined key `K`.
pub trait LeadingPart<K>: Key {}

impl<A: Key, B: Key> LeadingPart<(A, B)> for A {}

macro_rules! id_keys {
    ($($name:ident),+) => {$(
        impl Key for $name {
            const LEN: usize = 16;
            fn write(&self, out: &mut KeyBuf) {
                out.push(self.bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_bytes)
            }
        }
    )+};
}

id_keys!(UserId, SessionId, TokenId, InviteId, GuestId, JobId, ConnectionId, ScheduleId, ProfileId, DraftId);

macro_rules! number_keys {
    ($($name:ident),+) => {$(
        impl Key for $name {
            const LEN: usize = size_of::<$name>();
            fn write(&self, out: &mut KeyBuf) {
                out.push(&self.to_be_bytes());
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_be_bytes)
            }
        }
    )+};
}

number_keys!(u8, u32, u64);

impl Key for Name {
    const LEN: usize = NAME_LEN;
    fn write(&self, out: &mut KeyBuf) {
        match &self.0 {
            NameForm::Clear(text) => {
                out.names.push((out.bytes.len(), text.clone()));
                out.push(&[0; NAME_LEN]);
            }
            NameForm::Sealed(tag) => out.push(tag),
        }
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|tag| Self(NameForm::Sealed(tag)))
    }
}

/// The only row of a table (an owner has one).
impl Key for () {
    const LEN: usize = 0;
    fn write(&self, _: &mut KeyBuf) {}
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(())
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    const LEN: usize = A::LEN + B::LEN;
    fn write(&self, out: &mut KeyBuf) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (a, b) = bytes.split_at_checked(A::LEN)?;
        Some((A::read(a)?, B::read(b)?))
    }
}
