//! A machine's hardware and options: what there is, what waits for a restart, and the forms to change it.

use crate::frame::Page;
use crate::frame::ask::{of, yes};
use crate::frame::form::{Form, csrf, number, select, switch, text, trouble};
use crate::frame::options::{self, Draw};
use crate::frame::parts::{bytes, count, icon, note};
use crate::guests::one::page::{MachineHead, frame, happening};
use maud::{Markup, html};
use model::guests::ActionKind;
use model::guests::GuestKind;
use model::guests::hardware::{Disk, Hardware, HardwareValue, Nic, Plan};
use model::guests::settings::MachineSettings;
use model::nodes::Choices;
use model::options::{Format, OptionKind, OptionSpec, When};
use model::providers::Feature;

/// A group in an address: `First start` is `first-start`.
pub fn slug(group: &str) -> String {
    group.to_lowercase().replace(' ', "-")
}

/// Settings of a group that this machine has, with their values; those of disks and cards are shown with these.
pub fn of_group<'a>(
    settings: &'a MachineSettings,
    group: &'a str,
    hardware: &'a Hardware,
) -> Vec<(&'a OptionSpec, &'a HardwareValue)> {
    let mine = settings.in_group(group).filter(|s| !s.device);
    mine.filter_map(|s| Some((s, hardware.value(&s.key)?))).collect()
}

/// The whole tab. `hardware` is `Err` with a sentence when the provider does not answer.
pub fn hardware(page: &Page, head: &MachineHead, hardware: Result<&Hardware, &str>) -> Markup {
    let body = html! {
        (happening(page, head))
        @match hardware {
            Err(why) => (note("warn", html! { "The hardware can't be read right now. " (why) })),
            Ok(all) => section id="hardware" data-live data-on={ "job guest:" (head.row.id) } {
                (waiting(page, head, all))
                (profile(head))
                @for group in head.settings.groups() { (group_card(head, group, all)) }
                @if head.has(Feature::Disks) { (disks(head, all)) }
                @if head.has(Feature::Nics) { (nics(head, all)) }
                (others(head))
            },
        }
    };
    frame(page, head, "hardware", body)
}

/// Changes that wait for a restart, with the two ways to end the waiting.
fn waiting(page: &Page, head: &MachineHead, all: &Hardware) -> Markup {
    if all.waiting.is_empty() {
        return html! {};
    }
    let values = all.values.iter().filter(|v| v.pending.is_some());
    let devices = all.disks.iter().filter_map(|d| Some((&d.key, d.pending.as_deref()?)));
    let devices = devices.chain(all.nics.iter().filter_map(|n| Some((&n.key, n.pending.as_deref()?))));
    html! {
        section.card.attention id="waiting" {
            h2 { "Waiting for a restart" }
            p { "These changes are saved, but the machine keeps its old values until it is shut down and started again. A reboot from inside the machine is not enough." }
            ul.plain {
                @for v in values { li { strong { (head.settings.label(&v.key)) } ": " (shown(head.settings.find(&v.key), &v.current)) " → " (shown(head.settings.find(&v.key), v.wanted())) } }
                @for (key, what) in devices { li { strong { (key) } ": " (device_word(what)) } }
            }
            @if head.can_manage {
                div.actions {
                    @if all.running {
                        form.inline method="post" action=(head.at("power")) { (csrf(page))
                            button.primary name="action" value="reboot" data-confirm="Restart it now? It shuts down and starts with the new values." { (icon("reboot")) "Restart now" } }
                    }
                    form.inline method="post" action=(head.at("hardware/revert")) { (csrf(page))
                        @for key in &all.waiting { input type="hidden" name="key" value=(key); }
                        (yes(&of(ActionKind::Revert), "", "", html! { (icon("retry")) "Revert these" })) }
                }
            }
        }
    }
}

/// Which profile it has, and the way to another.
fn profile(head: &MachineHead) -> Markup {
    if !head.settings.iter().any(|s| s.profile) {
        return html! {};
    }
    let fixed = head.profile.as_ref().map_or(0, |(_, keys)| keys.len());
    html! {
        section.card.profile-line id="profile" {
            p { @match &head.profile {
                Some((name, _)) => { "Profile: " strong { (name) } @if fixed > 0 { span.dim { (icon("lock")) (count(fixed, "value is", "values are")) " fixed by it" } } }
                None => { "Profile: " span.dim { "none" } }
            } }
            @if head.can_manage { a.button href=(head.at("hardware/profile")) { "Apply a profile" } }
        }
    }
}

