//! Pages on which a machine is copied, made a template of, or moved to another node.

use crate::frame::Page;
use crate::frame::form::{Form, RadioCard, area, csrf, select, switch, text, trouble, ways};
use crate::frame::parts::{bytes, icon, note};
use crate::guests::one::page::{MachineHead, frame, happening};
use maud::{Markup, html};
use model::guests::GuestKind;
use model::guests::moving::{MoveCheck, MoveNode};
use model::providers::Feature;

/// What the page for a copy offers.
#[derive(Clone, Debug, Default)]
pub struct CloneView {
    /// Why it can't be copied now.
    pub refusal: Option<String>,
    /// A free name.
    pub suggestion: String,
    /// Nodes on which the copy can be made.
    pub nodes: Vec<String>,
    /// Storages with its disks that only its node has: the copy is made there.
    pub tied: Vec<String>,
    /// Storages that take the copied disks.
    pub storages: Vec<String>,
    /// A copy that shares the template's disks is possible.
    pub linked: bool,
    pub snapshots: Vec<String>,
    /// The present state can be copied, not only a snapshot.
    pub present: bool,
}

pub fn copy(page: &Page, head: &MachineHead, view: &CloneView, form: &Form) -> Markup {
    let body = html! {
        (happening(page, head))
        section.card.narrow {
            h2 { "Make a copy" }
            p { "A copy of " strong { (head.row.name) } " under a new number. It belongs to you. Its network cards get new MAC addresses; inside, everything stays the same: name, users, keys, and any fixed IP address." }
            (trouble(form))
            @if let Some(why) = &view.refusal { (note("warn", html! { (why) })) } @else {
                form method="post" action=(head.at("clone")) {
                    (csrf(page))
                    (text("name", "Name").required().default(&view.suggestion).hint("A host name, like web-01 or web-01.example.org.").render(form))
                    @if !view.snapshots.is_empty() { (select(form, "snapshot", "Copy of", &states(view), "Copying a snapshot gives you the machine as it was then.")) }
                    @if view.linked { (ways(form, "full", "Disks", &kinds())) }
                    (select(form, "node", "Node", &places(head, view), &tied(head, view)))
                    (select(form, "storage", "Storage for the disks", &storages(&view.storages, "Where the disks are now"), if view.linked { "Only for a full copy." } else { "" }))
                    (area("description", "Notes", 2).hint("If left empty, the machine's notes are copied.").render(form))
                    (switch(form, "start", "Start it when it is created", false, ""))
                    div.actions { button.primary { (icon("copy")) "Create the copy" } }
                }
            }
        }
        @if !head.row.template && head.has(Feature::Template) {
            div.actions { a.button.quiet href=(head.at("template")) { (icon("box")) "Turn it into a template instead" } }
        }
    };
    frame(page, head, "clone", body)
}

fn states(view: &CloneView) -> Vec<(String, String)> {
    let now = view.present.then(|| (String::new(), "The machine as it is now".to_owned()));
    now.into_iter().chain(view.snapshots.iter().map(|s| (s.clone(), format!("Snapshot {s}")))).collect()
}

fn kinds() -> [RadioCard<'static>; 2] {
    let way = |value, title: &str, text: &str| RadioCard { value, title: title.to_owned(), text: text.to_owned() };
    [
        way("on", "Full copy", "Independent of the template. Takes as long as copying the disks."),
        way(
            "off",
            "Linked copy",
            "Ready in seconds: it shares the template's disks, so the template can't be deleted while the copy exists.",
        ),
    ]
}

fn places(head: &MachineHead, view: &CloneView) -> Vec<(String, String)> {
    let word = |n: &String| if *n == head.row.node { format!("{n}, where it is") } else { n.clone() };
    let mut all: Vec<(String, String)> = view.nodes.iter().map(|n| (n.clone(), word(n))).collect();
    // Its own node first: that is what is meant mostly.
    all.sort_by_key(|(n, _)| *n != head.row.node);
    all
}

fn tied(head: &MachineHead, view: &CloneView) -> String {
    match view.tied.first() {
        Some(storage) => format!(
            "Only {} has its disks ({storage}): the copy is made there, and can be moved afterwards.",
            head.row.node
        ),
        None => String::new(),
    }
}

fn storages<T: AsRef<str>>(names: &[T], same: &str) -> Vec<(String, String)> {
    let all = names.iter().map(|s| (s.as_ref().to_owned(), s.as_ref().to_owned()));
    std::iter::once((String::new(), same.to_owned())).chain(all).collect()
}

