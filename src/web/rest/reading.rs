//! What a caller sent, read into a type; what does not fit is told field by field, in everyday words.
//!
//! serde's own errors speak of `u32` and `struct X`, stop at the first fault and take a list where an object is
//! meant. So JSON and query parameters become a [`Node`] first, and the type is read from that.

use base::{Error, Result};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected};
use serde_path_to_error::{Path, Segment};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// So many faults are told at once.
const MOST: usize = 30;

/// One value of a JSON document or a query. The same content has the same `Debug` text, whatever its order.
#[derive(Clone, Debug)]
pub enum Node {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    /// A query's value: a text, or a number or a truth value where one is wanted.
    Word(String),
    List(Vec<Node>),
    Object(BTreeMap<String, Node>),
    /// Stands where something was missing or wrong and is told already: it passes for whatever is wanted.
    Hole,
}

impl Node {
    /// # Errors
    /// `Invalid` when it is no JSON, or no object, or a name is there twice.
    pub fn of_json(body: &[u8]) -> Result<Self> {
        if body.trim_ascii().is_empty() {
            return Err(Error::invalid("The body is empty. Send a JSON object, at least {}."));
        }
        let mut reader = serde_json::Deserializer::from_slice(body);
        let node = <Self as serde::Deserialize>::deserialize(&mut reader).map_err(|e| {
            let (text, place) = (e.to_string(), format!("line {}, column {}", e.line(), e.column()));
            match text.strip_prefix(TWICE).and_then(|rest| rest.rsplit_once(" at line ")) {
                Some((name, _)) => Error::field(name, "This is there twice. Send it once."),
                None if text.starts_with("number out of range") => {
                    Error::invalid(format!("A number in the body is too large: {place}."))
                }
                None => Error::invalid(format!("The body is not JSON. The fault is in {place}.")),
            }
        })?;
        let more = |_| Error::invalid("The body has more than one JSON value. Send one.");
        reader.end().map_err(more)?;
        match node {
            Self::Object(_) => Ok(node),
            _ => Err(Error::invalid("The body must be a JSON object with named fields: { … }.")),
        }
    }

    /// # Errors
    /// `Invalid` on a parameter that is there twice.
    pub fn of_query(query: &str) -> Result<Self> {
        let mut all = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if all.insert(name.to_string(), Self::Word(value.into_owned())).is_some() {
                return Err(Error::field(&name, "This is there twice. Send it once."));
            }
        }
        Ok(Self::Object(all))
    }

    /// # Errors
    /// `Invalid` with a sentence for each field that is missing, unknown or wrong, as far as they can be seen.
    pub fn read<T: DeserializeOwned>(mut self) -> Result<T> {
        let mut found = BTreeMap::new();
        while found.len() < MOST {
            let e = match serde_path_to_error::deserialize(self.clone()) {
                Ok(value) if found.is_empty() => return Ok(value),
                Ok(_) => break,
                Err(e) => e,
            };
            let (mut at, wrong) = (place(e.path()), e.into_inner());
            let sentence = match wrong {
                Wrong::Missing(name) => {
                    at.push(Step::Name(name.to_owned()));
                    MISSING.to_owned()
                }
                Wrong::Unknown(name, known) => {
                    // The path ends with the name already, where the reader got as far as that.
                    if at.last() != Some(&Step::Name(name.clone())) {
                        at.push(Step::Name(name));
                    }
                    unknown(known)
                }
                Wrong::Said(sentence) => sentence,
                Wrong::Stop => break,
            };
            let gone = sentence.starts_with(UNKNOWN);
            let name = name(&at);
            if name.is_empty() {
                return Err(Error::invalid(format!("The body does not fit. {sentence}")));
            }
            // The same fault again: what follows can't be read.
            match found.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(sentence);
                }
                // A word that is missing: which there are.
                Entry::Occupied(first) => {
                    if first.get() == MISSING && sentence.starts_with("Choose ") {
                        *first.into_mut() = format!("{MISSING} {sentence}");
                    }
                    break;
                }
            }
            if !self.mend(&at, gone) {
                break;
            }
        }
        let first = Error::invalid("Please correct the marked fields.");
        Err(found.into_iter().fold(first, |e, (field, sentence)| e.with_field(&field, sentence)))
    }

    /// Takes the place of a fault out, or lets it pass from now on. `false`: there is no such place.
    fn mend(&mut self, at: &[Step], gone: bool) -> bool {
        match (self, at) {
            (Self::Object(all), [Step::Name(name)]) if gone => all.remove(name).is_some(),
            (Self::Object(all), [Step::Name(name)]) => {
                all.insert(name.clone(), Self::Hole);
                true
            }
            (Self::List(all), [Step::Number(n)]) => all.get_mut(*n).map(|node| *node = Self::Hole).is_some(),
            (Self::Object(all), [Step::Name(name), rest @ ..]) => {
                all.get_mut(name).is_some_and(|node| node.mend(rest, gone))
            }
            (Self::List(all), [Step::Number(n), rest @ ..]) => {
                all.get_mut(*n).is_some_and(|node| node.mend(rest, gone))
            }
            _ => false,
        }
    }
}

