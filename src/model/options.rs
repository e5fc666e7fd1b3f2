//! What can be chosen, as a plugin declares it: the options of a recipe, the settings of a provider's machines. Pages,
//! the REST API and the command line read the declaration, and one check takes and refuses values for all of them.

use crate::guests::addresses::{other_address, own_address};
use crate::guests::keys::check_public_keys;
use crate::guests::{GuestKind, HOST_NAME, UNIX_USER, is_host_name, is_unix_user};
use crate::pattern::Pattern;
use base::text::is_hidden;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// What kind of value an option has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptionKind {
    /// One line.
    Text,
    /// Several lines.
    Lines,
    /// Words, separated by spaces; each must fit.
    Words,
    Number,
    /// A number with fractions.
    Decimal,
    Bool,
    /// One of `choices`.
    Choice,
    /// Any of `choices`.
    Multi,
    /// Kept sealed until it is used, never shown or logged.
    Password,
    /// A whole path on the machine.
    Path,
    /// Further disks of a hardware profile, which holds them apart from its values.
    Disks,
}

/// A form of text that a pattern can't say well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A host name, with or without its domain.
    Name,
    /// A user's name as `adduser` takes it.
    User,
    /// The IP address of another machine, like a router or a name server.
    Address,
    /// A machine's own IP address with its prefix length.
    Cidr,
    /// Public SSH keys, one per line.
    Keys,
    Uuid,
}

/// When a changed setting counts on a machine that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// At once.
    Live,
    /// With the next restart, or at once where the machine can.
    #[default]
    Restart,
    /// Only for new machines.
    New,
}

/// One thing that can be chosen: an option of a recipe or a setting of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptionSpec {
    /// The name that the script reads: lowercase letters, digits, underscores.
    pub key: String,
    pub label: String,
    pub kind: OptionKind,
    #[serde(default)]
    pub default: Value,
    /// Pairs of value and words. For kinds other than `choice` and `multi`: values that have a name and fit whatever
    /// else is said, like `dhcp` for an address; for `words` all that there are.
    #[serde(default)]
    pub choices: Vec<(String, String)>,
    #[serde(default)]
    pub help: String,
    #[serde(default)]
    pub unit: String,
    #[serde(default)]
    pub required: bool,
    /// Bounds of a number; of a text's length in characters; of how many words.
    #[serde(default)]
    pub min: Option<i64>,
    #[serde(default)]
    pub max: Option<i64>,
    /// A regular expression that a text or each of the words must fit as a whole.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub pattern: Option<Pattern>,
    #[serde(default)]
    pub format: Option<Format>,
    /// The key of the machine's own address: this one is its router, so it must be in that network.
    #[serde(default)]
    pub router_of: String,
    /// Folded away in the form.
    #[serde(default)]
    pub advanced: bool,
    /// The heading it stands under. This and the rest are for settings of machines only.
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub when: When,
    /// Kinds of machines that have it.
    #[serde(default = "virtual_machines", rename = "for")]
    pub machines: Vec<GuestKind>,
    /// A hardware profile may set it.
    #[serde(default)]
    pub profile: bool,
    /// A profile that sets it says so in its summary.
    #[serde(default)]
    pub notable: bool,
    /// It belongs to the first disk or network card, and pages show it with those.
    #[serde(default)]
    pub device: bool,
    /// Why a machine that is there keeps it.
    #[serde(default)]
    pub stays: String,
}

fn virtual_machines() -> Vec<GuestKind> {
    vec![GuestKind::Vm]
}

/// Characters of a text when nothing else was declared.
const LONGEST: i64 = 500;

/// What is wrong with declarations: the key at fault and a sentence. One key may be declared once per kind of machine.
///
/// # Errors
/// The first mistake.
pub fn check_declarations(specs: &[OptionSpec]) -> Result<(), (String, String)> {
    for (n, spec) in specs.iter().enumerate() {
        let twice =
            specs[..n].iter().any(|o| o.key == spec.key && o.machines.iter().any(|m| spec.machines.contains(m)));
        let wrong = if twice { Err("the key is used twice".to_owned()) } else { spec.check_declaration() };
        wrong.map_err(|text| (spec.key.clone(), format!("option \"{}\": {text}", spec.key)))?;
    }
    Ok(())
}

