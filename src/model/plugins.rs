//! Plugins: the manifest, what it asks for, and how a loaded plugin is doing.

use crate::guests::settings::StartingProfile;
use crate::options::OptionSpec;
use crate::providers::Features;
use crate::software::Recipe;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use strum::IntoStaticStr;

/// `plugin.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The folder's name: lowercase letters, digits, dashes.
    pub name: String,
    pub version: String,
    /// One sentence for the Plugins page.
    pub about: String,
    pub kind: PluginKind,
    /// The version of the host's API that it was written for; 1 now.
    pub api: u32,
    /// Host modules it may use: `pve`, `kv`, `guests` ... What is not listed does not exist for the script.
    #[serde(default)]
    pub grants: Vec<String>,
    /// What a provider can do with machines of each kind.
    #[serde(default, skip_serializing_if = "Features::is_empty")]
    pub features: Features,
    /// What machines of a provider can have; here or in `settings.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<OptionSpec>,
    /// Hardware profiles that a new Steward begins with; here or in `settings.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<StartingProfile>,
    /// Libraries whose files are part of this plugin.
    #[serde(default)]
    pub uses: Vec<String>,
    /// What a recipe offers; only and always for the kind `software`.
    #[serde(default)]
    pub software: Option<Recipe>,
    /// Functions of the script that the host calls, by name.
    #[serde(default)]
    pub hooks: BTreeMap<String, Hook>,
}

/// What a plugin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum PluginKind {
    /// Stands behind connections: machines, nodes, storages.
    Provider,
    Notifier,
    Collector,
    Provisioner,
    /// Installs something on machines.
    Software,
    Rule,
    Checker,
    /// Functions that other plugins use.
    Library,
}

impl PluginKind {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// One function that the host calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// How many parameters the function has; checked when the plugin is loaded.
    pub params: usize,
    pub mode: HookMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookMode {
    /// No effects: the engine has no host modules at all. Returns data, the host acts.
    Pure,
    /// May call the granted host modules, in one go.
    Effect,
    /// A durable job: the first parameter is the `job`.
    Job,
}

/// Where a plugin's files came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// In the binary.
    Embedded,
    /// In the plugins folder; overrides an embedded one of the same name.
    Folder,
}

/// Where a script is wrong. Lines and columns count from 1; 0 means unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScriptError {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl ScriptError {
    /// `message` may come from a script: it is kept at a length that helps.
    pub fn new(file: impl Into<String>, line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, column, message: base::excerpt::error(message) }
    }
}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.message)
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
        }
    }
}

impl std::error::Error for ScriptError {}

/// A plugin as the Plugins page shows it.
#[derive(Clone, Debug, Serialize)]
pub struct PluginInfo {
    pub name: String,
    pub origin: Origin,
    /// SHA-256 over all files, hex; empty when they could not be read.
    pub hash: String,
    pub manifest: Option<Manifest>,
    /// Why the files are not usable; `None` when they are.
    pub error: Option<ScriptError>,
    /// Hash of the version that serves new runs. With an error it is the last good one, if there was one.
    pub active: Option<String>,
}
