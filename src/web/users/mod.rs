//! Admin pages for people: invite, change, unlock, deactivate.

pub mod page;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::quotas;
use crate::quotas::page::QuotaItem;
use crate::users::page::{LinkView, UserItem, UserView, UsersView};
use app::users::{NewUser, UserChange, UserView as Found};
use axum::extract::Path;
use axum::response::IntoResponse;
use base::ids::UserId;
use base::{Error, Result, Secret};
use maud::Markup;
use model::users::Role;

pub async fn list(person: Person) -> Answer<Markup> {
    Ok(page::users(&person.page(), &everybody(&person)?, &Form::new()))
}

pub fn everybody(person: &Person) -> Result<UsersView> {
    let found = person.web.app.users().list(&person.actor)?;
    let quotas = person.web.app.quotas();
    let figures = quotas.all(&person.actor)?;
    let of = |u: &Found| figures.iter().find(|q| q.user.id == u.user.id).map(quotas::item);
    let list = found.iter().filter_map(|u| Some(item(u, of(u)?))).collect();
    Ok(UsersView { list, usual: quotas.usual()? })
}

fn item(found: &Found, quota: QuotaItem) -> UserItem {
    UserItem { user: (*found.user).clone(), locked: found.locked, quota, invited_until: found.invited_until }
}

pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let view = view(&person, id(&text)?)?;
    Ok(page::user(&person.page(), &view, &Form::new()))
}

pub fn view(person: &Person, user: UserId) -> Result<UserView> {
    let figures = person.web.app.quotas().of(&person.actor, user)?;
    let usual = person.web.app.quotas().usual()?;
    let found = person.web.app.users().get(&person.actor, user)?;
    let shared = person.web.app.guests().shared_with(&person.actor, user)?;
    let shared = shared.into_iter().map(|(g, right)| (g.row.id, g.state.name.clone(), right)).collect();
    Ok(UserView {
        sessions: found.sessions,
        tokens: found.tokens,
        shared,
        own: figures.own,
        usual,
        item: item(&found, quotas::item(&figures)),
    })
}

pub async fn new_page(person: Person) -> Answer<Markup> {
    Ok(page::new_user(&person.page(), &Form::new()))
}

fn role(form: &Form) -> Result<Role> {
    match form.value("role") {
        "user" => Ok(Role::User),
        "admin" => Ok(Role::Admin),
        _ => Err(Error::field("role", "Choose user or admin.")),
    }
}

pub async fn invite(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    match invited(&person, &form).await {
        Ok(view) => Ok(page::link(&person.page(), &view).into_response()),
        Err(e) => again(&person, form, e, page::new_user),
    }
}

async fn invited(person: &Person, form: &Form) -> Result<LinkView> {
    let new = NewUser {
        login: form.value("login").to_owned(),
        name: form.value("name").to_owned(),
        email: form.value("email").to_owned(),
        role: role(form)?,
    };
    let (user, code) = person.web.app.users().invite(&person.actor, new).await?;
    link(person, user.login, user.name, code.expose(), false)
}

fn link(person: &Person, login: String, name: String, code: &str, reset: bool) -> Result<LinkView> {
    let expires = person.web.app.invites().look(code)?.expires;
    Ok(LinkView { login, name, link: Secret::new(format!("{}/invite/{code}", person.origin)), expires, reset })
}

pub async fn change(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let (user, form) = (id::<UserId>(&text)?, Form::from_pairs(form));
    let changed = match role(&form) {
        Ok(role) => {
            let change = UserChange {
                name: Some(form.value("name").to_owned()),
                email: Some(form.value("email").to_owned()),
                role: Some(role),
                active: None,
            };
            person.web.app.users().change(&person.actor, user, change).await
        }
        Err(e) => Err(e),
    };
    match changed {
        Ok(()) => Ok(finished(&person, &format!("/users/{user}"), "Saved.")),
        Err(e) => {
            let view = view(&person, user)?;
            again(&person, form, e, |p, form| page::user(p, &view, form))
        }
    }
}

/// The buttons of a user's page.
pub async fn act(person: Person, Path((text, action)): Path<(String, String)>, _: Checked<Pairs>) -> Answer {
    let user = id::<UserId>(&text)?;
    let (users, back) = (person.web.app.users(), format!("/users/{user}"));
    let active = |active| UserChange { active: Some(active), ..UserChange::default() };
    let (result, said) = match action.as_str() {
        "deactivate" if person.actor.user_id() == Some(user) => {
            (Err(Error::conflict("You can't deactivate yourself. Ask another admin.")), "")
        }
        "deactivate" => {
            (users.change(&person.actor, user, active(false)).await, "Deactivated, and signed out everywhere.")
        }
        "activate" => (users.change(&person.actor, user, active(true)).await, "They can sign in again."),
        "unlock" => (users.unlock(&person.actor, user).await, "Unlocked."),
        "reset-link" => return reset_link(&person, user).await,
        _ => return Err(Error::not_found("There is nothing at this address.").into()),
    };
    match result {
        Ok(()) => Ok(finished(&person, &back, said)),
        Err(e) => refused(&person, &back, e),
    }
}

async fn reset_link(person: &Person, user: UserId) -> Answer {
    let users = person.web.app.users();
    let code = users.reset_link(&person.actor, user).await?;
    let found = users.get(&person.actor, user)?.user;
    let view = link(person, found.login.clone(), found.name.clone(), code.expose(), found.password_set.is_some())?;
    Ok(page::link(&person.page(), &view).into_response())
}
