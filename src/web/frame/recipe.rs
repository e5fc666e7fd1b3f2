//! A recipe's options as form fields, for the wizard and for a machine's Software page.

use crate::frame::form::Form;
use crate::frame::options::{self, Draw};
use crate::frame::parts::{bytes, icon};
use app::software::MenuItem;
use maud::{Markup, html};
use model::options::{OptionKind, OptionSpec, text_of};
use model::software::{Needs, SoftwareRequest};
use serde_json::{Map, Value};

/// The form's name of an option: `software.RECIPE.KEY`, as errors name it.
pub fn field_name(recipe: &str, key: &str) -> String {
    format!("software.{recipe}.{key}")
}

/// The fields of all options for which `which` is true.
pub fn fields(form: &Form, item: &MenuItem, which: impl Fn(&OptionSpec) -> bool) -> Markup {
    let (folded, open): (Vec<_>, Vec<_>) = item.recipe.options.iter().filter(|o| which(o)).partition(|o| o.advanced);
    let wrong = folded.iter().any(|o| form.error(&field_name(&item.name, &o.key)).is_some());
    html! {
        @for option in open { (field(form, &item.name, option)) }
        @if !folded.is_empty() {
            details.fold open[wrong] { summary { "More options" } @for option in folded { (field(form, &item.name, option)) } }
        }
    }
}

/// No field is marked as required for the browser: a recipe that was not chosen must not hold up the form.
fn field(form: &Form, recipe: &str, option: &OptionSpec) -> Markup {
    let name = field_name(recipe, &option.key);
    let first = option.choices.first().filter(|_| option.kind == OptionKind::Choice && option.default.is_null());
    let value = first.map_or_else(|| text_of(&option.default), |(value, _)| value.clone());
    options::field(form, option, Draw { name: &name, value: &value, ..Draw::default() })
}

/// What was typed for a recipe, as the app reads it.
pub fn values(form: &Form, item: &MenuItem) -> Map<String, Value> {
    let read = |o: &OptionSpec| Some((o.key.clone(), options::typed(form, &field_name(&item.name, &o.key), o)?));
    item.recipe.options.iter().filter_map(read).collect()
}

/// The form with software that was asked for before.
pub fn with_software(form: Form, asked: &SoftwareRequest) -> Form {
    let form = form.set("software", asked.recipe.as_str());
    asked.options.iter().fold(form, |form, (key, value)| {
        let name = field_name(&asked.recipe, key);
        match value {
            Value::Bool(on) => form.set(name, if *on { "on" } else { "off" }),
            Value::Array(list) => list.iter().filter_map(Value::as_str).fold(form, |f, v| f.set(name.as_str(), v)),
            other => form.set(name, text_of(other)),
        }
    })
}

pub fn is_secret(option: &OptionSpec) -> bool {
    option.kind == OptionKind::Password
}

/// "1 GiB memory, 8 GiB disk".
pub fn needs(needs: &Needs) -> String {
    let mut parts = Vec::new();
    if needs.memory > 0 {
        parts.push(format!("{} memory", bytes(needs.memory << 20)));
    }
    if needs.disk > 0 {
        parts.push(format!("{} GiB disk", needs.disk));
    }
    parts.join(", ")
}

/// The picture of a category.
pub fn picture(category: &str) -> Markup {
    icon(match category {
        "Media" => "play",
        "Network" => "link",
        "Security" => "shield",
        "Office" | "Desktop" => "columns",
        "Watching" => "clock",
        "Home" => "home",
        _ => "box",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item() -> MenuItem {
        let recipe = toml::from_str(
            "title = 'T'\ncategory = 'Web'\n[[options]]\nkey = 'apps'\nlabel = 'Apps'\nkind = 'multi'\nchoices = [['a', 'A'], ['b', 'B']]\ndefault = ['a']\n\
             [[options]]\nkey = 'secret'\nlabel = 'S'\nkind = 'password'\n[[options]]\nkey = 'on'\nlabel = 'On'\nkind = 'bool'\ndefault = true",
        );
        MenuItem { name: "software-t".into(), version: "1".into(), recipe: recipe.unwrap() }
    }

    #[test]
    fn what_was_not_asked_yet_has_its_default_and_what_was_unticked_stays_so() {
        let html = fields(&Form::new(), &item(), |_| true).into_string();
        assert!(html.contains("value=\"a\" checked") && !html.contains("value=\"b\" checked"), "{html}");
        let form = Form::new().set("software.software-t.apps", "").set("software.software-t.on", "off");
        let html = fields(&form, &item(), |_| true).into_string();
        assert!(!html.contains("checked"), "{html}");
        assert_eq!(Value::Object(values(&form, &item())), json!({"apps": [], "on": false}));
    }

    #[test]
    fn a_typed_secret_never_comes_back_in_the_page() {
        let form = Form::new().set("software.software-t.secret", "three green lamps");
        assert!(!fields(&form, &item(), |_| true).into_string().contains("lamps"));
        assert_eq!(values(&form, &item())["secret"], "three green lamps");
    }
}
