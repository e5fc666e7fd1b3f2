//! What a recipe declares (`[software]` in `plugin.toml`), and whether given values are valid for it.

use crate::guests::System;
use crate::options::{OptionKind, OptionSpec};
use base::{Error, Result, Secret, Secrets};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `[software]` of a plugin of kind `software`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What people call it.
    pub title: String,
    /// The heading it stands under in the menu.
    pub category: String,
    /// A sentence or two for the menu; the manifest's `about` when left out.
    #[serde(default)]
    pub about: String,
    #[serde(default)]
    pub needs: Needs,
    #[serde(default)]
    pub options: Vec<OptionSpec>,
}

/// What the machine must have beside its own system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// MiB.
    #[serde(default)]
    pub memory: u64,
    /// GiB.
    #[serde(default)]
    pub disk: u64,
    /// Systems it can be put on, as in `/etc/os-release`' ID: debian, ubuntu, windows ...; empty for any Linux.
    #[serde(default)]
    pub systems: Vec<String>,
}

/// What the system itself takes, roughly: MiB and GiB.
const SYSTEM_MEMORY: u64 = 512;
const SYSTEM_DISK: u64 = 3;

impl Needs {
    /// What all of these need together, with the system.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Self>) -> (u64, u64) {
        all.into_iter().fold((SYSTEM_MEMORY, SYSTEM_DISK), |(m, d), n| (m + n.memory, d + n.disk))
    }
}

/// Values that fit a recipe, each key present.
#[derive(Clone, Debug, Default)]
pub struct RecipeInput {
    /// Without the secret ones.
    pub options: Map<String, Value>,
    /// By their places in the job's arguments: `options/KEY`.
    pub secrets: Secrets,
}

impl Recipe {
    /// Can it be put on a machine with this system? Where it is not known nothing speaks against it.
    pub fn fits(&self, system: System) -> bool {
        match system {
            System::Unknown => true,
            System::Windows => self.is_for_windows(),
            System::Linux => !self.is_for_windows(),
        }
    }

    pub fn is_for_windows(&self) -> bool {
        self.needs.systems.iter().any(|s| s == "windows")
    }

    /// Values with defaults put in, parted into open and secret ones. `prefix` goes before a key to name its
    /// field in errors.
    ///
    /// # Errors
    /// `Invalid` with a sentence for each field that does not fit, unknown ones too.
    pub fn check(&self, values: &Map<String, Value>, prefix: &str) -> Result<RecipeInput> {
        let mut asked = RecipeInput::default();
        let mut wrong: Vec<(String, String)> = Vec::new();
        for key in values.keys().filter(|k| !self.options.iter().any(|o| o.key == **k)) {
            wrong.push((format!("{prefix}{key}"), "There is no such option.".to_owned()));
        }
        for option in &self.options {
            let given = values.get(&option.key).filter(|v| !v.is_null()).unwrap_or(&option.default);
            match option.read(given) {
                Ok(Value::String(text)) if option.kind == OptionKind::Password => {
                    asked.secrets.put(format!("options/{}", option.key), Secret::new(text));
                }
                Ok(value) => {
                    asked.options.insert(option.key.clone(), value);
                }
                Err(text) => wrong.push((format!("{prefix}{}", option.key), text)),
            }
        }
        Error::of_fields(wrong).map(|()| asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::check_declarations;
    use serde_json::json;

    fn recipe() -> Recipe {
        toml::from_str(
            r#"
            title = "Media"
            category = "Media"
            [[options]]
            key = "apps"
            label = "Apps"
            kind = "multi"
            choices = [["sonarr", "Sonarr"], ["radarr", "Radarr"]]
            required = true
            [[options]]
            key = "port"
            label = "Port"
            kind = "number"
            default = 8080
            min = 1
            max = 65535
            [[options]]
            key = "folder"
            label = "Folder"
            kind = "path"
            default = "/srv/media"
            [[options]]
            key = "password"
            label = "Password"
            kind = "password"
            min = 8
            required = true
            [[options]]
            key = "user"
            label = "User"
            kind = "text"
            default = "media"
            pattern = "[a-z]+"
            [[options]]
            key = "firewall"
            label = "Firewall"
            kind = "bool"
            default = true
            "#,
        )
        .unwrap()
    }

    fn values(v: Value) -> Map<String, Value> {
        v.as_object().unwrap().clone()
    }

    #[test]
    fn defaults_are_put_in_and_secrets_are_kept_apart() {
        check_declarations(&recipe().options).unwrap();
        let asked =
            recipe().check(&values(json!({"apps": ["radarr", "sonarr"], "password": "three green"})), "").unwrap();
        assert_eq!(
            Value::Object(asked.options),
            json!({"apps": ["sonarr", "radarr"], "port": 8080, "folder": "/srv/media", "user": "media", "firewall": true})
        );
        assert_eq!(asked.secrets.get("options/password").unwrap().expose(), "three green");
    }

    #[test]
    fn what_a_form_sends_is_read_like_what_a_program_sends() {
        let form =
            json!({"apps": "sonarr", "port": "81", "password": "three green", "firewall": "off", "user": " jon "});
        let asked = recipe().check(&values(form), "").unwrap();
        assert_eq!((&asked.options["port"], &asked.options["firewall"]), (&json!(81), &json!(false)));
        assert_eq!(asked.options["user"], "jon");
    }

    #[test]
    fn each_field_that_does_not_fit_has_its_sentence() {
        let bad = json!({"apps": ["plex"], "port": 70000, "folder": "/srv/../etc", "password": "short", "user": "Jon; rm", "x": 1});
        let e = recipe().check(&values(bad), "software.arr.").unwrap_err();
        let fields: Vec<&str> = e.fields().keys().map(|k| k.trim_start_matches("software.arr.")).collect();
        assert_eq!(fields, ["apps", "folder", "password", "port", "user", "x"]);
        let e = recipe().check(&Map::new(), "").unwrap_err();
        assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["apps", "password"]);
    }

    #[test]
    fn a_wrong_declaration_is_named() {
        let broken = |f: fn(&mut Recipe)| {
            let mut r = recipe();
            f(&mut r);
            check_declarations(&r.options).unwrap_err().1
        };
        assert!(broken(|r| r.options[1].key = "apps".into()).contains("twice"));
        assert!(broken(|r| r.options[1].default = json!("many")).contains("whole number"));
        assert!(broken(|r| r.options[4].pattern = Some("[".into())).contains("pattern"));
        assert!(broken(|r| r.options[0].choices.clear()).contains("choices"));
        assert!(broken(|r| r.options[3].default = json!("secret stuff")).contains("no default"));
    }

    #[test]
    fn needs_add_up_with_what_the_system_takes() {
        let (one, two) =
            (Needs { memory: 1024, disk: 10, systems: vec![] }, Needs { memory: 512, disk: 4, systems: vec![] });
        assert_eq!(Needs::sum([&one, &two]), (2048, 17));
    }
}
