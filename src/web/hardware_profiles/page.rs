//! Hardware profiles: the list, the form of one, choosing one for a new machine, and applying one to a machine.

use crate::frame::Page;
use crate::frame::form::{Form, csrf, number, select, switch, text, trouble};
use crate::frame::layout;
use crate::frame::parts::{count, empty, icon, note, time};
use crate::guests::hardware::page::badge;
use crate::guests::one::page::{MachineHead, frame, happening};
use app::guests::profile::ApplyPlan;
use base::ids::ProfileId;
use maud::{Markup, html};
use model::profiles::{BASIC, FIELDS, Field, FieldKind, GROUPS, MOST_DISKS, MoreDisk, Profile, find};

/// One line of the list.
#[derive(Clone, Debug)]
pub struct ProfileItem {
    pub profile: Profile,
    /// How many machines have it.
    pub machines: usize,
}

#[derive(Clone, Debug)]
pub struct ProfilesView {
    pub items: Vec<ProfileItem>,
    /// Whoever is no admin must choose one.
    pub required: bool,
    /// Connections whose provider takes only the basics.
    pub basic_only: Vec<String>,
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
    pub basic_only: Vec<String>,
}

pub fn list(page: &Page, view: &ProfilesView, form: &Form) -> Markup {
    let lead = html! { "Named sizes and hardware for machines. Whoever makes a machine picks one; you say what they may still choose themselves." };
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
        (basic_note(&view.basic_only))
        section.card.narrow { h2 { "For people who are no admins" }
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
    let fixed: Vec<&str> = p.locked.iter().filter_map(|k| find(k)).map(|f| f.label).collect();
    html! {
        tr {
            th scope="row" { a href={ "/settings/profiles/" (p.id) } { (p.name) } }
            td.what data-label="What it is" { (p.summary()) @if !p.note.is_empty() { small.dim { (p.note) } } }
            td data-label="Fixed" { @if fixed.is_empty() { span.dim { "nothing" } } @else { span.fixed-list title=(fixed.join(", ")) { (icon("lock")) (count(fixed.len(), "field", "fields")) } } }
            td data-label="Machines" { (item.machines) }
            td data-label="Changed" { (time(page, p.changed)) @if p.by != "steward" { span.dim { " by " (p.by) } } }
        }
    }
}

/// Said wherever somebody could wonder why a profile does not work there.
fn basic_note(connections: &[String]) -> Markup {
    html! {
        @if !connections.is_empty() {
            (note("busy", html! { "On " (connections.join(", ")) " a profile can set only cores, memory, disk, storage, bridge and VLAN. Profiles that set more can't be picked there." }))
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
                (text("name", "Name").required().hint("What people pick it by.").render(form))
                (text("note", "What it is for").hint("Shown below the name.").quiet().render(form))
            } }
            @for group in GROUPS { (group_of(group, view, form)) }
            (basic_note(&view.basic_only))
            div.actions.sticky { button.primary name="go" value="save" { "Save" } a.button.quiet href="/settings/profiles" { "Cancel" } }
        }
        @if let Some(id) = view.id { (remove(page, id, view, form)) }
    };
    layout::page(page, title, main)
}

/// Groups that are open from the start; the others when something in them is set or wrong.
const OPEN: [&str; 4] = ["Processor", "Memory", "First disk", "Network card"];

fn group_of(group: &str, view: &EditView, form: &Form) -> Markup {
    let fields: Vec<&Field> = FIELDS.iter().filter(|f| f.group == group && f.key != "disks").collect();
    let used = |f: &&&Field| !form.value(f.key).is_empty() || form.error(f.key).is_some();
    let open = OPEN.contains(&group) || fields.iter().any(|f| used(&f));
    let further = group == "First disk";
    html! {
        details.card.group open[open] {
            summary { h2 { (group) } @if !OPEN.contains(&group) { span.dim { (hint_of(group)) } } }
            div.grid-fields { @for f in fields { (lockable(f, one_field(f, view, form), form)) } }
            @if further { (further_disks(view, form)) }
        }
    }
}

fn hint_of(group: &str) -> &'static str {
    match group {
        "System" => "system inside, machine type, firmware, security chip, display",
        "Identity" => "what programs inside are told about the machine (SMBIOS)",
        _ => "graphics cards and other PCI devices",
    }
}

/// A field with the tick that fixes it.
fn lockable(f: &Field, field: Markup, form: &Form) -> Markup {
    let name = format!("lock.{}", f.key);
    html! {
        div.lockable {
            (field)
            label.lock title="Only admins may choose something else" {
                input type="checkbox" name=(name) value="on" checked[form.has(&name)];
                span.unseen { (f.label) ": " } (icon("lock")) "fixed"
            }
        }
    }
}

