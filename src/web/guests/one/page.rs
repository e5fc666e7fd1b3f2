//! One machine: what it is, what can be done with it now, how it did, what happened to it.

use crate::audit::page::entries;
use crate::frame::form::{Form, csrf, text, trouble};
use crate::frame::parts::{bytes, copy, duration, empty, guest_state, icon, meter, note, percent, time};
use crate::frame::{Page, layout};
use crate::guests::impact::page::list;
use crate::guests::list::page::{MachineRow, share};
use crate::jobs::page::{short, table};
use base::Timestamp;
use maud::{Markup, html};
use model::audit::AuditEntry;
use model::guests::settings::MachineSettings;
use model::guests::{ActionKind, GuestKind, System};
use model::impact::Impact;
use model::jobs::Job;
use model::providers::Feature;
use std::time::Duration;

/// What the head of the page shows on every tab.
#[derive(Clone, Debug)]
pub struct MachineHead {
    pub row: MachineRow,
    /// The connection's name.
    pub connection: String,
    pub addresses: Vec<String>,
    pub maxdisk: u64,
    /// Proxmox's config lock.
    pub lock: Option<String>,
    /// When Proxmox told this state; `None` before the first time.
    pub told: Option<Timestamp>,
    /// Why Proxmox can't be asked now.
    pub away: Option<String>,
    /// The status that it had then.
    pub last_seen: Option<String>,
    pub missing_since: Option<Timestamp>,
    /// Each action with the reason why not, where there is one.
    pub actions: Vec<(ActionKind, Option<String>)>,
    /// May this person start, stop and open it?
    pub can_use: bool,
    /// May they change, delete and share it?
    pub can_manage: bool,
    /// Jobs that work on it now.
    pub jobs: Vec<Job>,
    /// What its provider can do with machines of this kind.
    pub features: Vec<Feature>,
    /// What such machines can have, as its provider declares it.
    pub settings: MachineSettings,
    /// What runs inside, where the tab needs it.
    pub system: System,
    /// Its hardware profile, and the keys that it fixes for this person.
    pub profile: Option<(String, Vec<String>)>,
}

impl MachineHead {
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// The name of the profile that fixes this value for the person who looks.
    pub fn fixed(&self, key: &str) -> Option<&str> {
        self.profile.as_ref().filter(|(_, keys)| keys.iter().any(|k| k == key)).map(|(name, _)| name.as_str())
    }

    /// The address of a part of this machine.
    pub fn at(&self, part: &str) -> String {
        format!("/machines/{}/{part}", self.row.id)
    }
}

#[derive(Clone, Debug)]
pub struct HistoryView {
    pub jobs: Vec<Job>,
    pub audit: Vec<AuditEntry>,
}

/// The first tab: charts, and the figures in words for those without script.
pub fn machine(page: &Page, head: &MachineHead) -> Markup {
    let body = html! {
        (happening(page, head))
        @if head.system == System::Windows && !head.row.template { (remote_desktop(head)) }
        (figures(head))
        (charts(head))
    };
    frame(page, head, "", body)
}

/// Where remote desktop is, with the file that opens it.
fn remote_desktop(head: &MachineHead) -> Markup {
    let running = head.row.status == "running";
    html! {
        section.card.narrow {
            h2 { "Remote desktop" }
            @match rdp_address(&head.addresses) {
                Some(address) if running => {
                    p { "Connect to " (copy(&format!("{address}:3389"))) " with a remote desktop program, if remote desktop is switched on in Windows." }
                    @if head.can_use { div.actions { a.button href=(head.at("remote.rdp")) download { "File for remote desktop (.rdp)" } } }
                }
                _ if running => p.dim { "The machine's address is not known yet: its guest agent is not answering, or it has none. The console works without it." },
                _ => p.dim { "The machine is off." },
            }
        }
    }
}

/// The address that others can reach: IPv4 first; brackets around IPv6.
pub fn rdp_address(addresses: &[String]) -> Option<String> {
    let all = addresses.iter().filter_map(|a| a.parse::<std::net::IpAddr>().ok());
    let usable: Vec<_> = all
        .filter(|ip| match ip {
            std::net::IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
            std::net::IpAddr::V6(v6) => !v6.is_loopback() && (v6.segments()[0] & 0xffc0) != 0xfe80,
        })
        .collect();
    let best = usable.iter().find(|ip| ip.is_ipv4()).or(usable.first())?;
    Some(if best.is_ipv6() { format!("[{best}]") } else { best.to_string() })
}

pub fn history(page: &Page, head: &MachineHead, view: &HistoryView) -> Markup {
    let body = html! {
        section { h2 { "Jobs" }
            @if view.jobs.is_empty() { p.dim { "No job has worked on it yet." } } @else { (table(page, &view.jobs)) }
        }
        section { h2 { "What people and programs did" }
            @if view.audit.is_empty() { p.dim { "Nothing has been logged yet." } } @else { (entries(page, &view.audit)) }
        }
    };
    frame(page, head, "history", body)
}

