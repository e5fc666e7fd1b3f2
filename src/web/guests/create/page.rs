//! Making a machine, step by step. Each step is one form with an address of its own.

use crate::connections::page::{wizard_buttons, wizard_steps};
use crate::frame::ask::{self, yes};
use crate::frame::form::{Form, RadioCard, area, csrf, number, password, select, switch, text, trouble, ways};
use crate::frame::parts::{bytes, count, empty, icon, note, time};
use crate::frame::recipe::{field_name, fields, is_secret, needs, picture};
use crate::frame::{Page, layout};
use crate::guests::create::drafts::DraftItem;
use crate::guests::software::page::{by_category, find_box};
use crate::hardware_profiles::page as profiles;
use crate::hardware_profiles::page::ProfileChoice;
use crate::quotas::page as quotas;
use crate::quotas::page::QuotaItem;
use app::software::MenuItem;
use maud::{Markup, html};
use model::guests::System;
use model::guests::settings::MachineSettings;
use model::nodes::Choices;
use model::options::OptionSpec;
use model::profiles::Profile;
use model::providers::Feature;
use model::quotas::Resource;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum CreateStep {
    Source,
    Size,
    Network,
    Access,
    Software,
    Review,
}

impl CreateStep {
    pub const ALL: [Self; 6] = [Self::Source, Self::Size, Self::Network, Self::Access, Self::Software, Self::Review];

    /// As in the form's `step`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == text)
    }

    pub fn next(self) -> Self {
        Self::ALL.into_iter().find(|s| *s > self).unwrap_or(Self::Review)
    }

    pub fn back(self) -> Self {
        Self::ALL.into_iter().rev().find(|s| *s < self).unwrap_or(Self::Source)
    }

    /// The fields that this step asks. A wrong field's step is where the form goes back to.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Source => &["name", "from", "template", "full", "volid", "system", "node", "connection"],
            Self::Size => &["profile", "filled", "cores", "memory", "disk", "storage"],
            Self::Network => &["bridge", "vlan", "mode", "cidr", "gateway"],
            Self::Access => &["user", "ssh_keys", "tags", "description", "start"],
            // Its options come too: their names begin with `software.`.
            Self::Software => &["software"],
            // Passwords are asked last of all and never carried along.
            Self::Review => &["password"],
        }
    }

    /// Does this step ask the field? Secret options are asked last of all and never carried along.
    pub fn asks(self, name: &str, menu: &[MenuItem]) -> bool {
        match self {
            _ if self.fields().contains(&name) => true,
            Self::Software => is_option(name, menu, |o| !is_secret(o)),
            Self::Review => is_option(name, menu, is_secret),
            _ => false,
        }
    }

    /// The first step that asks one of the fields with an error.
    pub fn of_errors(form: &Form, menu: &[MenuItem]) -> Option<Self> {
        Self::ALL.into_iter().find(|s| form.error_names().any(|name| s.asks(name, menu)))
    }
}

/// Is it such an option of a recipe? What no recipe knows is asked nowhere, so it is not kept either.
fn is_option(name: &str, menu: &[MenuItem], such: impl Fn(&OptionSpec) -> bool) -> bool {
    let has = |item: &MenuItem| {
        item.recipe.options.iter().filter(|o| such(o)).any(|o| field_name(&item.name, &o.key) == name)
    };
    name.starts_with("software.") && menu.iter().any(has)
}

/// A template that can be cloned.
#[derive(Clone, Debug)]
pub struct TemplateItem {
    pub vmid: u32,
    pub name: String,
    pub node: String,
    /// Bytes.
    pub disk: u64,
    /// It holds Windows: a password instead of SSH keys, other software.
    pub windows: bool,
    /// The image that it was made of, like `Debian 13 (trixie)`, and the user in it.
    pub image: Option<(String, String)>,
}

