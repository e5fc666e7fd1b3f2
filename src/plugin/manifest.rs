//! `plugin.toml`: read, and checked against what there is.

use super::api;
use super::error::Failed;
use super::script::FunctionList;
use crate::model::plugins::{HookMode, Manifest, ScriptError};
use rhai::Position;

const FILE: &str = "plugin.toml";
const KINDS: &[&str] = &["provider", "notifier", "collector", "provisioner", "software", "rule", "checker"];

/// Reads the manifest of the plugin in the folder `name`. Unknown keys are errors.
pub(super) fn parse(name: &str, text: &str) -> Result<Manifest, ScriptError> {
    let manifest: Manifest = toml::from_str(text).map_err(|e| {
        let (line, column) = e.span().map_or((0, 0), |span| line_and_column(text, span.start));
        ScriptError { file: format!("{name}/{FILE}"), line, column, message: e.message().to_owned() }
    })?;
    let wrong = |key: &str, message: String| Err(at_key(name, text, key, message));
    if manifest.name != name {
        return wrong("name", format!("the plugin is called \"{}\" but its folder \"{name}\"", manifest.name));
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') || name.is_empty() {
        return wrong("name", "a plugin's name has small letters, digits and dashes only".into());
    }
    if !KINDS.contains(&manifest.kind.as_str()) {
        return wrong("kind", format!("\"{}\" is no kind of plugin; there are {}", manifest.kind, KINDS.join(", ")));
    }
    if manifest.api != 1 {
        return wrong(
            "api",
            format!("it is written for version {} of the host's API; this is version 1", manifest.api),
        );
    }
    if manifest.kind != "provider" && !manifest.features.is_empty() {
        return wrong("features", "only a provider says what can be done with machines".into());
    }
    if let Some(grant) = manifest.grants.iter().find(|g| !api::MODULES.iter().any(|m| m.name == g.as_str())) {
        let known: Vec<&str> = api::MODULES.iter().map(|m| m.name).collect();
        return wrong("grants", format!("there is no host module \"{grant}\"; there are {}", known.join(", ")));
    }
    Ok(manifest)
}

/// Every hook must be a function of the script with that many parameters.
pub(super) fn check_hooks(manifest: &Manifest, text: &str, functions: &FunctionList) -> Result<(), ScriptError> {
    for (hook, wanted) in &manifest.hooks {
        let wrong = |message: String| Err(at_key(&manifest.name, text, hook, message));
        let arities: Vec<usize> = functions.iter().filter(|f| f.name == *hook).map(|f| f.params.len()).collect();
        let Some(function) = functions.iter().find(|f| f.name == *hook && f.params.len() == wanted.params) else {
            return wrong(match arities.first() {
                None => format!("hook \"{hook}\": the script has no such function"),
                Some(n) => format!("hook \"{hook}\" has {} parameters here and {n} in the script", wanted.params),
            });
        };
        if wanted.mode == HookMode::Job && (wanted.params != 2 || function.params.first().is_none_or(|p| p != "job")) {
            return wrong(format!("job hook \"{hook}\" must be written as: fn {hook}(job, args)"));
        }
    }
    Ok(())
}

/// An error at the first line of the manifest that begins with `key`, alone or as the end of a table's name.
fn at_key(name: &str, text: &str, key: &str, message: String) -> ScriptError {
    let begins = |line: &str| {
        let line = line.trim_start();
        let word = line.trim_start_matches('[').trim_start_matches("hooks.");
        word.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
    };
    let line = text.lines().position(begins).map_or(0, |i| i + 1);
    ScriptError {
        line,
        column: usize::from(line > 0),
        ..Failed::misuse(message, Position::NONE).at(&format!("{name}/{FILE}"))
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    (before.matches('\n').count() + 1, before.rsplit('\n').next().map_or(0, str::len) + 1)
}
