//! Forms: typed values that come back when something is wrong, sentences beside the fields, and the fields.

use crate::frame::Page;
use crate::frame::parts::icon;
use crate::rest::reading::Node;
use base::{Error, Result};
use maud::{Markup, html};
use model::guests::actions::{Action, ActionReader as _};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// What was typed into a form and what is wrong with it.
#[derive(Clone, Default)]
pub struct Form {
    values: BTreeMap<String, Vec<String>>,
    errors: BTreeMap<String, String>,
    message: Option<String>,
}

/// Any value may be a secret: the fields' names are shown.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.values.keys().collect();
        f.debug_struct("Form").field("values", &names).field("errors", &self.errors).finish_non_exhaustive()
    }
}

/// A body as browsers send it.
impl<'de> serde::Deserialize<'de> for Form {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        Vec::<(String, String)>::deserialize(d).map(Self::from_pairs)
    }
}

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    /// From a decoded body, repeated names kept.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        pairs.into_iter().fold(Self::new(), |form, (k, v)| form.set(k, v))
    }

    /// With the fields of `known` where this one has none.
    #[must_use]
    pub fn filled_from(mut self, known: &Self) -> Self {
        for (name, values) in &known.values {
            self.values.entry(name.clone()).or_insert_with(|| values.clone());
        }
        self
    }

    /// Adds one value.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.values.entry(name.into()).or_default().push(value.into());
        self
    }

    /// Puts one value in the place of what was there.
    #[must_use]
    pub fn replace(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.insert(name.to_owned(), vec![value.into()]);
        self
    }

    /// Takes over the sentences of a refusal.
    #[must_use]
    pub fn fail(mut self, error: &Error) -> Self {
        self.message = Some(error.message().to_owned());
        self.errors.extend(error.fields().clone());
        self
    }

    /// The first value of a field, empty when there is none.
    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).and_then(|v| v.first()).map_or("", String::as_str)
    }

    /// Without what must not be shown again.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.values.retain(|name, _| !names.contains(&name.as_str()));
        self
    }

    pub fn values(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A tick made with [`switch`]: `default` until the form was sent once.
    pub fn on(&self, name: &str, default: bool) -> bool {
        if self.has(name) { self.values(name).iter().any(|v| v == "on") } else { default }
    }

    /// What was typed, for reading a type from it.
    pub fn node(&self) -> Node {
        Node::of_form(self.pairs())
    }

    /// The ticked ones of several boxes, or the chosen ones of a list.
    pub fn list(&self, name: &str) -> Node {
        Node::List(self.values(name).iter().filter(|v| !v.is_empty()).map(Node::word).collect())
    }

    /// What was typed as a request, with all that can't be read.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.node().read()
    }

    /// What was typed as an action, with all that is wrong with it.
    pub fn action<A: Action>(&self) -> Result<A> {
        self.node().read_action()
    }

    /// All pairs, for carrying them on in hidden fields.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().flat_map(|(k, list)| list.iter().map(|v| (k.as_str(), v.as_str())))
    }

    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.get(name).map(String::as_str)
    }

    /// The fields that have a sentence.
    pub fn error_names(&self) -> impl Iterator<Item = &str> {
        self.errors.keys().map(String::as_str)
    }

    /// Does any of these fields have a sentence?
    pub fn any_error(&self, names: &[&str]) -> bool {
        names.iter().any(|n| self.errors.contains_key(*n))
    }

    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

/// The hidden field that proves that the form came from our page.
pub fn csrf(page: &Page) -> Markup {
    html! { input type="hidden" name="csrf" value=(page.csrf); }
}

/// What is wrong with the form as a whole, read out at once by screen readers.
pub fn trouble(form: &Form) -> Markup {
    html! {
        @if let Some(text) = form.message() {
            div.note.bad role="alert" { (icon("warn")) p { (text) } }
        }
    }
}

/// One labelled field. Build it with [`text`], [`password`] ..., refine it, then [`Field::render`] it.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    name: &'a str,
    label: &'a str,
    kind: &'a str,
    hint: &'a str,
    unit: &'a str,
    complete: &'a str,
    mode: &'a str,
    default: &'a str,
    range: Option<(u64, u64)>,
    required: bool,
    focus: bool,
    mono: bool,
    /// Says nothing of being optional, where all fields are.
    quiet: bool,
    rows: usize,
    /// Distinguishes fields of the same name on one page.
    scope: &'a str,
}

