//! One action for several machines: for which it goes, for which not and why, what depends on them, and what has to be
//! said.

use crate::frame::form::{Form, area, csrf, select, switch, text, trouble};
use crate::frame::parts::{count, guest_state, icon};
use crate::frame::{Page, layout};
use crate::guests::impact::page::list;
use crate::guests::list::page::MachineRow;
use base::ids::GuestId;
use maud::{Markup, html};
use model::guests::ActionKind;
use model::impact::Impact;

#[derive(Clone, Debug)]
pub struct BulkView {
    pub kind: ActionKind,
    /// Machines for which it goes.
    pub rows: Vec<MachineRow>,
    /// The others: id, name, reason.
    pub refused: Vec<(GuestId, String, String)>,
    /// What depends on them, when something is taken from people.
    pub impact: Option<Impact>,
    /// Nodes that they can be moved to.
    pub nodes: Vec<String>,
    /// Tags that they have.
    pub tags: Vec<String>,
    /// Logins of new owners, for admins.
    pub people: Vec<String>,
    /// A name for snapshots.
    pub suggestion: String,
}

pub fn bulk(page: &Page, view: &BulkView, form: &Form) -> Markup {
    let n = view.rows.len();
    let title = format!("{} {}", view.kind.spec().label, count(n, "machine", "machines"));
    let bad = view.kind == ActionKind::Delete;
    let main = html! {
        (layout::crumbs(&[("/machines", "Machines")]))
        (layout::head(&title, html! { "Each machine gets a job of its own." }, html! {}))
        @if !view.refused.is_empty() { (refusals(view)) }
        @if n == 0 { p { "It can't be done for any of the chosen machines." } div.actions { a.button href="/machines" { "Back to the machines" } } }
        @else {
            section.card.narrow.attention[bad].bad[bad] {
                h2 { @if n == 1 { "This machine" } @else { "These machines" } }
                (machines(&view.rows))
                @if let Some(impact) = &view.impact { (list(impact)) }
                (trouble(form))
                form method="post" action="/machines/bulk" {
                    (csrf(page))
                    input type="hidden" name="sure" value="yes";
                    input type="hidden" name="action" value=(view.kind.name());
                    @for row in &view.rows { input type="hidden" name="id" value=(row.id); }
                    (fields(view, form))
                    div.actions {
                        button class=(if bad { "danger solid" } else { "primary" }) { (title) }
                        a.button.quiet href="/machines" { "Keep as it is" }
                    }
                }
            }
        }
    };
    layout::page(page, &title, main)
}

/// Names that are shown at once; more are folded.
const OPEN: usize = 8;

fn machines(rows: &[MachineRow]) -> Markup {
    let all = html! {
        ul.chosen { @for r in rows { li {
            a href={ "/machines/" (r.id) } { (r.name) }
            (guest_state(if r.template { "template" } else { &r.status }))
            span.dim { (r.node) @if let Some(owner) = &r.owner { ", " (owner) } }
        } } }
    };
    html! { @if rows.len() > OPEN { details { summary { "Show all " (rows.len()) } (all) } } @else { (all) } }
}

fn refusals(view: &BulkView) -> Markup {
    let n = view.refused.len();
    html! {
        section.card.narrow.attention.warn.refusals {
            h2 { "Skipped: " (count(n, "machine", "machines")) }
            ul.items { @for (id, name, why) in &view.refused {
                li { a href={ "/machines/" (id) } { (name) } span.dim { (why) } }
            } }
        }
    }
}

fn fields(view: &BulkView, form: &Form) -> Markup {
    let pairs = |all: &[String]| all.iter().map(|n| (n.clone(), n.clone())).collect::<Vec<_>>();
    match view.kind {
        ActionKind::Snapshot => html! {
            (text("name", "Name").required().default(&view.suggestion).hint("The same for all. Letters, digits, dashes and underscores.").render(form))
            (area("description", "Note", 2).hint("What are they for?").render(form))
            p.dim { "Without memory, rolling back is like recovering from a power cut." }
        },
        ActionKind::Tags => html! {
            (text("add", "Add tags").hint("Separate with spaces.").render(form))
            (text("remove", "Remove tags").hint(&tags(view)).render(form))
        },
        ActionKind::Migrate => html! {
            (select(form, "node", "To node", &pairs(&view.nodes), "Anything that keeps a single machine from moving is reported afterwards."))
            (switch(form, "disks", "Also move disks that only their node has", true, "They are copied over the network, to a storage of the same name."))
        },
        ActionKind::Give => {
            let keep = [("", "Nothing"), ("see", "See them"), ("use", "Use them"), ("manage", "Manage them")];
            let keep = keep.map(|(a, b)| (a.to_owned(), b.to_owned()));
            html! {
                @if view.people.is_empty() { (text("owner", "Login of the new owner").required().render(form)) }
                @else { (select(form, "owner", "New owner", &pairs(&view.people), "They count towards this person's quota.")) }
                (select(form, "keep", "The old owner may still", &keep, ""))
            }
        }
        ActionKind::Delete => {
            let n = view.rows.len().to_string();
            html! { (text("confirm", "Type how many machines are deleted").required().hint(&format!("There are {n}. Backups of them are kept.")).render(form)) }
        }
        _ => html! {},
    }
}

fn tags(view: &BulkView) -> String {
    if view.tags.is_empty() {
        "They have none now.".to_owned()
    } else {
        format!("They have: {}.", view.tags.join(", "))
    }
}

/// The bar under the list of machines: what can be done with those that are chosen.
pub fn selection() -> Markup {
    let first = [ActionKind::Start, ActionKind::Shutdown, ActionKind::Stop];
    html! {
        div.bulk role="group" aria-label="Act on the selected machines" {
            strong data-selected { "Selected machines" }
            @for kind in first { button.danger[kind.always_asks()] name="action" value=(kind.name()) { (kind.spec().label) } }
            details.menu name="menu" {
                summary.button.quiet { "More" (icon("down")) }
                div.sheet { @for kind in ActionKind::bulk().filter(|kind| !first.contains(kind)) {
                    button.item name="action" value=(kind.name()) { (icon(kind.spec().icon)) (kind.spec().label) }
                } }
            }
            button.quiet type="reset" { "Clear" }
        }
    }
}
