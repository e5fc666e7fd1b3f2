//! What text from people may hold, wherever it comes in.

/// A mark at the beginning of a file or a body that some editors and programs write.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Without a byte order mark.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// The same for bytes.
pub fn without_mark_bytes(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

/// A character that nobody sees but that changes how the rest is read: control characters, line ends of any kind, what
/// turns the direction of writing, what has no width. Joiners are not among them: some scripts need those.
pub fn is_hidden(c: char) -> bool {
    let range = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || range || matches!(c, '\u{061c}' | '\u{200b}' | '\u{2060}' | BYTE_ORDER_MARK)
}

/// A name in one line: `most` characters at most, none of them hidden.
pub fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count()) && !text.contains(is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_in_no_name() {
        for good in ["web", "Jörg’s büro", "名前", "می\u{200c}خواهم", "👩\u{200d}💻"] {
            assert!(is_name(good, 20), "{good}");
        }
        for bad in ["", "a\0", "a\u{202e}gpj", "a\u{2066}b", "a\u{200f}", "a\nb", "a\u{85}b", "a\u{2028}b", "\u{feff}a"]
        {
            assert!(!is_name(bad, 20), "{bad:?}");
        }
        assert!(!is_name("abc", 2) && without_mark("\u{feff}{}") == "{}" && without_mark("{}") == "{}");
    }
}
