//! Connecting a Proxmox cluster step by step, and the page of one connection.

use crate::frame::form::{Form, RadioCard, area, csrf, number, password, select, text, trouble, ways};
use crate::frame::parts::{commands, copy, count, note, post, state, time};
use crate::frame::{Page, layout};
use crate::guests::impact::page::list as list_of;
use crate::system::settings_page::{ConnectionItem, reach};
use app::connections::SshView;
use base::Timestamp;
use base::ids::ConnectionId;
use maud::{Markup, html};
use model::guests::forgotten::REMEMBERED;
use model::impact::Impact;
use remote::pve::RefusedCertificate;

/// The certificate that the server showed.
#[derive(Clone, Debug)]
pub struct CertificateView {
    /// SHA-256 of the DER as Proxmox shows it: `AB:CD:...`.
    pub fingerprint: String,
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
    pub names: Vec<String>,
}

/// Which step of connecting is on the page.
#[derive(Clone, Debug)]
pub enum ConnectStep {
    Address,
    /// Look at the certificate; the form holds `address`, `name`.
    Trust(CertificateView),
    /// Log in once or give a token; the form holds `fingerprint` too.
    Access(ByHand),
    /// The cluster is connected already, as this.
    Known {
        id: ConnectionId,
        name: String,
    },
}

/// How a person makes the token themselves.
#[derive(Clone, Debug, Default)]
pub struct ByHand {
    /// They make role, user and token.
    pub commands: String,
    /// What they make: `user@realm!name`.
    pub token_id: String,
}

/// A right that the token should have but does not.
#[derive(Clone, Debug)]
pub struct MissingRight {
    pub path: String,
    pub privilege: String,
    /// What can't be done without it.
    pub why: String,
}

/// What is known of what Steward may do there.
#[derive(Clone, Debug)]
pub enum Rights {
    Known {
        /// Proxmox VE's, or libvirt's.
        version: String,
        missing: Vec<MissingRight>,
        /// Commands that give what is missing; empty when nothing is.
        commands: String,
    },
    /// It could not be asked, for this reason.
    NotAsked { why: String },
}

#[derive(Clone, Debug)]
pub struct ConnectionView {
    pub item: ConnectionItem,
    pub rights: Rights,
    /// For another token; `None` for a host by SSH.
    pub by_hand: Option<ByHand>,
    /// Bridges of its nodes, as far as they answered.
    pub bridges: Vec<String>,
    /// What goes when Steward forgets it.
    pub impact: Impact,
}

const STEPS: [&str; 3] = ["Address", "Certificate", "Access"];

pub fn connect(page: &Page, step: &ConnectStep, form: &Form) -> Markup {
    let (at, body) = match step {
        ConnectStep::Address => (0, address(form)),
        ConnectStep::Trust(cert) => (1, trust(page, cert, form)),
        ConnectStep::Access(by_hand) => (2, access(form, by_hand)),
        ConnectStep::Known { id, name } => (1, known(*id, name)),
    };
    let main = html! {
        (layout::crumbs(&[("/settings", "Settings")]))
        (layout::head("Connect Proxmox", html! { "Three steps; nothing is changed before the last one." }, html! {}))
        (wizard_steps(&STEPS, at, |_| None))
        section.card.narrow {
            (trouble(form))
            form method="post" action="/settings/connections/new" { (csrf(page)) (body) }
        }
    };
    layout::page(page, "Connect Proxmox", main)
}

/// The steps of a wizard with the present one marked, and links to those that can be gone to.
pub fn wizard_steps(words: &[&str], at: usize, link: impl Fn(usize) -> Option<String>) -> Markup {
    html! {
        ol.wizard aria-label="Steps" { @for (n, word) in words.iter().enumerate() {
            li.done[n < at] aria-current=[(n == at).then_some("step")] {
                @match link(n).filter(|_| n != at) {
                    Some(href) => { a href=(href) { span.bullet { (n + 1) } span.word { (word) } } }
                    None => { span.bullet { (n + 1) } span.word { (word) } }
                }
            }
        } }
    }
}

