//! What a person set for themselves. Kept in their own keyspace, under their vault key.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Theme {
    #[default]
    #[n(0)]
    System,
    #[n(1)]
    Light,
    #[n(2)]
    Dark,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Prefs {
    #[n(0)]
    #[cbor(default)]
    pub theme: Theme,
    /// BCP 47 tag; `en` is the only language that is there yet.
    #[n(1)]
    pub language: Option<String>,
    /// Public SSH keys offered in the create form, one per line as in `authorized_keys`.
    #[n(2)]
    #[cbor(default)]
    pub ssh_keys: String,
    /// Columns of the machines table that this person hid.
    #[n(3)]
    #[cbor(default)]
    pub hidden_columns: Vec<String>,
}
