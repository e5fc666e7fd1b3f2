//! Path patterns of the mock: `*` stands for any text, also with slashes.

/// Whether `text` fits `pattern`.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.len() >= last.len() && left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [("/a", "/a"), ("/a/*", "/a/b/c"), ("*/config", "/n/1/config"), ("/a/*/c/*", "/a/b/c/d")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("/a", "/a/b"), ("/a/*", "/b/a/c"), ("/a*/a", "/a"), ("*x*y", "/y/x")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
