//! What somebody typed into a wizard that they did not finish. Kept in their own keyspace, under their vault key; what
//! is secret is never among it.

use base::ids::JobId;
use base::{Error, Timestamp};
use minicbor::{Decode, Encode};
use std::fmt;

#[derive(Clone, Default, PartialEq, Encode, Decode)]
pub struct Draft {
    /// Pairs of field and value as the form sends them, in their order.
    #[n(0)]
    #[cbor(default)]
    pub fields: Vec<(String, String)>,
    /// The farthest step that was reached.
    #[n(1)]
    #[cbor(default)]
    pub reached: String,
    #[n(2)]
    pub refused: Option<Refused>,
    /// The job that was made of it.
    #[n(3)]
    pub job: Option<JobId>,
    #[n(4)]
    #[cbor(default)]
    pub changed: Timestamp,
}

/// Why a step was not taken, to be read on its page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Refused {
    #[n(0)]
    pub step: String,
    #[n(1)]
    pub message: String,
    /// Sentences by field.
    #[n(2)]
    #[cbor(default)]
    pub fields: Vec<(String, String)>,
}

impl Refused {
    pub fn new(step: &str, e: &Error) -> Self {
        let fields = e.fields().iter().map(|(field, text)| (field.clone(), text.clone())).collect();
        Self { step: step.to_owned(), message: e.message().to_owned(), fields }
    }

    pub fn error(&self) -> Error {
        let start = Error::invalid(self.message.clone());
        self.fields.iter().fold(start, |e, (field, text)| e.with_field(field, text.clone()))
    }
}

impl Draft {
    /// The first value of a field, empty when there is none.
    pub fn value(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str())
    }
}

/// Values are what a person typed: only the fields' names are shown.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.fields.iter().map(|(name, _)| name).collect();
        f.debug_struct("Draft").field("fields", &names).field("reached", &self.reached).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_comes_back_with_its_sentences_and_values_are_not_shown() {
        let e = Error::field("cores", "Too many.");
        let told = Refused::new("size", &e);
        let again = told.error();
        assert_eq!((told.step.as_str(), again.message(), again.fields()), ("size", e.message(), e.fields()));
        let draft = Draft { fields: vec![("name".into(), "lamps".into())], ..Draft::default() };
        let shown = format!("{draft:?}");
        assert!(shown.contains("name") && !shown.contains("lamps"), "{shown}");
        assert_eq!((draft.value("name"), draft.value("cores")), ("lamps", ""));
    }
}
