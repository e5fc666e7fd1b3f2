//! Tables as types, and how a value becomes a sealed row.

use super::{Key, Seal, errors};
use base::{Error, Result};
use minicbor::{Decode, Encode};
use std::marker::PhantomData;

/// The format of every row, in front of it and bound by its seal. A row of another format is not read.
const FORMAT: u8 = 1;

/// Bytes as a value (a slot).
pub use minicbor::bytes::ByteVec as Bytes;

/// Any JSON as a value.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
#[cbor(transparent)]
pub struct Json(#[cbor(n(0), with = "model::json")] pub serde_json::Value);

/// What can be a value: explicit field numbers, so that older rows still read.
pub trait Value: Encode<()> + for<'b> Decode<'b, ()> {}

impl<T: Encode<()> + for<'b> Decode<'b, ()>> Value for T {}

/// A table sealed with the appliance key. All are in [`tables`](super::tables).
pub struct Table<K, V> {
    pub(super) name: &'static str,
    row: PhantomData<fn() -> (K, V)>,
}

/// A table whose rows belong to users and are sealed with their keys: only a `Keyspace` gets in.
pub struct OwnedTable<K, V> {
    pub(super) name: &'static str,
    row: PhantomData<fn() -> (K, V)>,
}

macro_rules! table_type {
    ($($name:ident),+) => {$(
        impl<K, V> $name<K, V> {
            pub(super) const fn new(name: &'static str) -> Self {
                Self { name, row: PhantomData }
            }

            /// The name in the file.
            pub const fn name(&self) -> &'static str {
                self.name
            }
        }

        impl<K, V> Clone for $name<K, V> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<K, V> Copy for $name<K, V> {}

        impl<K, V> std::fmt::Debug for $name<K, V> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.name)
            }
        }
    )+};
}

table_type!(Table, OwnedTable);

/// A value as it stands in the file: the format, then the sealed CBOR.
pub(super) fn seal_row(table: &str, key: &[u8], value: &impl Value, seal: &dyn Seal) -> Result<Vec<u8>> {
    let plain = minicbor::to_vec(value).map_err(|e| Error::internal(e.to_string()))?;
    let mut row = vec![FORMAT];
    row.extend_from_slice(&seal.seal(&[table.as_bytes(), key, &[FORMAT]], &plain));
    Ok(row)
}

/// The value of a row, or `None` when the row is not what was written there with this key.
pub(super) fn open_row<V: Value>(table: &str, key: &[u8], row: &[u8], seal: &dyn Seal) -> Option<V> {
    let (format, sealed) = row.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let plain = seal.open(&[table.as_bytes(), key, &[FORMAT]], sealed)?;
    minicbor::decode(&plain).ok()
}

/// Key and value of a row of a table that is sealed with the appliance key.
pub(super) fn typed_row<K: Key, V: Value>(table: &str, key: &[u8], row: &[u8], seal: &dyn Seal) -> Result<(K, V)> {
    let value = open_row(table, key, row, seal).ok_or_else(|| errors::damaged_row(table, key))?;
    Ok((K::read(key).ok_or_else(|| errors::damaged_row(table, key))?, value))
}
