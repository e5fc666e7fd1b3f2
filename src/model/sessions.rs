//! Signed-in browsers, API tokens and the short tokens made from them. Each is also a key slot: its own
//! secret, which only the holder has, unwraps the user's vault key.

use base::Timestamp;
use base::ids::{SessionId, TokenId, UserId};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum SessionKind {
    /// A browser's cookie.
    #[n(0)]
    Browser,
    /// A JWT (RFC 7519) from `POST /api/v1/auth/token`; the session's id is its `jti`.
    #[n(1)]
    Jwt,
}

/// A session as stored. Deleting the row revokes it at once.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Session {
    #[n(0)]
    pub id: SessionId,
    #[n(1)]
    pub user: UserId,
    #[n(2)]
    pub kind: SessionKind,
    #[n(3)]
    pub created: Timestamp,
    #[n(4)]
    pub last_seen: Timestamp,
    #[n(5)]
    pub expires: Timestamp,
    /// The peer's address at sign-in.
    #[n(6)]
    pub address: String,
    /// The browser and system as a person would name them: "Firefox on Linux".
    #[n(7)]
    pub device: String,
    /// The vault key, wrapped with the holder's secret.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub slot: Vec<u8>,
    /// What the bearer may do; `None` means all that the user may.
    #[n(9)]
    pub scope: Option<Scope>,
    /// The API token that a JWT was made with, and its slot, which is another one after it was renewed: the JWT ends
    /// with that text.
    #[n(10)]
    pub token: Option<(TokenId, Vec<u8>)>,
}

/// What an API token may do. A scope never gives more than its user has.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
#[strum(serialize_all = "lowercase")]
pub enum Scope {
    /// Look, change nothing.
    #[n(0)]
    Read,
    /// Look, and act on machines and jobs.
    #[n(1)]
    Operate,
    /// Everything that the user may do.
    #[n(2)]
    Full,
}

impl Scope {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// An API token as stored; the token's text exists once, when it is made.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Token {
    #[n(0)]
    pub id: TokenId,
    #[n(1)]
    pub user: UserId,
    #[n(2)]
    pub name: String,
    #[n(3)]
    pub scope: Scope,
    #[n(4)]
    pub created: Timestamp,
    #[n(5)]
    pub expires: Option<Timestamp>,
    #[n(6)]
    pub last_used: Option<Timestamp>,
    #[cbor(n(7), with = "minicbor::bytes")]
    pub slot: Vec<u8>,
}

/// A person's words for a `User-Agent` header: browser and system, "Unknown browser" when neither is known.
pub fn device_name(user_agent: &str) -> String {
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    let browser = find(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
        ("steward/", "steward"),
    ]);
    let system = find(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(b), Some(s)) => format!("{b} on {s}"),
        (Some(b), None) => b.to_owned(),
        (None, Some(s)) => format!("A program on {s}"),
        (None, None) => "Unknown browser".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::device_name;

    #[test]
    fn devices_are_named_as_a_person_would() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36";
        assert_eq!(device_name(chrome), "Chrome on Linux");
        assert_eq!(device_name("curl/8.1"), "curl");
        assert_eq!(device_name(""), "Unknown browser");
    }
}
