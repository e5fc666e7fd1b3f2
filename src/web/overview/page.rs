//! The first page. It answers in this order: is anything wrong, what is happening now, what is running.

use crate::frame::parts::{bytes, count, empty, meter, percent, spark, state};
use crate::frame::{Level, Page, layout};
use crate::guests::list::page::{MachineRow, plain_table, row_menu};
use crate::jobs::page::short;
use crate::quotas::page as quotas;
use crate::quotas::page::QuotaItem;
use maud::{Markup, html};
use model::jobs::Job;
use model::nodes::Node;

/// One thing that needs a person.
#[derive(Clone, Debug)]
pub struct Attention {
    pub level: Level,
    /// The word beside the dot: critical, soon, failed ...
    pub word: String,
    pub title: String,
    pub detail: String,
    /// Where to go, and the word on the button.
    pub action: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct NodeCard {
    pub node: Node,
    pub machines: usize,
    /// CPU shares of the last hour, oldest first.
    pub spark: Vec<f32>,
}

#[derive(Clone, Debug)]
pub struct OverviewView {
    /// Worst first.
    pub needs: Vec<Attention>,
    /// Bars that are yellow or red, as sentences without their full stop.
    pub high: Vec<String>,
    pub jobs: Vec<Job>,
    pub nodes: Vec<NodeCard>,
    pub busiest: Vec<MachineRow>,
    pub running: usize,
    pub machines: usize,
    /// How many Proxmox connections there are; with none the page says how to begin.
    pub connections: usize,
    /// What the person's own machines have, and how much they may have.
    pub quota: QuotaItem,
}

pub fn overview(page: &Page, view: &OverviewView) -> Markup {
    let main = html! {
        (layout::head("Overview", html! { span id="summary" data-live data-on="tick guest job connection" { (summary(view)) } }, html! {}))
        @if view.connections == 0 { (begin(page)) } @else {
            div.now id="now" data-live data-on="job guest connection health" {
                @if !view.needs.is_empty() { (needs(view)) }
                @if !view.jobs.is_empty() {
                    section.card { h2 { "Happening now" } (short(page, &view.jobs)) }
                }
            }
            div id="quota" data-live data-on="guest job users" { (quotas::card(Some(&view.quota), "Your quota")) }
            @if !view.nodes.is_empty() { section { h2 { "Nodes" } ul.nodes id="nodes" data-live data-on="tick connection" { @for n in &view.nodes { (node(n)) } } } }
            @if !view.busiest.is_empty() { section { h2 { "Busiest machines" } div id="busiest" data-live data-on="guest health" { (plain_table(&view.busiest)) } (row_menu(page)) } }
            @else if view.machines == 0 { (no_machines()) }
        }
    };
    layout::page(page, "Overview", main)
}

fn summary(view: &OverviewView) -> String {
    let start = match view.needs.len() {
        0 => match &view.high[..] {
            [] => "All is well.".to_owned(),
            [one] => format!("Nothing has failed. {one}."),
            [one, more @ ..] => {
                format!("Nothing has failed. {one}, and {} like it.", count(more.len(), "more is", "more are"))
            }
        },
        1 => "One thing needs your attention.".to_owned(),
        n => format!("{} things need your attention.", in_words(n)),
    };
    if view.connections == 0 {
        return "Nothing is connected yet.".to_owned();
    }
    let jobs = match view.jobs.len() {
        0 => String::new(),
        n => format!(", {} under way", count(n, "job", "jobs")),
    };
    let machines = match (view.running, view.machines) {
        (_, 0) => "No machines yet".to_owned(),
        (r, all) if r == all => format!("{} on", count(all, "machine runs", "machines run")),
        (r, all) => format!("{r} of {} run on", count(all, "machine", "machines")),
    };
    let (all, here) = (view.nodes.len(), view.nodes.iter().filter(|n| n.node.is_here()).count());
    let nodes =
        if here == all { count(all, "node", "nodes") } else { format!("{here} of {}", count(all, "node", "nodes")) };
    if view.machines == 0 { format!("{start} {machines}{jobs}.") } else { format!("{start} {machines} {nodes}{jobs}.") }
}

/// Small numbers read better as words at the start of a sentence.
fn in_words(n: usize) -> String {
    const WORDS: [&str; 8] = ["Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
    n.checked_sub(2).and_then(|i| WORDS.get(i)).map_or_else(|| n.to_string(), |w| (*w).to_owned())
}

fn begin(page: &Page) -> Markup {
    if page.admin() {
        empty(
            "node",
            "Connect your Proxmox",
            "Steward works alongside Proxmox: enter the address of one node, check its fingerprint, and log in once. Steward creates a token for itself with just the rights it needs and forgets the password.",
            Some(("/settings/connections/new", "Connect Proxmox")),
        )
    } else {
        empty(
            "node",
            "Nothing is connected yet",
            "An admin has to connect Proxmox first. Then your machines appear here.",
            None,
        )
    }
}

fn no_machines() -> Markup {
    empty(
        "machines",
        "No machines yet",
        "Create one from a template in about a minute: choose a size and a network, and Steward does the rest.",
        Some(("/machines/new", "New machine")),
    )
}

fn needs(view: &OverviewView) -> Markup {
    let worst = view.needs.iter().map(|n| n.level).max().unwrap_or(Level::Ok);
    html! {
        section class={ "card attention " (worst.name()) } {
            h2 { "Needs attention" }
            ul.list { @for need in &view.needs {
                li {
                    (state(need.level.name(), &need.word))
                    div { strong { (need.title) } small { (need.detail) } }
                    @if let Some((href, word)) = &need.action { a.button.quiet href=(href) { (word) } }
                }
            } }
        }
    }
}

fn node(card: &NodeCard) -> Markup {
    let n = &card.node;
    let here = n.is_here();
    html! {
        li.node.card {
            header { strong { (n.name) } @if here { span.dim { (count(card.machines, "machine", "machines")) } } @else { (state("bad", &n.status)) } }
            @if here {
                dl {
                    dt { "CPU" } dd { (meter(n.cpu, &percent(n.cpu))) }
                    dt { "Memory" } dd { (amount(n.mem, n.maxmem)) }
                    dt { "Disk" } dd { (amount(n.disk, n.maxdisk)) }
                }
                (spark(&card.spark, 240, 34))
                small.dim { (format!("{:.0}", n.maxcpu)) " cores, " (bytes(n.maxmem)) " memory" }
            } @else {
                p.dim { "Its machines can't be reached until it is back. " (count(card.machines, "machine lives", "machines live")) " here." }
            }
        }
    }
}

fn amount(used: u64, of: u64) -> Markup {
    let share = if of == 0 { 0.0 } else { used as f64 / of as f64 };
    html! { span title={ (bytes(used)) " of " (bytes(of)) } { (meter(share, &percent(share))) } }
}
