//! Declared options as form fields, and what was typed into them: for recipes, a machine's hardware and hardware
//! profiles alike.

use super::form::{Form, area, number, password, select, switch, text};
use maud::{Markup, html};
use model::options::{Format, OptionKind, OptionSpec, text_of};
use serde_json::Value;

/// How an option is drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Draw<'a> {
    /// The field's name in the form.
    pub name: &'a str,
    /// What it holds before anything was typed.
    pub value: &'a str,
    /// The words for leaving it open, where that is possible.
    pub open: Option<&'a str>,
    /// The browser asks for a value.
    pub required: bool,
    /// What there is to choose from, where the provider can list it.
    pub known: &'a [String],
}

/// One option.
pub fn field(form: &Form, spec: &OptionSpec, draw: Draw<'_>) -> Markup {
    let (name, label, hint) = (draw.name, spec.label.as_str(), spec.help.as_str());
    let input = match spec.kind {
        OptionKind::Disks => return html! {},
        OptionKind::Multi => return several(form, name, spec, draw.value),
        OptionKind::Bool if draw.open.is_none() => return switch(form, name, label, draw.value == "1", hint),
        OptionKind::Bool => return choice(form, spec, draw, pairs(&[("1", "yes"), ("0", "no")])),
        OptionKind::Choice => return choice(form, spec, draw, spec.choices.clone()),
        OptionKind::Text if !draw.known.is_empty() => return names(form, spec, draw),
        OptionKind::Password => return password(name, label, "new-password").hint(hint).maybe().render(form),
        OptionKind::Number => {
            let (min, max) = spec.range();
            number(name, label, min, max)
        }
        OptionKind::Lines if spec.format == Some(Format::Keys) => area(name, label, 4).mono(),
        OptionKind::Lines => area(name, label, 4),
        OptionKind::Path => text(name, label).mono(),
        OptionKind::Text | OptionKind::Words | OptionKind::Decimal => text(name, label),
    };
    let input = input.unit(&spec.unit).hint(hint).default(draw.value);
    match (draw.open, draw.required) {
        (Some(_), _) => input.quiet().render(form),
        (None, true) => input.required().render(form),
        (None, false) => input.render(form),
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(value, words)| ((*value).to_owned(), (*words).to_owned())).collect()
}

/// A list. What it holds now is there too, whatever the declaration says.
fn choice(form: &Form, spec: &OptionSpec, draw: Draw<'_>, mut list: Vec<(String, String)>) -> Markup {
    let form = if form.has(draw.name) { form.clone() } else { form.clone().set(draw.name, draw.value) };
    if !draw.value.is_empty() && !list.iter().any(|(value, _)| value == draw.value) {
        list.insert(0, (draw.value.to_owned(), draw.value.to_owned()));
    }
    let empty = list.iter().any(|(value, _)| value.is_empty());
    if !empty && (draw.open.is_some() || draw.value.is_empty()) {
        list.insert(0, (String::new(), draw.open.unwrap_or("not set").to_owned()));
    }
    select(&form, draw.name, &spec.label, &list, &spec.help)
}

/// Known names, with the one that is set though nothing has it now.
fn names(form: &Form, spec: &OptionSpec, draw: Draw<'_>) -> Markup {
    let mut list: Vec<(String, String)> = draw.known.iter().map(|n| (n.clone(), n.clone())).collect();
    let now = if form.has(draw.name) { form.value(draw.name) } else { draw.value };
    if !now.is_empty() && !draw.known.iter().any(|n| n == now) {
        list.push((now.to_owned(), format!("{now} (currently missing)")));
    }
    choice(form, spec, draw, list)
}

/// Boxes to tick; an empty value goes first, so that "none" can be told from "not asked yet".
fn several(form: &Form, name: &str, spec: &OptionSpec, value: &str) -> Markup {
    let asked = form.has(name);
    let ticked = |choice: &str| {
        if asked { form.values(name).iter().any(|v| v == choice) } else { value.split(' ').any(|v| v == choice) }
    };
    html! {
        fieldset.several.wrong[form.error(name).is_some()] {
            legend { (spec.label) }
            @if let Some(text) = form.error(name) { p.error id={ (name) "-error" } { (text) } }
            @if !spec.help.is_empty() { p.hint { (spec.help) } }
            input type="hidden" name=(name) value="";
            @for (value, words) in &spec.choices {
                label { input type="checkbox" name=(name) value=(value) checked[ticked(value)]; span { (words) } }
            }
        }
    }
}

/// What was typed, as a check reads it; `None` when it was not asked.
pub fn typed(form: &Form, name: &str, spec: &OptionSpec) -> Option<Value> {
    // A switch sends `off` first, and `on` when it is ticked.
    let last = form.values(name).last()?;
    Some(match (spec.kind, last.as_str()) {
        (OptionKind::Multi, _) => {
            let chosen = form.values(name).iter().filter(|v| !v.is_empty());
            Value::Array(chosen.map(|v| Value::String(v.clone())).collect())
        }
        (OptionKind::Bool, "on" | "off") => Value::Bool(last == "on"),
        _ => Value::String(last.clone()),
    })
}

/// The same as text, for settings of machines.
pub fn typed_text(form: &Form, name: &str, spec: &OptionSpec) -> Option<String> {
    typed(form, name, spec).map(|value| text_of(&value))
}