/// What the form may offer.
#[derive(Clone, Debug)]
pub struct CreateView {
    pub step: CreateStep,
    /// Id and name, when there is more than one to choose from.
    pub connections: Vec<(String, String)>,
    /// Nodes that are online and allowed.
    pub nodes: Vec<String>,
    pub templates: Vec<TemplateItem>,
    /// `volid` and words of every ISO image.
    pub isos: Vec<(String, String)>,
    /// For the chosen node; empty on the first step.
    pub choices: Choices,
    /// The person's keys from their profile.
    pub my_keys: String,
    /// What can be installed.
    pub menu: Vec<MenuItem>,
    /// What the chosen size lacks for the chosen software, in sentences.
    pub warnings: Vec<String>,
    /// What the person's own machines have, and how much they may have.
    pub quota: Option<QuotaItem>,
    pub profiles: Vec<ProfileChoice>,
    /// The one that was picked.
    pub profile: Option<Profile>,
    /// What it fixes counts for this person.
    pub fixes: bool,
    /// This person must pick one.
    pub must_pick: bool,
    /// What the provider can do with such machines.
    pub features: Vec<Feature>,
    /// What such machines can have.
    pub settings: MachineSettings,
    /// What was typed so far; none before the first step was sent.
    pub draft: Option<DraftItem>,
    /// Others that the person has begun.
    pub unfinished: Vec<DraftItem>,
}

impl CreateView {
    /// Is the field asked? Also without the provider's help when it has a value, so that it can be removed.
    fn offers(&self, feature: Feature, form: &Form, field: &str) -> bool {
        self.features.contains(&feature) || !form.value(field).is_empty()
    }

    /// The profile that fixes this field for this person.
    fn fixed(&self, key: &str) -> Option<&Profile> {
        self.profile.as_ref().filter(|p| self.fixes && p.locks(key))
    }
}

pub fn create(page: &Page, view: &CreateView, form: &Form) -> Markup {
    let at = CreateStep::ALL.iter().position(|s| *s == view.step).unwrap_or(0);
    let words = ["Source", "Size", "Network", "Access", "Software", "Review"];
    let main = html! {
        (layout::crumbs(&[("/machines", "Machines")]))
        (layout::head("New machine", html! { "Every field has a sensible value; change what you care about." }, html! {
            @if page.admin() && view.step == CreateStep::Source { a.button.quiet href="/templates" { (icon("box")) "Templates" } }
        }))
        @if view.templates.is_empty() && view.isos.is_empty() && view.step == CreateStep::Source {
            (empty("box", "Nothing to create it from", "Proxmox has no template and no ISO image that Steward may use. Create a template from a cloud image, upload an ISO image to Proxmox, or turn a machine into a template.", page.admin().then_some(("/templates", "Templates"))))
        } @else {
            (unfinished(page, view))
            (wizard_steps(&words, at, |n| link(view, n)))
            section.card.narrow {
                @if let Some(job) = view.draft.as_ref().and_then(|d| d.job) {
                    (note("busy", html! { "This machine has been requested: " a href={ "/jobs/" (job) } { "open the job" } ". Sending it again makes another one." }))
                }
                (trouble(form))
                form method="post" action=(action(view)) data-draft[view.draft.is_some()] {
                    (csrf(page))
                    @if view.draft.is_none() {
                        input type="hidden" name="step" value=(view.step.name());
                        (carried(view, form))
                    }
                    (body(view, form))
                }
            }
        }
    };
    layout::page(page, "New machine", main)
}

fn action(view: &CreateView) -> String {
    view.draft.as_ref().map_or_else(|| "/machines/new".to_owned(), |draft| draft.at(view.step))
}

/// Steps that were reached can be gone to.
fn link(view: &CreateView, n: usize) -> Option<String> {
    let step = *CreateStep::ALL.get(n)?;
    view.draft.as_ref().filter(|d| step <= d.reached).map(|d| d.at(step))
}

