//! A slot that a random secret opens at once: a session's cookie, an API token.

use crate::seal::{self, VaultKey};

const LABEL: &str = "steward secret slot 1";

/// Wraps `key` for the random `secret`; `ad` binds the slot to its place (the session's or token's id).
/// The secret must be random: nothing slows down guessing here.
pub fn wrap(key: &VaultKey, secret: &[u8; 32], ad: &[u8]) -> Vec<u8> {
    seal::expand(LABEL, secret).seal(&[LABEL.as_bytes(), ad], key.bytes())
}

/// The vault key, or `None` when the secret, the place or the slot is not the right one.
pub fn unwrap(slot: &[u8], secret: &[u8; 32], ad: &[u8]) -> Option<VaultKey> {
    seal::expand(LABEL, secret).open(&[LABEL.as_bytes(), ad], slot).and_then(VaultKey::from_opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slot_opens_only_with_its_secret_and_in_its_place() {
        let key = VaultKey::generate();
        let slot = wrap(&key, &[7; 32], b"session 1");
        assert_eq!(unwrap(&slot, &[7; 32], b"session 1").unwrap().bytes(), key.bytes());
        assert!(unwrap(&slot, &[8; 32], b"session 1").is_none());
        assert!(unwrap(&slot, &[7; 32], b"session 2").is_none());
    }

    #[test]
    fn a_password_slot_is_no_secret_slot() {
        let slot = wrap(&VaultKey::generate(), &[7; 32], b"x");
        let password = base::Secret::new("x".to_owned());
        assert!(super::super::password::unwrap(&slot, &password, b"x").is_none());
    }

    proptest! {
        #[test]
        fn any_changed_bit_refuses(secret in any::<[u8; 32]>(), at in 0..80_usize, bit in 0..8_u8) {
            let mut slot = wrap(&VaultKey::generate(), &secret, b"place");
            slot[at] ^= 1 << bit;
            prop_assert!(unwrap(&slot, &secret, b"place").is_none());
        }
    }
}
