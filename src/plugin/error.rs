//! From Rhai's errors to ours: file, line, column, a sentence, and whether another try may help.

use super::convert::{from_json, to_json};
use super::host::CallError;
use super::secret::SecretText;
use model::plugins::ScriptError;
use rhai::{Dynamic, EvalAltResult, Position};
use serde_json::{Value, json};

/// Why a run failed, before the file is known.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub message: String,
    pub position: Position,
    pub retry: bool,
    pub mismatch: bool,
    /// A call did not reach Proxmox at all.
    pub unreachable: bool,
}

impl Failed {
    /// The script uses the API wrongly: trying again gives the same.
    pub fn misuse(message: impl Into<String>, position: Position) -> Self {
        Self { message: message.into(), position, retry: false, mismatch: false, unreachable: false }
    }

    /// The journal does not fit the script.
    pub fn mismatch(message: impl Into<String>, position: Position) -> Self {
        Self { message: message.into(), position, retry: false, mismatch: true, unreachable: false }
    }

    /// Something outside (the disk, Proxmox) is failing.
    pub fn outside(message: impl Into<String>, position: Position) -> Self {
        Self { message: message.into(), position, retry: true, mismatch: false, unreachable: false }
    }

    /// What an error that left the script means.
    pub fn from_script(error: &EvalAltResult) -> Self {
        let (inner, position) = innermost(error);
        let (message, retry) = match inner {
            EvalAltResult::ErrorRuntime(thrown, _) => (thrown_text(thrown), thrown_may_pass(thrown)),
            EvalAltResult::ErrorTerminated(..) => ("the script was stopped".to_owned(), true),
            // This one prints the value, which can be arbitrarily large.
            EvalAltResult::ErrorIndexNotFound(..) => ("index not found".to_owned(), false),
            EvalAltResult::ErrorModuleNotFound(name, _) => {
                (format!("the module `{name}` is not available in this kind of hook"), false)
            }
            other => (without_position(other), false),
        };
        let unreachable = matches!(inner, EvalAltResult::ErrorRuntime(thrown, _) if thrown_kind(thrown).as_deref() == Some("unreachable"));
        Self { message, position, retry, mismatch: false, unreachable }
    }

    /// With the place where the script was when it was stopped, when the reason has no place of its own.
    pub fn or_at(mut self, error: &EvalAltResult) -> Self {
        if self.position.is_none() {
            self.position = innermost(error).1;
        }
        self
    }

    pub fn at(&self, file: &str) -> ScriptError {
        let (line, column) = (self.position.line().unwrap_or(0), self.position.position().unwrap_or(0));
        ScriptError::new(file, line, column, self.message.as_str())
    }
}

/// The error inside all "in function call" wrappers and the deepest position that is known.
fn innermost(error: &EvalAltResult) -> (&EvalAltResult, Position) {
    let (mut error, mut position) = (error, error.position());
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) | EvalAltResult::ErrorInModule(_, inner, _) = error {
        error = inner;
        if !inner.position().is_none() {
            position = inner.position();
        }
    }
    (error, position)
}

fn without_position(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rfind(" (line ") {
        Some(at) if text.ends_with(')') => text[..at].to_owned(),
        _ => text,
    }
}

/// A thrown value in words: a map's `message` with its `errors`, or the text itself.
fn thrown_text(thrown: &Dynamic) -> String {
    match to_json(thrown) {
        Ok(Value::String(text)) => text,
        Ok(Value::Object(map)) => {
            let mut text = map.get("message").and_then(Value::as_str).unwrap_or("the script threw an error").to_owned();
            for (field, why) in map.get("errors").and_then(Value::as_object).into_iter().flatten() {
                text.push_str(&format!(" [{field}: {}]", why.as_str().unwrap_or_default()));
            }
            text
        }
        Ok(other) => other.to_string(),
        Err(_) if thrown.is::<SecretText>() => "the script threw a secret".to_owned(),
        Err(_) => format!("the script threw a {}", thrown.type_name()),
    }
}

/// Another try is useless if Proxmox says that the request itself is wrong.
fn thrown_may_pass(thrown: &Dynamic) -> bool {
    !matches!(thrown_kind(thrown).as_deref(), Some("invalid" | "forbidden" | "auth"))
}

fn thrown_kind(thrown: &Dynamic) -> Option<String> {
    thrown.as_map_ref().ok().and_then(|m| m.get("kind").and_then(|k| k.clone().into_string().ok()))
}

/// A refused call as the script sees it.
pub(super) fn thrown(error: CallError) -> Dynamic {
    from_json(json!({
        "kind": error.kind.name(), "status": error.status, "message": error.message, "errors": error.errors,
    }))
}

/// Throws `#{kind, message}` into the script; `catch` gets it.
pub(super) fn throw(kind: &str, message: &str, position: Position) -> Box<EvalAltResult> {
    throw_value(from_json(json!({"kind": kind, "message": message})), position)
}

pub(super) fn throw_value(value: Dynamic, position: Position) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(value, position).into()
}

/// A syntax error with its place.
pub(super) fn from_parse(error: &rhai::ParseError, file: &str) -> ScriptError {
    let position = error.position();
    let message = match error.err_type() {
        rhai::ParseErrorType::ModuleUndefined(name) => {
            format!("the module `{name}` is not granted in plugin.toml (or there is no such module)")
        }
        other => other.to_string(),
    };
    Failed::misuse(message, position).at(file)
}
