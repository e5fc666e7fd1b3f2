//! Templates: the catalogue of cloud images, what was made of it, making one, one template's page.

use crate::frame::form::{Form, RadioCard, csrf, number, password, select, switch, text, trouble, ways};
use crate::frame::parts::{bytes, commands, copy, empty, icon, note, post, state, time};
use crate::frame::{Page, layout};
use crate::guests::impact::page::list as list_of;
use base::Timestamp;
use base::ids::{ConnectionId, GuestId, JobId};
use maud::{Markup, html};
use model::guests::settings::MachineSettings;
use model::images::{Image, ImageOrigin};
use model::impact::Impact;
use model::templates::{Policy, TemplateChoices, WhenNewer};
use model::windows::RELEASES;

/// What stands of one image on the page.
#[derive(Clone, Debug)]
pub struct ImageItem {
    pub image: Image,
    pub origin: ImageOrigin,
    /// When somebody looked for a newer one.
    pub looked: Option<Timestamp>,
    /// Why that failed.
    pub trouble: Option<String>,
    /// When the newest template of it was made.
    pub built: Option<Timestamp>,
    pub newer: bool,
    /// The job that makes a template of it now.
    pub building: Option<JobId>,
}

/// One template.
#[derive(Clone, Debug)]
pub struct TemplateItem {
    pub id: GuestId,
    pub vmid: Option<u32>,
    pub name: String,
    pub connection: ConnectionId,
    pub node: String,
    /// Bytes.
    pub disk: u64,
    /// What it was made of; `None` when it was made elsewhere.
    pub made: Option<Made>,
    pub superseded: bool,
    pub newer: bool,
}

/// Where a template of Steward's comes from.
#[derive(Clone, Debug)]
pub struct Made {
    pub title: String,
    pub user: String,
    pub built: Timestamp,
    pub algorithm: String,
    pub digest: String,
    /// It can be made anew.
    pub of_catalogue: bool,
}

#[derive(Clone, Debug)]
pub struct TemplatesView {
    pub images: Vec<ImageItem>,
    pub templates: Vec<TemplateItem>,
    /// Sentences about the admin's file.
    pub problems: Vec<String>,
    /// The admin's file: where it is, or would be.
    pub file: Option<String>,
    pub policy: Policy,
    /// There is a Proxmox to make templates on.
    pub connected: bool,
}

pub fn templates(page: &Page, view: &TemplatesView, form: &Form) -> Markup {
    let lead = html! { "A new machine is a copy of a template. Steward makes templates from the images that distributions publish for this, and checks each against its publisher's checksum." };
    let main = html! {
        (layout::head("Templates", lead, post(page, "/templates/look", "Look for newer images", "")))
        @for text in &view.problems { (note("warn", html! { p { (text) } })) }
        section { header.split { h2 { "Your templates" } }
            div id="templates" data-live data-on="job guest connection" {
                @if view.templates.is_empty() {
                    (empty("box", "No template yet", "Choose an image below. Making a template from it takes a few minutes, mostly for the download.", None))
                }
                ul.cards { @for t in &view.templates { (template_card(page, t)) } }
            }
        }
        section { header.split { h2 { "Images to make templates from" } @if view.connected { div.actions.tight { a.button href="/templates/new?image=own" { (icon("plus")) "Another image" } a.button href="/templates/upload" { "Upload an image" } a.button href="/templates/windows" { "Windows from an ISO image" } } } }
            div id="images" data-live data-on="job" {
                ul.cards { @for i in &view.images { (image_card(page, view, i)) } }
            }
            p.dim { "More images, or replacements for these: "
                @match &view.file { Some(file) => { "write them into " code { (file) } " on Steward's host." }, None => "name a file in Steward's settings (images_file)." } }
        }
        section.card.narrow { h2 { "Newer images" } (policy(page, view, form)) }
    };
    layout::page(page, "Templates", main)
}

fn template_state(t: &TemplateItem) -> Markup {
    match (&t.made, t.superseded, t.newer) {
        (None, _, _) => state("idle", "made elsewhere"),
        (Some(_), true, _) => state("idle", "replaced by a newer one"),
        (Some(_), _, true) => state("warn", "newer image available"),
        _ => state("ok", "ready"),
    }
}