/// The buttons of a wizard. The way on comes first in the document, so that Enter takes it.
pub fn wizard_buttons(next: &str, value: &str, back: bool) -> Markup {
    html! {
        div.actions.wizard-actions {
            button.primary name="go" value=(value) { (next) }
            @if back { button.quiet name="go" value="back" formnovalidate { "Back" } }
        }
    }
}

fn address(form: &Form) -> Markup {
    html! {
        input type="hidden" name="step" value="address";
        (text("address", "Address of a node").required().focus().hint("For example pve1.home.example or 192.168.1.10. The port is 8006 unless you give another one. More nodes of the cluster can be added later.").render(form))
        (text("name", "Name").default("Home").required().hint("Your name for this cluster.").render(form))
        (wizard_buttons("Show its certificate", "next", false))
    }
}

pub fn carried(form: &Form, names: &[&str]) -> Markup {
    html! { @for name in names { input type="hidden" name=(name) value=(form.value(name)); } }
}

fn trust(page: &Page, cert: &CertificateView, form: &Form) -> Markup {
    html! {
        input type="hidden" name="step" value="trust";
        (carried(form, &["address", "name"]))
        input type="hidden" name="fingerprint" value=(cert.fingerprint);
        p { "The server at " strong { (form.value("address")) } " presents this certificate. Compare the fingerprint with the one that Proxmox shows under Node, System, Certificates." }
        p.fingerprint { (copy(&cert.fingerprint)) }
        dl.about {
            dt { "For" } dd { (cert.subject) }
            dt { "Names" } dd { (cert.names.join(", ")) }
            dt { "Signed by" } dd { (cert.issuer) }
            dt { "Valid until" } dd { (time(page, cert.not_after)) " (" (cert.not_after.to_utc().format("%Y-%m-%d")) ")" }
        }
        p.dim { "From then on Steward talks only to a server with exactly this certificate." }
        (wizard_buttons("It matches, continue", "next", true))
    }
}

/// Instead of a second connection to the same cluster.
fn known(id: ConnectionId, name: &str) -> Markup {
    html! {
        p { "This cluster is connected already, as " strong { (name) } ". A second connection would show each of its machines twice." }
        p { "On its page you can give Steward a new token, add this address, and accept a renewed certificate. Its machines keep their owners." }
        div.actions { a.button.primary href={ "/settings/connections/" (id) } { "Open " (name) } }
    }
}

fn access(form: &Form, by_hand: &ByHand) -> Markup {
    html! {
        input type="hidden" name="step" value="access";
        (carried(form, &["address", "name", "fingerprint"]))
        (access_fields(form, by_hand, &by_hand.token_id))
        (wizard_buttons("Connect", "next", true))
    }
}

/// Log in once, or a token.
fn access_fields(form: &Form, by_hand: &ByHand, token_id: &str) -> Markup {
    let list = [
        RadioCard {
            value: "login",
            title: "Log in once".into(),
            text: "Steward creates a role, a user and a token for itself, then forgets the password.".into(),
        },
        RadioCard {
            value: "token",
            title: "Use a token".into(),
            text: "You have created one yourself with the commands below.".into(),
        },
    ];
    html! {
        (ways(form, "way", "How Steward gets its rights", &list))
        div.when-login {
            (text("user", "Proxmox user").default("root@pam").hint("A user who may create roles and tokens.").render(form))
            (text_password("password", "Password", "Used for this one login, never stored.", form))
            (text("otp", "Second factor").hint("The six digits, if this user has one.").render(form))
        }
        div.when-token {
            (text("token_id", "Token ID").default(token_id).mono().render(form))
            (text_password("token_secret", "Token secret", "Proxmox shows it once, when the token is created.", form))
            details.fold { summary { "Commands that create the token" } (commands(&by_hand.commands)) }
        }
    }
}

/// The fields of [`access_fields`] that can have a sentence.
const ACCESS_FIELDS: [&str; 5] = ["user", "password", "otp", "token_id", "token_secret"];

/// A hidden-typed field that may stay empty, as only one of two ways is taken.
pub fn text_password(name: &str, label: &str, hint: &str, form: &Form) -> Markup {
    password(name, label, "off").hint(hint).maybe().render(form)
}

/// Sentences on what can't be read that are shown.
const LEFT_OUT: usize = 10;