const AS_IS: &str = "as the template has it";

fn one_field(f: &Field, view: &EditView, form: &Form) -> Markup {
    match (f.kind, f.key) {
        (FieldKind::Number(min, max), _) => {
            number(f.key, f.label, min, max).unit(f.unit).hint(f.hint).quiet().render(form)
        }
        (FieldKind::Switch, _) => yes_no(f.key, f.label, f.hint, form),
        (FieldKind::Choice(list), _) => {
            let list = list.iter().map(|(v, words)| ((*v).to_owned(), (*words).to_owned()));
            select(form, f.key, f.label, &with_open(AS_IS, list), f.hint)
        }
        (FieldKind::Text(_), "storage") => names(form, f.key, f.label, f.hint, &view.storages, AS_IS),
        (FieldKind::Text(_), "bridge") => names(form, f.key, f.label, "", &view.bridges, "as the person chooses"),
        (FieldKind::Text(_), _) => text(f.key, f.label).hint(f.hint).quiet().render(form),
    }
}

fn with_open(open: &str, list: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    std::iter::once((String::new(), open.to_owned())).chain(list).collect()
}

fn yes_no(name: &str, label: &str, hint: &str, form: &Form) -> Markup {
    let list = [("1".to_owned(), "yes".to_owned()), ("0".to_owned(), "no".to_owned())];
    // The hints of ticks are Proxmox' words, for those who know them.
    select(form, name, label, &with_open(AS_IS, list.into_iter()), hint)
}