fn template_card(page: &Page, t: &TemplateItem) -> Markup {
    html! {
        li.card {
            header { h3.name { a href={ "/templates/" (t.id) } { (t.name) } } (template_state(t)) }
            p.facts {
                @if let Some(m) = &t.made { span { (m.title) } span.dim { "made " (time(page, m.built)) } }
                span.dim { @if let Some(v) = t.vmid { (v) " on " } (t.node) ", " (bytes(t.disk)) }
            }
            div.actions {
                @if let Some(v) = t.vmid { a.button href={ "/machines/new?template=" (v) "&connection=" (t.connection) } { (icon("plus")) "New machine" } }
                @if t.newer { (post(page, &format!("/templates/{}/rebuild", t.id), "Rebuild it", "")) }
            }
        }
    }
}

fn image_state(i: &ImageItem) -> Markup {
    match (i.building, i.newer, i.built) {
        (Some(_), _, _) => state("busy", "being made"),
        (None, true, _) => state("warn", "newer image available"),
        (None, false, Some(_)) => state("ok", "template made"),
        (None, false, None) => state("idle", "no template yet"),
    }
}

fn image_card(page: &Page, view: &TemplatesView, i: &ImageItem) -> Markup {
    html! {
        li.card {
            header { h3.name { (i.image.title()) } (image_state(i)) }
            @if !i.image.notes.is_empty() { p { (i.image.notes) } }
            p.facts {
                @if i.image.recommended { span { "recommended" } }
                span.dim { (i.image.arch) ", at least " (i.image.disk) " GiB disk and " (bytes(i.image.memory << 20)) " memory" }
                @match &i.origin {
                    ImageOrigin::BuiltIn => {},
                    ImageOrigin::File { replaces: true } => span.dim { "from your file, replacing ours" },
                    ImageOrigin::File { replaces: false } => span.dim { "from your file" },
                }
                @if !i.image.homepage.is_empty() { a href=(i.image.homepage) rel="noreferrer" { "publisher" } }
                @if let Some(at) = i.looked { span.dim { "checked " (time(page, at)) } }
            }
            @if let Some(why) = &i.trouble { p.bad { (why) } }
            @if let Some(job) = i.building { div.actions { a.button href={ "/jobs/" (job) } { "Watch it" } } }
            @else if view.connected { div.actions { a.button href={ "/templates/new?image=" (i.image.id) } { "Make a template" } } }
        }
    }
}

fn policy(page: &Page, view: &TemplatesView, form: &Form) -> Markup {
    let list = [
        RadioCard {
            value: "tell",
            title: "Only say so here".into(),
            text: "You decide when a template is rebuilt.".into(),
        },
        RadioCard { value: "rebuild", title: "Make a new template".into(), text: "The old one is kept.".into() },
        RadioCard {
            value: "replace",
            title: "Make a new template and delete the old one".into(),
            text: "As soon as no machine's disk is linked to the old one.".into(),
        },
    ];
    let shown = match view.policy.when_newer {
        WhenNewer::Tell => "tell",
        WhenNewer::Rebuild => "rebuild",
        WhenNewer::Replace => "replace",
    };
    let form = &if form.has("when_newer") { form.clone() } else { form.clone().set("when_newer", shown) };
    html! {
        (trouble(form))
        form method="post" action="/templates/policy" {
            (csrf(page))
            (switch(form, "look", "Look for newer images automatically", view.policy.look, "Only for images that you have a template of."))
            (text("cron", "When").default(&view.policy.cron).required().mono().hint("Minute, hour, day, month, weekday: 30 4 * * * is every day at 4:30.").render(form))
            (ways(form, "when_newer", "When there is a newer one", &list))
            div.actions { button.primary { "Save" } }
        }
    }
}

/// What the form for a new template offers.
#[derive(Clone, Debug)]
pub struct NewView {
    /// The image of the catalogue; `None` for one that is described in the form.
    pub image: Option<Image>,
    pub connection: Option<ConnectionId>,
    /// What machines there can have.
    pub settings: MachineSettings,
    /// Nodes of all connections that may be used: value and words.
    pub nodes: Vec<(String, String)>,
    /// The node that the choices are of.
    pub node: String,
    pub choices: TemplateChoices,
    /// Why there are no choices.
    pub trouble: Option<String>,
}

