//! The software tab of a machine: what is installed, what can be, and how Steward signs in.

use crate::frame::Page;
use crate::frame::ask::{self, yes};
use crate::frame::form::{Form, csrf, number, password, text, trouble};
use crate::frame::parts::{copy, icon, note, post, state, time};
use crate::frame::recipe::{fields, needs, picture};
use crate::guests::one::page::{MachineHead, frame};
use app::software::{KeyView, MenuItem, SoftwareView};
use maud::{Markup, html};
use model::guests::System;
use model::software::SoftwareState;
use serde_json::Value;

#[derive(Clone, Debug)]
pub struct TabView {
    pub software: Vec<SoftwareView>,
    pub menu: Vec<MenuItem>,
    pub key: Option<KeyView>,
    /// May this person install and remove?
    pub can_manage: bool,
}

pub fn tab(page: &Page, head: &MachineHead, view: &TabView, form: &Form) -> Markup {
    let id = head.row.id;
    let body = html! {
        section id="software" data-live data-on={ "guest:" (id) " job" } {
            h2 { "On this machine" }
            @if view.software.is_empty() { p.dim { "Steward has installed nothing here yet." } }
            @else { ul.cards { @for s in &view.software { (installed(page, head, view, s)) } } }
        }
        @if view.can_manage && !head.row.template {
            @if view.key.is_some() || head.system == System::Windows { section { h2 { "Install" } (menu(head, view)) } }
            @else { section { h2 { "Install" } p { "First give Steward access below: it signs in over SSH with a key of its own." } } }
        }
        @if head.system == System::Windows { p.dim { "Steward works inside this machine through its guest agent; no sign-in is needed." } }
        @else if !head.row.template { (access(page, head, view, form)) }
    };
    frame(page, head, "software", body)
}

fn class(s: SoftwareState) -> &'static str {
    match s {
        SoftwareState::Installed => "ok",
        SoftwareState::Failed => "bad",
        SoftwareState::Installing => "busy",
        SoftwareState::Wanted | SoftwareState::Cancelled => "idle",
    }
}

fn installed(page: &Page, head: &MachineHead, view: &TabView, s: &SoftwareView) -> Markup {
    let open = matches!(s.state, SoftwareState::Installing);
    let at = |rest: &str| format!("/machines/{}/software/{}{rest}", head.row.id, s.recipe);
    html! {
        li.card {
            header { strong { (s.title) } (state(class(s.state), s.state.name())) }
            p.dim { "Version " (s.version) ", requested by " (s.asked_by) " " (time(page, s.asked)) @if let Some(t) = s.installed { ", installed " (time(page, t)) } }
            @if s.state == SoftwareState::Failed { @if let Some(why) = &s.error { (note("bad", html! { (why) })) } }
            @if s.state == SoftwareState::Wanted { p { "It begins as soon as nothing else works on the machine." } }
            @if !s.links.is_empty() {
                ul.plain { @for l in &s.links { li {
                    @if l.url.contains("{address}") { (l.title) span.dim { " (the machine has no address now)" } }
                    @else { a href=(l.url) rel="noreferrer" target="_blank" { (l.title) } " " span.dim { (l.url) } }
                } } }
            }
            @if let Some(text) = chosen(&s.options) { p.dim { (text) } }
            div.actions {
                @if let Some(job) = s.job { a.button href={ "/jobs/" (job) } { @if open { "Watch" } @else { "Log" } } }
                @if view.can_manage && !open {
                    @if let (SoftwareState::Failed | SoftwareState::Cancelled, Some(job)) = (s.state, s.job) { (post(page, &format!("/jobs/{job}/retry"), "Try again", "primary")) }
                    @if view.menu.iter().any(|m| m.name == s.recipe) { a.button.quiet href=(at("")) { "Install again" } }
                    form.inline method="post" action=(at("/remove")) { (csrf(page))
                        (yes(&ask::UNLIST_SOFTWARE, &s.title, "quiet", html! { "Remove from list" }))
                    }
                }
            }
        }
    }
}

