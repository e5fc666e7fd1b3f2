//! One sentence about what was just done, carried over a redirect in a signed cookie, shown once.

use crate::door::sign;
use crate::frame::{Flash, Level};

const PURPOSE: &str = "flash";
/// A cookie holds 4 KiB; sentences are shorter.
const LONGEST: usize = 500;

/// A good one by default; a text that starts with `!` warns.
pub fn seal(key: &[u8], text: &str) -> String {
    let short: String = text.chars().take(LONGEST).collect();
    sign::seal_text(key, PURPOSE, &short)
}

/// `None` when it was not made here.
pub fn open(key: &[u8], sealed: &str) -> Option<Flash> {
    let text = sign::open_text(key, PURPOSE, sealed)?;
    Some(match text.strip_prefix('!') {
        Some(rest) => Flash { level: Level::Warn, text: rest.to_owned() },
        None => Flash { level: Level::Ok, text },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_sentences_are_shown() {
        assert_eq!(open(b"k", &seal(b"k", "Saved.")).unwrap().text, "Saved.");
        assert_eq!(open(b"k", &seal(b"k", "!Partly.")).unwrap().level, Level::Warn);
        assert!(open(b"k", &seal(b"other", "Call this number")).is_none());
    }
}