pub fn new(page: &Page, view: &NewView, form: &Form) -> Markup {
    let title = view.image.as_ref().map_or_else(|| "Another image".to_owned(), Image::title);
    let main = html! {
        (layout::crumbs(&[("/templates", "Templates")]))
        (layout::head("New template", html! { (title) }, html! {}))
        @if view.nodes.is_empty() {
            (empty("node", "No node to create it on", "Connect a Proxmox cluster first, or wait until it answers.", Some(("/settings", "Settings"))))
        } @else {
            section.card.narrow {
                (trouble(form))
                form method="post" action="/templates/new" {
                    (csrf(page))
                    input type="hidden" name="shown" value=(view.node);
                    @match &view.image {
                        Some(image) => { input type="hidden" name="image" value=(image.id); (about(image)) },
                        None => { input type="hidden" name="image" value="own"; (own(form)) },
                    }
                    (place(view, form))
                }
            }
        }
    };
    layout::page(page, "New template", main)
}

fn about(image: &Image) -> Markup {
    html! {
        dl.about {
            dt { "Image" } dd { code.wrap { (image.file()) } }
            dt { "From" } dd { code.wrap { (image.url) } }
            dt { "Checked against" } dd { (image.algorithm.name()) " " @match (&image.checksums, &image.checksum) {
                (Some(list), _) => { "in " code.wrap { (list) } }, (_, Some(sum)) => code.wrap { (sum) }, _ => {}
            } }
            @if !image.user.is_empty() { dt { "User in it" } dd { (image.user) } }
        }
        @if !image.agent { (note("busy", html! { "This image lacks the guest agent. Its machines are shut down over ACPI, and their addresses stay unknown until the agent is installed in them." })) }
    }
}

fn own(form: &Form) -> Markup {
    let algorithms = [("sha256".to_owned(), "SHA-256".to_owned()), ("sha512".to_owned(), "SHA-512".to_owned())];
    let formats = ["qcow2", "raw", "vmdk"]
        .map(|f| (f.to_owned(), if f == "qcow2" { "qcow2 (usual)".to_owned() } else { f.to_owned() }));
    html! {
        (text("title", "Name").required().focus().hint("For example Rocky 10.").render(form))
        (text("url", "Address of the image").required().mono().hint("https://…/image.qcow2, as its publisher gives it.").render(form))
        div.pair {
            (select(form, "algorithm", "Kind of checksum", &algorithms, ""))
            (select(form, "format", "Format", &formats, "What the file is, whatever its name says."))
        }
        (text("checksum", "Checksum").required().mono().hint("From the publisher's page, over https. A download with a different checksum is thrown away.").render(form))
        div.pair {
            (text("user", "User in it").hint("The user that cloud-init creates; may be left empty.").render(form))
            (text("cpu", "Processor type").default("x86-64-v2-AES").hint("The minimum that the system needs.").render(form))
        }
    }
}

fn place(view: &NewView, form: &Form) -> Markup {
    let names = |all: &[String]| all.iter().map(|s| (s.clone(), s.clone())).collect::<Vec<_>>();
    let with_any = |all: &[String]| {
        let mut list = names(all);
        list.insert(0, (String::new(), "The one with the most free space".to_owned()));
        list
    };
    let least = view.image.as_ref().map_or(1, |i| i.disk);
    let disk = view.image.as_ref().map_or(8, |i| i.disk).to_string();
    let able = view.trouble.is_none() && !view.choices.images.is_empty();
    let form = &if form.has("node") { form.clone() } else { form.clone().set("node", &view.node) };
    html! {
        div.pair {
            (select(form, "node", "Node", &view.nodes, "Where the template is created. Machines can be created from it on other nodes if its disk is on shared storage."))
            @if view.nodes.len() > 1 { div.field { button.quiet name="go" value="node" formnovalidate { "Show this node's storages" } } }
        }
        @if let Some(why) = &view.trouble { (note("warn", html! { p { (why) } })) }
        @if view.trouble.is_none() && view.choices.images.is_empty() {
            (note("warn", html! {
                p { "No storage of " strong { (view.node) } " takes disk images to import yet. Run one of these on the node, as root, then show its storages again:" }
                (commands(&view.choices.commands.join("\n")))
                p.dim { "It needs Proxmox VE 8.3 or later." }
            }))
        }
        (text("name", "Name of the template").hint("Leave empty for the image's name with today's date.").render(form))
        div.pair {
            (select(form, "storage", "Disk on", &with_any(&view.choices.storages), ""))
            (number("disk", "Disk", u64::min(least, 65_536), 65_536).default(&disk).unit("GiB").required().hint("Machines created from it have at least this much.").render(form))
        }
        details.fold open[form.any_error(&["images", "bridge", "vlan"])] { summary { "More" }
            (select(form, "images", "Downloaded image on", &with_any(&view.choices.images), "Only while the template is being created."))
            div.pair {
                (select(form, "bridge", "Bridge", &names(&view.choices.bridges), "Each machine gets its own when it is created."))
                (number("vlan", "VLAN tag", 1, 4094).hint("Leave empty for none.").render(form))
            }
        }
        div.actions { button.primary name="go" value="make" disabled[!able] { "Make the template" } }
    }
}

