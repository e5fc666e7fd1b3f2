//! Texts of a length that helps.

use std::borrow::Cow;

/// Bytes that are kept of an error: a plugin, Proxmox or a machine may tell any number.
pub const ERROR_BYTES: usize = 4_000;
/// Bytes of an error in a list; the whole one is with the thing itself.
pub const LISTED_BYTES: usize = 300;

const GAP: &str = " … ";

/// The text, or its beginning and its end: what failed is said in one of the two.
pub fn shortened(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    let room = bytes.saturating_sub(GAP.len());
    let head = text.floor_char_boundary(room * 2 / 3);
    let tail = text.ceil_char_boundary(text.len() - (room - room * 2 / 3));
    Cow::Owned([&text[..head], GAP, &text[tail..]].concat())
}

/// An error as it is kept.
pub fn error(text: impl Into<String>) -> String {
    let text = text.into();
    match shortened(&text, ERROR_BYTES) {
        Cow::Owned(short) => short,
        Cow::Borrowed(_) => text,
    }
}

/// An error as lists show it: on one line.
pub fn listed(text: &str) -> String {
    let short = shortened(text, LISTED_BYTES);
    short.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_keeps_its_beginning_and_its_end() {
        let long = format!("clone failed: {}no space left", "ü€𝄞".repeat(60_000));
        let kept = error(long.as_str());
        assert!(kept.len() <= ERROR_BYTES && kept.starts_with("clone failed: ü") && kept.ends_with("𝄞no space left"));
        assert!(listed(&long).len() <= LISTED_BYTES && !listed("a\n\tb").contains('\n'));
        for bytes in 0..40 {
            assert!(shortened("ü€𝄞".repeat(9).as_str(), bytes).len() <= bytes.max(GAP.len()), "{bytes}");
        }
        assert_eq!(error("The disk is full."), "The disk is full.");
    }
}