/// One step on the way from the document to a value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Number(usize),
}

fn place(path: &Path) -> Vec<Step> {
    let step = |s: &Segment| match s {
        Segment::Map { key } => Some(Step::Name(key.clone())),
        Segment::Seq { index } => Some(Step::Number(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// `software[0].recipe`
fn name(at: &[Step]) -> String {
    let mut out = String::new();
    for step in at {
        match step {
            Step::Number(n) => out.push_str(&format!("[{n}]")),
            Step::Name(name) => {
                out.push_str(if out.is_empty() { "" } else { "." });
                out.push_str(name);
            }
        }
    }
    out
}

const MISSING: &str = "This is missing.";
const TWICE: &str = "twice: ";
const UNKNOWN: &str = "There is no such field";
const OBJECT: &str = "This must be an object with named fields: { … }.";

fn unknown(known: &[&str]) -> String {
    match known {
        [] => format!("{UNKNOWN} here."),
        _ => format!("{UNKNOWN} here. There are: {}.", known.join(", ")),
    }
}

/// “Choose a, b or c.”
fn choose(of: &[&str]) -> String {
    match of {
        [rest @ .., last] if !rest.is_empty() => format!("Choose {} or {last}.", rest.join(", ")),
        _ => format!("Choose {}.", of.join("")),
    }
}

/// What a visitor waits for, in words for people.
fn wanted(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    let words = match text.as_str() {
        "u8" => "Give a whole number from 0 to 255.",
        "u16" => "Give a whole number from 0 to 65535.",
        "u32" => "Give a whole number from 0 to 4294967295.",
        "u64" | "usize" => "Give a whole number, 0 or more.",
        "i8" | "i16" | "i32" | "i64" | "isize" => "Give a whole number.",
        "f32" | "f64" => "Give a number.",
        "a string" | "string" => "Give a text.",
        "a boolean" => "Give true or false.",
        "a sequence" => "This must be a list: [ … ].",
        t if t.starts_with("struct ") || t.starts_with("internally tagged") || t == "a map" => OBJECT,
        _ => "This value does not fit here.",
    };
    words.to_owned()
}

/// Why a value is not read.
#[derive(Debug)]
pub enum Wrong {
    Missing(&'static str),
    /// A name that is none, and those that are.
    Unknown(String, &'static [&'static str]),
    Said(String),
    /// A [`Node::Hole`] can't pass for this.
    Stop,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "{name} is missing"),
            Self::Unknown(name, _) => write!(f, "{name} is not known"),
            Self::Said(text) => f.write_str(text),
            Self::Stop => f.write_str("no more can be read"),
        }
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        let mut chars = text.trim_end_matches('.').chars();
        let first = chars.next().into_iter().flat_map(char::to_uppercase);
        Self::Said(first.chain(chars).chain(['.']).collect())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Said(wanted(expected))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Said(wanted(expected))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::Said(wanted(expected))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Said(choose(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::Unknown(field.to_owned(), expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::Said("This is there twice. Send it once.".to_owned())
    }
}

impl IntoDeserializer<'_, Wrong> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Numbers: a query's word is read as one, a hole is nought.
macro_rules! numbers {
    ($($name:ident)*) => {$(
        fn $name<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match self {
                Self::Hole => visitor.visit_u64(0),
                Self::Word(text) => match (text.parse(), text.parse(), text.parse()) {
                    (Ok(n), _, _) => visitor.visit_u64(n),
                    (_, Ok(n), _) => visitor.visit_i64(n),
                    (_, _, Ok(n)) => visitor.visit_f64(n),
                    _ => Err(Wrong::Said(wanted(&visitor))),
                },
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

/// Texts: a hole is an empty one.
macro_rules! texts {
    ($($name:ident)*) => {$(
        fn $name<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match self {
                Self::Hole => visitor.visit_str(""),
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node {
    type Error = Wrong;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(b) => visitor.visit_bool(b),
            Self::Number(n) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
                (Some(n), _, _) => visitor.visit_u64(n),
                (_, Some(n), _) => visitor.visit_i64(n),
                (_, _, n) => visitor.visit_f64(n.unwrap_or(f64::NAN)),
            },
            Self::Text(text) | Self::Word(text) => visitor.visit_string(text),
            // serde would take the tag from a list's first place.
            Self::List(_) if (&visitor as &dyn Expected).to_string().starts_with("internally tagged") => {
                Err(Wrong::Said(OBJECT.to_owned()))
            }
            Self::List(all) => visitor.visit_seq(SeqDeserializer::new(all.into_iter())),
            Self::Object(all) => visitor.visit_map(MapDeserializer::new(all.into_iter())),
            Self::Hole => Err(Wrong::Stop),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    texts! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_bool<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Hole => visitor.visit_bool(false),
            Self::Word(text) => match text.parse() {
                Ok(b) => visitor.visit_bool(b),
                Err(_) => Err(Wrong::Said(wanted(&visitor))),
            },
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Null | Self::Hole => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Hole => Self::List(Vec::new()).deserialize_any(visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self {
            Self::Hole => Self::Object(BTreeMap::new()).deserialize_any(visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self {
            Self::Object(_) => self.deserialize_any(visitor),
            Self::Hole => Err(Wrong::Stop),
            _ => Err(Wrong::Said(OBJECT.to_owned())),
        }
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match (self, variants) {
            (Self::Text(text) | Self::Word(text), _) => visitor.visit_enum(text.into_deserializer()),
            (Self::Hole, [first, ..]) => visitor.visit_enum((*first).into_deserializer()),
            _ => Err(Wrong::Said(choose(variants))),
        }
    }

    fn deserialize_ignored_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { bytes byte_buf unit unit_struct tuple tuple_struct }
}

impl<'de> serde::Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> de::Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, b: bool) -> Result<Node, E> {
                Ok(Node::Bool(b))
            }

            fn visit_u64<E>(self, n: u64) -> Result<Node, E> {
                Ok(Node::Number(n.into()))
            }

            fn visit_i64<E>(self, n: i64) -> Result<Node, E> {
                Ok(Node::Number(n.into()))
            }

            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Node, E> {
                serde_json::Number::from_f64(n).map(Node::Number).ok_or_else(|| E::custom("number out of range"))
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut all = Vec::new();
                while let Some(node) = list.next_element()? {
                    all.push(node);
                }
                Ok(Node::List(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut all = BTreeMap::new();
                while let Some((name, node)) = map.next_entry::<String, Node>()? {
                    if all.contains_key(&name) {
                        return Err(de::Error::custom(format!("{TWICE}{name}")));
                    }
                    all.insert(name, node);
                }
                Ok(Node::Object(all))
            }
        }
        d.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        cores: u32,
        name: String,
        size: Option<Size>,
        #[serde(default)]
        more: Vec<Size>,
        from: Option<Origin>,
        #[serde(default)]
        start: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Size {
        gib: u64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "how", rename_all = "lowercase", deny_unknown_fields)]
    enum Origin {
        Copy { vmid: u32 },
        Nothing {},
    }

    fn wrong(body: &str) -> Vec<(String, String)> {
        let e = Node::of_json(body.as_bytes()).and_then(Node::read::<Wanted>).unwrap_err();
        e.fields().clone().into_iter().collect()
    }

    fn one(body: &str) -> (String, String) {
        let all = wrong(body);
        assert_eq!(all.len(), 1, "{body}: {all:?}");
        all[0].clone()
    }

    fn said(field: &str, sentence: &str) -> (String, String) {
        (field.to_owned(), sentence.to_owned())
    }

    #[test]
    fn what_fits_is_read() {
        let body = br#"{"cores":2,"name":"a","size":{"gib":3},"more":[{"gib":1}],"from":{"how":"copy","vmid":7},"start":true}"#;
        let read: Wanted = Node::of_json(body).unwrap().read().unwrap();
        assert_eq!((read.cores, read.name.as_str(), read.size.unwrap().gib, read.start), (2, "a", 3, true));
        assert!(read.more[0].gib == 1 && matches!(read.from, Some(Origin::Copy { vmid: 7 })));
        let read: Wanted = Node::of_query("cores=2&name=17&start=true").unwrap().read().unwrap();
        assert_eq!((read.cores, read.name.as_str(), read.start), (2, "17", true));
    }

    #[test]
    fn every_wrong_field_has_its_sentence_in_everyday_words() {
        let number = "Give a whole number from 0 to 4294967295.";
        let all =
            wrong(r#"{"cores":"two","colour":"red","size":{"gib":-1},"more":[{"gib":1},{"gb":2}],"start":"yes"}"#);
        let known = "There is no such field here. There are: cores, name, size, more, from, start.";
        let expected = [
            said("colour", known),
            said("cores", number),
            said("more[1].gb", "There is no such field here. There are: gib."),
            said("more[1].gib", "This is missing."),
            said("name", "This is missing."),
            said("size.gib", "Give a whole number, 0 or more."),
            said("start", "Give true or false."),
        ];
        assert_eq!(all, expected);
        let with = |more: &str| one(&format!(r#"{{"cores":1,"name":"a",{more}}}"#));
        assert_eq!(with(r#""from":{"how":"fly"}"#), said("from.how", "Choose copy or nothing."));
        assert_eq!(with(r#""from":{"how":"nothing","x":1}"#), said("from.x", "There is no such field here."));
        assert_eq!(with(r#""from":{"vmid":1}"#), said("from.how", "This is missing. Choose copy or nothing."));
        assert_eq!(with(r#""start":true,"start":true"#).0, "start");
        let query = |text: &str| Node::of_query(text).and_then(Node::read::<Wanted>).unwrap_err().fields().clone();
        assert_eq!(query("cores=-1&name=a")["cores"], number);
        assert!(query("cores=1&cores=2&name=a")["cores"].contains("twice"));
    }

    #[test]
    fn a_list_is_no_object() {
        let with = |more: &str| one(&format!(r#"{{"cores":1,"name":"a",{more}}}"#));
        assert_eq!(with(r#""size":[3]"#), said("size", OBJECT));
        assert_eq!(with(r#""more":[[3]]"#), said("more[0]", OBJECT));
        assert_eq!(with(r#""from":["copy",7]"#), said("from", OBJECT));
        for body in [r#"[1,"a"]"#, "3", "null", r#""x""#] {
            let e = Node::of_json(body.as_bytes()).unwrap_err();
            assert!(e.message().contains("must be a JSON object"), "{body}: {e}");
        }
    }

    #[test]
    fn what_is_no_json_is_said_so() {
        let said = |body: &[u8]| Node::of_json(body).unwrap_err().message().to_owned();
        assert_eq!(said(b"{"), "The body is not JSON. The fault is in line 1, column 1.");
        assert!(said(br#"{"cores":1} {}"#).contains("more than one"));
        assert!(said(b" ").contains("empty"));
        assert!(said(br#"{"cores":1e999}"#).contains("too large"));
    }
}