/// Uploading an image: the node is chosen first, then all the rest with the file at the end.
pub fn upload(page: &Page, view: &NewView, form: &Form) -> Markup {
    let lead = html! { "For a node without Internet access: you upload the file, and Steward passes it on to the node. Nothing of it is kept here." };
    let main = html! {
        (layout::crumbs(&[("/templates", "Templates")]))
        (layout::head("Upload an image", lead, html! {}))
        @if view.nodes.is_empty() {
            (empty("node", "No node to create it on", "Connect a Proxmox cluster first, or wait until it answers.", Some(("/settings", "Settings"))))
        } @else {
            section.card.narrow {
                @if view.nodes.len() > 1 {
                    form method="get" action="/templates/upload" {
                        (select(&Form::new().set("node", &view.node), "node", "Node", &view.nodes, "Where the image goes and the template is created."))
                        div.actions { button { "Show this node's storages" } }
                    }
                }
                (trouble(form))
                @if let Some(why) = &view.trouble { (note("warn", html! { p { (why) } })) }
                @else if view.choices.images.is_empty() {
                    (note("warn", html! {
                        p { "No storage of this node takes disk images to import yet. Run one of these on the node, as root:" }
                        (commands(&view.choices.commands.join("\n")))
                    }))
                } @else { (upload_form(page, view, form)) }
            }
        }
    };
    layout::page(page, "Upload an image", main)
}

fn upload_form(page: &Page, view: &NewView, form: &Form) -> Markup {
    let names = |all: &[String]| all.iter().map(|s| (s.clone(), s.clone())).collect::<Vec<_>>();
    let mut storages = names(&view.choices.storages);
    storages.insert(0, (String::new(), "The one with the most free space".to_owned()));
    let formats = ["qcow2", "raw", "vmdk"].map(|f| (f.to_owned(), f.to_owned()));
    let error = form.error("file");
    html! {
        form method="post" action="/templates/upload" enctype="multipart/form-data" {
            (csrf(page))
            input type="hidden" name="at" value=(view.node);
            (text("title", "Name").required().hint("For example Debian 13.").render(form))
            div.pair {
                (select(form, "format", "Format", &formats, "Cloud images are mostly qcow2, even when their name ends with .img."))
                (number("disk", "Disk", 1, 65_536).default("8").unit("GiB").required().hint("Machines created from it have at least this much.").render(form))
            }
            div.pair {
                (select(form, "storage", "Disk on", &storages, ""))
                (select(form, "images", "Uploaded file on", &names(&view.choices.images), "Only while the template is being created."))
            }
            div.pair {
                (select(form, "bridge", "Bridge", &names(&view.choices.bridges), ""))
                (text("user", "User in it").hint("The user that cloud-init creates; may be left empty.").render(form))
            }
            details.fold open[form.any_error(&["checksum", "name", "cpu"])] { summary { "More" }
                (text("checksum", "Checksum").mono().hint("SHA-256 or SHA-512 from the publisher; the file is refused if it does not match.").render(form))
                (text("name", "Name of the template").hint("Leave empty for the name above with today's date.").render(form))
                (text("cpu", "Processor type").default("x86-64-v2-AES").render(form))
            }
            // The file comes last: what stands before it is checked before it is sent anywhere.
            div.field.wrong[error.is_some()] {
                label for="file" { "File" }
                input type="file" id="file" name="file" required aria-invalid=[error.map(|_| "true")] aria-describedby="file-hint";
                @if let Some(text) = error { p.error id="file-error" { (text) } }
                p.hint id="file-hint" { "Uploading may take a while; leave this page open until it is done." }
            }
            div.actions { button.primary { "Upload and make the template" } }
        }
    }
}