/// What the person began before and did not finish.
fn unfinished(page: &Page, view: &CreateView) -> Markup {
    html! {
        @if !view.unfinished.is_empty() {
            section.card.narrow.drafts { h2 { "Not finished" }
                ul.list { @for draft in &view.unfinished {
                    @let name = if draft.name.is_empty() { "a machine without a name" } else { &draft.name };
                    li {
                        div { a href=(draft.at(draft.reached)) { "Go on with " (name) } small { "changed " (time(page, draft.changed)) } }
                        form.inline method="post" action=(draft.at(draft.reached)) {
                            (csrf(page))
                            input type="hidden" name="go" value="discard";
                            (yes(&ask::DISCARD_DRAFT, name, "quiet", html! { "Discard" span.unseen { " " (name) } }))
                        }
                    }
                } }
            }
        }
    }
}

/// The values of all other steps.
fn carried(view: &CreateView, form: &Form) -> Markup {
    let others = CreateStep::ALL.into_iter().filter(|s| *s != view.step && *s != CreateStep::Review);
    let others: Vec<CreateStep> = others.collect();
    let wanted = |name: &str| others.iter().any(|s| s.asks(name, &view.menu));
    html! {
        @for (name, value) in form.pairs().filter(|(n, _)| wanted(n)) { input type="hidden" name=(name) value=(value); }
    }
}

fn body(view: &CreateView, form: &Form) -> Markup {
    match view.step {
        CreateStep::Source => source(view, form),
        CreateStep::Size => size(view, form),
        CreateStep::Network => network(view, form),
        CreateStep::Access => access(view, form),
        CreateStep::Software => software(view, form),
        CreateStep::Review => review(view, form),
    }
}

fn source(view: &CreateView, form: &Form) -> Markup {
    let from = [
        RadioCard {
            value: "template",
            title: "From a template".into(),
            text: "Ready in about a minute, with your user and key on it.".into(),
        },
        RadioCard {
            value: "iso",
            title: "Blank, from an ISO image".into(),
            text: "An empty disk; you install the system yourself.".into(),
        },
    ];
    let full = [
        RadioCard {
            value: "on",
            title: "Its own copy of the disk".into(),
            text: "Takes longer, but does not depend on the template.".into(),
        },
        RadioCard {
            value: "off",
            title: "Linked to the template".into(),
            text: "Quick and small; the template must stay.".into(),
        },
    ];
    let templates: Vec<_> = view.templates.iter().map(|t| (t.vmid.to_string(), words(t))).collect();
    let system = view.settings.find("system");
    let nodes: Vec<_> = view.nodes.iter().map(|n| (n.clone(), n.clone())).collect();
    html! {
        (text("name", "Name").required().focus().hint("It is also the host name: web-01, or with its domain web-01.example.org.").render(form))
        @if view.connections.len() > 1 { (select(form, "connection", "Cluster", &view.connections, "")) }
        @else if let Some((id, _)) = view.connections.first() { input type="hidden" name="connection" value=(id); }
        @if view.templates.is_empty() { input type="hidden" name="from" value="iso"; }
        @else if view.isos.is_empty() { input type="hidden" name="from" value="template"; }
        @else { (ways(form, "from", "How to create it", &from)) }
        @if !view.templates.is_empty() {
            div.when-template {
                (select(form, "template", "Template", &templates, ""))
            }
        }
        @if !view.isos.is_empty() {
            div.when-iso {
                (select(form, "volid", "ISO image", &view.isos, "Must be on a storage that the node can reach."))
                @if let Some(s) = system { (select(form, "system", &s.label, &s.choices, "Its devices are chosen to suit it.")) }
            }
        }
        (select(form, "node", "Node", &nodes, "Where it runs."))
        @if !view.templates.is_empty() {
            details.fold.when-template open[form.any_error(&["full"])] { summary { "Kind of copy" } (ways(form, "full", "Disk", &full)) }
        }
        (wizard_buttons("Next: size", "next", false))
    }
}

