//! Hashes of secrets that were given away (invite links), and comparing in constant time.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// SHA-256. For secrets of 128 random bits or more this is enough; passwords go through `slots::password`.
pub fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Is `secret` the one whose [`hash`] was stored?
pub fn matches(stored_hash: &[u8], secret: &[u8]) -> bool {
    equal(stored_hash, &hash(secret))
}

/// Compares in a time that depends only on the lengths.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_matches_its_hash() {
        let stored = hash(b"let me in");
        assert!(matches(&stored, b"let me in"));
        assert!(!matches(&stored, b"let me in "));
        assert!(!matches(&stored[..31], b"let me in"));
        assert!(!matches(b"", b""));
        assert_eq!(hex::encode(hash(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