/// The options in words; there are no secrets among them.
fn chosen(options: &Value) -> Option<String> {
    let word = |v: &Value| match v {
        Value::String(s) => s.clone(),
        Value::Bool(b) => if *b { "yes" } else { "no" }.to_owned(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    let all = options.as_object()?.iter().filter(|(_, v)| !v.is_null() && *v != "");
    let parts: Vec<String> = all.map(|(k, v)| format!("{}: {}", k.replace('_', " "), word(v))).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Categories in their order, each with its recipes.
pub fn by_category(menu: &[MenuItem]) -> Vec<(&str, Vec<&MenuItem>)> {
    let mut out: Vec<(&str, Vec<&MenuItem>)> = Vec::new();
    for item in menu {
        match out.last_mut().filter(|(c, _)| *c == item.recipe.category) {
            Some((_, list)) => list.push(item),
            None => out.push((&item.recipe.category, vec![item])),
        }
    }
    out
}

fn menu(head: &MachineHead, view: &TabView) -> Markup {
    html! {
        (find_box())
        div.recipe-columns { @for (category, items) in by_category(&view.menu) {
            section.recipes data-find-group { h3 { (picture(category)) (category) }
                ul.recipe-list { @for item in items {
                    li data-find={ (item.recipe.title) " " (item.recipe.about) " " (category) } {
                        a.recipe href={ "/machines/" (head.row.id) "/software/" (item.name) } {
                            strong { (item.recipe.title) } span { (item.recipe.about) } small.dim { (needs(&item.recipe.needs)) }
                        }
                    }
                } }
            }
        } }
    }
}

/// Shown by the script that makes it work.
pub fn find_box() -> Markup {
    html! {
        p.find-recipes hidden data-find-box {
            input type="search" aria-label="Find software" placeholder="Find software" autocomplete="off" spellcheck="false";
        }
    }
}

/// The form of one recipe for a machine that is there.
pub fn recipe(page: &Page, head: &MachineHead, item: &MenuItem, warnings: &[String], form: &Form) -> Markup {
    let path = format!("/machines/{}/software", head.row.id);
    let body = html! {
        section.card.narrow {
            h2 { "Install " (item.recipe.title) }
            p { (item.recipe.about) }
            @let wants = needs(&item.recipe.needs);
            @if !wants.is_empty() { p.dim { "Needs " (wants) "." } }
            @for w in warnings { (note("warn", html! { (w) })) }
            (trouble(form))
            form method="post" action={ (path) "/" (item.name) } {
                (csrf(page))
                (fields(form, item, |_| true))
                div.actions { button.primary { "Install" } a.button.quiet href=(path) { "Back" } }
            }
        }
    };
    frame(page, head, "software", body)
}

/// How Steward signs in, and giving it access.
fn access(page: &Page, head: &MachineHead, view: &TabView, form: &Form) -> Markup {
    let path = format!("/machines/{}/ssh", head.row.id);
    let wrong = form.message().is_some();
    let summary = if view.key.is_some() { "Change it" } else { "Give Steward access" };
    html! {
        section.card.narrow id="ssh" {
            h2 { (icon("key")) "How Steward signs in" }
            @match &view.key {
                Some(key) => {
                    p { "As " strong { (key.user) } " with a key that only this machine has"
                        @match &key.address { Some(a) => { ", at " (a) }, None => ", at the address that its host reports" }
                        @if key.port != 22 { ", port " (key.port) } "." }
                    p.dim { "The line for authorized_keys:" }
                    p.fingerprint { (copy(&key.public_key)) }
                    @if key.host_keys.is_empty() { p.dim { "Its host key is kept at the first sign-in." } }
                    @else {
                        p.dim { "The machine's host key, seen at the first sign-in; any other is refused:" }
                        @for k in &key.host_keys { p.fingerprint { (copy(k)) } }
                        @if view.can_manage {
                            form method="post" action={ (path) "/forget" } { (csrf(page))
                                (yes(&ask::FORGET_HOST_KEY, "", "quiet", html! { "Forget the host key" }))
                            }
                        }
                    }
                }
                None => p { "Steward did not create this machine, or created it without a user, so it has no key there." },
            }
            @if view.can_manage {
                details.fold open[wrong || view.key.is_none()] { summary { (summary) }
                    (trouble(form))
                    form method="post" action=(path) {
                        (csrf(page))
                        (text("user", "User on the machine").default(view.key.as_ref().map_or("root", |k| k.user.as_str())).hint("root, or a user who may use sudo without a password.").render(form))
                        div.pair {
                            (text("address", "Address").default(view.key.as_ref().and_then(|k| k.address.as_deref()).unwrap_or("")).hint("Leave empty for the one that Proxmox reports.").mono().render(form))
                            (number("port", "Port", 1, 65535).default(&view.key.as_ref().map_or(22, |k| k.port).to_string()).render(form))
                        }
                        (password("password", "Password", "off").hint("Used once to install the key, then forgotten. Leave it empty to add the line yourself.").maybe().render(form))
                        div.actions { button.primary { @if view.key.is_some() { "Change" } @else { "Give Steward access" } } }
                    }
                }
            }
        }
    }
}
