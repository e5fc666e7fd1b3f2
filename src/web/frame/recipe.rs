//! A recipe's options as form fields, for the wizard and for a machine's Software page.

use crate::frame::form::{Form, number, password, select, switch, text};
use crate::frame::parts::{bytes, icon};
use app::software::MenuItem;
use maud::{Markup, html};
use model::options::{OptionKind, OptionSpec};
use model::software::Needs;
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
    let default = match &option.default {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let (label, hint) = (option.label.as_str(), option.help.as_str());
    match option.kind {
        OptionKind::Text | OptionKind::Lines | OptionKind::Words | OptionKind::Decimal | OptionKind::Disks => {
            text(&name, label).default(&default).hint(hint).render(form)
        }
        OptionKind::Path => text(&name, label).default(&default).hint(hint).mono().render(form),
        OptionKind::Password => password(&name, label, "new-password").hint(hint).maybe().render(form),
        OptionKind::Number => {
            let bound = |n: Option<i64>, or: u64| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(or);
            let (min, max) = (bound(option.min, 0), bound(option.max, 1_000_000_000));
            number(&name, label, min, max).default(&default).hint(hint).render(form)
        }
        OptionKind::Bool => switch(form, &name, label, option.default == Value::Bool(true), hint),
        OptionKind::Choice => {
            let form = if form.has(&name) { form.clone() } else { form.clone().set(name.as_str(), default) };
            select(&form, &name, label, &option.choices, hint)
        }
        OptionKind::Multi => several(form, &name, option),
    }
}

/// Boxes to tick; an empty value goes first, so that "none" can be told from "not asked yet".
fn several(form: &Form, name: &str, option: &OptionSpec) -> Markup {
    let asked = form.has(name);
    let by_default = |value: &str| option.default.as_array().is_some_and(|list| list.iter().any(|v| v == value));
    let ticked = |value: &str| if asked { form.values(name).iter().any(|v| v == value) } else { by_default(value) };
    html! {
        fieldset.several.wrong[form.error(name).is_some()] {
            legend { (option.label) }
            @if let Some(text) = form.error(name) { p.error id={ (name) "-error" } { (text) } }
            @if !option.help.is_empty() { p.hint { (option.help) } }
            input type="hidden" name=(name) value="";
            @for (value, words) in &option.choices {
                label { input type="checkbox" name=(name) value=(value) checked[ticked(value)]; span { (words) } }
            }
        }
    }
}

/// What was typed for a recipe, as the app reads it.
pub fn values(form: &Form, item: &MenuItem) -> Map<String, Value> {
    let read = |option: &OptionSpec| {
        let name = field_name(&item.name, &option.key);
        if !form.has(&name) {
            return None;
        }
        let value = match option.kind {
            OptionKind::Multi => {
                let chosen = form.values(&name).iter().filter(|v| !v.is_empty());
                Value::Array(chosen.map(|v| Value::String(v.clone())).collect())
            }
            OptionKind::Bool => Value::Bool(form.on(&name, false)),
            _ => Value::String(form.value(&name).to_owned()),
        };
        Some((option.key.clone(), value))
    };
    item.recipe.options.iter().filter_map(read).collect()
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