/// `Debian 13 (trixie): debian-13-20261121 (9004 on pve1, 4 GiB)`.
fn words(t: &TemplateItem) -> String {
    let about = format!("{} ({} on {}, {})", t.name, t.vmid, t.node, bytes(t.disk));
    match &t.image {
        Some((title, _)) => format!("{title}: {about}"),
        None => about,
    }
}

/// Is the chosen template one of Windows?
pub fn is_windows(view: &CreateView, form: &Form) -> bool {
    form.value("from") != "iso"
        && view.templates.iter().any(|t| t.windows && t.vmid.to_string() == form.value("template"))
}

/// The user that the chosen template's image knows.
fn usual_user<'a>(view: &'a CreateView, form: &Form) -> &'a str {
    let chosen = view.templates.iter().find(|t| t.vmid.to_string() == form.value("template"));
    let user = chosen.and_then(|t| t.image.as_ref()).map_or("", |(_, user)| user.as_str());
    if user.is_empty() { "admin" } else { user }
}

fn size(view: &CreateView, form: &Form) -> Markup {
    let room = view.quota.as_ref().filter(|q| !q.quota.is_open());
    let mut storages: Vec<_> = view.choices.storages.iter().map(|s| (s.clone(), s.clone())).collect();
    if form.value("from") != "iso" {
        storages.insert(0, (String::new(), "Where the template's disk is".to_owned()));
    }
    let chosen = form.value("storage");
    if !chosen.is_empty() && !storages.iter().any(|(name, _)| name == chosen) {
        storages.push((chosen.to_owned(), format!("{chosen} (not on this node)")));
    }
    html! {
        @if let Some(room) = room { (quotas::meters(room)) p.hint { "Your usage and your quota." } }
        @if !view.profiles.is_empty() {
            @let none = (!view.must_pick).then_some("Choose everything yourself.");
            (profiles::choose(form, &view.profiles, none, "profile", "Use this profile"))
            input type="hidden" name="filled" value=(form.value("filled"));
        }
        div.pair {
            @if let Some(p) = view.fixed("cores") { (profiles::fixed("Cores", "cores", form.value("cores"), form.value("cores"), &p.name)) }
            @else { (size_field(view, form, "cores", "Cores", "2")) }
            @if let Some(p) = view.fixed("memory") { (profiles::fixed("Memory", "memory", form.value("memory"), &format!("{} MiB", form.value("memory")), &p.name)) }
            @else { (size_field(view, form, "memory", "Memory", "2048")) }
        }
        div.pair {
            @if let Some(p) = view.fixed("disk") { (profiles::fixed("Disk", "disk", form.value("disk"), &format!("{} GiB", form.value("disk")), &p.name)) }
            @else { (size_field(view, form, "disk", "Disk", "32")) }
            @if let Some(p) = view.fixed("storage") { (profiles::fixed("Storage", "storage", form.value("storage"), form.value("storage"), &p.name)) }
            @else { (select(form, "storage", "Storage", &storages, "")) }
        }
        (also(view))
        (wizard_buttons("Next: network", "next", true))
    }
}

/// A size with the range that the provider declares. Typing starts in the first one, unless a profile was picked.
fn size_field(view: &CreateView, form: &Form, key: &str, label: &str, usual: &str) -> Markup {
    let (min, max) = view.settings.find(key).map_or((1, u64::from(u32::MAX)), OptionSpec::range);
    let unit = view.settings.find(key).map_or("", |s| s.unit.as_str());
    let help = view.settings.find(key).map_or("", |s| s.help.as_str());
    let field = number(key, label, min, max).default(usual).unit(unit).required().hint(help);
    let field = if key == "cores" && form.value("profile").is_empty() { field.focus() } else { field };
    html! { div { (field.render(form)) (left(view, form, key, usual)) } }
}

/// Cores are counted in each socket, and the disk with the further ones of the profile.
pub fn besides(profile: Option<&Profile>) -> (u64, u64) {
    let sockets = profile.and_then(|p| p.number("sockets")).unwrap_or(1);
    (sockets, profile.map_or(0, |p| p.disks.iter().map(|d| d.gib).sum()))
}

