//! The access tab: sharing a machine, taking that back, handing it over.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{finished, press, submit};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::guests::one::{Machine, find, head};
use crate::guests::sharing::page::AccessView;
use crate::guests::sharing::rest::GrantPut;
use axum::extract::Path;
use axum::response::Response;
use base::Result;
use base::ids::UserId;
use maud::Markup;
use model::access::GuestRight;
use model::guests::actions::Give;

pub async fn show(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    let owner = guest.row.owner.map(|o| o.to_string()).unwrap_or_default();
    let form =
        Form::new().set("form", "owner").set("owner", if person.actor.is_admin() { owner } else { String::new() });
    Ok(page::access(&person.page(), &head(&person, &guest)?, &view(&person, &guest)?, &form))
}

fn view(person: &Person, guest: &app::live::GuestLive) -> Result<AccessView> {
    let (app, actor) = (&person.web.app, &person.actor);
    let right = actor.person_right(&guest.row).unwrap_or(GuestRight::See);
    let shared = || app.guests().shared(actor, guest.row.id);
    let grants = (right == GuestRight::Manage).then(shared).transpose()?;
    let all = if actor.is_admin() { app.people().all() } else { Vec::new() };
    let words = |name: &str, login: &str| if name == login { login.to_owned() } else { format!("{name} ({login})") };
    let mine = actor.user_id().is_some_and(|me| app.grants().right(guest.row.id, me).is_some());
    Ok(AccessView {
        right,
        shared_with_me: mine && !actor.is_admin(),
        grants,
        may_hand_over: app.guests().may_hand_over(actor, guest),
        people: all.iter().filter(|u| u.active).map(|u| (u.id, words(&u.name, &u.login))).collect(),
    })
}

/// Answers a form of this tab.
async fn answer(person: &Person, text: &str, form: &Form, asked: impl Future<Output = Result<Response>>) -> Answer {
    let redraw = async |p, form| {
        let guest = find(person, text)?;
        Ok(page::access(&p, &head(person, &guest)?, &view(person, &guest)?, &form))
    };
    submit(person, form, asked, redraw).await
}

fn back(text: &str) -> String {
    format!("/machines/{text}/access")
}

pub async fn share(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked) -> Answer {
    let shared = async {
        let guests = person.web.app.guests();
        let guest = find(&person, &text)?;
        let GrantPut { right } = form.read()?;
        let with = guests.person_for_sharing(&person.actor, guest.row.id, "login", form.value("login"))?;
        let grant = guests.share(&person.actor, guest.row.id, with, right).await?;
        Ok(finished(&person, &back(&text), &format!("{} may now {} it.", grant.login, grant.right.name())))
    };
    answer(&person, &text, &form, shared).await
}

/// Stops sharing it with somebody; without a name, gives back what was shared with the person who asks.
pub async fn unshare(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked) -> Answer {
    let guest = find(&person, &text)?;
    let own = form.value("user").is_empty();
    let user = match own {
        true => person.actor.require_person()?,
        false => crate::door::forms::id::<UserId>(form.value("user"))?,
    };
    let unshared = async {
        person.web.app.guests().unshare(&person.actor, guest.row.id, user).await?;
        Ok(match own {
            true => finished(&person, "/machines", "It is no longer shared with you."),
            false => finished(&person, &back(&text), "It is no longer shared with them."),
        })
    };
    press(&person, &back(&text), unshared).await
}

pub async fn owner(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked) -> Answer {
    let handed_over = async {
        let guest = find(&person, &text)?;
        let give: Give = form.read()?;
        Box::pin(person.web.app.guests().request_action(&person.actor, guest.row.id, give)).await?;
        // The old owner may have kept nothing.
        let to = if find(&person, &text).is_ok() { back(&text) } else { "/machines".to_owned() };
        Ok(finished(&person, &to, "Handed over."))
    };
    answer(&person, &text, &form, handed_over).await
}
