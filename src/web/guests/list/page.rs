//! The list of machines: filter words, sorting, columns, selection; and the row that other pages show too.
//!
//! A thousand rows are one page. Rows are laid out as flex boxes, not as table cells, because a browser can
//! skip what is out of sight (`content-visibility`) only then; so every column has a width of its own in CSS.

use crate::frame::form::csrf;
use crate::frame::parts::{bar, bytes, duration, empty, guest_state, icon, note, percent, sort_head, spark, time};
use crate::frame::{Page, layout};
use crate::guests::bulk::page::selection;
use base::Timestamp;
use base::ids::{GuestId, JobId};
use maud::{Markup, html};
use model::guests::{ActionKind, GuestKind, GuestState};
use std::time::Duration;

/// A machine as a row.
#[derive(Clone, Debug)]
pub struct MachineRow {
    pub id: GuestId,
    pub name: String,
    pub vmid: Option<u32>,
    pub kind: GuestKind,
    /// As Proxmox says; `making` while its job runs, `missing` when Proxmox no longer lists it.
    pub status: String,
    pub template: bool,
    /// The owner's login.
    pub owner: Option<String>,
    pub node: String,
    /// Share of all its cores, 0 to 1; `None` when it does not run.
    pub cpu: Option<f64>,
    pub cores: f64,
    /// Bytes; `None` when it does not run.
    pub mem: Option<u64>,
    pub maxmem: u64,
    /// Bytes a second in and out together; `None` when it does not run.
    pub net: Option<u64>,
    /// Bytes of its disks.
    pub disk: u64,
    /// Seconds since its start, 0 when it does not run.
    pub uptime: u64,
    pub tags: Vec<String>,
    /// CPU shares of the last hour, oldest first; may be empty.
    pub spark: Vec<f32>,
    /// The open job that works on it.
    pub job: Option<(JobId, String)>,
    /// Does it fit the filter? The others are there but hidden, so that typing filters at once.
    pub shown: bool,
}

/// A connection that does not answer.
#[derive(Clone, Debug)]
pub struct Away {
    pub name: String,
    pub since: Timestamp,
    /// A sentence.
    pub why: String,
}

#[derive(Clone, Debug)]
pub struct MachinesView {
    /// One page of them.
    pub rows: Vec<MachineRow>,
    /// All that the person may see.
    pub total: usize,
    /// Those that fit the filter.
    pub shown: usize,
    /// Counted from 1.
    pub page: usize,
    pub pages: usize,
    pub filter: String,
    /// A key of [`COLUMNS`], `name`, `status` or `vmid`, with `-` in front for descending order.
    pub sort: String,
    pub hidden_columns: Vec<String>,
    pub away: Vec<Away>,
    pub connections: usize,
}

/// Columns that a person may hide: key and word.
pub const COLUMNS: [(&str, &str); 9] = [
    ("owner", "Owner"),
    ("node", "Node"),
    ("cpu", "CPU"),
    ("mem", "Memory"),
    ("net", "Network"),
    ("disk", "Disk"),
    ("spark", "Last hour"),
    ("uptime", "Up for"),
    ("tags", "Tags"),
];

pub fn machines(page: &Page, view: &MachinesView) -> Markup {
    let main = html! {
        header.head.compact { h1 { "Machines" } div.tools {
            @if page.admin() { a.button href="/templates" { (icon("box")) "Templates" } }
            a.button.primary href="/machines/new" { (icon("plus")) "New machine" }
        } }
        div id="away" data-live data-on="health" { @for away in &view.away { (away_note(page, away)) } }
        @if view.total == 0 { (nothing(page, view)) } @else { (tools(page, view)) (list(page, view)) (row_menu(page)) }
    };
    layout::page(page, "Machines", main)
}

/// Bare rows, for `/machines/rows?ids=`.
pub fn rows(rows: &[MachineRow]) -> Markup {
    html! { table { tbody { @for r in rows { (row(r, true)) } } } }
}