/// Taking it away for good: says what else is hit, and asks for the name.
pub fn danger(page: &Page, head: &MachineHead, impact: &Impact, form: &Form) -> Markup {
    let row = &head.row;
    let body = html! {
        section.card.narrow.attention.bad {
            h2 { "Delete this machine" }
            p { "This permanently deletes " strong { (row.name) } " and everything on it. Backups of it are kept." }
            (list(impact))
            (trouble(form))
            @if let Some(why) = &head.away { (note("warn", html! { (why) })) }
            @if impact.blocks() { p { "It can't be deleted in its present state." } }
            @else if head.can_manage {
                form method="post" action={ "/machines/" (row.id) "/delete" } {
                    (csrf(page))
                    (text("confirm", "Type the machine's name").required().hint(&format!("It is called {}", row.name)).render(form))
                    div.actions { button.danger.solid { "Delete it for good" } }
                }
            } @else { p { "Only people who manage it may delete it." } }
        }
    };
    frame(page, head, "danger", body)
}

/// Jobs that work on it now, on tabs from which jobs are asked for.
pub(crate) fn happening(page: &Page, head: &MachineHead) -> Markup {
    html! {
        section id="happening" data-live data-on={ "job guest:" (head.row.id) } {
            @if !head.jobs.is_empty() { div.card { h2 { "Happening now" } (short(page, &head.jobs)) } }
        }
    }
}

/// The page around a tab: head, actions, the other tabs.
pub(crate) fn frame(page: &Page, head: &MachineHead, tab: &str, body: Markup) -> Markup {
    let row = &head.row;
    let console = if head.has(Feature::ConsoleVnc) { Feature::ConsoleVnc } else { Feature::ConsoleSerial };
    let tabs = [
        ("", "Overview", None),
        ("console", "Console", Some(console)),
        ("hardware", "Hardware", Some(Feature::Hardware)),
        ("snapshots", "Snapshots", Some(Feature::Snapshots)),
        ("software", "Software", None),
        ("clone", "Copy", Some(Feature::Clone)),
        ("migrate", "Move", Some(Feature::Migrate)),
        ("history", "History", None),
        ("access", "Access", None),
        ("danger", "Delete", None),
    ];
    let at = |key: &str| format!("/machines/{}{}{key}", row.id, if key.is_empty() { "" } else { "/" });
    let main = html! {
        (layout::crumbs(&[("/machines", "Machines")]))
        div id="machine-head" data-live data-on={ "guest:" (row.id) " job connection health" } {
            header.head {
                div.titles { h1 { (row.name) } (facts(head)) }
                div.tools { (actions(page, head)) }
            }
            (notes(page, head))
        }
        nav.tabs aria-label="Parts of this machine" {
            @for (key, word, feature) in tabs {
                @let may = (key != "console" || head.can_use) && (!matches!(key, "danger" | "clone" | "migrate") || head.can_manage);
                @if may && feature.is_none_or(|f| head.has(f)) { a href=(at(key)) aria-current=[(tab == key).then_some("page")] { (word) } }
            }
        }
        (body)
    };
    layout::page(page, &row.name, main)
}

fn facts(head: &MachineHead) -> Markup {
    let row = &head.row;
    html! {
        p.facts {
            (guest_state(if row.template { "template" } else { &row.status }))
            span { (row.kind.word()) @if let Some(vmid) = row.vmid { " " (vmid) } @else { ", no number yet" } }
            @if !row.node.is_empty() { span { (icon("node")) (row.node) @if !head.connection.is_empty() { span.dim { " " (head.connection) } } } }
            span { (icon("user")) @match &row.owner { Some(o) => (o), None => span.dim { "nobody's" } } }
            @for ip in &head.addresses { (copy(ip)) }
            @for tag in &row.tags { a.tag href={ "/machines?q=tag%3A" (tag) } { (tag) } }
        }
    }
}

fn notes(page: &Page, head: &MachineHead) -> Markup {
    html! {
        @if let Some(since) = head.missing_since {
            (note("bad", html! { "Its host no longer lists this machine, since " (time(page, since)) ". It was deleted or moved outside Steward; what is known about it is kept." }))
        }
        @if let Some(why) = &head.away {
            (note("warn", html! { (why) @if let (Some(told), Some(status)) = (head.told, &head.last_seen) { " It was " (status) " when it was last seen, " (time(page, told)) "." } }))
        }
        @match head.lock.as_deref() {
            None => {},
            Some("suspended") => (note("busy", html! { "It is hibernated: its memory is saved on disk. Starting it resumes where it left off; until then nothing else can be done." })),
            Some(lock) => (note("busy", html! { "It is locked (" (lock) "): most actions wait until that is done." })),
        }
    }
}

