//! Secrets as scripts hold them: handles. A handle knows the names of the secrets in a text, never their content; only
//! the host puts that in, when the text leaves the script.

use super::convert::NotData;
use super::error::Failed;
use super::host::{CallError, CallErrorKind};
use super::limits::{DATA_DEPTH, STRING_BYTES};
use super::run::{self, Answer, Stop};
use base::{Secret, Secrets};
use rhai::{Dynamic, Engine, FuncRegistration, Map, Module, NativeCallContext, Position};
use std::collections::BTreeMap;
use std::fmt;

/// What a script that tries to read a secret is told.
const HIDDEN: &str = "a secret can't be read, kept, logged or returned, and can't become part of another text. Pass it \
                      as it is to ssh::run (input), ssh::put, agent::run (input), agent::put, pve::post, pve::put or \
                      pve::upload_cd, or fill it into a text with template::fill";

/// Secrets in one text.
const MOST: usize = 1_000;

/// Name, signature, sentence, example: for the documentation.
pub(super) const DOCS: &[(&str, &str, &str)] = &[(
    "template::fill(text, values) -> secret",
    "A text with secrets in it: `{name}` stands for the value of that name in the map, a secret or a text. \
     `{name:sql}` doubles single quotes, for a string between them. The result is a secret itself. Throws when a \
     value has no placeholder in the text.",
    r#"let env = template::fill("USER=mira\nPASSWORD={word}\n", #{ word: args.options.password });"#,
)];

/// A text on its way to a machine: plain, or with secrets that the host puts in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretText(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(String),
    Secret { name: String, doubled: bool },
}

/// Texts with secrets by the place where they belong, as a JSON pointer (RFC 6901).
pub type SecretPlaces = BTreeMap<String, SecretText>;

/// The handles of secrets that are named by their places, like `options/password`.
pub fn handles(secrets: &Secrets) -> SecretPlaces {
    secrets.names().map(|name| (format!("/{name}"), SecretText::named(name))).collect()
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(vec![Part::Plain(text.to_owned())])
    }
}

/// As a script's author sees it.
impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret")?;
        self.names().try_for_each(|name| write!(f, " {name}"))?;
        f.write_str("]")
    }
}

impl SecretText {
    /// The secret of this name and nothing else.
    pub fn named(name: impl Into<String>) -> Self {
        Self(vec![Part::Secret { name: name.into(), doubled: false }])
    }

    /// The secrets in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Secret { name, .. } => Some(name.as_str()),
            Part::Plain(_) => None,
        })
    }

    /// Bytes without the secrets.
    pub(super) fn plain_len(&self) -> usize {
        length(&self.0)
    }

    /// The whole text.
    ///
    /// # Errors
    /// `Refused` when a secret is not kept any more.
    pub fn resolve(&self, secrets: &Secrets) -> Result<Secret<String>, CallError> {
        let piece = |part: &Part| match part {
            Part::Plain(text) => Ok(Secret::new(text.clone())),
            Part::Secret { name, doubled } => {
                let gone =
                    || CallError::new(CallErrorKind::Refused, 0, format!("The secret “{name}” is not kept any more."));
                let text = secrets.get(name).ok_or_else(gone)?.expose();
                Ok(Secret::new(if *doubled { text.replace('\'', "''") } else { text.clone() }))
            }
        };
        let pieces = self.0.iter().map(piece).collect::<Result<Vec<_>, CallError>>()?;
        Ok(Secret::joined(pieces.iter().map(|p| p.expose().as_str())))
    }

    /// What of it must not come back: each secret, as it was put in.
    pub fn hidden(&self, secrets: &Secrets) -> Vec<Secret<String>> {
        let secret = |part: &Part| match part {
            Part::Plain(_) => None,
            part => Self(vec![part.clone()]).resolve(secrets).ok(),
        };
        self.0.iter().filter_map(secret).collect()
    }
}

fn length(parts: &[Part]) -> usize {
    parts.iter().map(|part| if let Part::Plain(text) = part { text.len() } else { 0 }).sum()
}