/// A short table without selection, for other pages; they add [`row_menu`] once.
pub fn plain_table(rows: &[MachineRow]) -> Markup {
    html! {
        div.sheet-table { table.grid.machines data-machines {
            thead { tr { th.c-state scope="col" { "State" } th.c-name scope="col" { "Name" }
                @for (key, word) in COLUMNS { th class={ "c-" (key) } scope="col" { (word) } } th.c-acts { span.unseen { "Actions" } } } }
            tbody { @for r in rows { (row(r, false)) } }
        } }
    }
}

fn away_note(page: &Page, away: &Away) -> Markup {
    note(
        "warn",
        html! { strong { (away.name) " has not answered since " (time(page, away.since)) ". " } (away.why) " You see the last known state; actions are refused until it answers." },
    )
}

fn nothing(page: &Page, view: &MachinesView) -> Markup {
    if view.connections == 0 {
        let action = page.admin().then_some(("/settings/connections/new", "Connect Proxmox"));
        return empty(
            "node",
            "Nothing is connected yet",
            "Machines appear here as soon as Proxmox or a KVM host is connected.",
            action,
        );
    }
    empty(
        "machines",
        "No machines yet",
        "A machine is a virtual computer on one of your nodes. Created from a template, it is ready in about a minute.",
        Some(("/machines/new", "New machine")),
    )
}

fn tools(page: &Page, view: &MachinesView) -> Markup {
    html! {
        div.tools.filter-tools {
            form.find.wide action="/machines" role="search" aria-label="Filter machines" {
                (icon("search"))
                input id="filter" type="search" name="q" value=(view.filter) placeholder="Filter: web status:running tag:media -node:pve2"
                    aria-label="Filter words" aria-describedby="filter-count" autocomplete="off" spellcheck="false" data-filter="machines-table";
            }
            span.dim id="filter-count" role="status" { (view.shown) " of " (view.total) }
            span.grow {}
            details.menu.right name="menu" {
                summary.button.quiet { (icon("columns")) "Columns" }
                form.sheet method="post" action="/machines/columns" data-columns="machines-table" {
                    (csrf(page))
                    p.dim { "Columns to show" }
                    @for (key, word) in COLUMNS {
                        label.item { input type="checkbox" name="show" value=(key) checked[!view.hidden_columns.iter().any(|c| c == key)]; (word) }
                    }
                    button { "Show these columns" }
                }
            }
        }
    }
}

fn list(page: &Page, view: &MachinesView) -> Markup {
    let base = address(view, "sort=");
    let head = |key: &str, word: &str| sort_head(&format!("c-{key}"), key, word, &view.sort, &base);
    html! {
        form id="bulk" method="post" action="/machines/bulk" {
            (csrf(page))
            div.sheet-table { table.grid.machines id="machines-table" data-machines data-rows="/machines/rows" data-total=(view.total) data-hide=(view.hidden_columns.join(" ")) {
                thead { tr {
                    th.c-check scope="col" { input type="checkbox" data-select-all aria-label="Select all shown machines"; }
                    (sort_head("c-state", "status", "State", &view.sort, &base))
                    (head("name", "Name"))
                    @for (key, word) in COLUMNS { @if matches!(key, "spark" | "tags") { th class={ "c-" (key) } scope="col" { (word) } } @else { (head(key, word)) } }
                    th.c-acts scope="col" { span.unseen { "Actions" } }
                } }
                tbody { @for r in &view.rows { (row(r, true)) } }
            } }
            (pager(view))
            p.no-match.dim hidden[view.shown > 0] { "No machine matches this filter. Keys: status, tag, node, owner, kind, id; a leading minus excludes." }
            (selection())
        }
    }
}

/// The list's address with its filter; `more` is put behind it.
fn address(view: &MachinesView, more: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if !view.filter.is_empty() {
        query.append_pair("q", &view.filter);
    }
    let query = query.finish();
    if query.is_empty() { format!("/machines?{more}") } else { format!("/machines?{query}&{more}") }
}

/// For browsers without script; the script fetches the other pages and takes this away.
fn pager(view: &MachinesView) -> Markup {
    let to = |page: usize| {
        let sort: String = url::form_urlencoded::byte_serialize(view.sort.as_bytes()).collect();
        address(view, &format!("sort={sort}&page={page}"))
    };
    html! {
        @if view.pages > 1 {
            nav.pager aria-label="Pages" {
                @if view.page > 1 { a.button href=(to(view.page - 1)) rel="prev" { "Before" } }
                span.dim { "Page " (view.page) " of " (view.pages) }
                @if view.page < view.pages { a.button href=(to(view.page + 1)) rel="next" { "Next" } }
            }
        }
    }
}

