//! Adding a plain KVM host step by step.

use crate::connections::page::{carried, text_password, wizard_buttons, wizard_steps};
use crate::frame::form::{Form, RadioCard, area, csrf, text, trouble, ways};
use crate::frame::parts::copy;
use crate::frame::{Page, layout};
use maud::{Markup, html};

/// Which step is on the page.
#[derive(Clone, Debug)]
pub enum HostStep {
    Address,
    /// Kind and fingerprint of the key that the host shows; the form holds `address`, `name`, `user`.
    Trust(String, String),
    /// The form holds `fingerprint` too.
    Access,
}

const STEPS: [&str; 3] = ["Address", "Host key", "Access"];

pub fn add(page: &Page, step: &HostStep, form: &Form) -> Markup {
    let (at, body) = match step {
        HostStep::Address => (0, address(form)),
        HostStep::Trust(kind, fingerprint) => (1, trust(kind, fingerprint, form)),
        HostStep::Access => (2, access(form)),
    };
    let main = html! {
        (layout::crumbs(&[("/settings", "Settings")]))
        (layout::head("Add a KVM host", html! { "A Linux machine with libvirt, reached over SSH. Three steps; nothing is changed before the last one." }, html! {}))
        (wizard_steps(&STEPS, at, |_| None))
        section.card.narrow {
            (trouble(form))
            form method="post" action="/settings/hosts/new" { (csrf(page)) (body) }
        }
    };
    layout::page(page, "Add a KVM host", main)
}

fn address(form: &Form) -> Markup {
    html! {
        input type="hidden" name="step" value="address";
        (text("address", "Address").required().focus().hint("For example kvm1.home.example or 192.168.1.20. The port is 22 unless you give another one.").render(form))
        (text("user", "User").default("root").required().hint("root, or a user who may use sudo without a password.").render(form))
        (text("name", "Name").default("KVM host").required().hint("Your name for this host.").render(form))
        (wizard_buttons("Show its host key", "next", false))
    }
}

fn trust(kind: &str, fingerprint: &str, form: &Form) -> Markup {
    html! {
        input type="hidden" name="step" value="trust";
        (carried(form, &["address", "name", "user"]))
        input type="hidden" name="fingerprint" value=(fingerprint);
        p { "The host at " strong { (form.value("address")) } " presents this key (" code { (kind) } "). Compare it with what this prints on the host:" }
        p { (copy("for f in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $f; done")) }
        p.fingerprint { (copy(fingerprint)) }
        p.dim { "From then on Steward talks only to a host with exactly this key." }
        (wizard_buttons("It matches, continue", "next", true))
    }
}

fn access(form: &Form) -> Markup {
    let list = [
        RadioCard {
            value: "password",
            title: "Sign in once with a password".into(),
            text: "Steward installs a key of its own on the host, then forgets the password.".into(),
        },
        RadioCard {
            value: "key",
            title: "Sign in once with a key".into(),
            text: "For hosts that don't accept passwords. Steward installs its own key, then forgets yours.".into(),
        },
    ];
    html! {
        input type="hidden" name="step" value="access";
        (carried(form, &["address", "name", "user", "fingerprint"]))
        (ways(form, "way", "How Steward signs in", &list))
        div.when-password { (text_password("password", "Password", "Used for this one sign-in, never stored.", form)) }
        div.when-key {
            (area("key", "Private key", 6).mono().hint("A key that the host accepts, without a passphrase; it begins with -----BEGIN OPENSSH PRIVATE KEY-----. Used once, never stored.").render(form))
        }
        (wizard_buttons("Add this host", "next", true))
    }
}
