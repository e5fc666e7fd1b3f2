//! Hardware profiles: the list, the form of one, choosing one for a new machine, and applying one to a machine.

use crate::frame::Page;
use crate::frame::form::{Form, csrf, select, switch, text, trouble};
use crate::frame::layout;
use crate::frame::options::{self, Draw};
use crate::frame::parts::{count, empty, icon, note, time};
use crate::guests::hardware::page::badge;
use crate::guests::one::page::{MachineHead, frame, happening};
use app::guests::profile::ApplyPlan;
use base::ids::ProfileId;
use maud::{Markup, html};
use model::guests::settings::MachineSettings;
use model::options::{OptionKind, OptionSpec};
use model::profiles::{CHOSEN, DISKS, MOST_DISKS, MoreDisk, Profile};

/// One line of the list.
#[derive(Clone, Debug)]
pub struct ProfileItem {
    pub profile: Profile,
    /// What it is, in one line.
    pub summary: String,
    /// Labels of what it fixes.
    pub fixed: Vec<String>,
    /// How many machines have it.
    pub machines: usize,
}

#[derive(Clone, Debug)]
pub struct ProfilesView {
    pub items: Vec<ProfileItem>,
    /// Required for everyone except admins.
    pub required: bool,
    /// Connections on which a profile can set less than on others, and what it can there.
    pub limited: Vec<(String, String)>,
}

/// The form of one profile.
#[derive(Clone, Debug, Default)]
pub struct EditView {
    /// `None` for a new one.
    pub id: Option<ProfileId>,
    pub name: String,
    /// Machines that have it, by name.
    pub used_by: Vec<String>,
    /// Names of storages and bridges to choose from.
    pub storages: Vec<String>,
    pub bridges: Vec<String>,
    pub settings: MachineSettings,
    pub limited: Vec<(String, String)>,
}

pub fn list(page: &Page, view: &ProfilesView, form: &Form) -> Markup {
    let lead = html! { "Named sizes and hardware for machines. People pick one when they create a machine; you decide what they may still choose themselves." };
    let new = html! { @if !view.items.is_empty() { a.button.primary href="/settings/profiles/new" { (icon("plus")) "New profile" } } };
    let main = html! {
        (layout::crumbs(&[("/settings", "Settings")]))
        (layout::head("Hardware profiles", lead, new))
        div id="profiles" data-live data-on="profiles guest" {
            @if view.items.is_empty() {
                (empty("box", "No profile yet", "A profile is a name for cores, memory, disk and whatever else a machine should have, like “Small” or “Windows desktop”.",
                    Some(("/settings/profiles/new", "New profile"))))
            } @else {
                div.sheet-table { table.grid.profiles-table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "What it is" } th scope="col" { "Fixed" } th scope="col" { "Machines" } th scope="col" { "Changed" } } }
                    tbody { @for item in &view.items { (row(page, item)) } }
                } }
            }
        }
        (limits_note(&view.limited))
        section.card.narrow { h2 { "For people who are not admins" }
            (trouble(form))
            form method="post" action="/settings/profiles/policy" {
                (csrf(page))
                (switch(form, "required", "They must pick a profile", view.required, "Without this they may also choose every value themselves."))
                div.actions { button.primary { "Save" } }
            }
        }
    };
    layout::page(page, "Hardware profiles", main)
}

fn row(page: &Page, item: &ProfileItem) -> Markup {
    let p = &item.profile;
    let fixed = &item.fixed;
    html! {
        tr {
            th scope="row" { a href={ "/settings/profiles/" (p.id) } { (p.name) } }
            td.what data-label="What it is" { (item.summary) @if !p.note.is_empty() { small.dim { (p.note) } } }
            td data-label="Fixed" { @if fixed.is_empty() { span.dim { "nothing" } } @else { span.fixed-list title=(fixed.join(", ")) { (icon("lock")) (count(fixed.len(), "field", "fields")) } } }
            td data-label="Machines" { (item.machines) }
            td data-label="Changed" { (time(page, p.changed)) @if p.by != "steward" { span.dim { " by " (p.by) } } }
        }
    }
}

/// Said wherever somebody could wonder why a profile does not work there.
fn limits_note(limited: &[(String, String)]) -> Markup {
    html! {
        @for (connection, can) in limited {
            (note("busy", html! { "On " (connection) " a profile can set only: " (can) ". Profiles that set more can't be picked there." }))
        }
    }
}

