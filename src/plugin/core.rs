//! Functions that every script has, beside Rhai's own packages; some replace one of Rhai's that
//! could make far more data in one call than the limits allow (the limits are checked afterwards).

use super::convert::{from_json, to_json};
use super::limits::STRING_BYTES;
use super::run::Answer;
use rhai::{Dynamic, Engine, FnPtr, ImmutableString, Map};

/// Name, signature, sentence, example: for the documentation.
pub(super) const DOCS: &[(&str, &str, &str)] = &[
    ("parse_json(text) -> value", "Reads JSON; throws when it is not JSON.", r#"let m = parse_json("{\"a\": 1}");"#),
    ("to_json(value) -> text", "Writes data as JSON; throws on a function.", "let text = to_json(#{a: 1});"),
];

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("parse_json", parse_json);
    engine.register_fn("to_json", |value: Dynamic| write_json(&value));
    // Rhai's own for maps prints closures without end.
    engine.register_fn("to_json", |map: &mut Map| write_json(&Dynamic::from(map.clone())));
    engine.register_fn("debug", fn_name).register_fn("to_debug", fn_name);
    engine.register_fn("replace", |s: &mut ImmutableString, from: &str, to: &str| replace(s, from, to));
    engine.register_fn("replace", |s: &mut ImmutableString, from: &str, to: char| replace(s, from, &to.to_string()));
    engine.register_fn("replace", |s: &mut ImmutableString, from: char, to: &str| replace(s, &from.to_string(), to));
    engine.register_fn("replace", |s: &mut ImmutableString, from: char, to: char| {
        replace(s, &from.to_string(), &to.to_string())
    });
}

fn parse_json(text: &str) -> Answer<Dynamic> {
    serde_json::from_str(text).map(from_json).map_err(|e| format!("this is not JSON: {e}").into())
}

fn write_json(value: &Dynamic) -> Answer<String> {
    to_json(value).map(|v| v.to_string()).map_err(|e| format!("this can't be written as JSON: {e}").into())
}

/// Rhai's own prints what a closure captured, which can be closures again, twice each.
fn fn_name(f: &mut FnPtr) -> ImmutableString {
    format!("Fn({})", f.fn_name()).into()
}

/// 1 MiB of text in which each letter becomes 1 MiB would be a terabyte: counted before it is made.
fn replace(text: &mut ImmutableString, from: &str, to: &str) -> Answer<()> {
    if text.is_empty() {
        return Ok(());
    }
    if to.len() > from.len() {
        let grown = text.matches(from).count().saturating_mul(to.len() - from.len());
        if text.len().saturating_add(grown) > STRING_BYTES {
            return Err(format!("the text would be longer than {STRING_BYTES} bytes").into());
        }
    }
    *text = text.replace(from, to).into();
    Ok(())
}
