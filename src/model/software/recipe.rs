//! What a recipe declares (`[software]` in `plugin.toml`), and whether given values fit it.

use crate::guests::System;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `[software]` of a plugin of kind `software`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub options: Vec<SoftwareOption>,
}

/// What the machine must have beside its own system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionKind {
    Text,
    Number,
    Bool,
    /// One of `choices`.
    Choice,
    /// Any of `choices`.
    Multi,
    /// Kept sealed until it is installed, never shown or logged.
    Password,
    /// A whole path on the machine.
    Path,
}

/// One field of a recipe's form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftwareOption {
    /// The name that the script reads: small letters, digits, underscores.
    pub key: String,
    pub label: String,
    pub kind: OptionKind,
    #[serde(default)]
    pub default: Value,
    /// Pairs of value and words.
    #[serde(default)]
    pub choices: Vec<(String, String)>,
    #[serde(default)]
    pub help: String,
    #[serde(default)]
    pub required: bool,
    /// Bounds of a number; of a text's or password's length.
    #[serde(default)]
    pub min: Option<i64>,
    #[serde(default)]
    pub max: Option<i64>,
    /// A regular expression that a text must fit as a whole.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Folded away in the form.
    #[serde(default)]
    pub advanced: bool,
}

/// Values that fit a recipe, each key present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Without the secret ones.
    pub options: Map<String, Value>,
    pub secrets: Map<String, Value>,
}

/// Characters of a text when nothing else was declared.
const LONGEST: i64 = 500;

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

    /// What is wrong with the declaration itself: the key at fault and a sentence.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check_declaration(&self) -> Result<(), (String, String)> {
        let mut seen: Vec<&str> = Vec::new();
        for option in &self.options {
            let wrong = |text: &str| Err((option.key.clone(), format!("option \"{}\": {text}", option.key)));
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if option.key.is_empty() || !option.key.chars().all(fits) {
                return wrong("a key has small letters, digits and underscores");
            }
            if seen.contains(&option.key.as_str()) {
                return wrong("the key is there twice");
            }
            seen.push(&option.key);
            let chosen = matches!(option.kind, OptionKind::Choice | OptionKind::Multi);
            if chosen == option.choices.is_empty() {
                return wrong("choices belong to the kinds choice and multi, and to those always");
            }
            if let Some(pattern) = &option.pattern
                && let Err(e) = regex::Regex::new(pattern)
            {
                return wrong(&format!("the pattern is wrong: {e}"));
            }
            if !option.default.is_null() && option.kind == OptionKind::Password {
                return wrong("a password has no default");
            }
            if !option.default.is_null()
                && let Err(text) = option.read(&option.default)
            {
                return wrong(&format!("the default does not fit: {text}"));
            }
        }
        Ok(())
    }

    /// Values with defaults put in, parted into open and secret ones. `prefix` goes before a key to name its
    /// field in errors.
    ///
    /// # Errors
    /// `Invalid` with a sentence for each field that does not fit, unknown ones too.
    pub fn check(&self, values: &Map<String, Value>, prefix: &str) -> Result<Asked> {
        let mut asked = Asked::default();
        let mut wrong: Vec<(String, String)> = Vec::new();
        for key in values.keys().filter(|k| !self.options.iter().any(|o| o.key == **k)) {
            wrong.push((format!("{prefix}{key}"), "There is no such option.".to_owned()));
        }
        for option in &self.options {
            let given = values.get(&option.key).filter(|v| !v.is_null()).unwrap_or(&option.default);
            match option.read(given) {
                Ok(value) if option.kind == OptionKind::Password => {
                    asked.secrets.insert(option.key.clone(), value);
                }
                Ok(value) => {
                    asked.options.insert(option.key.clone(), value);
                }
                Err(text) => wrong.push((format!("{prefix}{}", option.key), text)),
            }
        }
        if wrong.is_empty() {
            return Ok(asked);
        }
        let start = Error::invalid("Please correct the marked fields.");
        Err(wrong.into_iter().fold(start, |e, (field, text)| e.with_field(&field, text)))
    }
}