fn device_word(what: &str) -> &'static str {
    match what {
        "new" => "will be added",
        "removed" => "will be detached",
        _ => "will be changed",
    }
}

/// A value in words.
fn shown(spec: Option<&OptionSpec>, value: &str) -> Markup {
    let Some(spec) = spec else { return html! { (value) } };
    html! {
        @match (spec.kind, value) {
            (OptionKind::Bool, _) => (spec.words_of(value)),
            (_, "") if spec.named("").is_none() => span.dim { "–" },
            (OptionKind::Lines, keys) if spec.format == Some(Format::Keys) => (count(keys.lines().count(), "key", "keys")),
            (OptionKind::Lines, text) => span.words { (text) },
            _ => (spec.words_of(value)),
        }
    }
}

/// When a change of this takes effect.
pub fn badge(live: bool) -> Markup {
    html! { @if live { span.tag.live { "at once" } } @else { span.tag.later { "after a restart" } } }
}

fn group_card(head: &MachineHead, group: &str, all: &Hardware) -> Markup {
    let (values, slug) = (of_group(&head.settings, group, all), slug(group));
    let first_start = values.iter().all(|(s, _)| s.key.starts_with("ci_"));
    if values.is_empty() || (first_start && head.row.kind == GuestKind::Vm && !has_cloudinit(all)) {
        return html! {};
    }
    html! {
        section.card id={ "group-" (slug) } {
            header.head.compact { h2 { (group) }
                @if head.can_manage { a.button href=(head.at(&format!("hardware/edit/{slug}"))) { "Change" } } }
            dl.pairs {
                @for (s, v) in values {
                    div { dt { (s.label) } dd { (shown(Some(s), &v.current))
                        @if let Some(next) = &v.pending { " " span.tag.later { "then " (shown(Some(s), next)) } } } }
                }
            }
        }
    }
}

fn has_cloudinit(all: &Hardware) -> bool {
    all.disks.iter().any(|d| d.kind == "cloudinit") || all.value("ci_user").is_some_and(|v| !v.current.is_empty())
}

fn disks(head: &MachineHead, all: &Hardware) -> Markup {
    html! {
        section.card id="disks" {
            header.head.compact { h2 { "Disks" }
                @if head.can_manage { a.button href=(head.at("hardware/disk/new")) { (icon("plus")) "Add disk" } } }
            @if all.disks.is_empty() { p.dim { "It has no disks." } } @else {
                ul.items { @for d in &all.disks { (disk_item(head, d)) } }
            }
        }
    }
}

fn disk_item(head: &MachineHead, d: &Disk) -> Markup {
    html! {
        li {
            strong { @if head.can_manage { a href=(head.at(&format!("hardware/disk/{}", d.key))) { (d.key) } } @else { (d.key) } }
            span { (disk_word(d)) @if d.size > 0 { ", " (bytes(d.size)) } @if !d.storage.is_empty() { " on " (d.storage) } }
            @if d.boot { span.tag { "boots" } }
            @if d.kind == "unused" { span.tag.later { "not in use" } }
            @if let Some(what) = &d.pending { span.tag.later { (device_word(what)) } }
            @if !d.options.is_empty() { small.dim { (d.options) } }
        }
    }
}

fn disk_word(d: &Disk) -> &'static str {
    match d.kind.as_str() {
        "cd" => "CD drive",
        "cloudinit" => "first-start settings",
        "efi" => "firmware settings",
        "tpm" => "security chip",
        "unused" => "unused disk",
        _ => "disk",
    }
}

fn nics(head: &MachineHead, all: &Hardware) -> Markup {
    html! {
        section.card id="nics" {
            header.head.compact { h2 { "Network cards" }
                @if head.can_manage { a.button href=(head.at("hardware/nic/new")) { (icon("plus")) "Add card" } } }
            @if all.nics.is_empty() { p.dim { "It has no network card." } } @else {
                ul.items { @for n in &all.nics { (nic_item(head, n)) } }
            }
        }
    }
}

fn nic_item(head: &MachineHead, n: &Nic) -> Markup {
    html! {
        li {
            strong { @if head.can_manage { a href=(head.at(&format!("hardware/nic/{}", n.key))) { (n.key) } } @else { (n.key) } }
            span { (n.model) " on " (n.bridge) @if let Some(v) = n.vlan { ", VLAN " (v) } }
            code { (n.mac) }
            @if !n.address.is_empty() { span { (n.address) } }
            @if n.firewall { span.tag { "firewall" } }
            @if !n.link { span.tag.later { "cable out" } }
            @if let Some(what) = &n.pending { span.tag.later { (device_word(what)) } }
        }
    }
}