/// The languages of keyboards, with their formats.
const KEYBOARDS: [(&str, &str); 12] = [
    ("0409:00000409", "English (United States)"),
    ("0809:00000809", "English (United Kingdom)"),
    ("0407:00000407", "German"),
    ("0807:00000807", "German (Switzerland)"),
    ("040c:0000040c", "French"),
    ("0c0a:0000040a", "Spanish"),
    ("0410:00000410", "Italian"),
    ("0413:00020409", "Dutch"),
    ("0415:00000415", "Polish"),
    ("0416:00000416", "Portuguese (Brazil)"),
    ("0405:00000405", "Czech"),
    ("041f:0000041f", "Turkish"),
];

/// Windows from an ISO image: what to install from, how it is to be, and the administrator's password.
pub fn windows(page: &Page, view: &NewView, isos: &[(String, String)], form: &Form) -> Markup {
    let lead = html! { "Steward answers the questions of Windows Setup and makes a template from it. That takes half an hour or more, unattended." };
    let main = html! {
        (layout::crumbs(&[("/templates", "Templates")]))
        (layout::head("Windows from an ISO image", lead, html! {}))
        @if view.nodes.is_empty() {
            (empty("node", "No node to create it on", "Connect a Proxmox cluster first, or wait until it answers.", Some(("/settings", "Settings"))))
        } @else {
            section.card.narrow {
                @if view.nodes.len() > 1 {
                    form method="get" action="/templates/windows" {
                        (select(&Form::new().set("node", &view.node), "node", "Node", &view.nodes, "Where it is installed."))
                        div.actions { button { "Show this node's images" } }
                    }
                }
                (trouble(form))
                @if let Some(why) = &view.trouble { (note("warn", html! { p { (why) } })) }
                @else if isos.len() < 2 {
                    (note("warn", html! { p { "Two images are needed on a storage that this node can reach: Windows' own, and the one with the VirtIO drivers (virtio-win.iso). Put them there in Proxmox, under ISO images." } }))
                } @else { (windows_form(page, view, isos, form)) }
            }
        }
    };
    layout::page(page, "Windows from an ISO image", main)
}

fn windows_form(page: &Page, view: &NewView, isos: &[(String, String)], form: &Form) -> Markup {
    let names = |all: &[String]| all.iter().map(|s| (s.clone(), s.clone())).collect::<Vec<_>>();
    let mut storages = names(&view.choices.storages);
    storages.insert(0, (String::new(), "The one with the most free space".to_owned()));
    let most = |key: &str| view.settings.find(key).map_or(u64::from(u32::MAX), |s| s.range().1);
    let releases: Vec<_> = RELEASES.iter().map(|r| (r.0.to_owned(), r.1.to_owned())).collect();
    let keyboards: Vec<_> = KEYBOARDS.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let mut extra = isos.to_vec();
    extra.insert(0, (String::new(), "None: cloudbase-init is left out".to_owned()));
    let likely = |words: &[&str]| {
        let has = |text: &str| words.iter().any(|w| text.to_lowercase().contains(w));
        isos.iter().find(|(_, name)| has(name)).map(|(volid, _)| volid.clone()).unwrap_or_default()
    };
    let guess = |form: Form, name: &str, value: String| if form.has(name) { form } else { form.set(name, value) };
    let form = guess(form.clone(), "drivers", likely(&["virtio"]));
    let form = &guess(form, "iso", likely(&["win10", "win11", "windows", "server"]));
    html! {
        form method="post" action="/templates/windows" {
            (csrf(page))
            input type="hidden" name="at" value=(view.node);
            (text("name", "Name of the template").default("windows").required().hint("Letters, digits and dashes.").render(form))
            div.pair {
                (select(form, "iso", "Windows' image", isos, ""))
                (select(form, "release", "Release", &releases, ""))
            }
            div.pair {
                (select(form, "drivers", "VirtIO drivers", isos, "virtio-win.iso, which also has the guest agent."))
                (number("edition", "Edition", 1, 30).default("1").required().hint("Its number on the image: 1 is the first. On images with many, 6 is often Pro.").render(form))
            }
            (select(form, "extra", "cloudbase-init", &extra, "An image that holds CloudbaseInitSetup_….msi. Without it machines don't get a user and an address automatically."))
            div.pair {
                (text("language", "Language").default("en-US").required().hint("One that is on the image.").render(form))
                (select(form, "keyboard", "Keyboard", &keyboards, ""))
            }
            (text("time_zone", "Time zone").default("UTC").required().hint("Windows' own name, like W. Europe Standard Time.").render(form))
            (password("password", "Password of Administrator", "new-password").hint("8 to 120 characters. Windows requires three of: lowercase letters, capitals, digits, other characters. It is put on a CD for Windows Setup, which is removed at the end.").render(form))
            details.fold open[form.any_error(&["product_key", "storage", "disk", "cores", "memory", "bridge", "vlan", "hours"])] { summary { "More" }
                (text("product_key", "Product key").mono().hint("Leave empty if the edition asks for none or is activated later.").render(form))
                div.pair {
                    (select(form, "storage", "Disk on", &storages, ""))
                    (number("disk", "Disk", 32, most("disk")).default("64").unit("GiB").required().render(form))
                }
                div.pair {
                    (number("cores", "Cores", 1, most("cores")).default("4").required().render(form))
                    (number("memory", "Memory", 2048, most("memory")).default("8192").unit("MiB").required().render(form))
                }
                div.pair {
                    (select(form, "bridge", "Bridge", &names(&view.choices.bridges), ""))
                    (number("vlan", "VLAN tag", 1, 4094).hint("Leave empty for none.").render(form))
                }
                (number("hours", "Give up after", 1, 24).default("6").unit("hours").required().render(form))
            }
            div.actions { button.primary { "Install it and make the template" } }
        }
    }
}