pub fn connection(page: &Page, view: &ConnectionView, form: &Form) -> Markup {
    let c = &view.item;
    let main = html! {
        (layout::crumbs(&[("/settings", "Settings")]))
        (layout::head(&c.name, html! { p.facts id="reach" data-live data-on="connection" {
            (reach(page, &c.reach))
            @if let Rights::Known { version: v, .. } = &view.rights { span { @if c.ssh.is_some() { "libvirt " } @else { "Proxmox VE " } (v) } }
            @match &c.ssh {
                Some(ssh) => { span.dim { (ssh.address) } }
                None => { span.dim { (c.endpoints.join(", ")) } span.dim { code { (c.token_id) } } }
            }
            span.dim { (count(c.machines, "machine", "machines")) " on " (count(c.nodes.len(), "node", "nodes")) }
        } }, post(page, &format!("/settings/connections/{}/check", c.id), "Check again", "")))
        (rights(view))
        @for refused in &c.refused { (refused_certificate(page, c, refused)) }
        @if let Some((reporter, nodes)) = &c.silent {
            (note("warn", html! {
                (reporter.name) " on " (nodes.join(", ")) " does not report: what is shown of the machines there may be old. Actions are decided by what each machine says itself. Run there as root:"
                (commands(&reporter.command))
            }))
        }
        @if !c.left_out.is_empty() {
            (note("warn", html! {
                "Something that it tells can't be read and is left out here. All else is up to date."
                ul { @for text in c.left_out.iter().take(LEFT_OUT) { li { (text) } } }
                @if c.left_out.len() > LEFT_OUT { "And " (c.left_out.len() - LEFT_OUT) " more." }
            }))
        }
        div.cols {
            // Before the first look there is nothing to tick: the lists come as soon as it has been.
            @let (live, on) = (c.nodes.is_empty().then_some(""), c.nodes.is_empty().then_some("connection"));
            section.card id="limits" data-live=[live] data-on=[on] { h2 { "Where Steward may act" } (limits(page, view, form)) }
            @if let Some(by_hand) = &view.by_hand { (new_token(page, view, by_hand, form)) }
            @if let Some(ssh) = &c.ssh { (host_keys(page, c, ssh, form)) }
            section.card { h2 { "Forget this connection" }
                @match &c.ssh {
                    Some(_) => { p { "Steward removes its key from this host and forgets the host. Its " (c.machines) " machines keep running." } }
                    None => {
                        p { "Steward forgets this cluster and its token. Nothing in Proxmox is changed: its " (c.machines) " machines keep running." }
                        p { "Whose they are and with whom they are shared is remembered for " (REMEMBERED.as_secs() / 86_400) " days, in case the same cluster is connected again." }
                    }
                }
                (list_of(&view.impact))
                form method="post" action={ "/settings/connections/" (c.id) "/delete" } {
                    (csrf(page))
                    (text("confirm", "Type the connection's name").required().hint(&format!("It is called {}", c.name)).render(form))
                    div.actions { button.danger.solid { "Forget this connection" } }
                }
            }
        }
    };
    layout::page(page, &c.name, main)
}

fn rights(view: &ConnectionView) -> Markup {
    let (by_ssh, missing, text) = match &view.rights {
        // The reason of this moment; nothing is said of rights that could not be looked at.
        Rights::NotAsked { why } => return note("bad", html! { (why) }),
        Rights::Known { missing, commands, .. } => (view.item.ssh.is_some(), missing, commands),
    };
    if missing.is_empty() {
        let text = if by_ssh {
            "The host has all that Steward needs."
        } else {
            "The token has all the rights that Steward needs."
        };
        return note("ok", html! { (text) });
    }
    html! {
        section.card.attention.warn { h2 { @if by_ssh { "What is missing on the host" } @else { "Rights that are missing" } }
            ul.list { @for m in missing { li {
                (state("warn", "missing")) div { code { (m.privilege) } " on " code { (m.path) } small { (m.why) } }
            } } }
            p { @if by_ssh { "Run this on the host as root, then check again:" } @else { "Run this on a node as root, then check again:" } }
            (commands(text))
        }
    }
}

