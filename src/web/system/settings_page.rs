//! Settings: the Proxmox connections, and what this Steward is and costs.

use crate::frame::parts::{empty, icon, state, time};
use crate::frame::{Page, layout};
use app::connections::SshView;
use base::ids::ConnectionId;
use maud::{Markup, html};
use model::connections::{Limits, Reach};
use model::nodes::Reporter;
use remote::pve::RefusedCertificate;

/// A connection as lists show it; no secret in it.
#[derive(Clone, Debug)]
pub struct ConnectionItem {
    pub id: ConnectionId,
    pub name: String,
    pub endpoints: Vec<String>,
    /// Accepted certificates; none when the cluster's own CA is trusted.
    pub fingerprints: Vec<String>,
    /// The CA that is trusted instead, as PEM.
    pub ca: Option<String>,
    pub token_id: String,
    /// Certificates that were shown and are not accepted.
    pub refused: Vec<RefusedCertificate>,
    /// For a host by SSH; then there is no address, certificate and token.
    pub ssh: Option<SshView>,
    pub limits: Limits,
    pub reach: Reach,
    /// What measures its machines and is silent, and on which nodes.
    pub silent: Option<(Reporter, Vec<String>)>,
    /// What it tells in a way that can't be read, as sentences.
    pub left_out: Vec<String>,
    pub machines: usize,
    /// Names of the nodes that Proxmox told.
    pub nodes: Vec<String>,
    /// Its storages that something can be put on: name, and what people read.
    pub storages: Vec<(String, String)>,
    /// Number and name of its templates.
    pub templates: Vec<(u32, String)>,
}

#[derive(Clone, Debug)]
pub struct SettingsView {
    pub connections: Vec<ConnectionItem>,
    /// What this appliance is and uses: pairs of word and value, like `Memory`, `38 MiB`.
    pub about: Vec<(String, String)>,
}

pub fn settings(page: &Page, view: &SettingsView) -> Markup {
    let main = html! {
        (layout::head("Settings", html! { "What Steward may reach, and where it may act." }, html! { a.button href="/settings/profiles" { (icon("columns")) "Hardware profiles" } a.button href="/templates" { (icon("box")) "Templates" } }))
        section {
            header.split { h2 { "Connections" }
                div.tools {
                    @if !view.connections.is_empty() { a.button href="/settings/connections/new" { (icon("plus")) "Connect Proxmox" } }
                    a.button href="/settings/hosts/new" { (icon("plus")) "Add a KVM host" }
                }
            }
            div id="connections" data-live data-on="connection" {
                @if view.connections.is_empty() {
                    (empty("node", "Connect your Proxmox", "Enter the address of one node, check its fingerprint, and log in once. Steward creates a token for itself with just the rights it needs and forgets the password.",
                        Some(("/settings/connections/new", "Connect Proxmox"))))
                }
                ul.cards { @for c in &view.connections { (card(page, c)) } }
            }
        }
        section.card.narrow { h2 { "This Steward" }
            dl.about { @for (word, value) in &view.about { dt { (word) } dd { (value) } } }
        }
    };
    layout::page(page, "Settings", main)
}

pub fn reach(page: &Page, reach: &Reach) -> Markup {
    html! {
        @match reach {
            Reach::Unknown => (state("idle", "not asked yet")),
            Reach::Here { since } => { (state("ok", "answers")) span.dim { " since " (time(page, *since)) } },
            Reach::Away { since, .. } => { (state("bad", "does not answer")) span.dim { " since " (time(page, *since)) } },
        }
    }
}

fn card(page: &Page, c: &ConnectionItem) -> Markup {
    html! {
        li.card {
            header { h2.name { a href={ "/settings/connections/" (c.id) } { (c.name) } } span { (reach(page, &c.reach)) } }
            @if let Reach::Away { why, .. } = &c.reach { p.bad { (why) } }
            dl.about {
                @match &c.ssh {
                    Some(ssh) => { dt { "By SSH" } dd { (ssh.address) } }
                    None => {
                        dt { "Address" } dd { (c.endpoints.join(", ")) }
                        dt { "Token" } dd { code { (c.token_id) } }
                    }
                }
                dt { "May act on" } dd { @if c.limits.nodes.is_empty() { "all nodes" } @else { (c.limits.nodes.join(", ")) } }
                @for (word, list) in limited(&c.limits) { dt { (word) } dd { (list) } }
                dt { "Numbers for new machines" } dd { (c.limits.vmid_range().0) " to " (c.limits.vmid_range().1) }
                dt { "Machines" } dd { (c.machines) }
            }
        }
    }
}

/// The other lists that hold something.
fn limited(limits: &Limits) -> Vec<(&'static str, String)> {
    let templates: Vec<String> = limits.templates.iter().map(u32::to_string).collect();
    let all = [
        ("Storages", limits.storages.join(", ")),
        ("Bridges", limits.bridges.join(", ")),
        ("Templates", templates.join(", ")),
    ];
    all.into_iter().filter(|(_, list)| !list.is_empty()).collect()
}
