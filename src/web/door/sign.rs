//! Short marks that prove a value came from here: form tokens and small cookies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pbkdf2::hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of a mark. 128 bits can't be guessed online.
pub const MARK: usize = 16;

/// HMAC-SHA256 (RFC 2104), cut to 128 bits. `purpose` keeps marks of one use from fitting another.
#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
pub fn mark(key: &[u8], purpose: &str, value: &[u8]) -> [u8; MARK] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length fits");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(value);
    let full = mac.finalize().into_bytes();
    std::array::from_fn(|i| full[i])
}

/// `value.mark` in URL-safe base64, for a cookie.
pub fn seal_text(key: &[u8], purpose: &str, value: &str) -> String {
    let mark = mark(key, purpose, value.as_bytes());
    format!("{}.{}", URL_SAFE_NO_PAD.encode(value), URL_SAFE_NO_PAD.encode(mark))
}

/// The value of [`seal_text`] when its mark is right.
pub fn open_text(key: &[u8], purpose: &str, sealed: &str) -> Option<String> {
    let (value, given) = sealed.split_once('.')?;
    let value = URL_SAFE_NO_PAD.decode(value).ok()?;
    let given = URL_SAFE_NO_PAD.decode(given).ok()?;
    let good: bool = mark(key, purpose, &value).ct_eq(&given).into();
    good.then(|| String::from_utf8(value).ok()).flatten()
}

/// Hides `mark` under a fresh pad, so that equal marks look different on every page: what compression
/// does with a page then tells nothing about the mark (BREACH).
pub fn mask(mark: [u8; MARK]) -> String {
    let pad = base::random::bytes::<MARK>();
    let both: Vec<u8> = pad.iter().copied().chain(pad.iter().zip(mark).map(|(p, m)| p ^ m)).collect();
    URL_SAFE_NO_PAD.encode(both)
}

/// Is `text` a masked form of `mark`?
pub fn is_masked(text: &str, mark: [u8; MARK]) -> bool {
    let Ok(both) = URL_SAFE_NO_PAD.decode(text) else { return false };
    if both.len() != 2 * MARK {
        return false;
    }
    let (pad, hidden) = both.split_at(MARK);
    let plain: Vec<u8> = pad.iter().zip(hidden).map(|(p, h)| p ^ h).collect();
    plain.ct_eq(&mark).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_only_with_its_key_and_purpose() {
        let sealed = seal_text(b"k", "flash", "Saved. ü");
        assert_eq!(open_text(b"k", "flash", &sealed).as_deref(), Some("Saved. ü"));
        assert_eq!(open_text(b"other", "flash", &sealed), None);
        assert_eq!(open_text(b"k", "form", &sealed), None);
        assert_eq!(open_text(b"k", "flash", &format!("x{sealed}")), None);
    }

    #[test]
    fn masked_marks_differ_each_time_and_still_fit() {
        let (one, two) = (mask([7; MARK]), mask([7; MARK]));
        assert_ne!(one, two);
        assert!(is_masked(&one, [7; MARK]) && is_masked(&two, [7; MARK]));
        assert!(!is_masked(&one, [8; MARK]) && !is_masked("", [7; MARK]) && !is_masked("a", [7; MARK]));
    }
}
