//! Decoding of query strings, form bodies and JSON bodies, with the quirks of pve-http-server's
//! `decode_urlencoded` (source: src/PVE/APIServer/AnyEvent.pm).

use crate::error::ApiError;
use serde_json::Value;
use std::collections::BTreeMap;

/// A parameter as it came in, before the schema has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    One(String),
    /// A repeated form key or a JSON array.
    Many(Vec<String>),
    /// A nested JSON object, which no parameter takes.
    Nested,
}

pub type RawParams = BTreeMap<String, Raw>;

/// Pairs are split on `&` and on `;`, only the text up to a second `=` counts, `+` is a space,
/// a repeated name becomes an array.
pub fn decode_form(text: &str) -> RawParams {
    let mut out = RawParams::new();
    for pair in text.split(['&', ';']).filter(|p| !p.is_empty()) {
        let mut parts = pair.split('=');
        let name = unescape(parts.next().unwrap_or_default());
        let value = unescape(parts.next().unwrap_or_default());
        match out.remove(&name) {
            None => out.insert(name, Raw::One(value)),
            Some(Raw::One(first)) => out.insert(name, Raw::Many(vec![first, value])),
            Some(Raw::Many(mut all)) => {
                all.push(value);
                out.insert(name, Raw::Many(all))
            }
            Some(Raw::Nested) => None,
        };
    }
    out
}

/// A JSON body: an object whose values are scalars, arrays of scalars, or (refused later) objects.
pub fn decode_json(text: &[u8]) -> Result<RawParams, ApiError> {
    if text.is_empty() {
        return Ok(RawParams::new());
    }
    let bad = |e: String| ApiError::transport(500, &format!("unable to parse JSON: {e}"));
    let value: Value = serde_json::from_slice(text).map_err(|e| bad(e.to_string()))?;
    let Value::Object(map) = value else { return Err(bad("expected an object".into())) };
    Ok(map.into_iter().filter_map(|(k, v)| raw(v).map(|v| (k, v))).collect())
}

fn raw(value: Value) -> Option<Raw> {
    match value {
        Value::Null => None,
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items.into_iter().map(scalar).collect();
            Some(texts.map_or(Raw::Nested, Raw::Many))
        }
        other => Some(scalar(other).map_or(Raw::Nested, Raw::One)),
    }
}

fn scalar(value: Value) -> Option<String> {
    match value {
        Value::String(s) => Some(s),
        Value::Bool(b) => Some(if b { "1" } else { "0" }.to_owned()),
        Value::Number(n) => Some(n.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Percent-decoding with `+` as space.
pub fn unescape(text: &str) -> String {
    percent_decode(&text.replace('+', " "))
}

/// Percent-decoding as for path segments: `+` stays.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = bytes.get(i + 1..i + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[i], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_second_equals_sign_cuts_the_value() {
        assert_eq!(decode_form("boot=order=net0")["boot"], Raw::One("order".into()));
        assert_eq!(decode_form("boot=order%3Dnet0")["boot"], Raw::One("order=net0".into()));
    }

    #[test]
    fn a_raw_semicolon_starts_another_parameter() {
        let p = decode_form("tags=a;b");
        assert_eq!(p["tags"], Raw::One("a".into()));
        assert!(p.contains_key("b"));
    }

    #[test]
    fn repeated_names_become_an_array_and_plus_is_a_space() {
        let p = decode_form("command=ls&command=a+b");
        assert_eq!(p["command"], Raw::Many(vec!["ls".into(), "a b".into()]));
    }

    #[test]
    fn json_booleans_become_digits_and_objects_are_nested() {
        let p = decode_json(br#"{"a":true,"b":{"c":1},"d":["x",2],"e":null}"#).unwrap();
        assert_eq!(p["a"], Raw::One("1".into()));
        assert_eq!(p["b"], Raw::Nested);
        assert_eq!(p["d"], Raw::Many(vec!["x".into(), "2".into()]));
        assert!(!p.contains_key("e"));
        assert_eq!(decode_json(b"{").unwrap_err().status, 500);
    }
}
