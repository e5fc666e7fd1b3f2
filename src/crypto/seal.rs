//! Sealing with AES-SIV (RFC 5297): deterministic, authenticated, safe without a nonce.

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;
use base::{Secret, random};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of every key here: AES-SIV-512, half for authentication, half for encryption.
pub const KEY_LEN: usize = 64;

/// A key that seals and opens. Equal input gives equal output, so a sealed name can be looked up;
/// whoever seals must bind place and version through the associated data `ad`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SealKey([u8; KEY_LEN]);

impl SealKey {
    /// A new random key.
    pub fn generate() -> Self {
        Self(random::bytes())
    }

    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The bare key, for the key file and for slots only.
    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Seals `plain`: 16 bytes of tag, then as many bytes as `plain` has. The parts of `ad` are bound with
    /// their boundaries: ("a", "bc") is not ("ab", "c").
    ///
    /// # Panics
    /// With more than 126 parts in `ad` (the limit of RFC 5297); ours have a handful.
    #[expect(clippy::expect_used, reason = "the number of parts is fixed in our code")]
    pub fn seal(&self, ad: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        Aes256Siv::new((&self.0).into()).encrypt(ad, plain).expect("at most 126 parts of associated data")
    }

    /// Opens what [`seal`](Self::seal) made with the same key and `ad`; `None` for anything else.
    pub fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        Aes256Siv::new((&self.0).into()).decrypt(ad, sealed).ok()
    }

    /// A key for another purpose, made from this one; the `label` names the purpose.
    pub fn derive(&self, label: &str) -> Secret<[u8; 32]> {
        Secret::new(labelled_hash(label, 0, &self.0))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(hidden)")
    }
}

/// The key of one user's vault. Random, never stored bare: only in slots (`crypto::slots`).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct VaultKey([u8; KEY_LEN]);

impl VaultKey {
    pub fn generate() -> Self {
        Self(random::bytes())
    }

    /// The key that seals this user's rows.
    pub fn seal_key(&self) -> SealKey {
        SealKey(self.0)
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// From the content of an opened slot; `None` when it has not 64 bytes.
    pub(super) fn from_opened(mut plain: Vec<u8>) -> Option<Self> {
        let key = <[u8; KEY_LEN]>::try_from(plain.as_slice()).ok().map(Self);
        plain.zeroize();
        key
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKey(hidden)")
    }
}

/// SHA-256 over the label with its length, a counter and the secret.
fn labelled_hash(label: &str, counter: u8, secret: &[u8]) -> [u8; 32] {
    let mut h = Sha256::new();
    h.update((label.len() as u64).to_be_bytes());
    h.update(label.as_bytes());
    h.update([counter]);
    h.update(secret);
    h.finalize().into()
}

/// Stretches an already strong secret (random, or the output of PBKDF2) to a sealing key.
pub(super) fn expand(label: &str, secret: &[u8]) -> SealKey {
    let mut key = [0; KEY_LEN];
    key[..32].copy_from_slice(&labelled_hash(label, 1, secret));
    key[32..].copy_from_slice(&labelled_hash(label, 2, secret));
    SealKey(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Made with Python's `cryptography`: AESSIV(bytes(range(64))).encrypt(b"jellyfin", [b"table", b"row", b"1"]).
    /// RFC 5297 itself has vectors for the shorter key only.
    #[test]
    fn sealing_is_what_other_programs_call_aes_siv() {
        let key = SealKey::from_bytes(std::array::from_fn(|i| i as u8));
        let sealed = key.seal(&[b"table", b"row", b"1"], b"jellyfin");
        assert_eq!(hex::encode(&sealed), "d37ca0363415ae3f2a59885563811051afe8de0b6848c028");
    }

    #[test]
    fn debug_output_hides_the_keys() {
        assert_eq!(format!("{:?}", SealKey::from_bytes([65; 64])), "SealKey(hidden)");
        assert_eq!(format!("{:?}", VaultKey::generate()), "VaultKey(hidden)");
    }

    #[test]
    fn derived_keys_differ_by_label_and_by_key() {
        let (a, b) = (SealKey::generate(), SealKey::generate());
        assert_eq!(a.derive("jwt").expose(), a.derive("jwt").expose());
        assert_ne!(a.derive("jwt").expose(), a.derive("csrf").expose());
        assert_ne!(a.derive("jwt").expose(), b.derive("jwt").expose());
    }

    #[test]
    fn boundaries_between_headers_are_bound() {
        let key = SealKey::generate();
        let sealed = key.seal(&[b"a", b"bc"], b"x");
        assert!(key.open(&[b"a", b"bc"], &sealed).is_some());
        for ad in [&[&b"ab"[..], b"c"][..], &[b"abc"], &[b"a", b"bc", b""], &[b"bc", b"a"], &[]] {
            assert!(key.open(ad, &sealed).is_none(), "{ad:?}");
        }
    }

    fn parts(headers: &[Vec<u8>]) -> Vec<&[u8]> {
        headers.iter().map(Vec::as_slice).collect()
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(headers in vec(vec(any::<u8>(), 0..40), 0..5), plain in vec(any::<u8>(), 0..300)) {
            let key = SealKey::generate();
            let sealed = key.seal(&parts(&headers), &plain);
            prop_assert_eq!(sealed.len(), plain.len() + 16);
            prop_assert_eq!(key.open(&parts(&headers), &sealed), Some(plain));
            prop_assert_eq!(SealKey::generate().open(&parts(&headers), &sealed), None);
        }

        #[test]
        fn any_changed_bit_of_the_sealed_text_refuses(plain in vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let key = SealKey::generate();
            let mut sealed = key.seal(&[b"t", b"k"], &plain);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(key.open(&[b"t", b"k"], &sealed), None);
            sealed[at] ^= 1 << bit;
            sealed.truncate(at);
            prop_assert_eq!(key.open(&[b"t", b"k"], &sealed), None, "cut off");
        }

        #[test]
        fn any_changed_bit_of_a_header_refuses(mut headers in vec(vec(any::<u8>(), 1..20), 1..4), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let key = SealKey::generate();
            let sealed = key.seal(&parts(&headers), b"plain");
            let which = which.index(headers.len());
            let at = at.index(headers[which].len());
            headers[which][at] ^= 1 << bit;
            prop_assert_eq!(key.open(&parts(&headers), &sealed), None);
        }
    }
}