/// One template's page.
#[derive(Clone, Debug)]
pub struct TemplateView {
    pub item: TemplateItem,
    /// Machines whose disks are linked to it; `Err` when Proxmox could not be asked.
    pub uses: Result<Vec<(GuestId, String)>, String>,
    /// What else is hit when it is deleted.
    pub impact: Impact,
}

pub fn template(page: &Page, view: &TemplateView, form: &Form) -> Markup {
    let t = &view.item;
    let rebuild = html! { @if t.made.as_ref().is_some_and(|m| m.of_catalogue) { (post(page, &format!("/templates/{}/rebuild", t.id), "Rebuild it", "")) } };
    let free = view.uses.as_ref().is_ok_and(Vec::is_empty);
    let main = html! {
        (layout::crumbs(&[("/templates", "Templates")]))
        (layout::head(&t.name, html! { p.facts { (template_state(t)) span.dim { @if let Some(v) = t.vmid { (v) " on " } (t.node) ", " (bytes(t.disk)) } a href={ "/machines/" (t.id) } { "as a machine" } } }, rebuild))
        div.cols {
            section.card { h2 { "What it was made from" }
                @match &t.made {
                    Some(m) => dl.about {
                        dt { "Image" } dd { (m.title) }
                        dt { "Created" } dd { (time(page, m.built)) }
                        @if !m.user.is_empty() { dt { "User in it" } dd { (m.user) } }
                        dt { "Checksum of the image" } dd { (m.algorithm) " " (copy(&m.digest)) }
                    },
                    None => p { "It was not made by Steward, so Steward knows nothing about its image and can't rebuild it." },
                }
            }
            section.card { h2 { "Machines that depend on it" }
                @match &view.uses {
                    Ok(list) if list.is_empty() => p { "None: no machine's disk is linked to it. Machines with their own copy do not need it." },
                    Ok(list) => { ul.list { @for (id, name) in list { li { a href={ "/machines/" (id) } { (name) } } } } p.dim { "Their disks are linked to this template's disk, so it can't be deleted." } },
                    Err(why) => p.bad { (why) },
                }
            }
            section.card { h2 { "Delete" }
                (trouble(form))
                (list_of(&view.impact))
                @if free && !view.impact.blocks() {
                    form method="post" action={ "/templates/" (t.id) "/delete" } {
                        (csrf(page))
                        (text("name", "Type the template's name").required().hint(&format!("It is called {}", t.name)).render(form))
                        div.actions { button.danger.solid { "Delete this template" } }
                    }
                } @else { p { "It can't be deleted in its present state." } }
            }
        }
    };
    layout::page(page, &t.name, main)
}
