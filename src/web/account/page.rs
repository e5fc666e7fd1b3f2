//! What belongs to the person: name, password, theme, keys, where they are signed in, API tokens.

use crate::account::tokens_page::{sessions, tokens};
use crate::frame::form::{Form, area, csrf, email, password, select, text, trouble};
use crate::frame::parts::icon;
use crate::frame::{Page, layout};
use crate::quotas::page as quotas;
use crate::quotas::page::QuotaItem;
use app::sessions::SessionView;
use app::tokens::TokenView;
use base::Secret;
use maud::{Markup, html};
use model::prefs::{Prefs, Theme};
use model::users::User;

#[derive(Clone, Debug)]
pub struct ProfileView {
    pub user: User,
    pub prefs: Prefs,
    pub sessions: Vec<SessionView>,
    pub tokens: Vec<TokenView>,
    /// A token that was just made: shown once.
    pub new_token: Option<Secret<String>>,
    /// What their machines have, and how much they may have.
    pub quota: QuotaItem,
}

pub fn profile(page: &Page, view: &ProfileView, form: &Form) -> Markup {
    let u = &view.user;
    let main = html! {
        (layout::head("Profile", html! { (u.login) ", " (u.role.name()) }, html! {}))
        (trouble(form))
        div.cols.even {
            div.stack { (person(page, view, form)) (looks(page, view)) (keys(page, view, form)) (quotas::card(Some(&view.quota), "Your quota")) }
            div.stack { (pass(page, form)) (sessions(page, &view.sessions)) (tokens(page, &view.tokens, view.new_token.as_ref(), form)) }
        }
    };
    layout::page(page, "Profile", main)
}

fn person(page: &Page, view: &ProfileView, form: &Form) -> Markup {
    let u = &view.user;
    let languages = [("en".to_owned(), "English".to_owned())];
    let chosen = view.prefs.language.as_deref().unwrap_or("en");
    let values = if form.has("language") { form.clone() } else { form.clone().set("language", chosen) };
    html! {
        section.card { h2 { "You" }
            form method="post" action="/profile" {
                (csrf(page))
                (text("name", "Name").default(&u.name).complete("name").render(form))
                (email("email", "E-mail").default(u.email.as_deref().unwrap_or_default()).render(form))
                (select(&values, "language", "Language", &languages, "More to come."))
                div.actions { button.primary { "Save" } }
            }
        }
    }
}

fn looks(page: &Page, view: &ProfileView) -> Markup {
    let list = [
        (Theme::System, "system", "Same as the system", "system"),
        (Theme::Light, "light", "Light", "sun"),
        (Theme::Dark, "dark", "Dark", "moon"),
    ];
    html! {
        section.card { h2 { "Theme" }
            form method="post" action="/profile/theme" data-theme-form {
                (csrf(page))
                span.seg role="group" aria-label="Theme" {
                    @for (theme, value, word, picture) in list {
                        button name="theme" value=(value) aria-pressed=(if view.prefs.theme == theme { "true" } else { "false" }) { (icon(picture)) (word) }
                    }
                }
            }
        }
    }
}

fn keys(page: &Page, view: &ProfileView, form: &Form) -> Markup {
    html! {
        section.card { h2 { "SSH keys" }
            form method="post" action="/profile/keys" {
                (csrf(page))
                (area("ssh_keys", "Public keys", 4).mono().default(&view.prefs.ssh_keys)
                    .hint("One per line, as in authorized_keys. New machines get them, so you can sign in there.").render(form))
                div.actions { button { "Save keys" } }
            }
        }
    }
}

fn pass(page: &Page, form: &Form) -> Markup {
    html! {
        section.card { h2 { "Password" }
            form method="post" action="/profile/password" {
                (csrf(page))
                (password("current", "Current password", "current-password").render(form))
                (password("password", "New password", "new-password").hint("At least 10 characters. A few unrelated words are easy to remember.").render(form))
                (password("again", "Repeat new password", "new-password").render(form))
                div.actions { button { "Change password" } }
            }
        }
    }
}