fn field<'a>(kind: &'a str, name: &'a str, label: &'a str) -> Field<'a> {
    Field {
        name,
        label,
        kind,
        hint: "",
        unit: "",
        complete: "off",
        mode: "",
        default: "",
        range: None,
        required: false,
        focus: false,
        mono: false,
        quiet: false,
        rows: 0,
        scope: "",
    }
}

pub fn text<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    field("text", name, label)
}

pub fn email<'a>(name: &'a str, label: &'a str) -> Field<'a> {
    Field { complete: "email", ..field("email", name, label) }
}

/// Never filled in from what was typed. `complete` is `current-password` or `new-password`.
pub fn password<'a>(name: &'a str, label: &'a str, complete: &'a str) -> Field<'a> {
    Field { complete, required: true, ..field("password", name, label) }
}

pub fn number<'a>(name: &'a str, label: &'a str, min: u64, max: u64) -> Field<'a> {
    Field { range: Some((min, max)), mode: "numeric", ..field("number", name, label) }
}

pub fn area<'a>(name: &'a str, label: &'a str, rows: usize) -> Field<'a> {
    Field { rows, ..field("area", name, label) }
}

impl<'a> Field<'a> {
    #[must_use]
    pub fn hint(self, hint: &'a str) -> Self {
        Self { hint, ..self }
    }

    #[must_use]
    pub fn unit(self, unit: &'a str) -> Self {
        Self { unit, ..self }
    }

    #[must_use]
    pub fn complete(self, complete: &'a str) -> Self {
        Self { complete, ..self }
    }

    /// Shown when nothing was typed yet.
    #[must_use]
    pub fn default(self, default: &'a str) -> Self {
        Self { default, ..self }
    }

    #[must_use]
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// May stay empty (a password that only one of two ways needs).
    #[must_use]
    pub fn maybe(self) -> Self {
        Self { required: false, ..self }
    }

    /// The field where typing starts.
    #[must_use]
    pub fn focus(self) -> Self {
        Self { focus: true, ..self }
    }

    #[must_use]
    pub fn mono(self) -> Self {
        Self { mono: true, ..self }
    }

    #[must_use]
    pub fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    #[must_use]
    pub fn scope(self, scope: &'a str) -> Self {
        Self { scope, ..self }
    }

    pub fn render(self, form: &Form) -> Markup {
        let error = form.error(self.name);
        let id = format!("{}{}", self.scope, self.name);
        let described = described(&id, !self.hint.is_empty(), error.is_some());
        html! {
            div.field.wrong[error.is_some()] {
                label for=(id) { (self.label) @if !self.required && !self.quiet && self.kind != "password" { span.optional { " optional" } } }
                div.control.unit[!self.unit.is_empty()] {
                    @if self.kind == "area" { (self.area(form, &id, described.as_deref(), error.is_some())) }
                    @else { (self.input(form, &id, described.as_deref(), error.is_some())) }
                    @if !self.unit.is_empty() { span.suffix { (self.unit) } }
                }
                (under(&id, self.hint, error))
            }
        }
    }

    fn shown<'b>(&'b self, form: &'b Form) -> &'b str {
        if self.kind == "password" {
            ""
        } else if form.has(self.name) {
            form.value(self.name)
        } else {
            self.default
        }
    }

    fn input(&self, form: &Form, id: &str, described: Option<&str>, wrong: bool) -> Markup {
        html! {
            input.mono[self.mono] type=(self.kind) id=(id) name=(self.name) value=(self.shown(form))
                autocomplete=(self.complete) inputmode=[some(self.mode)]
                min=[self.range.map(|r| r.0)] max=[self.range.map(|r| r.1)]
                required[self.required] autofocus[self.focus] aria-invalid=[wrong.then_some("true")]
                aria-describedby=[described] spellcheck=[(self.kind == "text").then_some("false")];
        }
    }