/// Ways to make something else of the machine.
fn others(head: &MachineHead) -> Markup {
    if !head.can_manage {
        return html! {};
    }
    html! {
        section.tools {
            @if head.has(Feature::Clone) { a.button href=(head.at("clone")) { (icon("copy")) "Copy it" } }
            @if head.has(Feature::Migrate) { a.button href=(head.at("migrate")) { (icon("node")) "Move to another node" } }
            @if head.has(Feature::Template) && !head.row.template { a.button href=(head.at("template")) { (icon("box")) "Turn it into a template" } }
        }
    }
}

/// The form of one group.
pub fn edit(page: &Page, head: &MachineHead, group: &str, all: &Hardware, form: &Form) -> Markup {
    let slug = slug(group);
    let body = html! {
        p { a href=(head.at("hardware")) { (icon("left")) "Hardware" } }
        section.card.narrow {
            h2 { (group) }
            (trouble(form))
            @if !head.can_manage { (note("warn", html! { "You may view it, but only people who manage it may change it." })) }
            @else { form method="post" action=(head.at(&format!("hardware/edit/{slug}"))) {
                (csrf(page))
                input type="hidden" name="digest" value=(all.digest);
                @for (s, v) in of_group(&head.settings, group, all) { (one_field(head, s, v, all.running, form)) }
                div.actions { button.primary name="go" value="preview" { "Preview the change" } a.button.quiet href=(head.at("hardware")) { "Cancel" } }
            } }
        }
    };
    frame(page, head, "hardware", body)
}

fn one_field(head: &MachineHead, s: &OptionSpec, v: &HardwareValue, running: bool, form: &Form) -> Markup {
    let wanted = v.wanted();
    let lock = if s.key == "cpus" { "cores" } else { &s.key };
    if let Some(profile) = head.fixed(lock) {
        return html! { div.field.fixed { span.label { (s.label) } p { (icon("lock")) strong { (shown(Some(s), wanted)) } small.dim { "fixed by " (profile) } } } };
    }
    if s.when == When::New {
        return html! { p.dim { (s.label) ": " (shown(Some(s), wanted)) " (can't be changed on an existing machine)" } };
    }
    if let Some(why) = &v.refused {
        return html! { div.field.fixed { span.label { (s.label) } p { (icon("lock")) strong { (shown(Some(s), wanted)) } } p.hint { (why) } } };
    }
    let draw = Draw { name: &s.key, value: wanted, required: s.required, ..Draw::default() };
    html! {
        div.with-badge { (options::field(form, s, draw)) @if running { p.when { (badge(v.live)) @if !v.why.is_empty() { " " span.dim { (v.why) } } } } }
    }
}

/// Old and new before anything is done.
pub fn preview(page: &Page, head: &MachineHead, slug: &str, plan: &Plan, form: &Form) -> Markup {
    let running = head.row.status == "running";
    let later = running && plan.changes.iter().any(|c| !c.live);
    let body = html! {
        p { a href=(head.at("hardware")) { (icon("left")) "Hardware" } }
        section.card.narrow {
            h2 { "Preview" }
            (trouble(form))
            @if plan.changes.is_empty() {
                p { "Nothing would change." }
            } @else {
                ul.plain.changes {
                    @for c in &plan.changes {
                        @let spec = head.settings.find(&c.key);
                        li { strong { (head.settings.label(&c.key)) } ": " (shown(spec, &c.from)) " → " (shown(spec, &c.to))
                            @if running { " " (badge(c.live)) }
                            @if !c.why.is_empty() { br; span.dim { (c.why) } } }
                    }
                }
                @if later { p.dim { "Pending changes take effect when the machine is shut down and started again; until then they can be reverted." } }
            }
            form method="post" action=(head.at(&format!("hardware/edit/{slug}"))) {
                (csrf(page))
                @for (name, value) in form.pairs().filter(|(n, _)| !matches!(*n, "csrf" | "go" | "digest")) { input type="hidden" name=(name) value=(value); }
                input type="hidden" name="digest" value=(plan.digest);
                div.actions {
                    @if !plan.changes.is_empty() { button.primary name="go" value="change" { "Change it" } }
                    button name="go" value="back" { "Back" }
                }
            }
        }
    };
    frame(page, head, "hardware", body)
}

