//! A regular expression that a text must fit as a whole.

use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// Written as text. It is compiled once, for its copies too: each value of each form is compared with some.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Pattern {
    text: String,
    whole: Arc<OnceLock<Result<Regex, regex::Error>>>,
}

impl Pattern {
    fn whole(&self) -> &Result<Regex, regex::Error> {
        // By itself first: `a)|(b` would close what is put around it.
        let anchored = |_| Regex::new(&format!("^(?:{})$", self.text));
        self.whole.get_or_init(|| Regex::new(&self.text).and_then(anchored))
    }

    /// # Errors
    /// What is wrong with the expression.
    pub fn check(&self) -> Result<(), String> {
        self.whole().as_ref().map(drop).map_err(ToString::to_string)
    }

    /// One that is wrong fits nothing.
    pub fn fits(&self, text: &str) -> bool {
        self.whole().as_ref().is_ok_and(|whole| whole.is_match(text))
    }

    /// What fits one of the two.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        format!("{}|{}", self.text, other.text).into()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self { text, whole: Arc::default() }
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_fit_and_a_wrong_one_is_told() {
        let (letters, digits) = (Pattern::from("[a-z]+"), Pattern::from("[0-9]+"));
        assert!(letters.fits("abc") && !letters.fits("abc1") && !letters.fits(""));
        let both = letters.or(&digits);
        assert!(both.fits("abc") && both.fits("12") && !both.fits("a1"));
        assert!(
            letters.check().is_ok()
                && Pattern::from("[").check().is_err()
                && Pattern::from("a)|(b").check().is_err()
                && !Pattern::from("[").fits("[")
        );
    }
}