/// A profile's values as the form has them.
pub fn filled(profile: &Profile) -> Form {
    let mut form = Form::new().set("name", &profile.name).set("note", &profile.note);
    for (key, value) in &profile.values {
        form = form.set(key, value);
    }
    for key in &profile.locked {
        form = form.set(format!("lock.{key}"), "on");
    }
    let flag = |on: Option<bool>| on.map_or("", |on| if on { "1" } else { "0" });
    for (n, d) in profile.disks.iter().enumerate() {
        form = form
            .set(format!("disks.{n}.gib"), d.gib.to_string())
            .set(format!("disks.{n}.storage"), d.storage.clone().unwrap_or_default())
            .set(format!("disks.{n}.cache"), d.cache.clone().unwrap_or_default())
            .set(format!("disks.{n}.discard"), flag(d.discard))
            .set(format!("disks.{n}.ssd"), flag(d.ssd))
            .set(format!("disks.{n}.iothread"), flag(d.iothread));
    }
    form
}

pub fn edit(page: &Page, view: &EditView, form: &Form) -> Markup {
    let title = if view.id.is_some() { view.name.as_str() } else { "New profile" };
    let action = view.id.map_or_else(|| "/settings/profiles/new".to_owned(), |id| format!("/settings/profiles/{id}"));
    let lead = html! { "What you leave empty stays as the template has it, or as the person chooses. A tick at " strong { "fixed" } " means: only admins may choose something else, now and later." };
    let copy = html! { @if let Some(id) = view.id { a.button href={ "/settings/profiles/new?copy=" (id) } { (icon("copy")) "Copy it" } } };
    let main = html! {
        (layout::crumbs(&[("/settings", "Settings"), ("/settings/profiles", "Hardware profiles")]))
        (layout::head(title, lead, copy))
        (trouble(form))
        form.profile-form method="post" action=(action) {
            (csrf(page))
            section.card { div.grid-fields {
                (text("name", "Name").required().hint("The name that people see when they pick it.").render(form))
                (text("note", "What it is for").hint("Shown below the name.").quiet().render(form))
            } }
            @for (n, group) in view.settings.groups().into_iter().enumerate() { (group_of(group, n < OPEN, view, form)) }
            (limits_note(&view.limited))
            div.actions.sticky { button.primary name="go" value="save" { "Save" } a.button.quiet href="/settings/profiles" { "Cancel" } }
        }
        @if let Some(id) = view.id { (remove(page, id, view, form)) }
    };
    layout::page(page, title, main)
}

/// This many groups are open from the start; the others when something in them is set or wrong.
const OPEN: usize = 4;

fn group_of(group: &str, open: bool, view: &EditView, form: &Form) -> Markup {
    let (disks, fields): (Vec<_>, Vec<_>) = view.settings.in_group(group).partition(|s| s.kind == OptionKind::Disks);
    let used = fields.iter().any(|s| !form.value(&s.key).is_empty() || form.error(&s.key).is_some());
    let labels: Vec<String> = fields.iter().take(4).map(|s| s.label.to_lowercase()).collect();
    html! {
        details.card.group open[open || used] {
            summary { h2 { (group) } @if !open { span.dim { (labels.join(", ")) } } }
            div.grid-fields { @for s in fields { (lockable(s, one_field(s, view, form), form)) } }
            @if !disks.is_empty() { (further_disks(view, form)) }
        }
    }
}

/// A field with the tick that fixes it.
fn lockable(s: &OptionSpec, field: Markup, form: &Form) -> Markup {
    let name = format!("lock.{}", s.key);
    html! {
        div.lockable {
            (field)
            label.lock title="Only admins may choose something else" {
                input type="checkbox" name=(name) value="on" checked[form.has(&name)];
                span.unseen { (s.label) ": " } (icon("lock")) "fixed"
            }
        }
    }
}

fn one_field(s: &OptionSpec, view: &EditView, form: &Form) -> Markup {
    let (open, known): (_, &[String]) = match s.key.as_str() {
        "storage" => ("as the template has it", &view.storages),
        "bridge" => ("as the person chooses", &view.bridges),
        _ => ("as the template has it", &[]),
    };
    options::field(form, s, Draw { name: &s.key, open: Some(open), known, ..Draw::default() })
}

/// Rows for further disks that the form shows: those with something in them, and what was asked for.
fn disk_rows(form: &Form) -> usize {
    let used =
        (0..MOST_DISKS).filter(|n| form.pairs().any(|(k, v)| k.starts_with(&format!("disks.{n}.")) && !v.is_empty()));
    let used = used.max().map_or(0, |n| n + 1);
    form.value("rows").parse::<usize>().unwrap_or(0).max(used).min(MOST_DISKS)
}