/// One row. Ids and classes are what the scripts know: see assets/js/machines.js.
pub fn row(r: &MachineRow, check: bool) -> Markup {
    html! {
        tr id={ "g-" (r.id) } hidden[!r.shown] {
            @if check { td.c-check { input type="checkbox" name="id" value=(r.id) aria-label={ "Select " (r.name) }; } }
            td.c-state { (guest_state(if r.template { "template" } else { &r.status })) }
            th.c-name scope="row" {
                a href={ "/machines/" (r.id) } { (r.name) }
                @if let Some(vmid) = r.vmid { small { @if r.kind == GuestKind::Container { "CT " } (vmid) } }
                @if let Some((job, title)) = &r.job { a.job href={ "/jobs/" (job) } { (title) } }
            }
            td.c-owner { @match &r.owner { Some(o) => (o), None => span.dim { "–" } } }
            td.c-node { (r.node) }
            td.c-cpu data-sort=[r.cpu] { (cell(r.cpu, &r.cpu.map(percent))) }
            td.c-mem data-sort=[r.mem] title=[r.mem.map(|_| format!("of {}", bytes(r.maxmem)))] { (cell(r.mem.map(|m| share(m, r.maxmem)), &r.mem.map(bytes))) }
            td.c-net data-sort=[r.net] { @if let Some(net) = r.net { (bytes(net)) "/s" } @else { span.dim { "–" } } }
            td.c-disk data-sort=[(r.disk > 0).then_some(r.disk)] { @if r.disk > 0 { (bytes(r.disk)) } @else { span.dim { "–" } } }
            td.c-spark { (spark(&r.spark, 96, 22)) }
            td.c-uptime data-sort=(r.uptime) { @if r.uptime > 0 { (duration(Duration::from_secs(r.uptime))) } }
            td.c-tags title=[(r.tags.len() > 1).then(|| r.tags.join(", "))] {
                @for tag in &r.tags { a.tag href={ "/machines?q=tag%3A" (tag) } { (tag) } }
                @if r.tags.len() > 1 { small.plus { "+" (r.tags.len() - 1) } }
            }
            td.c-acts { a.more href={ "/machines/" (r.id) } aria-label={ "Actions for " (r.name) } { "⋯" } }
        }
    }
}

fn cell(share: Option<f64>, words: &Option<String>) -> Markup {
    html! {
        @match (share, words) {
            (Some(share), Some(words)) => { (bar(share)) b { (words) } },
            _ => span.dim { "–" },
        }
    }
}

pub fn share(used: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { used as f64 / of as f64 }
}

/// One menu for all rows, filled by the script; without script the button leads to the machine's page.
pub fn row_menu(page: &Page) -> Markup {
    html! {
        form.sheet.row-menu id="row-menu" method="post" data-menu hidden {
            (csrf(page))
            a.item href="/machines" data-open { (icon("right")) "Open" }
            @for kind in ActionKind::power().filter(|kind| kind.spec().feature.is_none()) {
                button.item name="action" value=(kind.name()) data-when=(states_for(kind).join(" "))
                    data-impact=[kind.has_impact().then_some("")] { (icon(kind.spec().icon)) (kind.spec().label) }
            }
        }
    }
}

/// The states in which an action makes sense, for the script.
fn states_for(kind: ActionKind) -> Vec<&'static str> {
    let all = ["running", "stopped", "paused", "suspended", "unknown", "io-error", "internal-error", "prelaunch"];
    let fits = |status: &&str| {
        let state = GuestState { status: (*status).to_owned(), ..GuestState::default() };
        kind.empty().refusal(GuestKind::Vm, &state).is_none()
    };
    all.into_iter().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_menu_offers_what_the_model_allows() {
        assert_eq!(states_for(ActionKind::Start), ["stopped", "suspended", "unknown"]);
        assert_eq!(states_for(ActionKind::Shutdown), ["running", "unknown"]);
        assert!(!states_for(ActionKind::Stop).contains(&"stopped"));
    }
}