/// The two or three actions that make sense now as buttons, the others in a menu with the reason why not.
fn actions(page: &Page, head: &MachineHead) -> Markup {
    let path = format!("/machines/{}/power", head.row.id);
    let blocked = |why: &Option<String>| why.is_some() || !head.can_use || head.away.is_some();
    let reason = |why: &Option<String>| {
        let not_yours = (!head.can_use).then(|| "You may view it, but not start or stop it.".to_owned());
        not_yours.or_else(|| why.clone()).or_else(|| head.away.clone())
    };
    let first: Vec<_> = head.actions.iter().filter(|(_, why)| !blocked(why)).take(2).collect();
    let rest: Vec<_> = head.actions.iter().filter(|(a, _)| !first.iter().any(|(f, _)| f == a)).collect();
    if head.row.template {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("template", &head.row.vmid.unwrap_or_default().to_string())
            .append_pair("connection", &head.connection)
            .finish();
        return html! { a.button.primary href={ "/machines/new?" (query) } { (icon("plus")) "Create a machine from it" } };
    }
    html! {
        @if !first.is_empty() {
            form.inline method="post" action=(path) { (csrf(page))
                @for (kind, _) in &first { button name="action" value=(kind.name()) data-impact=[kind.has_impact().then_some("")] { (icon(kind.spec().icon)) (kind.spec().label) } }
            }
        }
        details.menu.right name="menu" {
            summary.button.quiet { "More" (icon("down")) }
            form.sheet method="post" action=(path) { (csrf(page))
                @for (kind, why) in rest {
                    button.item name="action" value=(kind.name()) disabled[blocked(why)] data-impact=[kind.has_impact().then_some("")] {
                        (icon(kind.spec().icon)) span { (kind.spec().label)
                            @if let Some(text) = reason(why) { small { (text) } }
                            @else if *kind == ActionKind::Hibernate { small { "Up to " (bytes(head.row.maxmem)) " are written to a disk; starting it resumes where it left off." } }
                        }
                    }
                }
                @if head.can_manage {
                    @if head.has(Feature::Clone) { a.item href=(head.at("clone")) { (icon("copy")) "Copy" } }
                    @if head.has(Feature::Migrate) { a.item href=(head.at("migrate")) { (icon("right")) "Move to another node" } }
                    @if head.has(Feature::Template) { a.item href=(head.at("template")) { (icon("box")) "Turn it into a template" } }
                    a.item href=(head.at("danger")) { (icon("trash")) "Delete" }
                }
            }
        }
    }
}

fn figures(head: &MachineHead) -> Markup {
    let row = &head.row;
    let none = if head.last_seen.is_some() { "not known" } else { "off" };
    let what = if row.kind == GuestKind::Container { "shares the node's kernel" } else { "since its last start" };
    html! {
        section id="figures" data-live data-on={ "guest:" (row.id) " health" } {
            @if row.maxmem > 0 { dl.figures id={ "g-" (row.id) } {
                div { dt { "CPU" } dd.c-cpu { @match row.cpu { Some(c) => (meter(c, &percent(c))), None => span.dim { (none) } } small { "of " (cores(row.cores)) } } }
                div { dt { "Memory" } dd.c-mem { @match row.mem { Some(m) => (meter(share(m, row.maxmem), &bytes(m))), None => span.dim { (none) } } small { "of " (bytes(row.maxmem)) } } }
                div { dt { "Disk" } dd { (bytes(head.maxdisk)) small { "given" } } }
                div { dt { "Up for" } dd { @if row.uptime > 0 { (duration(Duration::from_secs(row.uptime))) } @else { span.dim { (none) } } small { (what) } } }
            } }
        }
    }
}

/// `1 core`, `0.5 cores`, `4 cores`.
fn cores(n: f64) -> String {
    if (n - 1.0).abs() < f64::EPSILON { "1 core".to_owned() } else { format!("{n} cores") }
}

/// Filled by the script from history.json; marks show what was changed.
fn charts(head: &MachineHead) -> Markup {
    if head.row.vmid.is_none() {
        return html! {
            section id="charts" data-live data-on={ "guest:" (head.row.id) } {
                (empty("clock", "It is being created", "Charts appear when it runs.", None))
            }
        };
    }
    if !head.has(Feature::History) {
        return html! { p.dim { "Its host keeps no history, so there are no charts." } };
    }
    let ranges = [("hour", "Hour"), ("day", "Day"), ("week", "Week"), ("month", "Month"), ("year", "Year")];
    let kinds = [("cpu", "CPU"), ("mem", "Memory"), ("net", "Network"), ("disk", "Disk")];
    html! {
        section.charts-part id="charts" data-charts={ "/machines/" (head.row.id) "/history.json" } {
            div.tools {
                span.seg role="group" aria-label="Range of the charts" {
                    @for (n, (value, word)) in ranges.iter().enumerate() {
                        button type="button" data-range=(value) aria-pressed=(if n == 0 { "true" } else { "false" }) { (word) }
                    }
                }
                span.dim data-chart-note role="status" { "Charts need JavaScript; the figures above don't." }
            }
            div.charts {
                @for (key, word) in kinds {
                    figure.card.chart data-chart=(key) { figcaption { strong { (word) } span.dim data-unit {} } div.plot {} }
                }
            }
        }
    }
}