fn further_disks(view: &EditView, form: &Form) -> Markup {
    let rows = disk_rows(form);
    let error = form.error("disks");
    html! {
        div.further id="further" {
            div.lockable {
                h3 { "Further disks" }
                p.hint { "New, empty disks in addition to the first one." }
                @if let Some(text) = error { p.error { (text) } }
                @if rows > 0 { label.lock title="Only admins may add disks" {
                    input type="checkbox" name="lock.disks" value="on" checked[form.has("lock.disks")];
                    span.unseen { "Further disks: " } (icon("lock")) "fixed"
                } }
            }
            input type="hidden" name="rows" value=(rows);
            @for n in 0..rows { (disk_row(n, view, form)) }
            @if rows < MOST_DISKS { button name="go" value="more" formnovalidate { (icon("plus")) @if rows == 0 { "Add a disk" } @else { "Another disk" } } }
        }
    }
}

/// One further disk, with the settings of the first one.
fn disk_row(n: usize, view: &EditView, form: &Form) -> Markup {
    let part = |key: &str, part: &str, open: &str, known: &[String]| {
        let name = format!("disks.{n}.{part}");
        // Its sentences are about the first disk.
        let spec = OptionSpec { help: String::new(), ..view.settings.find(key)?.clone() };
        Some(options::field(form, &spec, Draw { name: &name, open: Some(open), known, ..Draw::default() }))
    };
    html! {
        fieldset.disk-row {
            legend { "Disk " (n + 2) }
            div.grid-fields {
                @for field in [
                    part("disk", "gib", "", &[]),
                    part("storage", "storage", "where the first disk is", &view.storages),
                    part("disk_cache", "cache", "as usual", &[]),
                    part("disk_discard", "discard", "as usual", &[]),
                    part("disk_ssd", "ssd", "as usual", &[]),
                    part("disk_iothread", "iothread", "as usual", &[]),
                ].into_iter().flatten() { (field) }
            }
        }
    }
}

/// Deleting says what it means for whom.
fn remove(page: &Page, id: ProfileId, view: &EditView, form: &Form) -> Markup {
    let n = view.used_by.len();
    let (first, more) = view.used_by.split_at(n.min(8));
    html! {
        section.card.narrow.attention.bad id="delete" {
            h2 { "Delete this profile" }
            @if n == 0 { p { "No machine has it." } } @else {
                p { (count(n, "machine has", "machines have")) " it: " (first.join(", ")) @if !more.is_empty() { " and " (more.len()) " more" }
                    ". They stay as they are; their owners can then change what the profile fixed." }
            }
            form method="post" action={ "/settings/profiles/" (id) "/delete" } {
                (csrf(page))
                (text("confirm", "Type the profile's name").required().hint(&format!("It is called {}", view.name)).render(form))
                div.actions { button.danger.solid { (icon("trash")) "Delete the profile" } }
            }
        }
    }
}

/// A profile that the wizard or a machine's tab offers.
#[derive(Clone, Debug)]
pub struct ProfileChoice {
    pub profile: Profile,
    /// What it is, in one line.
    pub summary: String,
    /// Why it can't be picked there.
    pub refusal: Option<String>,
}

/// Cards to pick from. Above this many a plain list.
const CARDS: usize = 9;

/// Picking one. `none` is the word for no profile, where that is allowed. `go` is what the button sends, which the
/// script presses by itself.
pub fn choose(form: &Form, list: &[ProfileChoice], none: Option<&str>, go: &str, word: &str) -> Markup {
    let usable = |c: &&ProfileChoice| c.refusal.is_none();
    let chosen = form.value("profile");
    let chosen = if none.is_none() && !list.iter().any(|c| c.profile.id.to_string() == chosen) {
        list.iter().find(usable).map(|c| c.profile.id.to_string()).unwrap_or_default()
    } else {
        chosen.to_owned()
    };
    let error = form.error("profile");
    // Somebody who moves through them by keyboard stays there when the page reloads.
    let focus = form.value("go") == go;
    html! {
        div.choose data-choose {
            @if list.len() > CARDS { (as_list(form, list, none, &chosen)) } @else {
                fieldset.ways.profile-cards.wrong[error.is_some()] {
                    legend { "Profile" }
                    @if let Some(text) = error { p.error id="profile-error" { (text) } }
                    @if let Some(word) = none { (card("", "No profile", word, None, chosen.is_empty(), focus)) }
                    @for c in list {
                        @let id = c.profile.id.to_string();
                        (card(&id, &c.profile.name, &c.summary, c.refusal.as_deref(), chosen == id, focus))
                    }
                }
            }
            button name="go" value=(go) formnovalidate { (word) }
        }
    }
}

