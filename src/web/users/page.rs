//! People, for admins: the list, inviting, roles, deactivating and reactivating.

use crate::frame::ask;
use crate::frame::form::{Form, RadioCard, csrf, email, text, trouble, ways};
use crate::frame::parts::{commands, count, icon, note, post, state, time};
use crate::frame::{Page, layout};
use crate::quotas::page as quotas;
use crate::quotas::page::QuotaItem;
use base::ids::GuestId;
use base::{Secret, Timestamp};
use maud::{Markup, html};
use model::access::GuestRight;
use model::quotas::{Quota, Resource, UserQuota};
use model::users::{Role, User};

/// A person as lists show them.
#[derive(Clone, Debug)]
pub struct UserItem {
    pub user: User,
    /// Too many failed sign-ins; an admin can lift it.
    pub locked: bool,
    /// What their machines have, and how much they may have.
    pub quota: QuotaItem,
    /// An open invite or reset link ends then.
    pub invited_until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct UsersView {
    pub list: Vec<UserItem>,
    /// The quota for everybody.
    pub usual: Quota,
}

#[derive(Clone, Debug)]
pub struct UserView {
    pub item: UserItem,
    /// Signed-in browsers and API tokens.
    pub sessions: usize,
    pub tokens: usize,
    /// Machines of others that are shared with them.
    pub shared: Vec<(GuestId, String, GuestRight)>,
    /// The quota that was set for them alone.
    pub own: UserQuota,
    /// The quota for everybody.
    pub usual: Quota,
}

/// A link that was just made; it is shown once.
#[derive(Clone, Debug)]
pub struct LinkView {
    pub login: String,
    pub name: String,
    /// The whole address.
    pub link: Secret<String>,
    pub expires: Timestamp,
    pub reset: bool,
}

pub fn users(page: &Page, view: &UsersView, form: &Form) -> Markup {
    let main = html! {
        (layout::head("Users", html! { "People who may sign in. Each has their own machines and their own key; admins see all machines, but not other people's secrets." },
            html! { a.button.primary href="/users/new" { (icon("plus")) "Invite somebody" } }))
        div.sheet-table id="users" data-live data-on="users guest" { table.grid.users-table {
            thead { tr { th scope="col" { "State" } th scope="col" { "Name" } th scope="col" { "Login" } th scope="col" { "Role" } th scope="col" { "Machines" } th scope="col" { "Use" } th scope="col" { "Last sign-in" } } }
            tbody { @for item in &view.list { (row(page, item)) } }
        } }
        (trouble(form))
        (quotas::usual_form(page, &view.usual, form))
    };
    layout::page(page, "Users", main)
}

fn row(page: &Page, item: &UserItem) -> Markup {
    let u = &item.user;
    html! {
        tr {
            td.c-state { (standing(item)) }
            th scope="row" { a href={ "/users/" (u.id) } { (u.name) } }
            td data-label="Login" { (u.login) }
            td data-label="Role" { (u.role.name()) }
            td data-label="Machines" { (item.quota.used.machines) @if let Some(most) = item.quota.quota.machines { " of " (most) } }
            td data-label="Use" { (quotas::line(&item.quota)) }
            td data-label="Last sign-in" { @match u.last_login { Some(t) => (time(page, t)), None => span.dim { "never" } } }
        }
    }
}

fn standing(item: &UserItem) -> Markup {
    if !item.user.active {
        state("idle", "deactivated")
    } else if item.locked {
        state("bad", "locked")
    } else if item.invited_until.is_some() && item.user.password_set.is_none() {
        state("warn", "invited")
    } else {
        state("ok", "active")
    }
}

pub fn new_user(page: &Page, form: &Form) -> Markup {
    let main = html! {
        (layout::crumbs(&[("/users", "Users")]))
        (layout::head("Invite somebody", html! { "You get a link that works once. Give it to them; they choose their own password." }, html! {}))
        section.card.narrow {
            (trouble(form))
            form method="post" action="/users/new" {
                (csrf(page))
                (text("login", "Login").required().focus().hint("What they sign in with: 2 to 32 lowercase letters, digits, dots, dashes.").render(form))
                (text("name", "Name").hint("The name that pages show.").render(form))
                (email("email", "E-mail").render(form))
                (roles(form))
                div.actions { button.primary { "Create the invite link" } a.button.quiet href="/users" { "Cancel" } }
            }
        }
    };
    layout::page(page, "Invite somebody", main)
}

fn roles(form: &Form) -> Markup {
    ways(
        form,
        "role",
        "Role",
        &[
            RadioCard {
                value: Role::User.name(),
                title: "User".into(),
                text: "Sees and manages their own machines.".into(),
            },
            RadioCard {
                value: Role::Admin.name(),
                title: "Admin".into(),
                text: "Sees all machines, and manages people, plugins and settings.".into(),
            },
        ],
    )
}

/// The link, once.
pub fn link(page: &Page, view: &LinkView) -> Markup {
    let title = if view.reset { "Reset link" } else { "Invite link" };
    let main = html! {
        (layout::crumbs(&[("/users", "Users")]))
        (layout::head(title, html! { "For " strong { (view.name) } ", who signs in as " strong { (view.login) } "." }, html! {}))
        section.card.narrow {
            p { "Give them this link. It works once and expires " (time(page, view.expires)) "." }
            (commands(view.link.expose()))
            (note("warn", html! { "It is not shown again. Whoever opens it first chooses the password." @if view.reset { " Whatever was locked with their old password can't be opened any more." } }))
            div.actions { a.button.primary href="/users" { "Done" } }
        }
    };
    layout::page(page, title, main)
}

pub fn user(page: &Page, view: &UserView, form: &Form) -> Markup {
    let u = &view.item.user;
    // Two forms on one page: what was typed goes back into the one that was sent.
    let of_quota = form.value("form") == "quota";
    let (form, quota_form) = if of_quota { (&Form::new(), form) } else { (form, &Form::new()) };
    let me = page.who.as_ref().is_some_and(|w| w.id == u.id);
    let main = html! {
        (layout::crumbs(&[("/users", "Users")]))
        (layout::head(&u.name, html! { p.facts {
            (standing(&view.item)) span { (u.login) } span.dim { "since " (time(page, u.created)) }
            span { (Resource::Machines.words(view.item.quota.used.machines)) } span { (count(view.sessions, "browser", "browsers")) " signed in" } span { (count(view.tokens, "API token", "API tokens")) }
        } }, html! {}))
        div.cols {
            section.card { h2 { "Personal details" }
                @if !of_quota { (trouble(form)) }
                form method="post" action={ "/users/" (u.id) } {
                    (csrf(page))
                    (text("name", "Name").default(&u.name).render(form))
                    (email("email", "E-mail").default(u.email.as_deref().unwrap_or_default()).render(form))
                    (roles(&if form.has("role") { form.clone() } else { form.clone().set("role", u.role.name()) }))
                    div.actions { button.primary { "Save" } }
                }
            }
            div.stack {
                section.card { h2 { "Signing in" } (getting_in(page, view, me)) }
                section.card { h2 { "Quota" }
                    (trouble(quota_form))
                    (quotas::meters(&view.item.quota))
                    @if u.role == Role::Admin { p.dim { "Admins have no limit. What is set here takes effect when they are no longer an admin." } }
                    (quotas::own_form(page, &format!("/users/{}/quota", u.id), &view.own, &view.usual, quota_form))
                }
                (shared(view))
            }
        }
    };
    layout::page(page, &u.name, main)
}

fn shared(view: &UserView) -> Markup {
    html! {
        section.card { h2 { "Shared with them" }
            @if view.shared.is_empty() { p.dim { "No machines of other people." } }
            ul.list { @for (id, name, right) in &view.shared {
                li { div { a href={ "/machines/" (id) "/access" } { strong { (name) } } small { "may " (right.name()) " it" } } }
            } }
        }
    }
}

fn getting_in(page: &Page, view: &UserView, me: bool) -> Markup {
    let u = &view.item.user;
    let at = |verb: &str| format!("/users/{}/{verb}", u.id);
    let line =
        |title: &str, why: &str, button: Markup| html! { li { div { strong { (title) } small { (why) } } (button) } };
    html! {
        ul.list {
            @if view.item.locked {
                (line("Locked after failed sign-ins", "It ends by itself within an hour; unlock the account earlier if you know it was them.", post(page, &at("unlock"), "Unlock", "primary")))
            }
            @if let Some(until) = view.item.invited_until {
                li { div { strong { "A link is pending" } small { "It expires " (time(page, until)) ". A new link replaces it." } } }
            }
            (line(if u.password_set.is_some() { "Forgot the password" } else { "Lost the invite" }, "Creates a link that works once. A reset clears whatever only their password could open, and revokes their API tokens.", post(page, &at("reset-link"), "Create a link", "")))
            @if me {
                (line("This is you", "You can't deactivate yourself.", html! {}))
            } @else if u.active {
                (line("Deactivate", "Signs them out everywhere at once. Their machines and data stay.", ask::button(page, &at("deactivate"), &ask::DEACTIVATE, &u.name, "danger")))
            } @else {
                (line("Deactivated", "They can't sign in. Everything of theirs is kept.", post(page, &at("activate"), "Reactivate", "")))
            }
        }
    }
}
