//! The way in and out: first set-up, sign-in, invite and reset links, sign-out.

pub mod page;
pub mod rest;

use crate::door::cookies;
use crate::door::cookies::Name;
use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, safe_next};
use crate::door::problem::Answer;
use crate::door::visit::{Person, Visit};
use crate::frame::Form;
use app::sessions::SignedIn;
use axum::extract::{Path, Query};
use axum::response::Response;
use base::{Error, Result, Secret};
use http::header;
use maud::Markup;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Next {
    #[serde(default)]
    next: String,
}

pub async fn sign_in_page(visit: Visit, Query(query): Query<Next>) -> Answer<Markup> {
    let form = if query.next.is_empty() { Form::new() } else { Form::new().set("next", safe_next(&query.next)) };
    Ok(page::sign_in(&visit.page(), &form))
}

#[derive(Debug, Deserialize)]
pub struct SignIn {
    #[serde(default)]
    login: String,
    password: Secret<String>,
    #[serde(default)]
    next: String,
}

pub async fn sign_in(Checked { visit, form }: Checked<SignIn>) -> Answer {
    let (app, address) = (&visit.web.app, visit.address_text());
    match app.sessions().sign_in(&form.login, form.password, &visit.device, &address).await {
        Ok(signed_in) => Ok(enter(&visit, &signed_in, safe_next(&form.next))),
        Err(e) => {
            let mut typed = Form::new().set("login", form.login);
            if !form.next.is_empty() {
                typed = typed.set("next", safe_next(&form.next));
            }
            again(&visit, typed, e, page::sign_in)
        }
    }
}

/// The session's cookie and the way on.
fn enter(visit: &Visit, signed_in: &SignedIn, to: &str) -> Response {
    let mut response = visit.done(to, "");
    visit.set_cookie(&mut response, Name::Session, signed_in.cookie.expose(), Some(signed_in.expires));
    response
}

pub async fn sign_out(person: Person, _: Checked<Pairs>) -> Answer {
    person.web.app.sessions().sign_out(&person.actor).await?;
    let mut response = person.done("/sign-in", "You are signed out.");
    if let Some(cleared) = cookies::clear(Name::Session, person.web.options().secure) {
        response.headers_mut().append(header::SET_COOKIE, cleared);
    }
    Ok(response)
}

pub async fn setup_page(visit: Visit) -> Answer<Markup> {
    Ok(page::setup(&visit.page(), &Form::new()))
}

#[derive(Debug, Deserialize)]
pub struct Setup {
    #[serde(default)]
    code: Secret<String>,
    #[serde(default)]
    login: String,
    #[serde(default)]
    name: String,
    password: Secret<String>,
    again: Secret<String>,
}

pub async fn setup(Checked { visit, form }: Checked<Setup>) -> Answer {
    match first_admin(&visit, &form).await {
        Ok(signed_in) => Ok(enter(&visit, &signed_in, "/")),
        Err(e) => {
            let typed =
                Form::new().set("code", form.code.expose().as_str()).set("login", form.login).set("name", form.name);
            again(&visit, typed, e, page::setup)
        }
    }
}

async fn first_admin(visit: &Visit, form: &Setup) -> Result<SignedIn> {
    same(&form.password, &form.again)?;
    let (app, address) = (&visit.web.app, visit.address_text());
    let password = form.password.clone();
    let signed_in = app.setup().first_admin(form.code.expose(), &form.login, password, &visit.device, &address).await?;
    if !form.name.trim().is_empty() {
        let actor = app.sessions().authenticate(signed_in.cookie.expose(), &address)?;
        app.users().change_own(&actor, &form.name, "").await?;
    }
    Ok(signed_in)
}

/// # Errors
/// `Invalid` on `again`.
pub fn same(password: &Secret<String>, again: &Secret<String>) -> Result<()> {
    if password.matches(again.expose().as_bytes()) {
        Ok(())
    } else {
        Err(Error::field("again", "This is not the same password. Type it twice."))
    }
}

pub async fn invite_page(visit: Visit, Path(code): Path<String>) -> Answer<Markup> {
    Ok(page::invite(&visit.page(), &invite_view(&visit, &code)?, &Form::new()))
}

#[derive(Debug, Deserialize)]
pub struct NewPassword {
    password: Secret<String>,
    again: Secret<String>,
}

pub async fn invite(Path(code): Path<String>, Checked { visit, form }: Checked<NewPassword>) -> Answer {
    let view = invite_view(&visit, &code)?;
    let accepted = match same(&form.password, &form.again) {
        Ok(()) => visit.web.app.invites().accept(&code, form.password, &visit.device, &visit.address_text()).await,
        Err(e) => Err(e),
    };
    match accepted {
        Ok(signed_in) => Ok(enter(&visit, &signed_in, "/")),
        Err(e) => again(&visit, Form::new(), e, |p, form| page::invite(p, &view, form)),
    }
}

fn invite_view(visit: &Visit, code: &str) -> Result<page::InviteView> {
    let found = visit.web.app.invites().look(code)?;
    Ok(page::InviteView {
        action: format!("/invite/{code}"),
        login: found.user.login.clone(),
        name: found.user.name.clone(),
        expires: found.expires,
        reset: found.reset,
    })
}