fn card(id: &str, name: &str, text: &str, refusal: Option<&str>, checked: bool, focus: bool) -> Markup {
    let label = format!("profile-{}", if id.is_empty() { "none" } else { id });
    html! {
        label.way.off[refusal.is_some()] title=[refusal] {
            input type="radio" name="profile" value=(id) checked[checked] autofocus[focus && checked] disabled[refusal.is_some()]
                aria-labelledby={ (label) "-name" } aria-describedby={ (label) "-about" };
            span { strong id={ (label) "-name" } { (name) } small id={ (label) "-about" } { (refusal.unwrap_or(text)) } }
        }
    }
}

fn as_list(form: &Form, list: &[ProfileChoice], none: Option<&str>, chosen: &str) -> Markup {
    let mut options: Vec<(String, String)> = none.map(|w| (String::new(), w.to_owned())).into_iter().collect();
    let usable = list.iter().filter(|c| c.refusal.is_none());
    options.extend(usable.map(|c| (c.profile.id.to_string(), format!("{}: {}", c.profile.name, c.summary))));
    select(&form.clone().replace("profile", chosen), "profile", "Profile", &options, "")
}

/// A value that the profile fixes: shown, carried along, and checked again by the server.
pub fn fixed(label: &str, name: &str, value: &str, words: &str, profile: &str) -> Markup {
    html! {
        div.field.fixed {
            span.label { (label) }
            p { (icon("lock")) strong { (words) } small.dim { "fixed by " (profile) } }
            input type="hidden" name=(name) value=(value);
        }
    }
}

/// A further disk in words.
pub fn disk_words(d: &MoreDisk) -> String {
    let place = d.storage.as_deref().map(|s| format!(" on {s}")).unwrap_or_default();
    format!("{} GiB{place}", d.gib)
}

/// What the profile sets beside what the form asks, as pairs of label and words.
pub fn beside(profile: &Profile, settings: &MachineSettings) -> Vec<(String, String)> {
    let mine = settings.iter().filter(|s| !CHOSEN.contains(&s.key.as_str()));
    let mine = mine.filter_map(|s| Some((s.label.clone(), s.words_of(profile.value(&s.key)?))));
    let disks: Vec<String> = profile.disks.iter().map(disk_words).collect();
    let disks = Some((settings.label(DISKS).to_owned(), disks.join(", "))).filter(|(_, words)| !words.is_empty());
    mine.chain(disks).collect()
}

/// Choosing a profile for a machine that is there.
pub fn apply(page: &Page, head: &MachineHead, list: &[ProfileChoice], has: Option<&str>, form: &Form) -> Markup {
    let body = html! {
        (happening(page, head))
        p { a href=(head.at("hardware")) { (icon("left")) "Hardware" } }
        (trouble(form))
        @if list.is_empty() {
            (empty("box", "No profile to apply", "An admin can make hardware profiles in the settings.", None))
        } @else {
            section.card.narrow {
                h2 { "Apply a profile" }
                p { @match has { Some(name) => { "It has the profile " strong { (name) } ". " } None => {} } "Nothing is changed until you have seen what it would do." }
                form method="post" action=(head.at("hardware/profile")) {
                    (csrf(page))
                    (cards(form, list))
                    (switch(form, "disks", "Its disks too", false, "Enlarges the first disk and adds missing ones. Disks never shrink, and none is removed."))
                    div.actions { button.primary name="go" value="preview" { "Preview the change" } a.button.quiet href=(head.at("hardware")) { "Cancel" } }
                }
            }
        }
    };
    frame(page, head, "hardware", body)
}

fn cards(form: &Form, list: &[ProfileChoice]) -> Markup {
    let chosen = form.value("profile");
    let first = list.iter().find(|c| c.refusal.is_none()).map(|c| c.profile.id.to_string()).unwrap_or_default();
    let chosen = if chosen.is_empty() { first } else { chosen.to_owned() };
    html! {
        @if list.len() > CARDS { (as_list(form, list, None, &chosen)) } @else {
            fieldset.ways.profile-cards { legend { "Profile" }
                @for c in list {
                    @let id = c.profile.id.to_string();
                    (card(&id, &c.profile.name, &c.summary, c.refusal.as_deref(), chosen == id, false))
                }
            }
        }
    }
}

