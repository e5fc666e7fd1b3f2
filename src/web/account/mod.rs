//! A person's own page: name, theme, keys, password, sessions, API tokens.

pub mod page;
pub mod rest;
pub mod tokens;
pub mod tokens_page;

use crate::account::page::ProfileView;
use crate::account::tokens_page::{SessionItem, TokenItem};
use crate::door::cookies;
use crate::door::cookies::{Name, parse_theme};
use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id, number, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::quotas;
use crate::sign_in::same;
use axum::extract::Path;
use axum::response::IntoResponse;
use base::ids::{SessionId, TokenId};
use base::{Error, Result, Secret};
use http::header;
use maud::Markup;
use model::sessions::Scope;
use serde::Deserialize;

const HOME: &str = "/profile";

pub async fn show(person: Person) -> Answer<Markup> {
    Ok(page::profile(&person.page(), &view(&person, None)?, &Form::new()))
}

fn view(person: &Person, new_token: Option<Secret<String>>) -> Result<ProfileView> {
    let (app, actor) = (&person.web.app, &person.actor);
    let user = app.people().get(actor.require_person()?).ok_or_else(|| Error::unauthenticated("Please sign in."))?;
    let sessions = app.sessions().list(actor)?.into_iter().map(|s| SessionItem {
        id: s.id,
        device: s.device,
        address: s.address,
        created: s.created,
        last_seen: s.last_seen,
        current: s.current,
    });
    let tokens = app.tokens().list(actor)?.into_iter().map(|t| TokenItem {
        id: t.id,
        name: t.name,
        scope: t.scope,
        created: t.created,
        expires: t.expires,
        last_used: t.last_used,
    });
    Ok(ProfileView {
        user: (*user).clone(),
        prefs: app.account().prefs(actor)?,
        sessions: sessions.collect(),
        tokens: tokens.collect(),
        new_token,
        quota: quotas::mine(person)?,
    })
}

/// The page again with what was wrong.
fn refuse(person: &Person, form: Form, e: Error) -> Answer {
    let view = view(person, None)?;
    again(person, form, e, |p, form| page::profile(p, &view, form))
}

pub async fn change(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    match changed(&person, &form).await {
        Ok(()) => Ok(finished(&person, HOME, "Saved.")),
        Err(e) => refuse(&person, form, e),
    }
}

async fn changed(person: &Person, form: &Form) -> Result<()> {
    let (app, actor) = (&person.web.app, &person.actor);
    let mut prefs = app.account().prefs(actor)?;
    prefs.language = Some(form.value("language").to_owned()).filter(|l| !l.is_empty());
    app.users().change_own(actor, form.value("name"), form.value("email")).await?;
    app.account().set_prefs(actor, prefs).await
}

pub async fn keys(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    let profile = person.web.app.account();
    let mut prefs = profile.prefs(&person.actor)?;
    prefs.ssh_keys = form.value("ssh_keys").replace('\r', "");
    match profile.set_prefs(&person.actor, prefs).await {
        Ok(()) => Ok(finished(&person, HOME, "Your keys are saved. New machines get them.")),
        Err(e) => refuse(&person, form, e),
    }
}

/// Stored for the person, and in a cookie for the pages before the sign-in.
pub async fn theme(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
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
    let changed = match same(&form.password, &form.again) {
        Ok(()) => person.web.app.sessions().change_password(&person.actor, form.current, form.password).await,
        Err(e) => Err(e),
    };
    match changed {
        Ok(()) => Ok(finished(&person, HOME, "The password is changed. Your other browsers are signed out.")),
        Err(e) => refuse(&person, Form::new(), e),
    }
}

pub async fn revoke_session(person: Person, Path(text): Path<String>, _: Checked<Pairs>) -> Answer {
    person.web.app.sessions().revoke(&person.actor, id::<SessionId>(&text)?).await?;
    Ok(finished(&person, HOME, "That browser is signed out."))
}

pub async fn revoke_others(person: Person, _: Checked<Pairs>) -> Answer {
    let sessions = person.web.app.sessions();
    let others: Vec<_> = sessions.list(&person.actor)?.into_iter().filter(|s| !s.current).collect();
    for session in &others {
        sessions.revoke(&person.actor, session.id).await?;
    }
    Ok(finished(&person, HOME, "All other browsers and programs are signed out."))
}

/// Makes a token; the page shows it this once, so it is not a redirect.
pub async fn new_token(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    match make_token(&person, &form).await {
        Ok(text) => Ok(page::profile(&person.page(), &view(&person, Some(text))?, &Form::new()).into_response()),
        Err(e) => refuse(&person, form, e),
    }
}

async fn make_token(person: &Person, form: &Form) -> Result<Secret<String>> {
    let scope = match form.value("scope") {
        "read" => Scope::Read,
        "operate" => Scope::Operate,
        "full" => Scope::Full,
        _ => return Err(Error::field("scope", "Choose what the token may do.")),
    };
    let days = Some(number::<u32>(form, "days")?).filter(|d| *d > 0);
    let made = person.web.app.tokens().create(&person.actor, form.value("token_name"), scope, days).await;
    // The page has a field "name" for the person already.
    made.map(|(_, text)| text).map_err(|e| match e.fields().get("name").cloned() {
        Some(text) => Error::field("token_name", text),
        None => e,
    })
}

/// Gives a token a new text; the page shows it this once, so it is not a redirect.
pub async fn rotate_token(person: Person, Path(text): Path<String>, _: Checked<Pairs>) -> Answer {
    match person.web.app.tokens().rotate(&person.actor, id::<TokenId>(&text)?, None).await {
        Ok((_, text)) => Ok(page::profile(&person.page(), &view(&person, Some(text))?, &Form::new()).into_response()),
        Err(e) => refused(&person, HOME, e),
    }
}

pub async fn revoke_token(person: Person, Path(text): Path<String>, _: Checked<Pairs>) -> Answer {
    match person.web.app.tokens().revoke(&person.actor, id::<TokenId>(&text)?).await {
        Ok(()) => Ok(finished(&person, HOME, "The token has been revoked.")),
        Err(e) => refused(&person, HOME, e),
    }
}
