//! A JSON value inside a CBOR row, kept as its text: `#[cbor(with = "crate::json")]`. And how an optional field of a
//! request is read.

use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub fn encode<C, W: Write>(value: &Value, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
    e.str(&value.to_string())?.ok()
}

pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Value, DecodeError> {
    serde_json::from_str(d.str()?).map_err(|_| DecodeError::message("the row's JSON does not parse"))
}

/// A missing field reads as `null` (asked for by minicbor's derive).
pub fn nil() -> Option<Value> {
    Some(Value::Null)
}

pub fn is_nil(value: &Value) -> bool {
    value.is_null()
}

/// Reads a field where empty is meant and only a missing one is `None`: `#[serde(default, deserialize_with = "given")]`.
///
/// # Errors
/// When it does not fit its type.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}
