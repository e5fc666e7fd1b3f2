//! What depends on a machine, as a list: the one component of every dialog and page that stops, moves, changes or
//! deletes something.

use crate::frame::Page;
use crate::frame::form::csrf;
use crate::frame::parts::{icon, note};
use crate::guests::one::page::{MachineHead, frame};
use maud::{Markup, html};
use model::guests::ActionKind;
use model::impact::{Hit, Impact, Item, Weight};

/// Names that are shown at once; more are folded.
const OPEN: usize = 6;

fn class(weight: Weight) -> &'static str {
    match weight {
        Weight::Blocks | Weight::Lost => "bad",
        Weight::Cut => "warn",
        Weight::Known => "idle",
    }
}

fn picture(weight: Weight) -> &'static str {
    match weight {
        Weight::Blocks => "cross",
        Weight::Lost => "trash",
        Weight::Cut => "warn",
        Weight::Known => "info",
    }
}

/// The list, the worst first; a sentence when nothing is on it.
pub fn list(impact: &Impact) -> Markup {
    html! {
        div.impact {
            @if !impact.hits.is_empty() { ul.hits { @for h in &impact.hits { (hit(h)) } } }
            @if impact.is_alone() && impact.unknown.is_empty() { p.dim { "Nothing else depends on it." } }
            @for text in &impact.unknown { (note("warn", html! { (text) })) }
        }
    }
}

fn hit(h: &Hit) -> Markup {
    html! {
        li class=(class(h.weight)) {
            span.mark title=(h.weight.word()) { (icon(picture(h.weight))) }
            div {
                span.unseen { (h.weight.word()) ": " }
                span { (h.text) }
                @if h.items.len() > OPEN {
                    details { summary { "Show " (h.items.len()) } (items(h)) }
                } @else if !h.items.is_empty() || h.more > 0 { (items(h)) }
            }
        }
    }
}

fn items(h: &Hit) -> Markup {
    html! {
        ul.names {
            @for i in &h.items { li { (item(i)) } }
            @if h.more > 0 { li.dim { @if h.items.is_empty() { (h.more) } @else { "and " (h.more) " more" } @if h.items.is_empty() { " that you can't see" } } }
        }
    }
}

fn item(i: &Item) -> Markup {
    html! {
        @if let Some(id) = i.guest { a href={ "/machines/" (id) } { (i.text) } }
        @else if let Some(id) = i.job { a href={ "/jobs/" (id) } { (i.text) } }
        @else if let Some(url) = &i.url { a href=(url) rel="noreferrer" target="_blank" { (i.text) } " " span.dim { (url) } }
        @else { (i.text) }
    }
}

/// The question before a machine's power is taken; the script shows its `.sure` part as a dialog.
pub fn power(page: &Page, head: &MachineHead, kind: ActionKind, refusal: Option<&str>, impact: &Impact) -> Markup {
    let asks = kind.always_asks() || impact.asks() || impact.blocks() || refusal.is_some();
    let label = kind.spec().label;
    let body = html! {
        section.card.narrow.attention.bad.sure data-asks=(if asks { "yes" } else { "no" }) {
            h2 { (label) " " (head.row.name) "?" }
            (list(impact))
            @if let Some(why) = refusal { (note("warn", html! { (why) })) } @else {
                form method="post" action=(head.at("power")) {
                    (csrf(page))
                    input type="hidden" name="sure" value="yes";
                    div.actions {
                        button.danger.solid name="action" value=(kind.name()) { (label) }
                        a.button.quiet href={ "/machines/" (head.row.id) } { "Keep as it is" }
                    }
                }
            }
        }
    };
    frame(page, head, "-", body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::impact::{Fact, Program};

    #[test]
    fn pages_of_programs_are_links_to_elsewhere_and_hidden_ones_are_counted() {
        let pages = vec![("Films".to_owned(), "http://192.0.2.7:8096/?a=<b>".to_owned())];
        let facts = vec![
            Fact::Software(vec![Program { title: "Jellyfin".into(), pages, waits: false }]),
            Fact::Jobs { jobs: Vec::new(), more: 2, overtaken: false },
        ];
        let html = list(&Impact::of(ActionKind::Shutdown, facts, Vec::new())).into_string();
        assert!(
            html.contains(r#"href="http://192.0.2.7:8096/?a=&lt;b&gt;" rel="noreferrer" target="_blank""#),
            "{html}"
        );
        assert!(html.contains("2 that you can't see"), "{html}");
        assert!(!html.contains("Nothing else"), "{html}");
        let alone = list(&Impact::of(ActionKind::Reboot, Vec::new(), Vec::new())).into_string();
        assert!(alone.contains("Nothing else depends on it."), "{alone}");
        let unknown =
            list(&Impact::of(ActionKind::Reboot, Vec::new(), vec!["Its disks are not known.".into()])).into_string();
        assert!(!unknown.contains("Nothing else") && unknown.contains("not known"), "{unknown}");
    }
}
