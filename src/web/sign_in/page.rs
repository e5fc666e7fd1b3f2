//! The doors: first start, sign-in, invite and reset links.

use crate::frame::form::{Form, csrf, password, text, trouble};
use crate::frame::parts::{note, time};
use crate::frame::{Page, layout};
use base::Timestamp;
use maud::{Markup, html};

/// Sign in with login and password. `next` in the form is where to go then.
pub fn sign_in(page: &Page, form: &Form) -> Markup {
    let body = html! {
        (trouble(form))
        form method="post" action="/sign-in" {
            (csrf(page))
            @if form.has("next") { input type="hidden" name="next" value=(form.value("next")); }
            (text("login", "Login").complete("username").required().focus().render(form))
            (password("password", "Password", "current-password").render(form))
            button.primary.wide { "Sign in" }
        }
        p.dim.foot { "Forgotten? An admin can give you a reset link on the Users page." }
    };
    layout::door(page, "Sign in", body)
}

/// The first start: somebody who can read the setup code on the host creates the first admin.
pub fn setup(page: &Page, form: &Form) -> Markup {
    let body = html! {
        p { "Nobody can sign in yet. Create the first admin: the setup code proves that you may." }
        p.dim { "Read the code on the host with " code { "steward setup-code" } ". It works once." }
        (trouble(form))
        form method="post" action="/setup" {
            (csrf(page))
            (text("code", "Setup code").required().focus().mono().hint("For example ABCD-EFGH-JKLM; dashes and upper or lower case don't matter.").render(form))
            (text("login", "Login").required().complete("username").hint("What you sign in with: lowercase letters, digits, dots, dashes.").render(form))
            (text("name", "Your name").complete("name").hint("The name that pages show.").render(form))
            (new_password(form))
            button.primary.wide { "Create the first admin" }
        }
    };
    layout::door(page, "Welcome", body)
}

/// What an invite or reset link opens.
#[derive(Clone, Debug)]
pub struct InviteView {
    /// The path of the link, where the form goes.
    pub action: String,
    pub login: String,
    pub name: String,
    pub expires: Timestamp,
    /// A new password for somebody who had one. Their vault can't be opened without the old one.
    pub reset: bool,
}

pub fn invite(page: &Page, view: &InviteView, form: &Form) -> Markup {
    let title = if view.reset { "New password" } else { "Welcome" };
    let body = html! {
        @if view.reset {
            p { "Choose a new password for " strong { (view.login) } "." }
            (note("warn", html! { "Whatever was locked with the old password (your own settings and secrets) can't be opened with a new one and is cleared." }))
        } @else {
            p { "Hello " (view.name) ". You were invited. Your login is " strong { (view.login) } "; choose a password." }
        }
        p.dim { "This link works once and expires " (time(page, view.expires)) "." }
        (trouble(form))
        form method="post" action=(view.action) {
            (csrf(page))
            input type="hidden" name="login" value=(view.login) autocomplete="username";
            (new_password(form))
            button.primary.wide { "Set the password and sign in" }
        }
    };
    layout::door(page, title, body)
}

fn new_password(form: &Form) -> Markup {
    html! {
        (password("password", "Password", "new-password").hint("At least 10 characters. A few unrelated words are easy to remember.").render(form))
        (password("again", "Repeat password", "new-password").render(form))
    }
}
