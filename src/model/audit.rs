//! The audit log: a chain of entries, each with the hash of the one before it.

use crate::subject::Subject;
use base::Timestamp;
use base::ids::UserId;
use minicbor::{Decode, Encode};
use serde::Serialize;

/// What is written about one security event or change. Texts never hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, utoipa::ToSchema)]
pub struct AuditRecord {
    #[n(0)]
    pub at: Timestamp,
    /// The actor in words that outlive the user: login, "host console", "schedule x".
    #[n(1)]
    pub actor: String,
    #[n(2)]
    pub actor_id: Option<UserId>,
    /// A dotted name: `user.login`, `guest.create`, `connection.add`.
    #[n(3)]
    pub action: String,
    /// What it was done to: "VM 104 web-01".
    #[n(4)]
    pub subject: String,
    /// What changed, for people.
    #[n(5)]
    pub detail: String,
    /// The peer's address where there was one.
    #[n(6)]
    pub address: Option<String>,
    /// Refused attempts are written too.
    #[n(7)]
    pub ok: bool,
    /// The same as `subject`, independent of later renames.
    #[n(8)]
    pub about: Option<Subject>,
}

/// A record in its place in the chain. `hash` = SHA-256 over the hash before it, `seq` and the encoded record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// 1, 2, 3 ... without gaps.
    #[n(0)]
    pub seq: u64,
    #[n(1)]
    #[serde(flatten)]
    pub record: AuditRecord,
    /// In JSON as hex digits.
    #[cbor(n(2), with = "minicbor::bytes")]
    #[serde(serialize_with = "hex")]
    #[schema(value_type = String)]
    pub hash: Vec<u8>,
}

fn hex<S: serde::Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&hex::encode(bytes))
}
