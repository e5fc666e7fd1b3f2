//! Plugins: which there are, what they may do, what is wrong with them, and their source.

use crate::frame::parts::{count, empty, note, post, state};
use crate::frame::{Page, layout};
use maud::{Markup, html};
use model::plugins::{HookMode, Manifest, Origin, PluginInfo};

#[derive(Clone, Debug)]
pub struct PluginsView {
    pub plugins: Vec<PluginInfo>,
    /// The folder that is watched for more; `None` when there is none.
    pub folder: Option<String>,
}

/// One file of a plugin.
#[derive(Clone, Debug)]
pub struct SourceFile {
    pub name: String,
    pub text: String,
}

#[derive(Clone, Debug)]
pub struct PluginView {
    pub info: PluginInfo,
    pub files: Vec<SourceFile>,
}

pub fn plugins(page: &Page, view: &PluginsView) -> Markup {
    let lead = html! {
        "Scripts, each for one outside product. They run in a sandbox: no files, no network, only the modules they were granted."
        @if let Some(folder) = &view.folder { " Put more into " code { (folder) } "; changed files are loaded at once." }
    };
    let main = html! {
        (layout::head("Plugins", lead, post(page, "/plugins/reload", "Reload the folder", "")))
        section id="plugins" data-live data-on="plugins" {
            @if view.plugins.is_empty() { (empty("plugins", "No plugins", "Steward comes with its own; if you see this, the build is broken.", None)) }
            ul.cards { @for p in &view.plugins { (card(p)) } }
        }
    };
    layout::page(page, "Plugins", main)
}

fn standing(info: &PluginInfo) -> Markup {
    match (&info.error, &info.active) {
        (None, _) => state("ok", "ready"),
        (Some(_), Some(_)) => state("warn", "older version runs"),
        (Some(_), None) => state("bad", "not usable"),
    }
}

fn origin(info: &PluginInfo) -> &'static str {
    match info.origin {
        Origin::Embedded => "part of Steward",
        Origin::Folder => "from the folder",
    }
}

fn card(info: &PluginInfo) -> Markup {
    html! {
        li.card {
            header { h2.name { a href={ "/plugins/" (info.name) } { (info.name) } } (standing(info)) }
            @if let Some(m) = &info.manifest { p { (m.about) } }
            (mistake(info))
            p.facts {
                @if let Some(m) = &info.manifest { span { (m.kind.name()) " " (m.version) } span.dim { (count(m.hooks.len(), "hook", "hooks")) } }
                span.dim { (origin(info)) }
            }
        }
    }
}

/// The error with its place, as an editor would show it.
fn mistake(info: &PluginInfo) -> Markup {
    html! {
        @if let Some(e) = &info.error {
            (note("bad", html! {
                p { code { (e.file) @if e.line > 0 { ":" (e.line) ":" (e.column) } } }
                p { (e.message) }
                @if info.active.is_some() { p.dim { "The last good version keeps running until this is fixed." } }
            }))
        }
    }
}

pub fn plugin(page: &Page, view: &PluginView) -> Markup {
    let info = &view.info;
    let about = info.manifest.as_ref().map_or("", |m| &m.about);
    let main = html! {
        (layout::crumbs(&[("/plugins", "Plugins")]))
        (layout::head(&info.name, html! { (about) }, html! {}))
        p.facts {
            (standing(info))
            @if let Some(m) = &info.manifest { span { (m.kind.name()) " " (m.version) } }
            span.dim { (origin(info)) }
            @if !info.hash.is_empty() { span.dim title={ "SHA-256 of its files: " (info.hash) } { "content " code { (info.hash.chars().take(12).collect::<String>()) } } }
        }
        (mistake(info))
        @if let Some(m) = &info.manifest { (manifest(m)) }
        @for file in &view.files { (source(info, file)) }
    };
    layout::page(page, &info.name, main)
}

fn manifest(m: &Manifest) -> Markup {
    html! {
        div.cols {
            section.card { h2 { "What Steward calls" }
                div.sheet-table { table.grid { thead { tr { th scope="col" { "Hook" } th scope="col" { "Mode" } th scope="col" { "Parameters" } } }
                    tbody { @for (name, hook) in &m.hooks { tr {
                        th scope="row" { code { (name) } }
                        td data-label="Mode" { (match hook.mode { HookMode::Pure => "pure: no effects", HookMode::Effect => "effect: one go", HookMode::Job => "job: durable steps" }) }
                        td data-label="Parameters" { (hook.params) }
                    } } } } }
            }
            section.card { h2 { "What it may use" }
                @if m.grants.is_empty() { p.dim { "Nothing: it can only compute." } }
                ul.tags { @for g in &m.grants { li.tag { (g) } } }
                p.dim { "A module that is not listed does not exist for the script." }
            }
        }
    }
}

/// The text with line numbers; the wrong line is marked.
fn source(info: &PluginInfo, file: &SourceFile) -> Markup {
    let wrong = info.error.as_ref().filter(|e| e.file == file.name && e.line > 0).map(|e| e.line);
    html! {
        details.card.source open[wrong.is_some()] {
            summary { h2.name { (file.name) } span.dim { (count(file.text.lines().count(), "line", "lines")) } }
            pre tabindex="0" aria-label={ "Source of " (file.name) } { code.lines {
                @for (n, line) in file.text.lines().enumerate() {
                    span.line.wrong[wrong == Some(n + 1)] id=[(wrong == Some(n + 1)).then_some("wrong-line")] { (line) "\n" }
                }
            } }
        }
    }
}