/// What the person's quota leaves beside this size; the script keeps it up to date while they type.
fn left(view: &CreateView, form: &Form, key: &str, usual: &str) -> Markup {
    let what = Resource::ALL.into_iter().find(|what| what.name() == key);
    let known = view.quota.as_ref().zip(what).and_then(|(q, what)| Some((q.used.get(what), q.quota.get(what)?, what)));
    let Some((used, most, what)) = known else { return html! {} };
    let (sockets, disks) = besides(view.profile.as_ref());
    let each = if what == Resource::Cores { sockets } else { 1 };
    let more = if what == Resource::Disk { disks } else { 0 };
    let typed = if form.has(key) { form.value(key) } else { usual };
    let takes = typed.trim().parse().unwrap_or(0_u64).saturating_mul(each).saturating_add(more);
    quotas::left(what, used, most, takes, (each, more), key)
}

/// What else the profile brings.
fn also(view: &CreateView) -> Markup {
    let all = view.profile.as_ref().map(|p| profiles::beside(p, &view.settings)).unwrap_or_default();
    html! {
        @if let Some(p) = view.profile.as_ref().filter(|_| !all.is_empty()) {
            details.fold { summary { "What else “" (p.name) "” sets (" (all.len()) ")" }
                dl.about { @for (label, words) in &all { dt { (label) } dd { (words) } } }
            }
        }
    }
}

fn network(view: &CreateView, form: &Form) -> Markup {
    let mut bridges: Vec<_> = view.choices.bridges.iter().map(|b| (b.clone(), b.clone())).collect();
    let chosen = form.value("bridge");
    if !chosen.is_empty() && !bridges.iter().any(|(name, _)| name == chosen) {
        bridges.push((chosen.to_owned(), format!("{chosen} (not on this node)")));
    }
    let modes = [
        RadioCard {
            value: "dhcp",
            title: "From the network (DHCP)".into(),
            text: "The router gives it an address.".into(),
        },
        RadioCard { value: "static", title: "A fixed address".into(), text: "You choose it.".into() },
    ];
    let blank = form.value("from") == "iso";
    html! {
        @if let Some(p) = view.fixed("bridge") { (profiles::fixed("Bridge", "bridge", chosen, chosen, &p.name)) }
        @else { (select(form, "bridge", "Bridge", &bridges, "The node's network that it is connected to.")) }
        @if blank {
            input type="hidden" name="mode" value="dhcp";
            (note("busy", html! { "You set the address when you install the system." }))
        } @else {
            (ways(form, "mode", "Address", &modes))
            div.when-static { div.pair {
                (text("cidr", "Address with prefix").hint("For example 192.168.1.44/24.").mono().render(form))
                (text("gateway", "Router").hint("For example 192.168.1.1.").mono().render(form))
            } }
        }
        @if let Some(p) = view.fixed("vlan") {
            @let tag = form.value("vlan");
            (profiles::fixed("VLAN tag", "vlan", tag, if tag.is_empty() { "none" } else { tag }, &p.name))
        } @else if view.offers(Feature::Vlan, form, "vlan") {
            details.fold open[form.any_error(&["vlan"]) || !form.value("vlan").is_empty()] { summary { "More" }
                (number("vlan", "VLAN tag", 1, 4094).hint("Leave empty for none.").render(form))
            }
        }
        (wizard_buttons("Next: access", "next", true))
    }
}