/// A parameter that is a text, with or without secrets.
pub(super) fn text_of(value: &Dynamic) -> Option<SecretText> {
    let value = value.flatten_clone();
    if let Ok(text) = value.as_immutable_string_ref() {
        return Some(SecretText::from(text.as_str()));
    }
    value.try_cast::<SecretText>()
}

/// Takes the secrets out of a value: what is left is data, with nothing in their places.
pub(super) fn take_out(value: Dynamic, found: &mut SecretPlaces) -> Dynamic {
    walk(value, "", 0, found)
}

fn walk(value: Dynamic, at: &str, depth: usize, found: &mut SecretPlaces) -> Dynamic {
    let mut value = value.flatten();
    if let Some(text) = value.read_lock::<SecretText>().map(|t| t.clone()) {
        found.insert(at.to_owned(), text);
        return Dynamic::UNIT;
    }
    if depth > DATA_DEPTH {
        return value;
    }
    if let Ok(mut map) = value.as_map_mut() {
        for (key, inner) in map.iter_mut() {
            let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            *inner = walk(std::mem::take(inner), &at, depth + 1, found);
        }
    }
    if let Ok(mut list) = value.as_array_mut() {
        for (n, inner) in list.iter_mut().enumerate() {
            *inner = walk(std::mem::take(inner), &format!("{at}/{n}"), depth + 1, found);
        }
    }
    value
}

/// Puts handles to their places in a script's arguments; a map that is missing on the way is made.
pub(super) fn put_in(mut value: Dynamic, places: &SecretPlaces) -> Dynamic {
    for (at, text) in places {
        let steps: Vec<String> = at.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")).collect();
        put_at(&mut value, &steps, text);
    }
    value
}

fn put_at(value: &mut Dynamic, steps: &[String], text: &SecretText) {
    let Some((first, rest)) = steps.split_first() else {
        *value = Dynamic::from(text.clone());
        return;
    };
    if let Ok(mut list) = value.as_array_mut() {
        if let Some(inner) = first.parse().ok().and_then(|n: usize| list.get_mut(n)) {
            put_at(inner, rest, text);
        }
        return;
    }
    if !value.is_map() {
        *value = Map::new().into();
    }
    if let Ok(mut map) = value.as_map_mut() {
        put_at(map.entry(first.as_str().into()).or_default(), rest, text);
    }
}