/// A certificate that is not accepted, beside what is.
fn refused_certificate(page: &Page, c: &ConnectionItem, refused: &RefusedCertificate) -> Markup {
    let now = &refused.certificate;
    html! {
        section.card.attention.warn { h2 { "Another certificate at " (refused.endpoint) }
            dl.about {
                dt { "It presents" } dd.fingerprint { (copy(&now.fingerprint())) }
                dt { "Accepted" } dd.fingerprint {
                    @for known in &c.fingerprints { div { code { (known) } } }
                    @if c.ca.is_some() { "what is signed by the cluster's own CA, for this name or address" }
                }
                dt { "For" } dd { (now.subject) }
                dt { "Names" } dd { (now.names.join(", ")) }
                dt { "Signed by" } dd { (now.issuer) }
                dt { "Valid until" } dd { (time(page, now.not_after)) }
            }
            p { "If it was renewed, Proxmox shows the new fingerprint under Node, System, Certificates. If it was not, somebody may be answering in its place." }
            @if c.ca.is_none() {
                form method="post" action={ "/settings/connections/" (c.id) "/certificate" } {
                    (csrf(page))
                    input type="hidden" name="fingerprint" value=(now.fingerprint());
                    div.actions { button { "It matches, accept it" } }
                }
            } @else { p.dim { "How a node is recognised is under “Addresses and certificates”." } }
        }
    }
}

fn new_token(page: &Page, view: &ConnectionView, by_hand: &ByHand, form: &Form) -> Markup {
    let c = &view.item;
    // Its place is where the person looks when the token is what is wrong.
    let open = form.any_error(&ACCESS_FIELDS) || matches!(view.rights, Rights::NotAsked { .. }) && c.refused.is_empty();
    html! {
        section.card id="token" { h2 { "Steward's token" }
            p { "If the token was deleted or has expired, give Steward another one. Machines, owners and limits stay as they are." }
            details.fold open[open] { summary { "Give it a new token" }
                @if form.any_error(&ACCESS_FIELDS) { (trouble(form)) }
                form method="post" action={ "/settings/connections/" (c.id) "/token" } {
                    (csrf(page))
                    (access_fields(form, by_hand, &c.token_id))
                    div.actions { button.primary { "Use it from now on" } }
                }
            }
        }
    }
}

/// A list to tick: what there is now, and what was ticked before and is not there now. After a refusal what was sent
/// is ticked, also when that is nothing.
fn list(form: &Form, name: &str, legend: &str, there: &[(String, String)], ticked: &[String], hint: &str) -> Markup {
    let chosen = if form.has("name") { form.values(name) } else { ticked };
    let mut gone: Vec<&String> = ticked.iter().chain(chosen).collect();
    gone.retain(|t| !t.is_empty() && !there.iter().any(|(value, _)| value == *t));
    gone.sort();
    gone.dedup();
    let all = there.iter().cloned().chain(gone.into_iter().map(|t| (t.clone(), format!("{t}, currently missing"))));
    let chosen = |value: &String| chosen.contains(value);
    html! {
        fieldset.ticks.wrong[form.error(name).is_some()] { legend { (legend) }
            @if let Some(text) = form.error(name) { p.error id={ (name) "-error" } { (text) } }
            @for (value, words) in all { label { input type="checkbox" name=(name) value=(value) checked[chosen(&value)]; span { (words) } } }
            p.hint { (hint) }
        }
    }
}

