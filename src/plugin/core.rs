//! Functions that every script has, in addition to Rhai's own packages; some replace one of Rhai's that
//! could make far more data in one call than the limits allow (the limits are checked afterwards).

use super::convert::{from_json, to_json};
use super::limits::STRING_BYTES;
use super::run::Answer;
use super::secret;
use rhai::{Array, Dynamic, Engine, FnPtr, ImmutableString, Map, NativeCallContext};

/// Name, signature, sentence, example: for the documentation.
pub(super) const DOCS: &[(&str, &str, &str)] = &[
    ("parse_json(text) -> value", "Reads JSON; throws when it is not JSON.", r#"let m = parse_json("{\"a\": 1}");"#),
    (
        "to_json(value) -> text",
        "Writes data as JSON; throws on a function or a secret.",
        "let text = to_json(#{a: 1});",
    ),
];

pub(super) fn register(engine: &mut Engine) {
    secret::register(engine);
    engine.register_fn("parse_json", parse_json);
    engine.register_fn("to_json", |value: Dynamic| write_json(&value));
    // Rhai's own for maps prints closures endlessly.
    engine.register_fn("to_json", |map: &mut Map| write_json(&Dynamic::from(map.clone())));
    engine.register_fn("debug", fn_name).register_fn("to_debug", fn_name);
    for name in ["sort", "sort_by"] {
        engine.register_fn(name, sort_by);
    }
    for name in ["order", "order_by"] {
        engine.register_fn(name, |ctx: NativeCallContext<'_>, mut array: Array, by: FnPtr| {
            sort_by(ctx, &mut array, by).map(|()| array)
        });
    }
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

/// Rhai's own swallows the errors of the comparator and panics when it has no order. Stable.
fn sort_by(ctx: NativeCallContext<'_>, array: &mut Array, by: FnPtr) -> Answer<()> {
    let mut after = |a: &Dynamic, b: &Dynamic| -> Answer<bool> {
        let answer = by.call_within_context::<Dynamic>(&ctx, (a.clone(), b.clone()))?;
        match (answer.as_int(), answer.as_bool()) {
            (Ok(n), _) => Ok(n > 0),
            (_, Ok(before)) => Ok(!before),
            _ => Err("a comparator returns a number or true for \"comes before\"".into()),
        }
    };
    *array = merge_sort(std::mem::take(array), &mut after)?;
    Ok(())
}

fn merge_sort(mut items: Array, after: &mut impl FnMut(&Dynamic, &Dynamic) -> Answer<bool>) -> Answer<Array> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let mut left = merge_sort(items, after)?.into_iter().peekable();
    let mut right = merge_sort(right, after)?.into_iter().peekable();
    let mut out = Array::with_capacity(left.len() + right.len());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if after(a, b)? { right.next() } else { left.next() };
        out.extend(next);
    }
    out.extend(left);
    out.extend(right);
    Ok(out)
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
