//! A machine's snapshots: the tree with the present state in its place, and one snapshot's own page.

use crate::frame::Page;
use crate::frame::ask::{of, yes};
use crate::frame::form::{Form, area, csrf, switch, text, trouble};
use crate::frame::parts::{count, empty, icon, note, time};
use crate::guests::one::page::{MachineHead, frame, happening};
use maud::{Markup, html};
use model::guests::ActionKind;
use model::guests::snapshots::{Snapshot, Snapshots};
use model::providers::Feature;

/// What the tab shows.
#[derive(Clone, Debug, Default)]
pub struct SnapshotsView {
    /// `None` when the provider does not answer; `trouble` says why.
    pub all: Option<Snapshots>,
    pub trouble: String,
    /// Why none can be taken now.
    pub refusal: Option<String>,
    /// A free name.
    pub suggestion: String,
}

/// Deeper branches are drawn at this depth.
const DEEPEST: usize = 8;

pub fn list(page: &Page, head: &MachineHead, view: &SnapshotsView, form: &Form) -> Markup {
    let body = html! {
        (happening(page, head))
        @if view.all.is_none() { (note("warn", html! { "The snapshots can't be read right now. " (view.trouble) })) }
        @if let Some(all) = &view.all {
            section id="snapshots" data-live data-on={ "job guest:" (head.row.id) } {
                @if all.snapshots.is_empty() {
                    (empty("clock", "No snapshots yet", "A snapshot keeps the machine as it is now, so that you can go back: before an upgrade, for example.", None))
                } @else {
                    ol.tree aria-label="Snapshots, oldest first" {
                        @for (depth, snapshot) in all.tree() {
                            @match snapshot {
                                Some(s) => li class={ "d" (depth.min(DEEPEST)) } { (line(page, head, s)) },
                                None => li class={ "now d" (depth.min(DEEPEST)) } { strong { "Now" } span.dim { "the machine as it is" } },
                            }
                        }
                    }
                }
            }
        }
        (take(page, head, view, form))
    };
    frame(page, head, "snapshots", body)
}

fn line(page: &Page, head: &MachineHead, s: &Snapshot) -> Markup {
    html! {
        a href=(head.at(&format!("snapshots/{}", s.name))) { (s.name) }
        span.dim { (time(page, s.time)) }
        @if s.memory { span.tag { "with memory" } }
        @if s.broken { span.state.bad { "broke off" } }
        @if !s.description.is_empty() { span.words { (s.description) } }
    }
}

fn take(page: &Page, head: &MachineHead, view: &SnapshotsView, form: &Form) -> Markup {
    let running = head.row.status == "running";
    html! {
        section.card.narrow {
            h2 { "Take a snapshot" }
            (trouble(form))
            @if let Some(why) = &view.refusal { p.dim { (why) } } @else {
                form method="post" action=(head.at("snapshots")) {
                    (csrf(page))
                    (text("name", "Name").required().default(&view.suggestion).hint("Letters, digits, dashes and underscores.").render(form))
                    (area("description", "Note", 2).hint("What is it for?").render(form))
                    @if running && head.has(Feature::SnapshotMemory) {
                        (switch(form, "memory", "Include memory", false, "Rolling back then resumes where it left off. It takes longer, and as much space as the machine has memory."))
                    }
                    @if running && head.has(Feature::SnapshotMemory) { p.dim { "It keeps running. Without memory, rolling back is like recovering from a power cut; with the guest agent its files are consistent." } }
                    @else if running { p.dim { "It keeps running. Rolling back is like recovering from a power cut." } }
                    div.actions { button.primary { (icon("plus")) "Take snapshot" } }
                }
            }
        }
    }
}

/// One snapshot: going back to it, its note, deleting it.
pub fn one(page: &Page, head: &MachineHead, all: &Snapshots, s: &Snapshot, lost: &Markup, form: &Form) -> Markup {
    let at = |action: &str| head.at(&format!("snapshots/{}/{action}", s.name));
    let running = head.row.status == "running";
    let children = all.snapshots.iter().filter(|c| c.parent.as_deref() == Some(s.name.as_str())).count();
    let body = html! {
        (happening(page, head))
        p { a href=(head.at("snapshots")) { (icon("left")) "All snapshots" } }
        h2 { "Snapshot " (s.name) }
        p.facts {
            span { (time(page, s.time)) }
            @if s.memory { span.tag { "with memory" } }
            @if all.parent.as_deref() == Some(s.name.as_str()) { span.tag { "the current state is based on it" } }
            @if s.broken { span.state.bad { "broke off" } }
        }
        (trouble(form))
        @if !head.can_manage { p { "Only its owner and admins may change snapshots." } } @else {
            section.card.narrow.attention {
                h2 { "Go back to it" }
                @if s.broken { p { "This snapshot is incomplete: taking it was interrupted. You can't roll back to it." } } @else {
                    p { "This brings " strong { (head.row.name) } " back to how it was " (time(page, s.time)) "." }
                    (lost)
                    form method="post" action=(at("rollback")) {
                        (csrf(page))
                        @if s.memory { p.dim { "It continues running from there, because its memory was saved." } }
                        @else { (switch(form, "start", "Start it afterwards", running, "")) }
                        div.actions { (yes(&of(ActionKind::Rollback), &s.name, "danger solid", html! { "Go back to " (s.name) })) }
                    }
                }
            }
            section.card.narrow {
                h2 { "Note" }
                form method="post" action=(at("edit")) {
                    (csrf(page))
                    (area("description", "Note", 3).default(&s.description).render(form))
                    div.actions { button { "Keep note" } }
                }
            }
            section.card.narrow {
                h2 { "Delete it" }
                p { "The machine stays as it is; you just can't roll back to this snapshot any more."
                    @if children > 0 { " " (count(children, "later snapshot stays.", "later snapshots stay.")) } }
                form method="post" action=(at("delete")) {
                    (csrf(page))
                    div.actions { (yes(&of(ActionKind::DeleteSnapshot), &s.name, "danger", html! { (icon("trash")) "Delete snapshot" })) }
                }
            }
        }
    };
    frame(page, head, "snapshots", body)
}