impl SoftwareOption {
    /// The value as the script gets it. Forms send text for everything; programs send JSON's own kinds.
    fn read(&self, given: &Value) -> Result<Value, String> {
        let text = || match given {
            Value::String(s) => Ok(s.trim().to_owned()),
            Value::Number(n) => Ok(n.to_string()),
            Value::Null => Ok(String::new()),
            _ => Err("Give a text.".to_owned()),
        };
        match self.kind {
            OptionKind::Text => self.text(text()?).map(Value::String),
            OptionKind::Path => self.path(text()?).map(Value::String),
            OptionKind::Password => match given {
                // Spaces at the ends may be meant.
                Value::String(s) => self.text(s.clone()).map(Value::String),
                _ => self.text(String::new()).map(Value::String),
            },
            OptionKind::Number => self.number(&text()?),
            OptionKind::Bool => match given {
                Value::Bool(b) => Ok(Value::Bool(*b)),
                Value::Null => Ok(Value::Bool(false)),
                Value::String(s) if matches!(s.as_str(), "on" | "off" | "true" | "false") => {
                    Ok(Value::Bool(s == "on" || s == "true"))
                }
                _ => Err("Say true or false.".to_owned()),
            },
            OptionKind::Choice => {
                let text = text()?;
                let chosen =
                    if text.is_empty() && !self.required { self.choices.first().map(|c| &c.0) } else { Some(&text) };
                let known = chosen.filter(|t| self.choices.iter().any(|(value, _)| value == *t));
                known.map(|t| Value::String(t.clone())).ok_or_else(|| "Choose one of the list.".to_owned())
            }
            OptionKind::Multi => self.several(given),
        }
    }

    fn text(&self, text: String) -> Result<String, String> {
        if text.is_empty() {
            return if self.required { Err("This is needed.".to_owned()) } else { Ok(text) };
        }
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if self.min.is_some_and(|m| length < m) {
            return Err(format!("Use at least {} characters.", self.min.unwrap_or_default()));
        }
        if length > self.max.unwrap_or(LONGEST) {
            return Err(format!("Use at most {} characters.", self.max.unwrap_or(LONGEST)));
        }
        if text.chars().any(char::is_control) {
            return Err("Use one line of plain text.".to_owned());
        }
        let fits = |p: &String| regex::Regex::new(&format!("^(?:{p})$")).is_ok_and(|r| r.is_match(&text));
        if self.pattern.as_ref().is_some_and(|p| !fits(p)) {
            let hint = if self.help.is_empty() { String::new() } else { format!(" {}", self.help) };
            return Err(format!("This does not have the right form.{hint}"));
        }
        Ok(text)
    }

    fn path(&self, text: String) -> Result<String, String> {
        let text = self.text(text)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if text.is_empty() {
            return Ok(text);
        }
        if !text.starts_with('/') || !text.chars().all(plain) || text.split('/').any(|part| part == "..") {
            return Err(
                "Give a whole path like /srv/media, of letters, digits, dots, dashes and underscores.".to_owned()
            );
        }
        Ok(text)
    }

    fn number(&self, text: &str) -> Result<Value, String> {
        if text.is_empty() && !self.required {
            return Ok(Value::Null);
        }
        let n: i64 = text.parse().map_err(|_| "Give a whole number.".to_owned())?;
        match (self.min, self.max) {
            (Some(min), Some(max)) if !(min..=max).contains(&n) => Err(format!("Choose {min} to {max}.")),
            (Some(min), _) if n < min => Err(format!("Choose {min} or more.")),
            (_, Some(max)) if n > max => Err(format!("Choose {max} or less.")),
            _ => Ok(n.into()),
        }
    }

    fn several(&self, given: &Value) -> Result<Value, String> {
        let words: Vec<String> = match given {
            Value::Array(list) => list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            // A form sends an empty one first, so that "none" can be told from "not asked".
            Value::String(s) => s.split(',').map(|w| w.trim().to_owned()).collect(),
            _ => Vec::new(),
        };
        let words: Vec<&String> = words.iter().filter(|w| !w.is_empty()).collect();
        if let Some(strange) = words.iter().find(|w| !self.choices.iter().any(|(value, _)| value == **w)) {
            return Err(format!("“{strange}” is not in the list."));
        }
        if self.required && words.is_empty() {
            return Err("Choose at least one.".to_owned());
        }
        // In the order of the declaration, each once.
        let kept = self.choices.iter().filter(|(value, _)| words.contains(&value));
        Ok(Value::Array(kept.map(|(value, _)| Value::String(value.clone())).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        recipe().check_declaration().unwrap();
        let asked =
            recipe().check(&values(json!({"apps": ["radarr", "sonarr"], "password": "three green"})), "").unwrap();
        assert_eq!(
            Value::Object(asked.options),
            json!({"apps": ["sonarr", "radarr"], "port": 8080, "folder": "/srv/media", "user": "media", "firewall": true})
        );
        assert_eq!(Value::Object(asked.secrets), json!({"password": "three green"}));
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
            r.check_declaration().unwrap_err().1
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
