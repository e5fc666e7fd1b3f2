//! The part of the profile about getting in: sessions and API tokens.

use crate::frame::Page;
use crate::frame::ask;
use crate::frame::form::{Form, csrf, select, text};
use crate::frame::parts::{commands, icon, note, state, time};
use app::sessions::SessionView;
use app::tokens::TokenView;
use base::Secret;
use maud::{Markup, html};

pub fn sessions(page: &Page, list: &[SessionView]) -> Markup {
    html! {
        section.card id="sessions" {
            header.split { h2 { "Where you are signed in" } @if list.len() > 1 { (ask::button(page, "/profile/sessions/revoke-others", &ask::SIGN_OUT_OTHERS, "", "quiet")) } }
            ul.list { @for s in list {
                li {
                    (icon("machines"))
                    div { strong { (s.device) } @if s.current { " " (state("ok", "this one")) }
                        small { (s.address) ", seen " (time(page, s.last_seen)) ", since " (time(page, s.created)) } }
                    @if !s.current { (ask::button(page, &format!("/profile/sessions/{}/revoke", s.id), &ask::SIGN_OUT, &s.device, "quiet")) }
                }
            } }
        }
    }
}

pub fn tokens(page: &Page, list: &[TokenView], fresh: Option<&Secret<String>>, form: &Form) -> Markup {
    html! {
        section.card id="tokens" {
            h2 { "API tokens" }
            p.dim { "For programs that talk to " code { "/api/v1" } ". A token acts as you, within its scope, and can be revoked at any time. Renewing replaces its text; the old one stops working at once." }
            @if let Some(token) = fresh {
                (note("ok", html! { p { strong { "Your new token." } " Copy it now: it is not shown again." } (commands(token.expose())) }))
            }
            @if !list.is_empty() {
                ul.list { @for t in list {
                    li {
                        (icon("key"))
                        div { strong { (t.name) } " " span.tag { (t.scope.name()) }
                            small {
                                @match t.last_used { Some(at) => { "used " (time(page, at)) }, None => "never used" }
                                ", created " (time(page, t.created))
                                @match t.expires { Some(at) => { ", expires " (time(page, at)) }, None => ", never expires" }
                            } }
                        (ask::button(page, &format!("/profile/tokens/{}/rotate", t.id), &ask::RENEW_TOKEN, &t.name, "quiet"))
                        (ask::button(page, &format!("/profile/tokens/{}/revoke", t.id), &ask::REVOKE_TOKEN, &t.name, "quiet"))
                    }
                } }
            }
            details.fold open[form.any_error(&["token_name", "scope", "days"])] {
                summary { "Create a token" }
                (new_token(page, form))
            }
        }
    }
}

fn new_token(page: &Page, form: &Form) -> Markup {
    let scopes = [
        ("read", "Read: view only"),
        ("operate", "Operate: view, and act on machines and jobs"),
        ("full", "Full: everything that you may do"),
    ];
    let days = [("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("0", "no end")];
    let list =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    html! {
        form method="post" action="/profile/tokens" {
            (csrf(page))
            (text("token_name", "What it is for").required().hint("For example: backup script, Home Assistant.").render(form))
            div.pair {
                (select(form, "scope", "What it may do", &list(&scopes), ""))
                (select(form, "days", "Valid for", &list(&days), ""))
            }
            div.actions { button.primary { "Create the token" } }
        }
    }
}