/// Why a handle is not data.
pub(super) fn not_data() -> NotData {
    NotData { path: String::new(), why: HIDDEN.to_owned() }
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<SecretText>("Secret");
    for name in ["to_debug", "debug"] {
        engine.register_fn(name, |text: &mut SecretText| text.to_string());
    }
    // Rhai swallows errors of these two, so they end the run.
    for name in ["to_string", "print"] {
        engine.register_fn(name, |ctx: NativeCallContext<'_>, _: &mut SecretText| refuse(ctx.call_position()));
    }
    let mut module = Module::new();
    FuncRegistration::new("fill")
        .in_internal_namespace()
        .set_into_module(&mut module, |text: &str, values: Map| fill(text, &values));
    engine.register_static_module("template", module.into());
}

fn refuse(position: Position) -> Answer<String> {
    run::current()?.stop(Stop::Failed(Failed::misuse(HIDDEN, position)))
}

const TOO_LONG: &str = "the filled text is too long";

fn fill(text: &str, values: &Map) -> Answer<SecretText> {
    let mut parts: Vec<Part> = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        plain.push_str(before);
        let place = after.split_once('}').and_then(|(inner, behind)| {
            let (name, doubled) = inner.strip_suffix(":sql").map_or((inner, false), |name| (name, true));
            values.get_key_value(name).map(|(key, value)| (key.as_str(), value, doubled, behind))
        });
        // Other braces are the text's own.
        let Some((name, value, doubled, behind)) = place else {
            plain.push('{');
            rest = after;
            continue;
        };
        let value = text_of(value).ok_or_else(|| format!("the value of {{{name}}} is neither a text nor a secret"))?;
        for part in value.0 {
            if parts.len() > 2 * MOST || length(&parts) + plain.len() > STRING_BYTES {
                return Err(TOO_LONG.into());
            }
            match part {
                Part::Plain(text) if doubled => plain.push_str(&text.replace('\'', "''")),
                Part::Plain(text) => plain.push_str(&text),
                Part::Secret { doubled: true, .. } if doubled => {
                    return Err(format!("the quotes in {{{name}}} are doubled already").into());
                }
                Part::Secret { name, doubled: before } => {
                    parts.push(Part::Plain(std::mem::take(&mut plain)));
                    parts.push(Part::Secret { name, doubled: doubled || before });
                }
            }
        }
        used.push(name);
        rest = behind;
    }
    plain.push_str(rest);
    parts.push(Part::Plain(plain));
    if let Some(unused) = values.keys().find(|key| !used.contains(&key.as_str())) {
        return Err(format!("the text has no placeholder {{{unused}}}").into());
    }
    parts.retain(|part| !matches!(part, Part::Plain(text) if text.is_empty()));
    if length(&parts) > STRING_BYTES { Err(TOO_LONG.into()) } else { Ok(SecretText(parts)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut all = Secrets::default();
        all.put("options/password", Secret::new("it's hunter2".to_owned()));
        all
    }

    fn filled(text: &str) -> Answer<SecretText> {
        let mut values = Map::new();
        values.insert("word".into(), Dynamic::from(SecretText::named("options/password")));
        fill(text, &values)
    }

    #[test]
    fn a_template_is_filled_by_the_host_alone() {
        let text = filled("a {word} {b} '{word:sql}' {").unwrap();
        assert!(!format!("{text:?}{text}").contains("hunter2"));
        assert_eq!(text.to_string(), "[secret options/password options/password]");
        assert_eq!(text.resolve(&secrets()).unwrap().expose(), "a it's hunter2 {b} 'it''s hunter2' {");
        let hidden = text.hidden(&secrets());
        assert_eq!(hidden.iter().map(|s| s.expose().as_str()).collect::<Vec<_>>(), ["it's hunter2", "it''s hunter2"]);
        assert!(filled("nothing").unwrap_err().to_string().contains("no placeholder {word}"));
    }

    #[test]
    fn a_template_may_be_part_of_another() {
        let mut values = Map::new();
        values.insert("inner".into(), Dynamic::from(filled("<{word}>").unwrap()));
        values.insert("plain".into(), "x".into());
        let text = fill("{plain}{inner}{plain}", &values).unwrap();
        assert_eq!(text.resolve(&secrets()).unwrap().expose(), "x<it's hunter2>x");
    }

    #[test]
    fn a_text_does_not_grow_without_end() {
        let mut text = filled("{word}").unwrap();
        let end = (0..100).find_map(|_| {
            let values = Map::from([("a".into(), Dynamic::from(text.clone()))]);
            fill("{a}{a}", &values).map(|twice| text = twice).err()
        });
        assert!(end.unwrap().to_string().contains(TOO_LONG));
        assert!(text.names().count() <= 2 * MOST);
    }

    #[test]
    fn a_secret_that_is_gone_is_said_by_its_name() {
        let e = SecretText::named("options/password").resolve(&Secrets::default()).unwrap_err();
        assert_eq!(e.message, "The secret “options/password” is not kept any more.");
    }

    #[test]
    fn handles_go_in_and_out_by_their_places() {
        let place = |name: &str| (format!("/{name}"), SecretText::named(name));
        let places = SecretPlaces::from([place("options/password"), place("answers/a.xml")]);
        let args = put_in(super::super::convert::from_json(serde_json::json!({"options": {"port": 1}})), &places);
        let mut found = SecretPlaces::new();
        let left = take_out(args, &mut found);
        assert_eq!(found, places);
        let left = super::super::convert::to_json(&left).unwrap();
        assert_eq!(left, serde_json::json!({"options": {"port": 1, "password": null}, "answers": {"a.xml": null}}));
    }
}
