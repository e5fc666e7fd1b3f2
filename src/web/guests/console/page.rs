//! A machine's console: its screen or its terminal in the page. The script in assets/js/console.js fills it.

use crate::frame::Page;
use crate::frame::form::csrf;
use crate::frame::parts::{icon, note};
use crate::guests::one::page::{MachineHead, frame};
use maud::{Markup, html};
use model::consoles::ConsoleChoice;

/// What the tab shows.
#[derive(Clone, Debug)]
pub struct ConsoleView {
    /// The kinds that the machine has.
    pub choices: Vec<ConsoleChoice>,
    /// Why none can be opened now.
    pub refusal: Option<String>,
    /// It runs, or is paused.
    pub on: bool,
}

pub fn console(page: &Page, head: &MachineHead, view: &ConsoleView) -> Markup {
    let first = view.choices.iter().find(|c| c.why.is_empty());
    let body = html! {
        (truth(page, head, view))
        @if view.on {
            @if let Some(why) = &view.refusal {
                (note("warn", html! { (why) " " a href=(head.at("console")) { "Try again" } }))
            } @else if let Some(first) = first {
                div.without-script { (note("warn", html! { "The console needs JavaScript. Everything else here works without it." })) }
                (stage(head, view, first))
            } @else {
                (note("warn", html! { @for c in &view.choices { (c.kind.word()) ": " (c.why) " " } @if view.choices.is_empty() { "This machine has no console." } }))
            }
        }
    };
    frame(page, head, "console", body)
}

/// Whether the machine is on: kept fresh, so that the script knows when it stops or starts.
fn truth(page: &Page, head: &MachineHead, view: &ConsoleView) -> Markup {
    html! {
        div id="console-truth" data-live data-on={ "job guest:" (head.row.id) } data-running=(view.on) {
            @if !view.on {
                div.empty {
                    (icon("machines"))
                    h2 { "It is asleep" }
                    @if head.row.template { p { "A template never runs, so there is nothing to see." } } @else {
                        p { "There is nothing to see while it is off." }
                        @if let Some(job) = head.jobs.first() { p { a href={ "/jobs/" (job.id) } { (job.title) } " …" } }
                        @else {
                            form method="post" action=(head.at("power")) {
                                (csrf(page))
                                button.primary name="action" value="start" { (icon("play")) "Start" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn stage(head: &MachineHead, view: &ConsoleView, first: &ConsoleChoice) -> Markup {
    let words: Vec<&ConsoleChoice> = view.choices.iter().filter(|c| !c.why.is_empty()).collect();
    html! {
        section.console data-console=(head.at("console")) data-kind=(first.kind.name()) data-name=(head.row.name) {
            div.tools role="toolbar" aria-label="Console" {
                @if view.choices.len() > 1 {
                    span.seg role="group" aria-label="What to open" {
                        @for c in &view.choices {
                            button type="button" data-pick=(c.kind.name()) disabled[!c.why.is_empty()]
                                aria-pressed=(if c.kind == first.kind { "true" } else { "false" }) { (c.kind.word()) }
                        }
                    }
                }
                button type="button" data-do="keys" data-for="vnc" disabled { "Ctrl+Alt+Del" }
                button type="button" data-do="paste" disabled { "Paste" }
                button.touch type="button" data-do="keyboard" disabled { "Keyboard" }
                button type="button" data-do="fit" data-for="vnc" aria-pressed="true" { "Fit" }
                button type="button" data-do="full" { "Full screen" }
                button type="button" data-do="again" { (icon("retry")) "Reconnect" }
            }
            p.console-words role="status" data-words { "Getting ready…" }
            div.stage data-stage {
                div.glass data-glass {}
            }
            textarea.unseen data-keys tabindex="-1" aria-label="Keys for the machine" autocapitalize="off" autocomplete="off" spellcheck="false" {}
            @for c in words { p.dim { (c.kind.word()) ": " (c.why) } }
            dialog data-paste aria-label="Paste text" {
                form method="dialog" {
                    label for="console-text" { "Text for the machine" }
                    textarea id="console-text" rows="6" spellcheck="false" {}
                    p.dim data-paste-hint {}
                    div.actions {
                        button value="" { "Cancel" }
                        button.primary value="go" { "Send" }
                    }
                }
            }
        }
    }
}
