//! Between Rhai's values and JSON. Only data passes: no functions, no handles, nothing nested deeper
//! than `limits::DATA_DEPTH` (so later recursion over it is safe).

use super::limits::DATA_DEPTH;
use super::secret::{SecretText, not_data};
use rhai::{Array, Dynamic, Map};
use serde_json::{Number, Value};

/// Why a value is not data: where, and what was there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotData {
    pub path: String,
    pub why: String,
}

impl std::fmt::Display for NotData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() { f.write_str(&self.why) } else { write!(f, "{}: {}", self.path, self.why) }
    }
}

impl NotData {
    fn new(why: impl Into<String>) -> Self {
        Self { path: String::new(), why: why.into() }
    }

    fn under(mut self, step: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }
}

/// A script's value as JSON. `()` is null.
pub(super) fn to_json(value: &Dynamic) -> Result<Value, NotData> {
    to_json_at(value, 0)
}

fn to_json_at(value: &Dynamic, depth: usize) -> Result<Value, NotData> {
    if depth > DATA_DEPTH {
        return Err(NotData::new(format!("nested deeper than {DATA_DEPTH}")));
    }
    if value.is_shared() {
        let flat = value.flatten_clone();
        if flat.is_shared() {
            return Err(NotData::new("is in use elsewhere"));
        }
        return to_json_at(&flat, depth);
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Value::String(text.as_str().to_owned()));
    }
    if let Ok(n) = value.as_int() {
        return Ok(Value::Number(n.into()));
    }
    if let Ok(map) = value.as_map_ref() {
        let entry = |key: &str, v| to_json_at(v, depth + 1).map(|v| (key.to_owned(), v)).map_err(|e| e.under(key));
        return map.iter().map(|(k, v)| entry(k, v)).collect::<Result<_, _>>().map(Value::Object);
    }
    if let Ok(array) = value.as_array_ref() {
        let item = |(i, v): (usize, &Dynamic)| to_json_at(v, depth + 1).map_err(|e| e.under(&format!("[{i}]")));
        return array.iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::Array);
    }
    scalar(value)
}

fn scalar(value: &Dynamic) -> Result<Value, NotData> {
    if value.is_unit() {
        Ok(Value::Null)
    } else if let Ok(b) = value.as_bool() {
        Ok(Value::Bool(b))
    } else if let Ok(x) = value.as_float() {
        Number::from_f64(x).map(Value::Number).ok_or_else(|| NotData::new("is not a finite number"))
    } else if let Ok(c) = value.as_char() {
        Ok(Value::String(c.to_string()))
    } else if value.is::<SecretText>() {
        Err(not_data())
    } else {
        Err(NotData::new(format!("a {} is not data", value.type_name())))
    }
}

/// JSON as a script's value. Whole numbers beyond 64 bits with sign become floats.
pub(super) fn from_json(value: Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => b.into(),
        Value::Number(n) => match n.as_i64() {
            Some(i) => i.into(),
            None => n.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(s) => s.into(),
        Value::Array(items) => items.into_iter().map(from_json).collect::<Array>().into(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (k.into(), from_json(v))).collect::<Map>().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn data_comes_back_as_it_went() {
        let value = json!({"a": [1, 2.5, "x", null, true], "b": {"c": []}, "big": 9_007_199_254_740_993_i64});
        assert_eq!(to_json(&from_json(value.clone())), Ok(value));
    }

    #[test]
    fn what_is_not_data_is_named_with_its_place() {
        let mut map = Map::new();
        let f = rhai::FnPtr::new("f").unwrap();
        map.insert("guests".into(), Dynamic::from(vec![Dynamic::from(1_i64), Dynamic::from(f)]));
        let error = to_json(&map.into()).unwrap_err();
        assert_eq!(error.to_string(), "guests[1]: a Fn is not data");
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = (0..100).fold(Dynamic::UNIT, |inner, _| Dynamic::from(vec![inner]));
        assert!(to_json(&deep).unwrap_err().why.contains("nested deeper"));
    }
}
