//! Filter words for tables: `tag:web status:running jelly`. All words must fit; `-word` must not.

/// One word of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// `tag` in `tag:web`; `None` for a bare word.
    key: Option<String>,
    text: String,
    not: bool,
}

/// A parsed filter. Parsing never fails: anything odd is treated as a bare word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Word>);

impl Filter {
    pub fn parse(text: &str) -> Self {
        let words = text.split_whitespace().map(|raw| {
            let (not, raw) = raw.strip_prefix('-').filter(|r| !r.is_empty()).map_or((false, raw), |r| (true, r));
            let (key, text) = match raw.split_once(':') {
                Some((k, v)) if !k.is_empty() && !v.is_empty() => (Some(k.to_lowercase()), v),
                _ => (None, raw),
            };
            Word { key, text: text.to_lowercase(), not }
        });
        Self(words.collect())
    }

    /// Checks words that say what something is done to: there a typing mistake must not mean more than was meant.
    ///
    /// # Errors
    /// A sentence when there are no words, or one has a key that is none of `keys` or a key without a value.
    pub fn check_for_acting(text: &str, keys: &[&str]) -> Result<(), String> {
        let filter = Self::parse(text);
        if filter.is_empty() {
            return Err("The filter is empty, which fits everything. Say which, or --all.".to_owned());
        }
        let known = || keys.iter().map(|k| format!("{k}:")).collect::<Vec<_>>().join(", ");
        for word in &filter.0 {
            if let Some(key) = word.key.as_deref().filter(|key| !keys.contains(key)) {
                return Err(format!("“{key}:” is not a key of this filter. There are {}.", known()));
            }
            if word.key.is_none() && word.text.contains(':') {
                return Err(format!("“{}” lacks a key or a value. Write it like tag:web.", word.text));
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Does a row fit? `field` gives the row's values for a key (empty for an unknown key); a bare word
    /// looks into `all`. Compared without case; `key:value` wants a value that starts so, bare words are
    /// looked for anywhere.
    pub fn fits(&self, all: &[&str], field: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|w| {
            let hit = match &w.key {
                Some(key) => field(key).iter().any(|v| v.to_lowercase().starts_with(&w.text)),
                None => all.iter().any(|v| contains_folded(v, &w.text)),
            };
            hit != w.not
        })
    }
}

/// `needle` must be lower case already.
fn contains_folded(hay: &str, needle: &str) -> bool {
    if hay.is_ascii() && needle.is_ascii() {
        hay.len() >= needle.len()
            && hay.as_bytes().windows(needle.len()).any(|w| w.eq_ignore_ascii_case(needle.as_bytes()))
    } else {
        hay.to_lowercase().contains(needle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(filter: &str) -> bool {
        Filter::parse(filter).fits(&["Jellyfin", "pve3"], |key| match key {
            "tag" => vec!["media".into(), "web".into()],
            "status" => vec!["running".into()],
            _ => Vec::new(),
        })
    }

    #[test]
    fn every_word_must_fit() {
        assert!(fits(""));
        assert!(fits("jelly status:run tag:WEB"));
        assert!(!fits("jelly status:stopped"));
        assert!(!fits("colour:red"));
    }

    #[test]
    fn what_acts_takes_no_empty_and_no_mistyped_words() {
        let check = |text| Filter::check_for_acting(text, &["tag", "node"]);
        for bad in ["", "  ", "tga:web", "-tga:web", "tag:", "-tag:", ":web", "jelly tag:"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["jelly", "tag:web", "-tag:web node:pve1", "TAG:web"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_minus_turns_a_word_round() {
        assert!(fits("-status:stopped -sonarr"));
        assert!(!fits("-tag:media"));
        assert!(fits("-colour:red"));
    }
}
