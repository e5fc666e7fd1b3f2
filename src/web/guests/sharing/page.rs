//! The access tab of a machine: its owner, who it is shared with, and handing it over.

use crate::frame::Page;
use crate::frame::ask::{self, yes};
use crate::frame::form::{Form, RadioCard, csrf, select, text, trouble, ways};
use crate::frame::parts::time;
use crate::guests::one::page::{MachineHead, frame};
use app::guests::sharing::GrantView;
use base::ids::UserId;
use maud::{Markup, html};
use model::access::GuestRight;

/// What the person who looks may know and change.
#[derive(Clone, Debug)]
pub struct AccessView {
    /// What they may do themselves.
    pub right: GuestRight,
    /// They have it because somebody shared it with them, and can give it back.
    pub shared_with_me: bool,
    /// Who it is shared with; `None` for those who may not know.
    pub grants: Option<Vec<GrantView>>,
    /// May they hand it over?
    pub may_hand_over: bool,
    /// Id and words of every active user, for admins to choose a new owner from.
    pub people: Vec<(UserId, String)>,
}

/// `form` holds what was typed into the form named in its field `form`.
pub fn access(page: &Page, head: &MachineHead, view: &AccessView, form: &Form) -> Markup {
    let typed = |name: &str| if form.value("form") == name { form.clone() } else { Form::new() };
    let body = html! {
        (trouble(form))
        div.cols {
            div.stack {
                (yours(page, head, view))
                @if let Some(grants) = &view.grants {
                    (shared(page, head, grants))
                    (add(page, head, &typed("share")))
                }
            }
            @if view.may_hand_over { (hand_over(page, head, view, &typed("owner"))) }
        }
    };
    frame(page, head, "access", body)
}

fn yours(page: &Page, head: &MachineHead, view: &AccessView) -> Markup {
    html! {
        section.card {
            h2 { "Owner" }
            p { @match head.row.owner.as_deref() {
                Some(o) => { strong { (o) } " owns it and may do everything with it." },
                None => "Nobody owns it. Admins see it, and so do the people it is shared with."
            } }
            @if view.shared_with_me {
                p { "It is shared with you: you may " strong { (view.right.name()) } " it. " span.dim { (view.right.words()) } }
                form method="post" action=(head.at("unshare")) {
                    (csrf(page))
                    input type="hidden" name="go" value="back";
                    (yes(&ask::GIVE_BACK, &head.row.name, "danger", html! { "Give it back" }))
                }
            }
        }
    }
}

fn shared(page: &Page, head: &MachineHead, grants: &[GrantView]) -> Markup {
    html! {
        section.card id="grants" data-live data-on={ "guest:" (head.row.id) " users" } {
            h2 { "Shared with" }
            @if grants.is_empty() { p.dim { "Nobody else. Share it below with somebody who should see, use or manage it." } }
            ul.list { @for g in grants { li {
                div { strong { (g.name) } @if g.name != g.login { " " span.dim { (g.login) } }
                    small { "by " (g.by) ", " (time(page, g.at)) } }
                form.inline method="post" action=(head.at("share")) {
                    (csrf(page))
                    input type="hidden" name="login" value=(g.login);
                    span.seg role="group" aria-label={ "What " (g.login) " may do" } {
                        @for right in GuestRight::ALL {
                            button name="right" value=(right.name()) aria-pressed=(if right == g.right { "true" } else { "false" }) title=(right.words()) { (right.name()) }
                        }
                    }
                }
                form.inline method="post" action=(head.at("unshare")) {
                    (csrf(page))
                    input type="hidden" name="user" value=(g.user);
                    (yes(&ask::STOP_SHARING, &g.login, "danger", html! { "Stop sharing" }))
                }
            } } }
        }
    }
}

fn add(page: &Page, head: &MachineHead, form: &Form) -> Markup {
    let list = [("see", "See"), ("use", "Use"), ("manage", "Manage")];
    let list = list.map(|(value, title)| RadioCard {
        value,
        title: title.to_owned(),
        text: GuestRight::parse(value).map(|r| r.words().to_owned()).unwrap_or_default(),
    });
    html! {
        section.card {
            h2 { "Share it" }
            form method="post" action=(head.at("share")) {
                (csrf(page))
                input type="hidden" name="form" value="share";
                (text("login", "Login").required().hint("What they sign in with.").render(form))
                (ways(form, "right", "What they may do", &list))
                div.actions { button.primary { "Share" } }
            }
        }
    }
}

fn hand_over(page: &Page, head: &MachineHead, view: &AccessView, form: &Form) -> Markup {
    let mut options = vec![(String::new(), "Nobody".to_owned())];
    options.extend(view.people.iter().map(|(id, name)| (id.to_string(), name.clone())));
    let keep = [("", "Nothing"), ("see", "See it"), ("use", "Use it"), ("manage", "Manage it")];
    let keep: Vec<_> = keep.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    html! {
        section.card {
            h2 { "Hand it over" }
            p { "The new owner sees it at once and may do everything with it; it counts towards their quota. Everyone it is shared with keeps their access." }
            form method="post" action=(head.at("owner")) {
                (csrf(page))
                input type="hidden" name="form" value="owner";
                @if view.people.is_empty() { (text("owner", "Login of the new owner").scope("new-").required().render(form)) }
                @else { (select(form, "owner", "New owner", &options, "")) }
                @if head.row.owner.is_some() { (select(form, "keep", "The old owner may still", &keep, "")) }
                div.actions { (yes(&ask::HAND_OVER, &head.row.name, "", html! { "Hand it over" })) }
            }
        }
    }
}