fn limits(page: &Page, view: &ConnectionView, form: &Form) -> Markup {
    let c = &view.item;
    let (low, high) = c.limits.vmid_range();
    let same = |all: &[String]| all.iter().map(|n| (n.clone(), n.clone())).collect::<Vec<_>>();
    let templates: Vec<_> = c.templates.iter().map(|(id, name)| (id.to_string(), format!("{name} ({id})"))).collect();
    let ticked: Vec<String> = c.limits.templates.iter().map(u32::to_string).collect();
    let (low, high) = (low.to_string(), high.to_string());
    let mut trusts = [("pins", "By exactly these certificates"), ("ca", "By the cluster's own CA")];
    if c.ca.is_some() {
        // The present one comes first: that is what is chosen until somebody chooses.
        trusts.reverse();
    }
    let trusts = trusts.map(|(value, text)| (value.to_owned(), text.to_owned()));
    html! {
        @if !form.any_error(&ACCESS_FIELDS) { (trouble(form)) }
        form method="post" action={ "/settings/connections/" (c.id) } {
            (csrf(page))
            (text("name", "Name").required().default(&c.name).render(form))
            (list(form, "nodes", "Nodes on which machines may be created and changed", &same(&c.nodes), &c.limits.nodes, "Tick none to allow all. Machines on other nodes are shown but not touched."))
            (list(form, "storages", "Storages for disks and images", &c.storages, &c.limits.storages, "Tick none to allow all. Disks that are already elsewhere stay there. ISO images are only read, from any storage."))
            (list(form, "bridges", "Bridges for network cards", &same(&view.bridges), &c.limits.bridges, "Tick none to allow all."))
            (list(form, "templates", "Templates that machines may be created from", &templates, &ticked, "Tick none to allow all, including those created later. A template on another node can be used if its disk is on shared storage."))
            div.pair {
                (number("vmid_min", "Lowest number", 100, 999_999_999).default(&low).render(form))
                (number("vmid_max", "Highest number", 100, 999_999_999).default(&high).render(form))
            }
            p.hint { "Range of numbers (VM IDs) for new machines, both ends included." }
            @if c.ssh.is_none() { details.fold open[form.any_error(&["addresses", "fingerprints", "ca"])] { summary { "Addresses and certificates" }
                (area("addresses", "Addresses", 3).mono().default(&c.endpoints.join("\n")).hint("One per line. If the cluster has several nodes, the next one is used when one is down.").render(form))
                (select(form, "trust_by", "How a node is recognised", &trusts, ""))
                (area("fingerprints", "Accepted certificates", 3).mono().default(&c.fingerprints.join("\n")).hint("SHA-256 fingerprints, one per line: one for each node, plus the new one when a certificate has been renewed.").render(form))
                (area("ca", "The cluster's own CA", 4).mono().default(c.ca.as_deref().unwrap_or_default()).hint("The content of /etc/pve/pve-root-ca.pem on a node. Renewed node certificates are then accepted automatically; the addresses above must be names or addresses that the certificates contain.").render(form))
            } }
            div.actions { button.primary { "Save" } }
        }
    }
}

fn host_keys(page: &Page, c: &ConnectionItem, ssh: &SshView, form: &Form) -> Markup {
    html! {
        section.card { h2 { "How it is recognised" }
            p { "Steward talks only to a host with one of these keys. If the host has been reinstalled, compare its new key and enter it here." }
            form method="post" action={ "/settings/connections/" (c.id) "/host-keys" } {
                (csrf(page))
                (area("host_keys", "Accepted host keys", 2).mono().default(&ssh.host_keys.join("\n")).hint("Fingerprints as ssh-keygen -lf prints them, one per line.").render(form))
                div.actions { button { "Accept these" } }
            }
            details.fold { summary { "Steward's key on the host" } p { (copy(&ssh.public)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Error;

    #[test]
    fn a_refused_form_shows_its_lists_with_what_was_ticked_and_why_not() {
        let there = [("pve1".to_owned(), "pve1".to_owned()), ("pve2".to_owned(), "pve2".to_owned())];
        let saved = ["pve1".to_owned(), "pve9".to_owned()];
        let drawn = |form: &Form| list(form, "nodes", "Nodes", &there, &saved, "").into_string();
        let ticked = |html: &str, value: &str| html.contains(&format!("value=\"{value}\" checked"));
        let fresh = drawn(&Form::new());
        assert!(
            ticked(&fresh, "pve1") && !ticked(&fresh, "pve2") && fresh.contains("pve9, currently missing"),
            "{fresh}"
        );
        let sent = Form::from_pairs([("name", "Home"), ("nodes", "pve2"), ("nodes", "pve8")]);
        let refused = drawn(&sent.fail(&Error::field("nodes", "There is no node pve8.")));
        assert!(!ticked(&refused, "pve1") && ticked(&refused, "pve2") && ticked(&refused, "pve8"), "{refused}");
        assert!(refused.contains("There is no node pve8."), "{refused}");
        // Another form of the page was refused: this one is as it is saved.
        let other = drawn(&Form::new().set("confirm", "x").fail(&Error::field("confirm", "Type it.")));
        assert!(ticked(&other, "pve1") && !ticked(&other, "pve2"), "{other}");
    }
}