fn pairs(list: &[String]) -> Vec<(String, String)> {
    list.iter().map(|s| (s.clone(), s.clone())).collect()
}

/// One disk, or the form for a new one (`disk` is `None`).
pub fn disk(
    page: &Page,
    head: &MachineHead,
    all: &Hardware,
    disk: Option<&Disk>,
    choices: &Choices,
    form: &Form,
) -> Markup {
    let body = html! {
        (happening(page, head))
        p { a href=(head.at("hardware")) { (icon("left")) "Hardware" } }
        (trouble(form))
        @match disk {
            None => (new_disk(page, head, all, choices, form)),
            Some(d) => {
                h2 { (d.key) }
                p.facts { span { (disk_word(d)) } @if d.size > 0 { span { (bytes(d.size)) } } @if !d.volume.is_empty() { code { (d.volume) } } }
                @match d.kind.as_str() {
                    "unused" => (unused_disk(page, head, all, d, form)),
                    "cd" => (cd(page, head, d, choices, form)),
                    "cloudinit" => p.dim { "This small drive carries the settings for the first start: name, users, network. It holds nothing else." },
                    _ => (used_disk(page, head, all, d, choices, form)),
                }
            },
        }
    };
    frame(page, head, "hardware", body)
}

fn act(head: &MachineHead, d: &Disk, what: &str) -> String {
    head.at(&format!("hardware/disk/{}/{what}", d.key))
}

fn new_disk(page: &Page, head: &MachineHead, all: &Hardware, choices: &Choices, form: &Form) -> Markup {
    let container = head.row.kind == GuestKind::Container;
    html! {
        section.card.narrow {
            h2 { "Add a disk" }
            form method="post" action=(head.at("hardware/disk/new/add")) {
                (csrf(page))
                (number("gib", "Size", 1, 65_536).unit("GiB").default("10").required().render(form))
                (select(form, "storage", "Storage", &pairs(&choices.storages), ""))
                @if container {
                    input type="hidden" name="bus" value="mp";
                    (text("path", "Folder in the container").hint("For example /srv/data. It is created if it does not exist.").required().render(form))
                } @else {
                    (select(form, "bus", "Connected by", &pairs(&all.buses), "scsi suits nearly every system; ide and sata need a restart."))
                }
                @if all.running { p.when { (badge(all.disks_live)) } }
                div.actions { button.primary { "Add disk" } }
            }
        }
    }
}

fn unused_disk(page: &Page, head: &MachineHead, all: &Hardware, d: &Disk, form: &Form) -> Markup {
    html! {
        section.card.narrow { h2 { "Attach it again" }
            form method="post" action=(act(head, d, "attach")) { (csrf(page))
                @if head.row.kind == GuestKind::Container {
                    input type="hidden" name="bus" value="mp";
                    (text("path", "Folder in the container").required().render(form))
                } @else { (select(form, "bus", "Connected by", &pairs(&all.buses), "")) }
                div.actions { button.primary { "Attach" } } } }
        section.card.narrow.attention.bad { h2 { "Delete it for good" }
            p { "Everything on this disk is lost." }
            form method="post" action=(act(head, d, "delete")) { (csrf(page))
                (text("confirm", "Type the disk's name").required().hint(&format!("It is called {}", d.key)).render(form))
                div.actions { button.danger.solid { "Delete the disk" } } } }
    }
}

fn cd(page: &Page, head: &MachineHead, d: &Disk, choices: &Choices, form: &Form) -> Markup {
    let mut options = vec![(String::new(), "Nothing: the drive is empty".to_owned())];
    options.extend(pairs(&choices.isos));
    let form = if form.has("volid") {
        form.clone()
    } else {
        form.clone().set("volid", if d.volume == "none" { "" } else { &d.volume })
    };
    html! {
        section.card.narrow { h2 { "Image in the drive" }
            form method="post" action=(act(head, d, "image")) { (csrf(page))
                (select(&form, "volid", "Image", &options, "This takes effect at once, even while the machine is running."))
                div.actions { button.primary { "Change" } } } }
    }
}

