//! The way in and out: first set-up, sign-in, invite and reset links, sign-out.

pub mod page;
pub mod rest;

use crate::door::cookies;
use crate::door::cookies::Name;
use crate::door::csrf::Checked;
use crate::door::forms::{safe_next, submit};
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
    let SignIn { login, password, next } = form;
    let mut typed = Form::new().set("login", login.as_str());
    if !next.is_empty() {
        typed = typed.set("next", safe_next(&next));
    }
    let entered = async {
        let signed_in = app.sessions().sign_in(&login, password, &visit.device, &address).await?;
        Ok(enter(&visit, &signed_in, safe_next(&next)))
    };
    submit(&visit, &typed, entered, async |p, form| Ok(page::sign_in(&p, &form))).await
}

/// The session's cookie and the way on.
fn enter(visit: &Visit, signed_in: &SignedIn, to: &str) -> Response {
    let mut response = visit.done(to, "");
    visit.set_cookie(&mut response, Name::Session, signed_in.cookie.expose(), Some(signed_in.expires));
    response
}

pub async fn sign_out(person: Person, _: Checked) -> Answer {
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
    let typed = [("code", form.code.expose()), ("login", &form.login), ("name", &form.name)];
    let typed = Form::from_pairs(typed.map(|(field, text)| (field, text.as_str())));
    let entered = async { Ok(enter(&visit, &first_admin(&visit, &form).await?, "/")) };
    submit(&visit, &typed, entered, async |p, form| Ok(page::setup(&p, &form))).await
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
    let NewPassword { password, again } = form;
    let accepted = async {
        same(&password, &again)?;
        let invites = visit.web.app.invites();
        Ok(enter(&visit, &invites.accept(&code, password, &visit.device, &visit.address_text()).await?, "/"))
    };
    submit(&visit, &Form::new(), accepted, async |p, form| Ok(page::invite(&p, &view, &form))).await
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