fn access(view: &CreateView, form: &Form) -> Markup {
    let blank = form.value("from") == "iso";
    html! {
        @if blank { (note("busy", html! { "User and keys are set when you install the system." })) }
        @else if is_windows(view, form) {
            (text("user", "User on the machine").default("Admin").hint("cloudbase-init makes it an administrator at the first start. You enter its password in the last step. Leave empty to use the template's user.").render(form))
        }
        @else {
            (text("user", "User on the machine").default(usual_user(view, form)).hint("Created by cloud-init, may use sudo.").render(form))
            (area("ssh_keys", "SSH keys", 4).mono().default(&view.my_keys).hint("Public keys, one per line. Without one you can't sign in over SSH.").render(form))
        }
        @if view.offers(Feature::Tags, form, "tags") {
            (text("tags", "Tags").hint("Words to find it by, separated by spaces.").render(form))
        }
        details.fold open[form.any_error(&["description"])] { summary { "More" } (area("description", "Notes", 3).hint("Stored with the machine, so they are also visible outside Steward.").render(form)) }
        (switch(form, "start", "Start it when it is created", true, ""))
        (wizard_buttons("Next: software", "next", true))
    }
}

/// Cards by category; a recipe's options are below it. The boxes carry their own empty value, so that none
/// chosen can be told from not asked.
fn software(view: &CreateView, form: &Form) -> Markup {
    let chosen = |name: &str| form.values("software").iter().any(|v| v == name);
    let wrong =
        |item: &MenuItem| item.recipe.options.iter().any(|o| form.error(&field_name(&item.name, &o.key)).is_some());
    html! {
        input type="hidden" name="software" value="";
        @if form.value("from") == "iso" {
            (note("busy", html! { "Software needs an operating system. Install that first, then add software from the machine's page." }))
        } @else {
            p { "The software you choose is installed as soon as the machine is up. Choose none to leave it plain." }
            @if let Some(text) = form.error("software") { p.error id="software-error" { (text) } }
            @for w in &view.warnings { (note("warn", html! { (w) " Go back to change the size, or continue." })) }
            (find_box())
            div.recipe-columns { @for (category, items) in by_category(&fitting(view, form)) {
                section.recipes data-find-group { h3 { (picture(category)) (category) }
                    ul.recipe-list { @for item in items {
                        li data-find={ (item.recipe.title) " " (item.recipe.about) " " (category) } { (choice(form, item, chosen(&item.name), wrong(item))) }
                    } }
                }
            } }
        }
        (wizard_buttons("Next: review", "next", true))
    }
}

/// The recipes for the chosen template's system.
fn fitting(view: &CreateView, form: &Form) -> Vec<MenuItem> {
    let system = if is_windows(view, form) { System::Windows } else { System::Linux };
    view.menu.iter().filter(|i| i.recipe.fits(system)).cloned().collect()
}

fn choice(form: &Form, item: &MenuItem, chosen: bool, wrong: bool) -> Markup {
    let open = |o: &OptionSpec| !is_secret(o);
    html! {
        div.recipe {
            label {
                input type="checkbox" name="software" value=(item.name) checked[chosen];
                span { strong { (item.recipe.title) } span { (item.recipe.about) } small.dim { (needs(&item.recipe.needs)) } }
            }
            @if item.recipe.options.iter().any(open) {
                details.fold open[chosen || wrong] { summary { "Options" } (fields(form, item, open)) }
            }
        }
    }
}

/// Passwords of the chosen recipes: asked with the last click, so that no page ever holds them.
fn secrets(view: &CreateView, form: &Form) -> Markup {
    let chosen = |item: &&MenuItem| form.values("software").contains(&item.name);
    let windows = is_windows(view, form) && !form.value("user").is_empty();
    html! {
        @if windows {
            fieldset.secrets { legend { "Windows" }
                (password("password", &format!("Password of {}", form.value("user")), "new-password").hint("At least 8 characters. Windows requires three of: lowercase letters, capitals, digits, other characters. Proxmox passes it to the machine at its first start.").render(form))
            }
        }
        @for item in view.menu.iter().filter(chosen).filter(|i| i.recipe.options.iter().any(is_secret)) {
            fieldset.secrets { legend { (item.recipe.title) } (fields(form, item, is_secret)) }
        }
    }
}