/// Making a template: `lost` is what can't be done any more.
pub fn template(page: &Page, head: &MachineHead, refusal: Option<&str>, lost: &Markup, form: &Form) -> Markup {
    let body = html! {
        (happening(page, head))
        section.card.narrow.attention {
            h2 { "Turn it into a template" }
            p { strong { (head.row.name) } " becomes a template:" }
            (lost)
            p.dim { "First remove anything that must not exist twice: host keys, machine id, fixed addresses. Cloud images do this by themselves." }
            (trouble(form))
            @if let Some(why) = refusal { (note("warn", html! { (why) })) } @else {
                form method="post" action=(head.at("template")) {
                    (csrf(page))
                    div.actions { button.danger.solid { "Turn it into a template" } }
                }
            }
        }
        div.actions { a.button.quiet href=(head.at("clone")) { (icon("copy")) "Make a copy first, if it is still needed" } }
    };
    frame(page, head, "template", body)
}

/// What the page for a move shows.
#[derive(Clone, Debug, Default)]
pub struct MoveView {
    /// `None` when the provider does not answer; `trouble` says why.
    pub check: Option<MoveCheck>,
    pub trouble: String,
    /// Why it can't be moved now.
    pub refusal: Option<String>,
}

/// Moving to another node: `hit` is what depends on the machine.
pub fn migrate(page: &Page, head: &MachineHead, view: &MoveView, hit: &Markup, form: &Form) -> Markup {
    let body = html! {
        (happening(page, head))
        h2 { "Move to another node" }
        (trouble(form))
        section id="places" data-live data-on={ "job guest:" (head.row.id) } { (places_of(page, head, view, hit, form)) }
    };
    frame(page, head, "migrate", body)
}

fn places_of(page: &Page, head: &MachineHead, view: &MoveView, hit: &Markup, form: &Form) -> Markup {
    html! {
        @if let Some(why) = &view.refusal { (note("warn", html! { (why) })) }
        @match &view.check {
            None => (note("warn", html! { "Steward can't check right now what would prevent the move. " (view.trouble) })),
            Some(check) => {
                @if !check.problems.is_empty() {
                    div.note.bad { (icon("warn")) div { p { strong { "It can't be moved in its present state:" } } ul.plain { @for text in &check.problems { li { (text) } } } } }
                }
                @if check.nodes.is_empty() { p.dim { "This cluster has no other node." } } @else { (choice(page, head, view, check, hit, form)) }
            }
        }
    }
}

fn choice(page: &Page, head: &MachineHead, view: &MoveView, check: &MoveCheck, hit: &Markup, form: &Form) -> Markup {
    let open = view.refusal.is_none() && head.can_manage && check.places().next().is_some();
    let chosen = form.value("node");
    let first = check.places().next().map(|n| n.name.as_str()).unwrap_or_default();
    let wanted = if check.places().any(|n| n.name == chosen) { chosen } else { first };
    html! {
        form method="post" action=(head.at("migrate")) {
            (csrf(page))
            @if let Some(text) = form.error("node") { p.error { (text) } }
            div.sheet-table { table.grid.places {
                thead { tr { th scope="col" { "Node" } th scope="col" { "What prevents it" } } }
                tbody {
                    @for node in &check.nodes {
                        tr {
                            th scope="row" {
                                label {
                                    input type="radio" name="node" value=(node.name) checked[open && node.name == wanted]
                                        disabled[!open || !node.problems.is_empty()];
                                    span { (node.name) }
                                }
                            }
                            td { (obstacles(check, node)) }
                        }
                    }
                }
            } }
            @if open {
                div.card.narrow {
                    (how(head, check))
                    @if !check.disks.is_empty() { (disks(check, form)) }
                    (hit)
                    div.actions { button.primary { (icon("right")) "Move it" } }
                }
            } @else if !head.can_manage { p { "Only its owner and admins may move it." } }
        }
    }
}

fn obstacles(check: &MoveCheck, node: &MoveNode) -> Markup {
    html! {
        @if node.problems.is_empty() && check.problems.is_empty() { span.state.ok { "Nothing prevents it" } }
        @for text in &node.problems { p { (icon("cross")) span { (text) } } }
        @for text in &node.warnings { p.dim { (icon("info")) span { (text) } } }
    }
}

/// Whether it goes on meanwhile.
fn how(head: &MachineHead, check: &MoveCheck) -> Markup {
    let words = match (check.running, check.live) {
        (false, _) => "It is off, and stays off.",
        (true, true) => "It keeps running while it moves, apart from a very short pause.",
        (true, false) if head.row.kind == GuestKind::Container => {
            "A container can't move while it runs: it is shut down here and started there."
        }
        (true, false) => "It is shut down here and started there.",
    };
    html! { p { (words) } }
}

fn disks(check: &MoveCheck, form: &Form) -> Markup {
    let names: Vec<String> = check.disks.iter().map(|d| format!("{} on {}", d.key, d.storage)).collect();
    let size = if check.bytes() > 0 { format!(", {} in all,", bytes(check.bytes())) } else { String::new() };
    html! {
        input type="hidden" name="disks" value="on";
        p { "Its disks move too" (size) " and are copied over the network: " (names.join(", ")) "." }
        @if let Some(text) = form.error("disks") { p.error { (text) } }
        (select(form, "storage", "Storage for the disks there", &storages(&check.storages(), "The one with the same name as here"), "Not every node has all of them."))
    }
}
