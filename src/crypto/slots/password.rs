//! A slot that a password opens: PBKDF2-HMAC-SHA256 (RFC 8018), parameters and salt in the slot.

use crate::seal::{self, SealKey, VaultKey};
use base::{Secret, random};
use icu_normalizer::ComposingNormalizerBorrowed;
use pbkdf2::{Algorithm, Params};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Rounds for new slots: what OWASP's password storage cheat sheet asks for with SHA-256.
pub const ROUNDS: u32 = 600_000;
/// A slot that asks for more is damaged or meant to keep the machine busy.
const MOST_ROUNDS: u32 = 10_000_000;
const SALT_LEN: usize = 16;
/// The first byte of a slot: the password in Unicode's composed form (NFC). Keyboards and systems differ in how they
/// write the same letter, so `ü` may come as one character or as two.
const FORMAT: u8 = 2;
/// As above, with the password as it was typed.
const FORMAT_AS_TYPED: u8 = 1;
/// Format, rounds (big endian), salt.
const HEAD_LEN: usize = 1 + 4 + SALT_LEN;
const LABEL: &str = "steward password slot 1";

/// Wraps `key` for `password`, bound to the bytes of the user's id. Takes about 65 ms of a core: call it on
/// a blocking thread, and only a bounded number at once.
pub fn wrap(key: &VaultKey, password: &Secret<String>, user: &[u8]) -> Vec<u8> {
    let mut slot = Vec::with_capacity(HEAD_LEN + 16 + seal::KEY_LEN);
    slot.push(FORMAT);
    slot.extend_from_slice(&ROUNDS.to_be_bytes());
    slot.extend_from_slice(&random::bytes::<SALT_LEN>());
    let sealed = stretch(&composed(password), &slot, ROUNDS).seal(&[LABEL.as_bytes(), user, &slot], key.bytes());
    slot.extend_from_slice(&sealed);
    slot
}

/// The vault key, or `None` when the password, the user or the slot is not the right one. As slow as [`wrap`].
pub fn unwrap(slot: &[u8], password: &Secret<String>, user: &[u8]) -> Option<VaultKey> {
    let (head, sealed) = slot.split_at_checked(HEAD_LEN)?;
    let rounds = u32::from_be_bytes(head[1..5].try_into().ok()?);
    if !(ROUNDS..=MOST_ROUNDS).contains(&rounds) {
        return None;
    }
    let text = match head[0] {
        FORMAT => composed(password),
        FORMAT_AS_TYPED => Zeroizing::new(password.expose().clone()),
        _ => return None,
    };
    stretch(&text, head, rounds).open(&[LABEL.as_bytes(), user, head], sealed).and_then(VaultKey::from_opened)
}

fn composed(password: &Secret<String>) -> Zeroizing<String> {
    Zeroizing::new(ComposingNormalizerBorrowed::new_nfc().normalize(password.expose()).into_owned())
}

/// 32 bytes from PBKDF2 (more would cost a second run of all rounds), then expanded to a sealing key.
fn stretch(password: &str, head: &[u8], rounds: u32) -> SealKey {
    let mut out = Zeroizing::new([0; 32]);
    let (password, salt) = (password.as_bytes(), &head[5..]);
    if rounds == Params::RECOMMENDED_ROUNDS {
        // The same numbers as below, but compiled in the crate itself, which debug builds optimise too.
        pbkdf2::pbkdf2_hmac_with_params(password, salt, Algorithm::Pbkdf2Sha256, Params::RECOMMENDED, &mut *out);
    } else {
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, &mut *out);
    }
    seal::expand(LABEL, &*out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_slot_opens_only_with_its_password_and_its_user() {
        let key = VaultKey::generate();
        let slot = wrap(&key, &secret("three green lamps"), b"mira");
        let opened = unwrap(&slot, &secret("three green lamps"), b"mira").unwrap();
        assert_eq!(opened.bytes(), key.bytes());
        assert!(unwrap(&slot, &secret("three green lamp"), b"mira").is_none());
        assert!(unwrap(&slot, &secret(""), b"mira").is_none());
        assert!(unwrap(&slot, &secret("three green lamps"), b"jon").is_none());
    }

    #[test]
    fn a_password_opens_however_the_keyboard_writes_its_letters() {
        let (composed, decomposed) = (secret("gr\u{fc}ne L\u{e4}mpchen"), secret("gru\u{308}ne La\u{308}mpchen"));
        for (set, typed) in [(&composed, &decomposed), (&decomposed, &composed)] {
            let slot = wrap(&VaultKey::generate(), set, b"mira");
            assert!(unwrap(&slot, typed, b"mira").is_some());
        }
    }

    #[test]
    fn a_slot_of_the_earlier_format_opens_with_what_was_typed() {
        let (key, decomposed) = (VaultKey::generate(), secret("gru\u{308}n"));
        let mut slot = vec![FORMAT_AS_TYPED];
        slot.extend_from_slice(&ROUNDS.to_be_bytes());
        slot.extend_from_slice(&[7; SALT_LEN]);
        let sealed = stretch(decomposed.expose(), &slot, ROUNDS).seal(&[LABEL.as_bytes(), b"mira", &slot], key.bytes());
        slot.extend_from_slice(&sealed);
        assert!(unwrap(&slot, &decomposed, b"mira").is_some());
        assert!(unwrap(&slot, &secret("gr\u{fc}n"), b"mira").is_none());
    }

    #[test]
    fn a_changed_slot_is_refused_in_every_part() {
        let slot = wrap(&VaultKey::generate(), &secret("three green lamps"), b"mira");
        // Format, rounds (twice as many still run), salt, tag, key.
        for at in [0, 1, 2, 4, 5, 20, 21, 40, slot.len() - 1] {
            let mut changed = slot.clone();
            changed[at] ^= 1;
            assert!(unwrap(&changed, &secret("three green lamps"), b"mira").is_none(), "byte {at}");
        }
        for short in [0, 4, 21, slot.len() - 1] {
            assert!(unwrap(&slot[..short], &secret("three green lamps"), b"mira").is_none(), "{short} bytes");
        }
    }

    #[test]
    fn the_same_password_gives_another_slot_each_time() {
        let (key, password) = (VaultKey::generate(), secret("three green lamps"));
        assert_ne!(wrap(&key, &password, b"mira"), wrap(&key, &password, b"mira"));
    }

    #[test]
    fn fewer_rounds_than_today_are_refused_at_once() {
        let mut slot = wrap(&VaultKey::generate(), &secret("three green lamps"), b"mira");
        slot[1..5].copy_from_slice(&1000_u32.to_be_bytes());
        assert!(unwrap(&slot, &secret("three green lamps"), b"mira").is_none());
    }

    /// Slots with another number of rounds take another way through the library.
    #[test]
    fn both_ways_of_stretching_give_the_same_key() {
        let head: Vec<u8> = (0..HEAD_LEN as u8).collect();
        let mut expected = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(b"pw", &head[5..], ROUNDS, &mut expected);
        assert_eq!(stretch("pw", &head, ROUNDS).bytes(), seal::expand(LABEL, &expected).bytes());
        // Made with Python: hashlib.pbkdf2_hmac("sha256", b"pw", bytes(range(5, 21)), 600_000)
        assert_eq!(hex::encode(expected), "800747555d3f31187f9cd6898d0a76cb4d60e395d79a50cdd35b0baf53648a13");
    }
}
