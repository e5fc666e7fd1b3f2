//! A person's own page: name, theme, keys, password, sessions, API tokens.

pub mod page;
pub mod rest;
pub mod tokens;
pub mod tokens_page;

use crate::account::page::ProfileView;
use crate::account::tokens::TokenCreate;
use crate::door::cookies;
use crate::door::cookies::{Name, parse_theme};
use crate::door::csrf::Checked;
use crate::door::forms::{finished, id, press, submit};
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::frame::Form;
use crate::quotas;
use crate::rest::reading::Node;
use crate::sign_in::same;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use base::ids::{SessionId, TokenId};
use base::{Error, Result, Secret};
use http::header;
use maud::Markup;
use model::prefs::Prefs;
use serde::Deserialize;

const HOME: &str = "/profile";

pub async fn show(person: Person) -> Answer<Markup> {
    Ok(page::profile(&person.page(), &view(&person, None)?, &Form::new()))
}

fn view(person: &Person, new_token: Option<Secret<String>>) -> Result<ProfileView> {
    let (app, actor) = (&person.web.app, &person.actor);
    let user = app.people().get(actor.require_person()?).ok_or_else(|| Error::unauthenticated("Please sign in."))?;
    Ok(ProfileView {
        user: (*user).clone(),
        prefs: app.account().prefs(actor)?,
        sessions: app.sessions().list(actor)?,
        tokens: app.tokens().list(actor)?,
        new_token,
        quota: quotas::mine(person)?,
    })
}

/// Answers a form of this page.
async fn answer(person: &Person, form: &Form, asked: impl Future<Output = Result<Response>>) -> Answer {
    submit(person, form, asked, async |p, form| Ok(page::profile(&p, &view(person, None)?, &form))).await
}

/// What somebody may change of themselves.
#[derive(Debug, Deserialize)]
struct OwnChange {
    name: String,
    email: String,
    /// Empty: as the browser has it.
    language: Option<String>,
}

pub async fn change(person: Person, Checked { form, .. }: Checked) -> Answer {
    let (app, actor) = (&person.web.app, &person.actor);
    let changed = async {
        let OwnChange { name, email, language } = form.read()?;
        let prefs = Prefs { language, ..app.account().prefs(actor)? };
        app.users().change_own(actor, &name, &email).await?;
        app.account().set_prefs(actor, prefs).await?;
        Ok(finished(&person, HOME, "Saved."))
    };
    answer(&person, &form, changed).await
}

pub async fn keys(person: Person, Checked { form, .. }: Checked) -> Answer {
    let account = person.web.app.account();
    let saved = async {
        let ssh_keys = form.value("ssh_keys").replace('\r', "");
        account.set_prefs(&person.actor, Prefs { ssh_keys, ..account.prefs(&person.actor)? }).await?;
        Ok(finished(&person, HOME, "Your keys are saved. New machines get them."))
    };
    answer(&person, &form, saved).await
}

/// Stored for the person, and in a cookie for the pages before the sign-in.
pub async fn theme(person: Person, Checked { form, .. }: Checked) -> Answer {
    let word = form.value("theme");
    let theme = parse_theme(word).ok_or_else(|| Error::field("theme", "Choose system, light or dark."))?;
    let profile = person.web.app.account();
    let mut prefs = profile.prefs(&person.actor)?;
    prefs.theme = theme;
    profile.set_prefs(&person.actor, prefs).await?;
    let mut response = finished(&person, HOME, "");
    let year = person.web.now().plus(std::time::Duration::from_secs(365 * 86_400));
    if let Some(value) = cookies::set(Name::Theme, word, Some(year), person.web.now(), person.web.options().secure) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    Ok(response)
}

#[derive(Debug, Deserialize)]
pub struct Passwords {
    current: Secret<String>,
    password: Secret<String>,
    again: Secret<String>,
}

pub async fn password(person: Person, Checked { form, .. }: Checked<Passwords>) -> Answer {
    let Passwords { current, password, again } = form;
    let changed = async {
        same(&password, &again)?;
        person.web.app.sessions().change_password(&person.actor, current, password).await?;
        Ok(finished(&person, HOME, "The password is changed. Your other browsers are signed out."))
    };
    answer(&person, &Form::new(), changed).await
}

pub async fn revoke_session(person: Person, Id(id): Id<SessionId>, _: Checked) -> Answer {
    person.web.app.sessions().revoke(&person.actor, id).await?;
    Ok(finished(&person, HOME, "That browser is signed out."))
}

pub async fn revoke_others(person: Person, _: Checked) -> Answer {
    let sessions = person.web.app.sessions();
    let others: Vec<_> = sessions.list(&person.actor)?.into_iter().filter(|s| !s.current).collect();
    for session in &others {
        sessions.revoke(&person.actor, session.id).await?;
    }
    Ok(finished(&person, HOME, "All other browsers and programs are signed out."))
}

/// Makes a token; the page shows it this once, so it is not a redirect.
pub async fn new_token(person: Person, Checked { form, .. }: Checked) -> Answer {
    let made = async {
        let TokenCreate { name, scope, days } = wanted_token(&form)?;
        let (_, text) = person.web.app.tokens().create(&person.actor, &name, scope, days).await.map_err(in_form)?;
        shown_once(&person, text)
    };
    answer(&person, &form, made).await
}

/// The page has a field "name" for the person already, so the token's is another one; 0 days are no end.
fn wanted_token(form: &Form) -> Result<TokenCreate> {
    let name = form.node().with("name", Node::word(form.value("token_name")));
    let days = Some(form.value("days")).filter(|days| *days != "0").unwrap_or_default();
    name.with("days", Node::word(days)).read().map_err(in_form)
}

fn in_form(e: Error) -> Error {
    e.rename_fields(|field| if field == "name" { "token_name" } else { field }.to_owned())
}

fn shown_once(person: &Person, text: Secret<String>) -> Result<Response> {
    Ok(page::profile(&person.page(), &view(person, Some(text))?, &Form::new()).into_response())
}

/// Gives a token a new text; the page shows it this once, so it is not a redirect.
pub async fn rotate_token(person: Person, Path(text): Path<String>, _: Checked) -> Answer {
    let rotated = async {
        let (_, text) = person.web.app.tokens().rotate(&person.actor, id::<TokenId>(&text)?, None).await?;
        shown_once(&person, text)
    };
    press(&person, HOME, rotated).await
}

pub async fn revoke_token(person: Person, Id(id): Id<TokenId>, _: Checked) -> Answer {
    let revoked = async {
        person.web.app.tokens().revoke(&person.actor, id).await?;
        Ok(finished(&person, HOME, "The token has been revoked."))
    };
    press(&person, HOME, revoked).await
}