/// Words between blanks, commas or semicolons.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',', ';']).map(str::trim).filter(|w| !w.is_empty())
}

/// A value as the text of a machine's setting.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => if *on { "1" } else { "0" }.to_owned(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl OptionSpec {
    fn check_declaration(&self) -> Result<(), String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.key.is_empty() || !self.key.chars().all(fits) {
            return Err("a key has lowercase letters, digits and underscores".to_owned());
        }
        if matches!(self.kind, OptionKind::Choice | OptionKind::Multi) && self.choices.is_empty() {
            return Err("the kinds choice and multi need choices".to_owned());
        }
        self.pattern.as_ref().map_or(Ok(()), Pattern::check).map_err(|e| format!("the pattern is wrong: {e}"))?;
        if self.default.is_null() {
            return Ok(());
        }
        if self.kind == OptionKind::Password {
            return Err("a password has no default".to_owned());
        }
        self.read(&self.default).map(drop).map_err(|text| format!("the default is not valid: {text}"))
    }

    /// The value as the script gets it. Forms send text for everything; programs send JSON's own kinds.
    ///
    /// # Errors
    /// A sentence for the field.
    pub fn read(&self, given: &Value) -> Result<Value, String> {
        let text = || match given {
            Value::String(s) => Ok(s.trim().to_owned()),
            Value::Number(n) => Ok(n.to_string()),
            Value::Null => Ok(String::new()),
            _ => Err("Give a text.".to_owned()),
        };
        match self.kind {
            OptionKind::Text => self.text(text()?).map(Value::String),
            OptionKind::Lines => self.text(text()?.replace('\r', "")).map(Value::String),
            OptionKind::Words => self.words(&text()?).map(Value::String),
            OptionKind::Path => self.path(text()?).map(Value::String),
            OptionKind::Password => match given {
                // Spaces at the ends may be meant.
                Value::String(s) => self.text(s.clone()).map(Value::String),
                _ => self.text(String::new()).map(Value::String),
            },
            OptionKind::Number | OptionKind::Decimal => self.number(&text()?),
            OptionKind::Bool => match given {
                Value::Bool(b) => Ok(Value::Bool(*b)),
                Value::Null => Ok(Value::Bool(false)),
                Value::String(s) if matches!(s.as_str(), "on" | "true" | "1") => Ok(Value::Bool(true)),
                Value::String(s) if matches!(s.as_str(), "off" | "false" | "0") => Ok(Value::Bool(false)),
                _ => Err("Choose true or false.".to_owned()),
            },
            OptionKind::Choice => {
                let text = text()?;
                let chosen =
                    if text.is_empty() && !self.required { self.choices.first().map(|c| &c.0) } else { Some(&text) };
                let known = chosen.filter(|t| self.named(t).is_some());
                known.map(|t| Value::String(t.clone())).ok_or_else(|| format!("Choose one of {}.", self.values()))
            }
            OptionKind::Multi => self.several(given),
            OptionKind::Disks => Err("Disks are not a single value.".to_owned()),
        }
    }

    /// The value of a machine's setting: a text, as it was given and as scripts get it (`1` and `0` for a switch).
    /// An empty one takes the value away.
    ///
    /// # Errors
    /// A sentence for the field.
    pub fn read_text(&self, given: &str) -> Result<String, String> {
        if given.trim().is_empty() {
            return if self.required { Err("This can't be empty.".to_owned()) } else { Ok(String::new()) };
        }
        self.read(&Value::String(given.to_owned())).map(|value| text_of(&value))
    }

    /// Takes what another declaration of the same key takes, too.
    pub fn widen(&mut self, other: Self) {
        self.min = self.min.zip(other.min).map(|(a, b)| a.min(b));
        self.max = self.max.zip(other.max).map(|(a, b)| a.max(b));
        self.pattern = match (self.pattern.take(), other.pattern) {
            (Some(a), Some(b)) if a != b => Some(a.or(&b)),
            (a, b) => a.and(b),
        };
        self.format = self.format.filter(|f| other.format == Some(*f));
        self.required &= other.required;
        let more: Vec<_> = other.choices.into_iter().filter(|(value, _)| self.named(value).is_none()).collect();
        self.choices.extend(more);
    }

    /// The bounds of a number, for a form.
    pub fn range(&self) -> (u64, u64) {
        let bound = |n: Option<i64>, or: u64| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(or);
        (bound(self.min, 0), bound(self.max, 1_000_000_000))
    }

    /// The words for a value that has a name.
    pub fn named(&self, value: &str) -> Option<&str> {
        self.choices.iter().find(|(v, _)| v == value).map(|(_, words)| words.as_str())
    }

    /// A value in words, with its unit; short where the choice explains itself in brackets.
    pub fn words_of(&self, value: &str) -> String {
        match (self.kind, self.named(value)) {
            (OptionKind::Words, _) => value.to_owned(),
            (_, Some(words)) => words.split(" (").next().unwrap_or(words).to_owned(),
            (OptionKind::Bool, _) => if value == "1" { "yes" } else { "no" }.to_owned(),
            _ if value.is_empty() || self.unit.is_empty() => value.to_owned(),
            _ => format!("{value} {}", self.unit),
        }
    }

    /// What can be chosen, for a sentence.
    fn values(&self) -> String {
        let all: Vec<&str> = self.choices.iter().map(|(value, _)| value.as_str()).collect();
        all.join(", ")
    }

    fn text(&self, text: String) -> Result<String, String> {
        if text.is_empty() {
            return if self.required { Err("This is required.".to_owned()) } else { Ok(text) };
        }
        if self.named(&text).is_some() {
            return Ok(text);
        }
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if self.min.is_some_and(|m| length < m) {
            return Err(format!("Use at least {} characters.", self.min.unwrap_or_default()));
        }
        if length > self.max.unwrap_or(LONGEST) {
            return Err(format!("Use at most {} characters.", self.max.unwrap_or(LONGEST)));
        }
        // A line break would end a value in most notations.
        let lines = self.kind == OptionKind::Lines;
        if text.contains(|c: char| if lines { c.is_control() && !matches!(c, '\n' | '\t') } else { is_hidden(c) }) {
            return Err(if lines { "Use plain text." } else { "Use one line of plain text." }.to_owned());
        }
        self.fits(&text).map(|()| text)
    }

    /// Does it have the declared form?
    fn fits(&self, text: &str) -> Result<(), String> {
        if self.pattern.as_ref().is_some_and(|p| !p.fits(text)) {
            let help = if self.help.is_empty() { String::new() } else { format!(" {}", self.help) };
            return Err(format!("This does not have the right format.{help}"));
        }
        let Some(format) = self.format else { return Ok(()) };
        let unless = |fits: bool, sentence: &str| if fits { Ok(()) } else { Err(sentence.to_owned()) };
        match format {
            Format::Name => unless(is_host_name(text), HOST_NAME),
            Format::User => unless(is_unix_user(text), UNIX_USER),
            Format::Keys => check_public_keys(text),
            Format::Address => other_address(text).map(drop),
            Format::Cidr => own_address(text).map(drop),
            Format::Uuid => unless(is_uuid(text), "Give a UUID, like 6f1c2a5e-0b1d-4c55-9d38-2c4f6b7a8e90."),
        }
    }

    fn words(&self, text: &str) -> Result<String, String> {
        let all: Vec<&str> = words(text).collect();
        if all.is_empty() && self.required {
            return Err("This is required.".to_owned());
        }
        let most = usize::try_from(self.max.unwrap_or(LONGEST)).unwrap_or(usize::MAX);
        if all.len() > most {
            return Err(format!("Give at most {most} of them."));
        }
        if text.contains(is_hidden) {
            return Err("Use one line of plain text.".to_owned());
        }
        for word in &all {
            if !self.choices.is_empty() && self.named(word).is_none() {
                return Err(format!("“{word}” is not one of {}.", self.values()));
            }
            self.fits(word)?;
        }
        Ok(all.join(" "))
    }

    fn path(&self, text: String) -> Result<String, String> {
        let text = self.text(text)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if text.is_empty() {
            return Ok(text);
        }
        if !text.starts_with('/') || !text.chars().all(plain) || text.split('/').any(|part| part == "..") {
            return Err(
                "Give a full path like /srv/media, made of letters, digits, dots, dashes and underscores.".to_owned()
            );
        }
        Ok(text)
    }

    fn number(&self, text: &str) -> Result<Value, String> {
        if text.is_empty() && !self.required {
            return Ok(Value::Null);
        }
        let range = match (self.min, self.max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) => format!("{min} or more"),
            (None, Some(max)) => format!("{max} or less"),
            (None, None) => String::new(),
        };
        let (min, max) = (self.min.unwrap_or(i64::MIN), self.max.unwrap_or(i64::MAX));
        // Only where sizes grow a plus has a meaning, and another one.
        if text.starts_with('+') {
            return Err("Give a number without a plus.".to_owned());
        }
        let amount = base::amounts::unit_of(&self.unit).filter(|_| self.kind == OptionKind::Number);
        let amount = amount.map(|unit| base::amounts::parse(text, unit)).transpose()?.map(|n| n.to_string());
        let text = amount.as_deref().unwrap_or(text);
        if let Ok(n) = text.parse::<i64>() {
            return if (min..=max).contains(&n) { Ok(n.into()) } else { Err(format!("Choose {range}.")) };
        }
        #[expect(clippy::cast_precision_loss, reason = "bounds of numbers that people type")]
        let fits = |n: &f64| n.is_finite() && *n >= min as f64 && *n <= max as f64;
        match (self.kind, text.parse::<f64>()) {
            (OptionKind::Decimal, Ok(n)) if fits(&n) => Ok(Number::from_f64(n).map_or(Value::Null, Value::Number)),
            (OptionKind::Decimal, Ok(_)) => Err(format!("Choose {range}.")),
            (OptionKind::Decimal, _) => Err("Give a number.".to_owned()),
            _ => Err("Give a whole number.".to_owned()),
        }
    }

    fn several(&self, given: &Value) -> Result<Value, String> {
        let all: Vec<&str> = match given {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            // A form sends an empty one first, so that "none" can be told from "not asked".
            Value::String(s) => words(s).collect(),
            _ => Vec::new(),
        };
        let all: Vec<&str> = all.into_iter().filter(|w| !w.is_empty()).collect();
        if let Some(strange) = all.iter().find(|w| self.named(w).is_none()) {
            return Err(format!("“{strange}” is not in the list."));
        }
        if self.required && all.is_empty() {
            return Err("Choose at least one.".to_owned());
        }
        // In the order of the declaration, each once.
        let kept = self.choices.iter().filter(|(value, _)| all.contains(&value.as_str()));
        Ok(Value::Array(kept.map(|(value, _)| Value::String(value.clone())).collect()))
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .char_indices()
            .all(|(n, c)| if matches!(n, 8 | 13 | 18 | 23) { c == '-' } else { c.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(more: Value) -> OptionSpec {
        let mut all = json!({ "key": "k", "label": "K", "kind": "text" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn a_setting_is_text_and_comes_out_as_scripts_get_it() {
        let read = |more: Value, text: &str| spec(more).read_text(text);
        assert_eq!(read(json!({ "kind": "number", "min": 1, "max": 512 }), " 512 "), Ok("512".into()));
        assert_eq!(read(json!({ "kind": "decimal", "min": 0, "max": 128 }), "1.5"), Ok("1.5".into()));
        assert_eq!(read(json!({ "kind": "number", "unit": "MiB" }), "1.5 GB"), Ok("1536".into()));
        assert_eq!(read(json!({ "kind": "number", "unit": "GiB" }), "2T"), Ok("2048".into()));
        assert_eq!(read(json!({ "kind": "bool" }), "on"), Ok("1".into()));
        assert_eq!(read(json!({ "kind": "words", "pattern": "[a-z]+" }), "b, a;c"), Ok("b a c".into()));
        assert_eq!(read(json!({ "kind": "choice", "choices": [["a", "A"]] }), ""), Ok(String::new()));
        assert_eq!(read(json!({ "kind": "lines" }), "two\r\nlines"), Ok("two\nlines".into()));
        for (more, text) in [
            (json!({ "kind": "number", "min": 1, "max": 512 }), "513"),
            (json!({ "kind": "decimal", "min": 0, "max": 128 }), "NaN"),
            (json!({ "kind": "number" }), "+1"),
            (json!({ "kind": "number", "unit": "MiB", "max": 512 }), "1G"),
            (json!({ "kind": "number", "unit": "s" }), "1G"),
            (json!({ "kind": "bool" }), "maybe"),
            (json!({ "kind": "words", "pattern": "[a-z]+" }), "a B"),
            (json!({ "kind": "words", "choices": [["a", "A"]] }), "a b"),
            (json!({ "kind": "words", "max": 1 }), "a b"),
            (json!({ "kind": "choice", "choices": [["a", "A"]] }), "b"),
            (json!({ "required": true }), " "),
            (json!({ "pattern": "a+" }), "aab"),
            (json!({}), "one\nline"),
            (json!({ "format": "uuid" }), "6f1c2a5e-0b1d-4c55-9d38-2c4f6b7a8e9"),
        ] {
            assert!(read(more.clone(), text).is_err(), "{more}: {text}");
        }
    }

    #[test]
    fn a_value_with_a_name_fits_whatever_else_is_said_and_is_told_by_it() {
        let address = spec(json!({ "format": "cidr", "choices": [["dhcp", "by DHCP"]] }));
        assert_eq!(address.read_text("dhcp"), Ok("dhcp".into()));
        assert_eq!(address.read_text("192.168.1.4/24"), Ok("192.168.1.4/24".into()));
        assert!(address.read_text("192.168.1.4").is_err());
        let told = |more: Value, value: &str| spec(more).words_of(value);
        assert_eq!(told(json!({ "kind": "number", "unit": "MiB" }), "2048"), "2048 MiB");
        assert_eq!(told(json!({ "kind": "number", "choices": [["0", "none"]] }), "0"), "none");
        assert_eq!(told(json!({ "kind": "bool" }), "1"), "yes");
        assert_eq!(told(json!({ "kind": "choice", "choices": [["ovmf", "UEFI (OVMF)"]] }), "ovmf"), "UEFI");
    }

    #[test]
    fn what_one_of_two_declarations_takes_is_taken() {
        let mut one = spec(json!({ "kind": "choice", "choices": [["a", "A"]], "required": true }));
        one.widen(spec(json!({ "kind": "choice", "choices": [["a", "Other"], ["b", "B"]] })));
        assert!(one.read_text("b").is_ok() && one.read_text("").is_ok() && one.words_of("a") == "A");
        let mut cores = spec(json!({ "kind": "number", "min": 1, "max": 8 }));
        cores.widen(spec(json!({ "kind": "number", "min": 2, "max": 512 })));
        assert!(cores.read_text("1").is_ok() && cores.read_text("512").is_ok() && cores.read_text("513").is_err());
    }

    #[test]
    fn one_key_is_declared_once_for_each_kind_of_machine() {
        let vm = spec(json!({}));
        let container = OptionSpec { machines: vec![GuestKind::Container], ..vm.clone() };
        assert!(check_declarations(&[vm.clone(), container.clone()]).is_ok());
        assert!(check_declarations(&[vm, container.clone(), container]).is_err());
    }
}
