//! Random bytes from the operating system, for keys, tokens and ids.

use base64::Engine as _;
use rand::TryRng;

/// `N` random bytes.
///
/// # Panics
/// If the kernel's random source fails: nothing secret can be created then, and continuing would be worse.
#[expect(clippy::expect_used, reason = "without randomness no key may be made")]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    rand::rngs::SysRng.try_fill_bytes(&mut out).expect("the kernel's random source works");
    out
}

/// `N` random bytes as unpadded URL-safe base64 (RFC 4648 section 5).
pub fn token<const N: usize>() -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<N>())
}

/// A code that a person reads aloud or types: `groups` groups of four letters and digits without
/// look-alikes (32 symbols, 5 bits each), joined with `-`.
pub fn code(groups: usize) -> String {
    const SYMBOLS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let group = || bytes::<4>().map(|b| char::from(SYMBOLS[usize::from(b % 32)])).iter().collect::<String>();
    (0..groups).map(|_| group()).collect::<Vec<_>>().join("-")
}
