use super::rfb::response;

/// The example of RealVNC's own sources, checked by many: password "password" over a known challenge would
/// tell nothing new, so the properties that break most often are pinned instead.
#[test]
fn the_password_counts_in_its_first_eight_bytes_only() {
    let challenge = [7; 16];
    assert_eq!(response("abcdefgh", &challenge), response("abcdefghij", &challenge));
    assert_ne!(response("abcdefgh", &challenge), response("abcdefgx", &challenge));
    assert_eq!(response("abc", &challenge), response("abc\0\0\0\0\0", &challenge));
}

/// DES of an all-zero block with the key 80 00 .. 00 is 95 A8 D7 28 13 DA A9 4D (NIST SP 800-17, table A.2,
/// where the eighth bit of each byte is parity): the password's byte 01 becomes 80 by reversing its bits.
#[test]
fn the_bits_of_each_byte_are_reversed() {
    let half = [0x95, 0xA8, 0xD7, 0x28, 0x13, 0xDA, 0xA9, 0x4D];
    assert_eq!(response("\u{1}", &[0; 16]), [half, half].concat()[..]);
}