/// Old and new, before anything is done.
pub fn preview(
    page: &Page,
    head: &MachineHead,
    settings: &MachineSettings,
    profile: &Profile,
    plan: &ApplyPlan,
    form: &Form,
) -> Markup {
    let refused = plan.changes.iter().any(|c| c.refused.is_some());
    let nothing = plan.changes.is_empty() && plan.grow.is_none() && plan.add.is_empty();
    let later = plan.running && (plan.changes.iter().any(|c| !c.live) || (!plan.add.is_empty() && !plan.disks_live));
    let body = html! {
        p { a href=(head.at("hardware/profile")) { (icon("left")) "Another profile" } }
        section.card {
            h2 { "What “" (profile.name) "” would do to " (head.row.name) }
            (trouble(form))
            @if nothing { p { "The machine already has all of it." } } @else {
                div.sheet-table { table.grid.plan-table {
                    thead { tr { th scope="col" { "Value" } th scope="col" { "Now" } th scope="col" { "Then" } th scope="col" { "When" } } }
                    tbody { (changes(plan, settings)) (disks(plan)) }
                } }
            }
            @if refused { (note("bad", html! { "It can't be applied like this: see the lines marked with “not possible”." })) }
            @if later { p.dim { "Changes that need a restart take effect when the machine is shut down and started again; until then they can be reverted on the hardware tab." } }
            (stays(plan, settings))
            form method="post" action=(head.at("hardware/profile")) {
                (csrf(page))
                input type="hidden" name="profile" value=(profile.id);
                input type="hidden" name="disks" value=(if form.on("disks", false) { "on" } else { "off" });
                input type="hidden" name="digest" value=(plan.digest);
                div.actions {
                    @if !refused { button.primary name="go" value="apply" { @if nothing { "Note that it has this profile" } @else { "Apply the profile" } } }
                    button name="go" value="back" { "Back" }
                }
            }
        }
    };
    frame(page, head, "hardware", body)
}

fn changes(plan: &ApplyPlan, settings: &MachineSettings) -> Markup {
    html! {
        @for c in &plan.changes {
            @let field = settings.find(&c.key);
            tr {
                th scope="row" { (settings.label(&c.key)) @if let Some(f) = field { small.dim { (f.group) } } }
                td data-label="Now" { (told(field, &c.from)) }
                td data-label="Then" { (told(field, &c.to)) }
                td data-label="When" {
                    @if let Some(why) = &c.refused { span.tag.bad { "not possible" } small { (why) } }
                    @else { (badge(c.live || !plan.running)) @if !c.why.is_empty() { small.dim { (c.why) } } }
                }
            }
        }
    }
}

fn told(field: Option<&OptionSpec>, value: &str) -> Markup {
    html! { @if value.is_empty() { span.dim { "–" } } @else { (field.map_or_else(|| value.to_owned(), |s| s.words_of(value))) } }
}

fn disks(plan: &ApplyPlan) -> Markup {
    html! {
        @if let Some((grow, from)) = &plan.grow {
            tr { th scope="row" { "Size" small.dim { "First disk, " (grow.disk) } } td data-label="Now" { (from) " GiB" } td data-label="Then" { (grow.gib) " GiB" } td data-label="When" { (badge(true)) } }
        }
        @for d in &plan.add {
            tr { th scope="row" { "New disk" } td data-label="Now" { span.dim { "–" } } td data-label="Then" { (disk_words(d)) } td data-label="When" { (badge(plan.disks_live)) } }
        }
    }
}

fn stays(plan: &ApplyPlan, settings: &MachineSettings) -> Markup {
    html! {
        @if !plan.stays.is_empty() {
            details.fold { summary { (count(plan.stays.len(), "value of the profile stays", "values of the profile stay")) " as the machine has it" }
                dl.about { @for (key, why) in &plan.stays { dt { (settings.label(key)) } dd { (why) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::gallery::profiles::one;

    #[test]
    fn a_form_shows_all_that_a_profile_has() {
        let disk = MoreDisk { gib: 5, ssd: Some(false), ..MoreDisk::default() };
        let form = filled(&Profile { locked: vec!["memory".into()], disks: vec![disk], ..one() });
        assert_eq!((form.value("firmware"), form.value("lock.memory"), form.value("disks.0.ssd")), ("ovmf", "on", "0"));
        assert_eq!(disk_rows(&form), 1);
        assert_eq!(disk_rows(&form.replace("rows", "99")), MOST_DISKS);
    }
}
