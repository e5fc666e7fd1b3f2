//! Short-lived tokens for the REST interface: JWT (RFC 7519) signed with HMAC-SHA256.

use base::ids::{SessionId, UserId};
use base::{Error, Result, Secret, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// What a token says.
#[derive(Clone, Debug)]
pub struct Claims {
    pub sub: UserId,
    /// The session that the token belongs to; deleting its row revokes the token.
    pub jti: SessionId,
    /// Kept in whole seconds, as RFC 7519 has it.
    pub iat: Timestamp,
    /// The first second in which the token is no longer valid.
    pub exp: Timestamp,
    /// What the bearer may do, in the words of the scopes.
    pub scope: String,
    /// The secret that opens the session's key slot.
    pub sec: Secret<String>,
}

/// As it stands in the token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    sub: UserId,
    jti: SessionId,
    iat: i64,
    exp: i64,
    scope: String,
    sec: String,
}

/// Signs `claims` with `key` (32 random bytes).
///
/// # Errors
/// `Internal` when the signing library fails.
pub fn sign(key: &[u8], claims: &Claims) -> Result<Secret<String>> {
    let wire = Wire {
        sub: claims.sub,
        jti: claims.jti,
        iat: claims.iat.as_secs(),
        exp: claims.exp.as_secs(),
        scope: claims.scope.clone(),
        sec: claims.sec.expose().clone(),
    };
    let text = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &wire, &EncodingKey::from_secret(key));
    text.map(Secret::new).map_err(Error::internal)
}

/// Checks signature and time of `text` and returns what it says. The caller still has to look whether the
/// session `jti` is there.
///
/// # Errors
/// `Unauthenticated` when the token is not ours, was changed, or is over at `now`.
pub fn verify(key: &[u8], text: &str, now: Timestamp) -> Result<Claims> {
    let mut rules = Validation::new(Algorithm::HS256);
    // The library would ask the machine's clock; ours is handed in.
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    let wire = jsonwebtoken::decode::<Wire>(text, &DecodingKey::from_secret(key), &rules)
        .map_err(|e| Error::unauthenticated("This token is not valid.").with_cause(e))?
        .claims;
    if now.as_secs() >= wire.exp {
        return Err(Error::unauthenticated("This token has expired. Ask for a new one."));
    }
    Ok(Claims {
        sub: wire.sub,
        jti: wire.jti,
        iat: Timestamp::from_secs(wire.iat),
        exp: Timestamp::from_secs(wire.exp),
        scope: wire.scope,
        sec: Secret::new(wire.sec),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn claims() -> Claims {
        Claims {
            sub: UserId::new(),
            jti: SessionId::new(),
            iat: Timestamp::from_secs(1_000),
            exp: Timestamp::from_secs(1_900),
            scope: "operate".to_owned(),
            sec: Secret::new("c2VjcmV0".to_owned()),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn a_signed_token_says_what_was_put_in() {
        let c = claims();
        let back = verify(KEY, sign(KEY, &c).unwrap().expose(), at(1_200)).unwrap();
        assert_eq!((back.sub, back.jti, back.iat, back.exp), (c.sub, c.jti, c.iat, c.exp));
        assert_eq!((back.scope.as_str(), back.sec.expose().as_str()), ("operate", "c2VjcmV0"));
    }

    #[test]
    fn a_token_is_good_until_its_last_second() {
        let text = sign(KEY, &claims()).unwrap();
        assert!(verify(KEY, text.expose(), at(1_899)).is_ok());
        let error = verify(KEY, text.expose(), at(1_900)).unwrap_err();
        assert_eq!(error.message(), "This token has expired. Ask for a new one.");
    }

    #[test]
    fn a_changed_token_or_another_key_is_refused() {
        let text = sign(KEY, &claims()).unwrap().expose().clone();
        assert!(verify(b"another key of thirty-two bytes!", &text, at(1_200)).is_err());
        for i in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            // The last character of a part may hold unused bits, so swap in one that differs in the high ones.
            bytes[i] = if bytes[i] == b'A' { b'z' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(verify(KEY, &changed, at(1_200)).is_err(), "character {i}");
        }
        assert!(verify(KEY, "", at(1_200)).is_err());
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        let text = sign(KEY, &claims()).unwrap().expose().clone();
        let body = text.split('.').nth(1).unwrap();
        let header = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"none"}"#);
        assert!(verify(KEY, &format!("{header}.{body}."), at(1_200)).is_err());
    }
}
