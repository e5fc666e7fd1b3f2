//! People: who they are and what they may do.

use base::ids::UserId;
use base::text::{is_hidden, is_name};
use base::{Error, Result, Timestamp};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a person may do in all of Steward. What they may do with one machine is in `access`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, utoipa::ToSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    #[n(0)]
    User,
    #[n(1)]
    Admin,
}

impl Role {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// One person, as stored.
#[derive(Clone, Debug, Encode, Decode)]
pub struct User {
    #[n(0)]
    pub id: UserId,
    /// What they sign in with: lower case, see [`parse_login`].
    #[n(1)]
    pub login: String,
    /// The name that pages show; the login where none was given.
    #[n(2)]
    pub name: String,
    #[n(3)]
    pub email: Option<String>,
    #[n(4)]
    pub role: Role,
    /// A deactivated user keeps everything but can't sign in.
    #[n(5)]
    pub active: bool,
    #[n(6)]
    pub created: Timestamp,
    #[n(7)]
    pub last_login: Option<Timestamp>,
    /// Counts password changes; a form opened before one is stale after it.
    #[n(8)]
    pub password_set: Option<Timestamp>,
}

/// A link that lets one person set their first password (invite) or a new one (reset), once.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Invite {
    #[n(0)]
    pub user: UserId,
    #[n(1)]
    pub expires: Timestamp,
    /// SHA-256 of the link's secret; the secret itself is only in the link.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub secret_hash: Vec<u8>,
    /// A reset keeps the user but not the vault: without the old password its key can't be unwrapped.
    #[n(3)]
    pub reset: bool,
}

/// Checks and normalises a login: 2 to 32 of `a-z 0-9 . _ -`, starting with a letter.
///
/// # Errors
/// `Invalid` on the field `login`.
pub fn parse_login(text: &str) -> Result<String> {
    let login = text.trim().to_lowercase();
    let good = (2..=32).contains(&login.len())
        && login.starts_with(|c: char| c.is_ascii_lowercase())
        && login.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
    if good {
        Ok(login)
    } else {
        Err(Error::field(
            "login",
            "Use 2 to 32 lowercase letters, digits, dots, dashes or underscores, starting with a letter.",
        ))
    }
}

/// Checks a new password: 10 to 256 characters, not the login, not one of the most used.
///
/// # Errors
/// `Invalid` on the field `password`.
pub fn check_password(password: &str, login: &str) -> Result<()> {
    const MOST_USED: [&str; 12] = [
        "1234567890",
        "12345678910",
        "qwertyuiop",
        "password123",
        "password1234",
        "iloveyou123",
        "1q2w3e4r5t",
        "administrator",
        "changeme123",
        "letmein1234",
        "welcome1234",
        "passwordpassword",
    ];
    let length = password.chars().count();
    let lower = password.to_lowercase();
    let text = if length < 10 {
        "Use at least 10 characters. A few unrelated words are easy to remember."
    } else if length > 256 {
        "Use at most 256 characters."
    } else if lower == login || MOST_USED.contains(&lower.as_str()) || lower.chars().all(|c| lower.starts_with(c)) {
        "This password is among the first that anyone would try. Choose another."
    } else {
        return Ok(());
    };
    Err(Error::field("password", text))
}

/// A person's name, without blanks at its ends.
///
/// # Errors
/// `Invalid` on the field `name`.
pub fn parse_name(text: &str) -> Result<String> {
    let text = text.trim();
    if is_name(text, 100) {
        return Ok(text.to_owned());
    }
    Err(Error::field("name", "Give a name of 1 to 100 characters that can be seen."))
}

/// Checks an e-mail address as far as that can be done without sending: one `@`, a dot in the domain.
///
/// # Errors
/// `Invalid` on the field `email`.
pub fn parse_email(text: &str) -> Result<Option<String>> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let good = text.len() <= 254
        && !text.contains(|c: char| c.is_whitespace() || is_hidden(c))
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.contains('@')
                && domain.contains('.')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
        });
    if good {
        Ok(Some(text.to_owned()))
    } else {
        Err(Error::field("email", "This does not look like an e-mail address."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_folded_and_checked() {
        assert_eq!(parse_login("  Mira ").unwrap(), "mira");
        for bad in ["", "a", "1a", "a b", "ä1", &"a".repeat(33)] {
            assert!(parse_login(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn weak_passwords_are_refused_with_a_reason() {
        for bad in ["short", "1234567890", "aaaaaaaaaaaa", "mira.martin"] {
            assert!(check_password(bad, "mira.martin").is_err(), "{bad}");
        }
        assert!(check_password("three green lamps", "mira").is_ok());
    }

    #[test]
    fn an_address_needs_a_local_part_and_a_domain() {
        assert_eq!(parse_email(" ").unwrap(), None);
        assert!(parse_email("mira@home.example").unwrap().is_some());
        for bad in ["mira", "@x.y", "a@b", "a b@c.d", "a@b@c.d"] {
            assert!(parse_email(bad).is_err(), "{bad}");
        }
    }
}