fn used_disk(page: &Page, head: &MachineHead, all: &Hardware, d: &Disk, choices: &Choices, form: &Form) -> Markup {
    let gib = d.size.div_ceil(1 << 30);
    let system = matches!(d.kind.as_str(), "efi" | "tpm");
    let elsewhere: Vec<String> = choices.storages.iter().filter(|s| **s != d.storage).cloned().collect();
    html! {
        @if !system {
            section.card.narrow { h2 { "Enlarge" }
                form method="post" action=(act(head, d, "grow")) { (csrf(page))
                    (number("gib", "New size", gib + 1, 65_536).unit("GiB").default(&(gib + 10).to_string()).required()
                        .hint("Disks can only grow. The system inside still has to use the new space; cloud images do that at the next start.").render(form))
                    p.when { (badge(true)) }
                    div.actions { button.primary { "Enlarge" } } } }
        }
        @if head.has(Feature::DiskMove) && !elsewhere.is_empty() {
            section.card.narrow { h2 { "Move to another storage" }
                form method="post" action=(act(head, d, "move")) { (csrf(page))
                    (select(form, "storage", "Storage", &pairs(&elsewhere), ""))
                    (switch(form, "keep", "Keep the old one as an unused disk", false, "A machine with snapshots needs this."))
                    @if head.row.kind == GuestKind::Container && all.running { p.dim { "Only while the container is off." } }
                    div.actions { button { "Move" } } } }
        }
        @if d.key != "rootfs" && !system {
            section.card.narrow { h2 { "Detach" }
                p { "The machine no longer sees the disk; its content is kept, as an unused disk." }
                form method="post" action=(act(head, d, "detach")) { (csrf(page))
                    @if all.running { p.when { (badge(all.is_hot(d))) } }
                    div.actions { (yes(&of(ActionKind::DetachDisk), &d.key, "", html! { "Detach" })) } } }
        }
    }
}

/// One network card, or the form for a new one.
pub fn nic(
    page: &Page,
    head: &MachineHead,
    all: &Hardware,
    nic: Option<&Nic>,
    choices: &Choices,
    form: &Form,
) -> Markup {
    let container = head.row.kind == GuestKind::Container;
    let model = head.settings.find("nic_model");
    let first = model.and_then(|s| s.choices.first()).map(|(value, _)| value.clone()).unwrap_or_default();
    let blank = Nic { model: first, link: true, ..Nic::default() };
    let n = nic.unwrap_or(&blank);
    let key = nic.map_or("new", |n| n.key.as_str());
    let mut form = form.clone();
    if !form.has("bridge") {
        form = form.set("bridge", &n.bridge);
    }
    let mut bridges = choices.bridges.clone();
    if !n.bridge.is_empty() && !bridges.contains(&n.bridge) {
        bridges.insert(0, n.bridge.clone());
    }
    let body = html! {
        (happening(page, head))
        p { a href=(head.at("hardware")) { (icon("left")) "Hardware" } }
        section.card.narrow {
            h2 { @if nic.is_some() { "Network card " (key) } @else { "Add a network card" } }
            (trouble(&form))
            form method="post" action=(head.at(&format!("hardware/nic/{key}/{}", if nic.is_some() { "change" } else { "add" }))) {
                (csrf(page))
                (select(&form, "bridge", "Network (bridge)", &pairs(&bridges), ""))
                @if head.has(Feature::Vlan) { (number("vlan", "VLAN", 1, 4094).hint("Empty: none.").default(&n.vlan.map(|v| v.to_string()).unwrap_or_default()).render(&form)) }
                @if container { (text("address", "Address").hint("dhcp, or address and prefix length like 192.168.1.44/24.").default(&n.address).render(&form)) }
                @if let Some(spec) = model { (options::field(&form, spec, Draw { name: "model", value: &n.model, ..Draw::default() })) }
                (text("mac", "Hardware address").hint("Leave empty to generate one for a new card, or to keep the one it has.").default(&n.mac).mono().render(&form))
                @if head.has(Feature::Firewall) { (switch(&form, "firewall", head.settings.label("nic_firewall"), n.firewall, "")) }
                (switch(&form, "link", "Connected", n.link, ""))
                @if all.running { p.when { (badge(all.nics_live)) } }
                div.actions { button.primary { @if nic.is_some() { "Change" } @else { "Add card" } } }
            }
        }
        @if nic.is_some() {
            section.card.narrow { h2 { "Remove it" }
                form method="post" action=(head.at(&format!("hardware/nic/{key}/remove"))) { (csrf(page))
                    @if all.running { p.when { (badge(all.nics_live)) } }
                    div.actions { (yes(&of(ActionKind::RemoveNic), key, "danger", html! { (icon("trash")) "Remove card" })) } } }
        }
    };
    frame(page, head, "hardware", body)
}
