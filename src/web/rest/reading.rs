//! What a caller sent, read into a type; what does not fit is told field by field, in everyday words.
//!
//! serde's own errors speak of `u32` and `struct X`, stop at the first fault and take a list where an object is
//! meant. So JSON, query parameters and forms become a [`Node`] first, and the type is read from that.

use base::text::without_mark_bytes;
use base::{Error, Result};
use model::guests::actions::{Action, ActionReader};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// So many faults are told at once.
const MOST: usize = 30;

/// One value of a JSON document, a query or a form. The same content has the same `Debug` text, whatever its order.
#[derive(Clone, Debug)]
pub enum Node {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    /// A secret: nothing in it is tidied.
    Secret(String),
    /// What a query or a form holds under one name: a text, or a number, a truth value or a list where one is wanted.
    Words(Vec<String>),
    List(Vec<Node>),
    Object(BTreeMap<String, Node>),
    /// A form: fields that the type does not have are ignored.
    Form(BTreeMap<String, Node>),
    /// Stands for something missing or wrong that was already reported: it passes for whatever is wanted.
    Placeholder,
}

impl Node {
    pub fn of_json(body: &[u8]) -> Result<Self> {
        let body = without_mark_bytes(body);
        if body.trim_ascii().is_empty() {
            return Err(Error::invalid("The body is empty. Send a JSON object, at least {}."));
        }
        let mut reader = serde_json::Deserializer::from_slice(body);
        let node = <Self as serde::Deserialize>::deserialize(&mut reader).map_err(|e| {
            let (text, place) = (e.to_string(), format!("line {}, column {}", e.line(), e.column()));
            match text.strip_prefix(DUPLICATE).and_then(|rest| rest.rsplit_once(" at line ")) {
                Some((name, _)) => Error::field(name, "This field is sent twice. Send it once."),
                None if text.starts_with("number out of range") => {
                    Error::invalid(format!("A number in the body is too large: {place}."))
                }
                None => Error::invalid(format!("The body is not JSON. The error is in {place}.")),
            }
        })?;
        let more = |_| Error::invalid("The body has more than one JSON value. Send one.");
        reader.end().map_err(more)?;
        match node {
            Self::Object(_) => Ok(node),
            _ => Err(Error::invalid("The body must be a JSON object with named fields: { … }.")),
        }
    }

    pub fn of_query(query: &str) -> Result<Self> {
        let mut all = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if all.insert(name.to_string(), Self::word(value)).is_some() {
                return Err(Error::field(&name, "This field is sent twice. Send it once."));
            }
        }
        Ok(Self::Object(all))
    }

    /// Repeated names are a list.
    pub fn of_form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            all.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        Self::Form(all.into_iter().map(|(name, words)| (name, Self::Words(words))).collect())
    }

    pub fn empty() -> Self {
        Self::Object(BTreeMap::new())
    }

    pub fn word(text: impl Into<String>) -> Self {
        Self::Words(vec![text.into()])
    }

    /// With a field, in the place of one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, node: Self) -> Self {
        if let Self::Object(all) | Self::Form(all) = &mut self {
            all.insert(name.to_owned(), node);
        }
        self
    }

    /// Without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.take(name);
        self
    }

    /// Takes a field out.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        match self {
            Self::Object(all) | Self::Form(all) => all.remove(name),
            _ => None,
        }
    }

    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Secret(text) => Some(text),
            Self::Words(words) => words.into_iter().next(),
            _ => None,
        }
    }

    pub fn read<T: DeserializeOwned>(self) -> Result<T> {
        self.read_checked(|_| Ok(()))
    }

    /// The same, with what `check` finds: what can't be read and what is not valid are reported together.
    // Made anew for each type that is read, so what does not depend on the type stands elsewhere.
    pub fn read_checked<T: DeserializeOwned>(mut self, check: impl FnOnce(&T) -> Result<()>) -> Result<T> {
        let mut faults = Faults::default();
        loop {
            match T::deserialize(self.clone()) {
                Ok(value) => {
                    let checked = check(&value);
                    return if faults.0.is_empty() { checked.map(|()| value) } else { Err(faults.with(checked.err())) };
                }
                Err(fault) => {
                    if !faults.note(fault, &mut self)? {
                        return Err(faults.with(None));
                    }
                }
            }
        }
    }

    /// Removes the place of a fault, or lets it pass from now on. `false`: there is no such place.
    fn patch(&mut self, at: &[Step], gone: bool) -> bool {
        match (self, at) {
            (Self::Object(all) | Self::Form(all), [Step::Name(name)]) if gone => all.remove(name).is_some(),
            (Self::Object(all) | Self::Form(all), [Step::Name(name)]) => {
                all.insert(name.clone(), Self::Placeholder);
                true
            }
            (Self::List(all), [Step::Number(n)]) => all.get_mut(*n).map(|node| *node = Self::Placeholder).is_some(),
            (Self::Object(all) | Self::Form(all), [Step::Name(name), rest @ ..]) => {
                all.get_mut(name).is_some_and(|node| node.patch(rest, gone))
            }
            (Self::List(all), [Step::Number(n), rest @ ..]) => {
                all.get_mut(*n).is_some_and(|node| node.patch(rest, gone))
            }
            _ => false,
        }
    }
}

