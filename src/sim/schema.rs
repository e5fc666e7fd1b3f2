//! What parameters a call takes, declared once per call as data. Unknown ones, missing ones and bad values
//! are refused here with the wording of PVE::JSONSchema.

use super::error::ApiError;
use super::http::form::{Raw, RawParams};
use std::collections::BTreeMap;

/// One parameter of a call, or a row of them (`net0` to `net31`).
#[derive(Debug, Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    /// 0: `name` itself. n: `name0` to `name(n-1)`.
    pub count: u16,
    pub kind: Type,
    pub required: bool,
}

/// Type and format of a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// Exactly `1` or `0`.
    Bool,
    Int(i64, i64),
    Num(f64, f64),
    /// Any text of at least and at most this many characters.
    Text(usize, usize),
    OneOf(&'static [&'static str]),
    /// A text that a function judges.
    Format(fn(&str) -> Result<(), String>),
    /// A list in one text, separated by commas, semicolons or spaces; arrays are joined.
    List(fn(&str) -> Result<(), String>),
    /// A real array; a single value counts as one element.
    Array,
}

/// An optional parameter.
pub const fn opt(name: &'static str, kind: Type) -> Param {
    Param { name, count: 0, kind, required: false }
}

/// A required one.
pub const fn must(name: &'static str, kind: Type) -> Param {
    Param { name, count: 0, kind, required: true }
}

/// `name0` to `name(count-1)`, all optional.
pub const fn row(name: &'static str, count: u16, kind: Type) -> Param {
    Param { name, count, kind, required: false }
}

impl Param {
    /// Whether `key` is this parameter (or one of its row).
    pub fn is(&self, key: &str) -> bool {
        if self.count == 0 {
            return key == self.name;
        }
        let Some(digits) = key.strip_prefix(self.name) else { return false };
        let plain = digits == "0" || !digits.starts_with('0');
        plain && digits.parse::<u16>().is_ok_and(|n| n < self.count)
    }
}

/// Parameters that have passed their schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    texts: BTreeMap<String, String>,
    arrays: BTreeMap<String, Vec<String>>,
}

impl Params {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// For calls that are another call in disguise.
    pub fn set(&mut self, name: &str, value: &str) {
        self.texts.insert(name.to_owned(), value.to_owned());
    }

    /// A required parameter's text.
    pub fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|v| v.parse().ok())
    }

    pub fn id(&self, name: &str) -> Option<u32> {
        self.get(name).and_then(|v| v.parse().ok())
    }

    pub fn array(&self, name: &str) -> Vec<String> {
        self.arrays.get(name).cloned().unwrap_or_default()
    }

    /// The items of a list parameter.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.get(name).map(items).unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// Items of a `*-list` text.
pub fn items(text: &str) -> Vec<String> {
    text.split([',', ';', ' ', '\0']).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

const UNKNOWN: &str = "property is not defined in schema and the schema does not allow additional properties";
const MISSING: &str = "property is missing and it is not optional";

/// Judges all parameters and collects every complaint.
pub fn validate(schema: &[&[Param]], raw: RawParams) -> Result<Params, ApiError> {
    let mut errors = BTreeMap::new();
    let mut out = Params::default();
    let all = || schema.iter().flat_map(|part| part.iter());
    for param in all().filter(|p| p.required && !raw.contains_key(p.name)) {
        errors.insert(param.name.to_owned(), MISSING.to_owned());
    }
    for (name, value) in raw {
        let Some(param) = all().find(|p| p.is(&name)) else {
            errors.insert(name, UNKNOWN.to_owned());
            continue;
        };
        let judged = match (param.kind, value) {
            (Type::Array, Raw::One(v)) => store_array(&mut out, &name, vec![v]),
            (Type::Array, Raw::Many(all)) => store_array(&mut out, &name, all),
            (Type::List(f), Raw::Many(all)) => store(&mut out, &name, Type::List(f), all.join(",")),
            (kind, Raw::One(v)) => store(&mut out, &name, kind, v),
            (_, Raw::Many(_)) => Err(type_error(param.kind, "ARRAY")),
            (_, Raw::Nested) => Err(type_error(param.kind, "HASH")),
        };
        if let Err(text) = judged {
            errors.insert(name, text);
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(ApiError::params(errors)) }
}

fn store(out: &mut Params, name: &str, kind: Type, value: String) -> Result<(), String> {
    check(kind, &value)?;
    out.texts.insert(name.to_owned(), value);
    Ok(())
}

fn store_array(out: &mut Params, name: &str, values: Vec<String>) -> Result<(), String> {
    out.arrays.insert(name.to_owned(), values);
    Ok(())
}

fn type_error(kind: Type, got: &str) -> String {
    let name = match kind {
        Type::Bool => "boolean",
        Type::Int(..) => "integer",
        Type::Num(..) => "number",
        Type::Array => "array",
        _ => "string",
    };
    format!("type check ('{name}') failed - got {got}")
}

/// Judges one value.
pub fn check(kind: Type, value: &str) -> Result<(), String> {
    match kind {
        Type::Bool if value == "1" || value == "0" => Ok(()),
        Type::Bool => Err(type_error(kind, &format!("'{value}'"))),
        Type::Int(min, max) => {
            let n: i64 = value.parse().map_err(|_| type_error(kind, &format!("'{value}'")))?;
            bounds(n < min, n > max, &min.to_string(), &max.to_string())
        }
        Type::Num(min, max) => {
            let n: f64 = value.parse().map_err(|_| type_error(kind, &format!("'{value}'")))?;
            bounds(n < min, n > max, &min.to_string(), &max.to_string())
        }
        Type::Text(min, _) if value.chars().count() < min => {
            Err(format!("value must be at least {min} characters long"))
        }
        Type::Text(_, max) if value.chars().count() > max => Err(format!("value may only be {max} characters long")),
        Type::Text(..) | Type::Array => Ok(()),
        Type::OneOf(all) if all.contains(&value) => Ok(()),
        Type::OneOf(all) => {
            Err(format!("value '{value}' does not have a value in the enumeration '{}'", all.join(", ")))
        }
        Type::Format(f) => f(value).map_err(|e| format!("invalid format - {e}")),
        Type::List(f) => items(value).iter().try_for_each(|i| f(i).map_err(|e| format!("invalid format - {e}"))),
    }
}

fn bounds(low: bool, high: bool, min: &str, max: &str) -> Result<(), String> {
    match (low, high) {
        (true, _) => Err(format!("value must have a minimum value of {min}")),
        (_, true) => Err(format!("value must have a maximum value of {max}")),
        _ => Ok(()),
    }
}
