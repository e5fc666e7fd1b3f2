//! Admin pages for people: invite, change, unlock, deactivate.

pub mod page;

use crate::door::csrf::Checked;
use crate::door::forms::{finished, id, press, submit};
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::frame::Form;
use crate::quotas;
use crate::quotas::page::QuotaItem;
use crate::users::page::{LinkView, UserItem, UserView, UsersView};
use app::users::{UserChange, UserView as Found};
use axum::extract::Path;
use axum::response::IntoResponse;
use base::ids::UserId;
use base::{Error, Result, Secret};
use maud::Markup;

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

pub async fn invite(person: Person, Checked { form, .. }: Checked) -> Answer {
    let invited = async {
        let (user, code) = person.web.app.users().invite(&person.actor, form.read()?).await?;
        let view = link(&person, user.login, user.name, code.expose(), false)?;
        Ok(page::link(&person.page(), &view).into_response())
    };
    submit(&person, &form, invited, async |p, form| Ok(page::new_user(&p, &form))).await
}

fn link(person: &Person, login: String, name: String, code: &str, reset: bool) -> Result<LinkView> {
    let expires = person.web.app.invites().look(code)?.expires;
    Ok(LinkView { login, name, link: Secret::new(format!("{}/invite/{code}", person.origin)), expires, reset })
}

pub async fn change(person: Person, Id(user): Id<UserId>, Checked { form, .. }: Checked) -> Answer {
    let changed = async {
        person.web.app.users().change(&person.actor, user, form.read()?).await?;
        Ok(finished(&person, &format!("/users/{user}"), "Saved."))
    };
    submit(&person, &form, changed, async |p, form| Ok(page::user(&p, &view(&person, user)?, &form))).await
}

/// The buttons of a user's page.
pub async fn act(person: Person, Path((text, action)): Path<(String, String)>, _: Checked) -> Answer {
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
    press(&person, &back, async { result.map(|()| finished(&person, &back, said)) }).await
}

async fn reset_link(person: &Person, user: UserId) -> Answer {
    let users = person.web.app.users();
    let code = users.reset_link(&person.actor, user).await?;
    let found = users.get(&person.actor, user)?.user;
    let view = link(person, found.login.clone(), found.name.clone(), code.expose(), found.password_set.is_some())?;
    Ok(page::link(&person.page(), &view).into_response())
}