/// A list of known names, with the one that is set though nothing has it now; a text where none are known.
fn names(form: &Form, name: &str, label: &str, hint: &str, known: &[String], open: &str) -> Markup {
    if known.is_empty() {
        return text(name, label).hint(hint).quiet().render(form);
    }
    let mut list: Vec<(String, String)> = known.iter().map(|n| (n.clone(), n.clone())).collect();
    let now = form.value(name);
    if !now.is_empty() && !known.iter().any(|n| n == now) {
        list.push((now.to_owned(), format!("{now} (not there now)")));
    }
    select(form, name, label, &with_open(open, list.into_iter()), hint)
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
                p.hint { "New, empty disks beside the first one." }
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

fn disk_row(n: usize, view: &EditView, form: &Form) -> Markup {
    let name = |part: &str| format!("disks.{n}.{part}");
    let caches = FIELDS.iter().find(|f| f.key == "disk_cache").map(|f| f.kind);
    let caches: &[(&str, &str)] = if let Some(FieldKind::Choice(list)) = caches { list } else { &[] };
    let caches = caches.iter().map(|(v, w)| ((*v).to_owned(), (*w).to_owned()));
    let flag = |part: &str, label: &str| {
        let list = [("1".to_owned(), "yes".to_owned()), ("0".to_owned(), "no".to_owned())];
        select(form, &name(part), label, &with_open("as usual", list.into_iter()), "")
    };
    html! {
        fieldset.disk-row {
            legend { "Disk " (n + 2) }
            div.grid-fields {
                (number(&name("gib"), "Size", 1, 65_536).unit("GiB").hint("Empty: no such disk.").quiet().render(form))
                (names(form, &name("storage"), "Storage", "", &view.storages, "where the first disk is"))
                (select(form, &name("cache"), "Cache", &with_open("as usual", caches), ""))
                (flag("discard", "Give deleted room back"))
                (flag("ssd", "Looks like an SSD"))
                (flag("iothread", "A thread of its own"))
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
                    ". They stay as they are; what the profile fixes is free for their owners then." }
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
    // Who walks through them by keyboard stays there when the page comes anew.
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
                        (card(&id, &c.profile.name, &c.profile.summary(), c.refusal.as_deref(), chosen == id, focus))
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
    options.extend(usable.map(|c| (c.profile.id.to_string(), format!("{}: {}", c.profile.name, c.profile.summary()))));
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

/// A value of a field in words.
pub fn value_words(f: &Field, value: &str) -> String {
    match f.kind {
        FieldKind::Switch => if value == "1" { "yes" } else { "no" }.to_owned(),
        FieldKind::Choice(list) => {
            let known = list.iter().find(|(v, _)| *v == value);
            known.map_or(value, |(_, words)| words.split(" (").next().unwrap_or(words)).to_owned()
        }
        _ if f.key == "vlan" && value == "0" => "none".to_owned(),
        _ if f.unit.is_empty() => value.to_owned(),
        _ => format!("{value} {}", f.unit),
    }
}

/// A further disk in words.
pub fn disk_words(d: &MoreDisk) -> String {
    let place = d.storage.as_deref().map(|s| format!(" on {s}")).unwrap_or_default();
    format!("{} GiB{place}", d.gib)
}

/// What the profile sets beside what the form asks, as pairs of label and words.
pub fn beside(profile: &Profile) -> Vec<(&'static str, String)> {
    let mine = FIELDS.iter().filter(|f| !BASIC.contains(&f.key));
    let mut all: Vec<(&str, String)> =
        mine.filter_map(|f| Some((f.label, value_words(f, profile.value(f.key)?)))).collect();
    if !profile.disks.is_empty() {
        let disks: Vec<String> = profile.disks.iter().map(disk_words).collect();
        all.push(("Further disks", disks.join(", ")));
    }
    all
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
                p { @match has { Some(name) => { "It has the profile " strong { (name) } ". " } None => {} } "Nothing is changed before you have seen what it would do." }
                form method="post" action=(head.at("hardware/profile")) {
                    (csrf(page))
                    (cards(form, list))
                    (switch(form, "disks", "Its disks too", false, "Enlarges the first disk and adds the ones that lack. Disks never get smaller, and none is taken away."))
                    div.actions { button.primary name="go" value="preview" { "Look at the change" } a.button.quiet href=(head.at("hardware")) { "Cancel" } }
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
                    (card(&id, &c.profile.name, &c.profile.summary(), c.refusal.as_deref(), chosen == id, false))
                }
            }
        }
    }
}

/// Old and new, before anything is done.
pub fn preview(page: &Page, head: &MachineHead, profile: &Profile, plan: &ApplyPlan, form: &Form) -> Markup {
    let refused = plan.changes.iter().any(|c| c.refused.is_some());
    let nothing = plan.changes.is_empty() && plan.grow.is_none() && plan.add.is_empty();
    let later = plan.running && (plan.changes.iter().any(|c| !c.live) || (!plan.add.is_empty() && !plan.disks_live));
    let body = html! {
        p { a href=(head.at("hardware/profile")) { (icon("left")) "Another profile" } }
        section.card {
            h2 { "What “" (profile.name) "” would do to " (head.row.name) }
            (trouble(form))
            @if nothing { p { "The machine has all of it already." } } @else {
                div.sheet-table { table.grid.plan-table {
                    thead { tr { th scope="col" { "Value" } th scope="col" { "Now" } th scope="col" { "Then" } th scope="col" { "When" } } }
                    tbody { (changes(plan)) (disks(plan)) }
                } }
            }
            @if refused { (note("bad", html! { "It can't be applied like this: see the lines marked with “not possible”." })) }
            @if later { p.dim { "What comes after a restart is taken when the machine is shut down and started again; until then it can be taken back on the hardware tab." } }
            (stays(plan))
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

fn changes(plan: &ApplyPlan) -> Markup {
    html! {
        @for c in &plan.changes {
            @let field = find(&c.key);
            tr {
                th scope="row" { (field.map_or(c.key.as_str(), |f| f.label)) @if let Some(f) = field { small.dim { (f.group) } } }
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

fn told(field: Option<&Field>, value: &str) -> Markup {
    html! { @if value.is_empty() { span.dim { "–" } } @else { (field.map_or_else(|| value.to_owned(), |f| value_words(f, value))) } }
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

fn stays(plan: &ApplyPlan) -> Markup {
    html! {
        @if !plan.stays.is_empty() {
            details.fold { summary { (count(plan.stays.len(), "value of the profile stays", "values of the profile stay")) " as the machine has it" }
                dl.about { @for (key, why) in &plan.stays { dt { (find(key).map_or(*key, |f| f.label)) } dd { (why) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Timestamp;
    use model::profiles::starting;

    #[test]
    fn a_form_shows_all_that_a_profile_has() {
        let mut p = starting(Timestamp::ZERO).remove(3);
        p.locked = vec!["memory".into()];
        p.disks = vec![MoreDisk { gib: 5, ssd: Some(false), ..MoreDisk::default() }];
        let form = filled(&p);
        assert_eq!((form.value("firmware"), form.value("lock.memory"), form.value("disks.0.ssd")), ("ovmf", "on", "0"));
        assert_eq!(disk_rows(&form), 1);
        assert_eq!(disk_rows(&form.replace("rows", "99")), MOST_DISKS);
    }

    #[test]
    fn values_are_told_in_words() {
        let words = |key: &str, value: &str| value_words(find(key).unwrap(), value);
        let told = [words("memory", "2048"), words("vlan", "0"), words("tpm", "1"), words("firmware", "ovmf")];
        assert_eq!(told, ["2048 MiB", "none", "yes", "UEFI"]);
    }
}