fn review(view: &CreateView, form: &Form) -> Markup {
    let v = |name: &str| form.value(name).to_owned();
    let from = if v("from") == "iso" {
        format!("Blank, from {}", v("volid"))
    } else {
        let name = view
            .templates
            .iter()
            .find(|t| t.vmid.to_string() == v("template"))
            .map_or_else(|| v("template"), |t| t.name.clone());
        format!("{name}, {}", if v("full") == "off" { "linked to the template" } else { "own copy of the disk" })
    };
    let address = if v("mode") == "static" {
        format!("{}, router {}", v("cidr"), v("gateway"))
    } else {
        "From the network (DHCP)".to_owned()
    };
    let memory = bytes(v("memory").parse::<u64>().unwrap_or(0).saturating_mul(1 << 20));
    let vlan = if v("vlan").is_empty() { String::new() } else { format!(", VLAN {}", v("vlan")) };
    let cores = count(v("cores").parse().unwrap_or(0), "core", "cores");
    let storage = if v("storage").is_empty() { String::new() } else { format!(" on {}", v("storage")) };
    let sockets = view.profile.as_ref().and_then(|p| p.number("sockets")).filter(|n| *n > 1);
    let sockets = sockets.map(|n| format!(" in each of {n} sockets")).unwrap_or_default();
    let rows = [
        ("Name", v("name")),
        ("Created", from),
        ("Node", v("node")),
        ("Profile", view.profile.as_ref().map_or_else(|| "none".to_owned(), |p| p.name.clone())),
        ("Size", format!("{cores}{sockets}, {memory} memory, {} GiB disk{storage}", v("disk"))),
        ("Network", format!("{}{vlan}", v("bridge"))),
        ("Address", address),
        ("User", if is_windows(view, form) { windows_user(form) } else { who(form) }),
        ("Tags", if v("tags").is_empty() { "–".to_owned() } else { v("tags") }),
        ("Software", chosen_words(view, form)),
        ("Then", if form.on("start", true) { "start it".to_owned() } else { "leave it off".to_owned() }),
    ];
    html! {
        @for w in &view.warnings { (note("warn", html! { (w) })) }
        @if form.value("from") != "iso" && !is_windows(view, form) && v("ssh_keys").trim().is_empty() {
            (note("warn", html! { "Without an SSH key nobody can sign in to it. Go back to Access and paste one." }))
        }
        dl.about.review { @for (word, value) in &rows { dt { (word) } dd { (value) } } }
        (also(view))
        (secrets(view, form))
        (wizard_buttons("Create the machine", "create", true))
    }
}

fn chosen_words(view: &CreateView, form: &Form) -> String {
    let chosen = view.menu.iter().filter(|i| form.values("software").contains(&i.name));
    let titles: Vec<&str> = chosen.map(|i| i.recipe.title.as_str()).collect();
    if titles.is_empty() { "none".to_owned() } else { titles.join(", ") }
}

fn windows_user(form: &Form) -> String {
    match form.value("user") {
        "" => "as in the template".to_owned(),
        user => format!("{user}, with the password below"),
    }
}