impl ActionReader for Node {
    /// The settings of a network card stand alone in forms and in some bodies, and their faults as well.
    fn read_action<A: Action>(self) -> Result<A> {
        self.read_checked(A::check)
            .map_err(|e| e.rename_fields(|name| name.strip_prefix("nic.").unwrap_or(name).to_owned()))
    }
}

/// A form's text as it is meant: browsers send line ends with a carriage return.
fn tidy(words: &[String]) -> String {
    words.first().map(|text| text.replace('\r', "").trim().to_owned()).unwrap_or_default()
}

/// One step on the way from the document to a value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Name(String),
    Number(usize),
}

/// The faults of one document: a field's name and a sentence.
#[derive(Default)]
struct Faults(BTreeMap<String, String>);

impl Faults {
    /// Notes a fault, and changes the document so that the next one can be found. `false`: nothing more can be found.
    fn note(&mut self, fault: Fault, document: &mut Node) -> Result<bool> {
        let (mut at, fault) = fault.place();
        let gone = matches!(fault, Fault::Unknown(..));
        let sentence = match fault {
            Fault::Missing(name) => {
                at.push(Step::Name(name.to_owned()));
                MISSING.to_owned()
            }
            Fault::Unknown(name, known) => {
                at.push(Step::Name(name));
                unknown(known)
            }
            Fault::Message(sentence) => sentence,
            Fault::Unreadable | Fault::At(..) => return Ok(false),
        };
        let name = name(&at);
        if name.is_empty() {
            return Err(Error::invalid(format!("The body is not valid. {sentence}")));
        }
        match self.0.entry(name) {
            Entry::Vacant(place) => {
                place.insert(sentence);
            }
            // The same fault again: what follows can't be read. Of a word that is missing: which there are.
            Entry::Occupied(first) => {
                if first.get() == MISSING && sentence.starts_with("Choose ") {
                    *first.into_mut() = format!("{MISSING} {sentence}");
                }
                return Ok(false);
            }
        }
        Ok(self.0.len() < MOST && document.patch(&at, gone))
    }

    /// All of them, with what was found in fields that can be read.
    fn with(mut self, more: Option<Error>) -> Error {
        for (name, sentence) in more.iter().flat_map(Error::fields) {
            self.0.entry(name.clone()).or_insert_with(|| sentence.clone());
        }
        Error::of_fields(self.0).err().unwrap_or_else(|| Error::invalid("This can't be read."))
    }
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
const DUPLICATE: &str = "twice: ";
const UNKNOWN: &str = "There is no such field";
const OBJECT: &str = "This must be an object with named fields: { … }.";

fn unknown(known: &[&str]) -> String {
    match known {
        [] => format!("{UNKNOWN} here."),
        _ => format!("{UNKNOWN} here. The fields are: {}.", known.join(", ")),
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
        // Types of ours say what may be written.
        t if t.starts_with("give ") => return sentence(t),
        t if t.starts_with("struct ") || t.starts_with("internally tagged") || t == "a map" => OBJECT,
        _ => "This value is not valid here.",
    };
    words.to_owned()
}

fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars).chain(['.']).collect()
}

/// Why a value is not read.
#[derive(Debug)]
pub enum Fault {
    Missing(&'static str),
    /// A name that is none, and those that are.
    Unknown(String, &'static [&'static str]),
    Message(String),
    /// A [`Node::Placeholder`] can't pass for this.
    Unreadable,
    /// One in a field or an item of a list.
    At(Step, Box<Fault>),
}

impl Fault {
    fn at(self, step: Step) -> Self {
        Self::At(step, Box::new(self))
    }