    fn area(&self, form: &Form, id: &str, described: Option<&str>, wrong: bool) -> Markup {
        html! {
            textarea.mono[self.mono] id=(id) name=(self.name) rows=(self.rows) required[self.required]
                aria-invalid=[wrong.then_some("true")] aria-describedby=[described]
                spellcheck=(if self.mono { "false" } else { "true" }) { (self.shown(form)) }
        }
    }
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn described(id: &str, hint: bool, error: bool) -> Option<String> {
    let ids: Vec<String> =
        [(hint, "hint"), (error, "error")].iter().filter(|(on, _)| *on).map(|(_, end)| format!("{id}-{end}")).collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

fn under(id: &str, hint: &str, error: Option<&str>) -> Markup {
    html! {
        @if let Some(text) = error { p.error id={ (id) "-error" } { (text) } }
        @if !hint.is_empty() { p.hint id={ (id) "-hint" } { (hint) } }
    }
}

/// A list to choose from: pairs of value and text.
pub fn select(form: &Form, name: &str, label: &str, options: &[(String, String)], hint: &str) -> Markup {
    let error = form.error(name);
    html! {
        div.field.wrong[error.is_some()] {
            label for=(name) { (label) }
            div.control {
                select id=(name) name=(name) aria-invalid=[error.map(|_| "true")]
                    aria-describedby=[described(name, !hint.is_empty(), error.is_some())] {
                    @for (value, text) in options {
                        option value=(value) selected[form.value(name) == value] { (text) }
                    }
                }
            }
            (under(name, hint, error))
        }
    }
}

/// A box to tick; `on` is sent when it is ticked.
pub fn tick(name: &str, label: &str, ticked: bool, hint: &str) -> Markup {
    ticked_box(name, label, ticked, hint, None)
}

fn ticked_box(name: &str, label: &str, ticked: bool, hint: &str, error: Option<&str>) -> Markup {
    html! {
        div.field.tick {
            label {
                input type="checkbox" name=(name) value="on" checked[ticked]
                    aria-describedby=[described(name, !hint.is_empty(), error.is_some())];
                span { (label) }
            }
            (under(name, hint, error))
        }
    }
}

/// A box to tick that can also be sent unticked: `off` always goes first, so a form that carries values
/// on can tell "unticked" from "not asked yet". Read it with [`Form::on`].
pub fn switch(form: &Form, name: &str, label: &str, default: bool, hint: &str) -> Markup {
    html! {
        input type="hidden" name=(name) value="off";
        (ticked_box(name, label, form.on(name, default), hint, form.error(name)))
    }
}

/// One of several ways, each with a sentence that explains it.
#[derive(Clone, Debug)]
pub struct RadioCard<'a> {
    pub value: &'a str,
    pub title: String,
    pub text: String,
}

/// Radio buttons as cards. `name` must be set in the form, else the first is chosen.
pub fn ways(form: &Form, name: &str, legend: &str, list: &[RadioCard<'_>]) -> Markup {
    let chosen = Some(form.value(name)).filter(|v| list.iter().any(|w| w.value == *v));
    html! {
        fieldset.ways.wrong[form.error(name).is_some()] {
            legend { (legend) }
            @if let Some(text) = form.error(name) { p.error id={ (name) "-error" } { (text) } }
            @for (n, way) in list.iter().enumerate() {
                label.way {
                    input type="radio" name=(name) value=(way.value) checked[chosen.map_or(n == 0, |c| c == way.value)];
                    span { strong { (way.title) } @if !way.text.is_empty() { small { (way.text) } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_values_come_back_with_the_sentence_beside_the_field() {
        let form = Form::new().set("login", "<b>1</b>").fail(&Error::field("login", "Use letters."));
        let page = text("login", "Login").hint("Lowercase letters").render(&form).into_string();
        assert!(page.contains("value=\"&lt;b&gt;1&lt;/b&gt;\""), "{page}");
        assert!(page.contains("aria-describedby=\"login-hint login-error\""));
        assert!(page.contains("id=\"login-error\">Use letters."));
    }

    #[test]
    fn a_password_is_never_sent_back() {
        let form = Form::new().set("password", "three green lamps");
        let page = password("password", "Password", "current-password").render(&form).into_string();
        assert!(!page.contains("lamps"));
    }
}