/// Who can sign in there, and how.
fn who(form: &Form) -> String {
    let keys = form.value("ssh_keys").lines().filter(|l| !l.trim().is_empty()).count();
    match (form.value("user"), keys) {
        ("", _) => "as in the template".to_owned(),
        (user, 0) => format!("{user}, without an SSH key"),
        (user, n) => format!("{user}, with {}", count(n, "SSH key", "SSH keys")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Error;
    use model::quotas::{Amounts, Quota};

    fn view(step: CreateStep) -> CreateView {
        let recipe = toml::from_str(
            "title = 'T'\ncategory = 'Web'\n[[options]]\nkey = 'port'\nlabel = 'Port'\nkind = 'number'\n\
             [[options]]\nkey = 'secret'\nlabel = 'S'\nkind = 'password'",
        );
        let item = MenuItem { name: "software-t".into(), version: "1".into(), recipe: recipe.unwrap() };
        CreateView {
            step,
            connections: Vec::new(),
            nodes: Vec::new(),
            templates: Vec::new(),
            isos: Vec::new(),
            choices: Choices::default(),
            my_keys: String::new(),
            quota: None,
            menu: vec![item],
            warnings: Vec::new(),
            profiles: Vec::new(),
            profile: None,
            fixes: false,
            must_pick: false,
            features: Vec::new(),
            settings: MachineSettings::default(),
            draft: None,
            unfinished: Vec::new(),
        }
    }

    #[test]
    fn what_the_quota_leaves_is_said_beside_the_size() {
        let used = Amounts { machines: 1, cores: 3, memory: 2048, disk: 10 };
        let quota = Quota { cores: Some(8), memory: Some(4096), ..Quota::default() };
        let view = CreateView { quota: Some(QuotaItem { used, quota }), ..view(CreateStep::Size) };
        let words = |form: &Form| size(&view, form).into_string().replace('\u{a0}', " ");
        let html = words(&Form::new().set("cores", "2").set("memory", "4096"));
        assert!(
            html.contains(">Leaves 3 of 8 cores.<") && html.contains(">2 GiB more than your 4 GiB of memory.<"),
            "{html}"
        );
        assert!(!html.contains("of disk"), "no limit, no word: {html}");
    }

    #[test]
    fn steps_that_were_reached_are_links() {
        let draft = DraftItem {
            id: base::ids::DraftId::from_bytes([7; 16]),
            name: "web-01".into(),
            changed: base::Timestamp::ZERO,
            reached: CreateStep::Network,
            job: None,
        };
        let view = CreateView { draft: Some(draft), ..view(CreateStep::Size) };
        let reached: Vec<bool> = (0..6).map(|n| link(&view, n).is_some()).collect();
        assert_eq!(reached, [true, true, true, false, false, false]);
        assert!(action(&view).ends_with("/size"));
    }

    #[test]
    fn only_what_the_provider_can_is_asked_but_a_value_can_be_taken_away() {
        let drawn = |view: &CreateView, form: &Form| (network(view, form).0, access(view, form).0);
        let plain = view(CreateStep::Network);
        let (net, access) = drawn(&plain, &Form::new());
        assert!(!net.contains("name=\"vlan\"") && !access.contains("name=\"tags\""));
        let able = CreateView { features: vec![Feature::Vlan, Feature::Tags], ..plain.clone() };
        let (net, access) = drawn(&able, &Form::new());
        assert!(net.contains("name=\"vlan\"") && access.contains("name=\"tags\""));
        let (net, access) = drawn(&plain, &Form::new().set("vlan", "7").set("tags", "web"));
        assert!(net.contains("name=\"vlan\"") && access.contains("name=\"tags\""));
    }

    #[test]
    fn options_of_software_are_carried_and_passwords_are_not() {
        let form = Form::new()
            .set("software", "software-t")
            .set("software.software-t.port", "81")
            .set("software.software-t.secret", "three green lamps");
        for step in CreateStep::ALL {
            let html = carried(&view(step), &form).into_string();
            assert!(!html.contains("lamps"), "{step:?}: {html}");
            assert_eq!(html.contains("value=\"81\""), step != CreateStep::Software, "{step:?}: {html}");
        }
        let e = Form::new().fail(&Error::field("software.software-t.secret", "This is required."));
        assert_eq!(CreateStep::of_errors(&e, &view(CreateStep::Review).menu), Some(CreateStep::Review));
    }

    #[test]
    fn an_error_leads_back_to_the_step_that_asks_for_the_field() {
        let form = Form::new().fail(&Error::field("cidr", "Give an address."));
        assert_eq!(CreateStep::of_errors(&form, &[]), Some(CreateStep::Network));
    }

    #[test]
    fn steps_carry_what_others_asked_and_nothing_else() {
        let form = Form::new().set("name", "web-01").set("cores", "2").set("csrf", "x").set("evil", "y");
        let html = carried(&view(CreateStep::Size), &form).into_string();
        assert!(
            html.contains("web-01") && !html.contains("cores") && !html.contains("csrf") && !html.contains("evil"),
            "{html}"
        );
    }
}
