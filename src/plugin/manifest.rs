//! `plugin.toml`: read, and checked against what there is.

use super::api;
use super::error::Failed;
use model::guests::settings::StartingProfile;
use model::options::{OptionSpec, check_declarations};
use model::plugins::{HookMode, Manifest, PluginKind, ScriptError};
use rhai::Position;

const FILE: &str = "plugin.toml";
/// Settings of a provider, apart from the manifest where they are many.
pub(super) const SETTINGS: &str = "settings.toml";

/// A function of a script.
pub(super) struct Function {
    pub name: String,
    pub params: Vec<String>,
}

/// Reads the manifest of the plugin in the folder `name`. Unknown keys are errors.
pub(super) fn parse(name: &str, text: &str) -> Result<Manifest, ScriptError> {
    let manifest: Manifest = read(name, FILE, text)?;
    let wrong = |key: &str, message: String| Err(at_key(name, FILE, text, key, message));
    if manifest.name != name {
        return wrong("name", format!("the plugin is called \"{}\" but its folder \"{name}\"", manifest.name));
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') || name.is_empty() {
        return wrong("name", "a plugin's name has lowercase letters, digits and dashes only".into());
    }
    if manifest.api != 1 {
        return wrong(
            "api",
            format!("it is written for version {} of the host's API; this is version 1", manifest.api),
        );
    }
    if manifest.kind != PluginKind::Provider && !(manifest.features.is_empty() && manifest.settings.is_empty()) {
        return wrong("features", "only a provider says what can be done with machines".into());
    }
    if let Some(grant) = manifest.grants.iter().find(|g| !api::MODULES.iter().any(|m| m.name == g.as_str())) {
        let known: Vec<&str> = api::MODULES.iter().map(|m| m.name).collect();
        return wrong("grants", format!("there is no host module \"{grant}\"; the modules are {}", known.join(", ")));
    }
    if manifest.kind == PluginKind::Library && !(manifest.hooks.is_empty() && manifest.uses.is_empty()) {
        return wrong("kind", "a library has no hooks and uses no other library".into());
    }
    match (&manifest.software, manifest.kind == PluginKind::Software) {
        (None, true) => return wrong("kind", "a plugin of kind software needs a section [software]".into()),
        (Some(_), false) => return wrong("software", "only a plugin of kind software has a section [software]".into()),
        (Some(recipe), true) => {
            check_options(name, FILE, text, &recipe.options)?;
            if manifest.hooks.get("install").is_none_or(|h| h.mode != HookMode::Job) {
                return wrong("hooks", "a plugin of kind software has a job hook \"install\"".into());
            }
        }
        (None, false) => {}
    }
    check_options(name, FILE, text, &manifest.settings)?;
    Ok(manifest)
}

/// Adds what `settings.toml` declares.
pub(super) fn add_settings(manifest: &mut Manifest, text: &str) -> Result<(), ScriptError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    #[derive(Default)]
    struct More {
        settings: Vec<OptionSpec>,
        profiles: Vec<StartingProfile>,
    }
    let More { settings, profiles } = read(&manifest.name, SETTINGS, text)?;
    manifest.settings.extend(settings);
    manifest.profiles.extend(profiles);
    if manifest.kind != PluginKind::Provider {
        return Err(at_key(&manifest.name, SETTINGS, text, "settings", "only a provider has machines".into()));
    }
    check_options(&manifest.name, SETTINGS, text, &manifest.settings)
}

fn read<T: serde::de::DeserializeOwned>(name: &str, file: &str, text: &str) -> Result<T, ScriptError> {
    toml::from_str(text).map_err(|e| {
        let (line, column) = e.span().map_or((0, 0), |span| line_and_column(text, span.start));
        ScriptError::new(format!("{name}/{file}"), line, column, e.message())
    })
}

fn check_options(name: &str, file: &str, text: &str, options: &[OptionSpec]) -> Result<(), ScriptError> {
    check_declarations(options).map_err(|(key, message)| at_key(name, file, text, &format!("key = \"{key}\""), message))
}

/// The libraries that a plugin needs, read before anything else is checked; none when it can't be read.
pub(super) fn uses(text: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Uses {
        #[serde(default)]
        uses: Vec<String>,
    }
    toml::from_str::<Uses>(text).map(|u| u.uses).unwrap_or_default()
}

/// The kind, when the manifest can be read.
pub(super) fn is_library(text: &str) -> bool {
    toml::from_str::<Manifest>(text).is_ok_and(|m| m.kind == PluginKind::Library)
}

/// An error at `uses`.
pub(super) fn at_uses(name: &str, text: &str, message: String) -> ScriptError {
    at_key(name, FILE, text, "uses", message)
}

/// Every hook must be a function of the script with that many parameters.
pub(super) fn check_hooks(manifest: &Manifest, text: &str, functions: &[Function]) -> Result<(), ScriptError> {
    for (hook, wanted) in &manifest.hooks {
        let wrong = |message: String| Err(at_key(&manifest.name, FILE, text, hook, message));
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

/// An error at the first line that begins with `key`, alone or as the end of a table's name.
fn at_key(name: &str, file: &str, text: &str, key: &str, message: String) -> ScriptError {
    let begins = |line: &str| {
        let line = line.trim_start();
        let word = line.trim_start_matches('[').trim_start_matches("hooks.");
        // `key = "port"` is looked for as it is, also inside of a line.
        if key.contains('=') {
            return line.contains(key);
        }
        word.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
    };
    let line = text.lines().position(begins).map_or(0, |i| i + 1);
    ScriptError {
        line,
        column: usize::from(line > 0),
        ..Failed::misuse(message, Position::NONE).at(&format!("{name}/{file}"))
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    (before.matches('\n').count() + 1, before.rsplit('\n').next().map_or(0, str::len) + 1)
}
