//! One id type per noun. Ids are UUIDs version 7 (RFC 9562), so they sort by creation time.

use crate::Timestamp;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use uuid::Uuid;

/// The text was not an id.
#[derive(Debug, thiserror::Error)]
#[error("this is not a valid id")]
pub struct BadId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, later than all that were made before it.
            #[expect(clippy::new_without_default, reason = "every call gives another id")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// When it was made.
            pub fn made(&self) -> Timestamp {
                let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |t| t.to_unix());
                let since = Duration::new(seconds, nanos);
                Timestamp::ZERO.plus(since)
            }

            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes as stored in keys; they sort like the ids.
            pub fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.simple().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> {
                Uuid::try_parse(s).map(Self).map_err(|_| BadId)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).into()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(self.0.as_bytes())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?;
                Uuid::from_slice(bytes).map(Self).map_err(|_| minicbor::decode::Error::message("an id has 16 bytes"))
            }
        }
    )+};
}

ids! {
    /// A person (or, later, an agent) with a key of their own.
    UserId,
    /// One signed-in browser.
    SessionId,
    /// One API token.
    TokenId,
    /// One invite or reset link.
    InviteId,
    /// One virtual machine or container, as Steward knows it; Proxmox's number is its `vmid`.
    GuestId,
    /// One run of a durable script.
    JobId,
    /// One connected Proxmox cluster.
    ConnectionId,
    /// One cron schedule.
    ScheduleId,
    /// One hardware profile.
    ProfileId,
    /// One wizard that somebody has begun.
    DraftId,
}