    /// The way to it, and what it is.
    fn place(self) -> (Vec<Step>, Self) {
        let (mut at, mut fault) = (Vec::new(), self);
        while let Self::At(step, inner) = fault {
            at.push(step);
            fault = *inner;
        }
        (at, fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "{name} is missing"),
            Self::Unknown(name, _) => write!(f, "{name} is not known"),
            Self::Message(text) => f.write_str(text),
            Self::Unreadable => f.write_str("no more can be read"),
            Self::At(_, inner) => inner.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Message(sentence(&text.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Message(wanted(expected))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Message(wanted(expected))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::Message(wanted(expected))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Message(choose(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::Unknown(field.to_owned(), expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::Message("This field is sent twice. Send it once.".to_owned())
    }
}

/// The fields of an object; a fault in one says in which.
struct Fields<I> {
    all: I,
    next: Option<(String, Node)>,
}

impl<I> Fields<I> {
    fn new(all: I) -> Self {
        Self { all, next: None }
    }
}

impl<'de, I: Iterator<Item = (String, Node)>> MapAccess<'de> for Fields<I> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.next = self.all.next();
        self.next.as_ref().map(|(name, _)| seed.deserialize(name.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, node) = self.next.take().unwrap_or((String::new(), Node::Null));
        seed.deserialize(node).map_err(|fault| fault.at(Step::Name(name)))
    }
}

/// The items of a list; a fault in one says in which.
struct Items<I>(std::iter::Enumerate<I>);

impl<I: Iterator> Items<I> {
    fn new(all: I) -> Self {
        Self(all.enumerate())
    }
}

impl<'de, I: Iterator<Item = Node>> SeqAccess<'de> for Items<I> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((number, node)) = self.0.next() else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|fault| fault.at(Step::Number(number)))
    }
}

/// Numbers: a word is read as one.
macro_rules! numbers {
    ($($name:ident)*) => {$(
        fn $name<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self {
                Self::Placeholder => visitor.visit_u64(0),
                Self::Words(words) => {
                    let text = tidy(&words);
                    match (text.parse(), text.parse(), text.parse()) {
                        // “+1” may be meant as one more.
                        _ if text.starts_with('+') => Err(Fault::Message(wanted(&visitor))),
                        (Ok(n), _, _) => visitor.visit_u64(n),
                        (_, Ok(n), _) => visitor.visit_i64(n),
                        (_, _, Ok(n)) => visitor.visit_f64(n),
                        _ => Err(Fault::Message(wanted(&visitor))),
                    }
                }
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

/// Texts.
macro_rules! texts {
    ($($name:ident)*) => {$(
        fn $name<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self {
                Self::Placeholder => visitor.visit_str(""),
                other => other.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node {
    type Error = Fault;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(b) => visitor.visit_bool(b),
            Self::Number(n) => match (n.as_u64(), n.as_i64(), n.as_f64()) {
                (Some(n), _, _) => visitor.visit_u64(n),
                (_, Some(n), _) => visitor.visit_i64(n),
                (_, _, n) => visitor.visit_f64(n.unwrap_or(f64::NAN)),
            },
            Self::Text(text) => visitor.visit_string(text.replace("\r\n", "\n")),
            Self::Secret(text) => visitor.visit_string(text),
            Self::Words(words) => visitor.visit_string(tidy(&words)),
            // serde would take the tag from a list's first place.
            Self::List(_) if (&visitor as &dyn Expected).to_string().starts_with("internally tagged") => {
                Err(Fault::Message(OBJECT.to_owned()))
            }
            Self::List(all) => visitor.visit_seq(Items::new(all.into_iter())),
            Self::Object(all) | Self::Form(all) => visitor.visit_map(Fields::new(all.into_iter())),
            Self::Placeholder => visitor.visit_unit(),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    texts! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_bool<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Placeholder => visitor.visit_bool(false),
            // A form's box sends `off` always, and `on` too when it is ticked.
            Self::Words(words) if words.iter().any(|w| matches!(w.as_str(), "on" | "true" | "1")) => {
                visitor.visit_bool(true)
            }
            Self::Words(words) if words.iter().all(|w| matches!(w.as_str(), "off" | "false" | "0")) => {
                visitor.visit_bool(false)
            }
            Self::Words(_) => Err(Fault::Message(wanted(&visitor))),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Null | Self::Placeholder => visitor.visit_none(),
            Self::Words(words) if words.iter().all(|w| w.trim().is_empty()) => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            // Blanks belong to a password.
            Self::Words(words) if name == "Secret" => {
                visitor.visit_newtype_struct(Self::Secret(words.into_iter().next().unwrap_or_default()))
            }
            Self::Text(text) if name == "Secret" => visitor.visit_newtype_struct(Self::Secret(text)),
            other => visitor.visit_newtype_struct(other),
        }
    }

    fn deserialize_seq<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Placeholder => Self::List(Vec::new()).deserialize_any(visitor),
            Self::Words(words) => {
                let all =
                    words.iter().flat_map(|w| w.split([' ', ',', ';', '\n', '\r', '\t'])).filter(|w| !w.is_empty());
                visitor.visit_seq(Items::new(all.map(Self::word)))
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Placeholder => Self::Object(BTreeMap::new()).deserialize_any(visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Self::Object(_) => self.deserialize_any(visitor),
            Self::Form(all) => {
                let known = all.into_iter().filter(|(name, _)| fields.contains(&name.as_str()));
                visitor.visit_map(Fields::new(known))
            }
            Self::Placeholder => Err(Fault::Unreadable),
            _ => Err(Fault::Message(OBJECT.to_owned())),
        }
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (self, variants) {
            (Self::Text(text) | Self::Secret(text), _) => visitor.visit_enum(text.into_deserializer()),
            (Self::Words(words), _) => visitor.visit_enum(tidy(&words).into_deserializer()),
            (Self::Placeholder, [first, ..]) => visitor.visit_enum((*first).into_deserializer()),
            _ => Err(Fault::Message(choose(variants))),
        }
    }

    fn deserialize_ignored_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
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
                        return Err(de::Error::custom(format!("{DUPLICATE}{name}")));
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
mod tests;
