//! The access tab: sharing a machine, taking that back, handing it over.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::guests::one::{find, head};
use crate::guests::sharing::page::{AccessView, GrantItem};
use axum::extract::Path;
use base::ids::UserId;
use base::{Error, Result};
use maud::Markup;
use model::access::GuestRight;

pub async fn show(person: Person, Path(text): Path<String>) -> Answer<Markup> {
    let guest = find(&person, &text)?;
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
    let items = |all: Vec<app::guests::sharing::GrantView>| {
        let one = |g: app::guests::sharing::GrantView| GrantItem {
            user: g.user,
            login: g.login,
            name: g.name,
            right: g.right,
            by: g.by,
            at: g.at,
        };
        all.into_iter().map(one).collect()
    };
    let all = if actor.is_admin() { app.people().all() } else { Vec::new() };
    let words = |name: &str, login: &str| if name == login { login.to_owned() } else { format!("{name} ({login})") };
    let mine = actor.user_id().is_some_and(|me| app.grants().right(guest.row.id, me).is_some());
    Ok(AccessView {
        right,
        shared_with_me: mine && !actor.is_admin(),
        grants: grants.map(items),
        may_hand_over: app.guests().may_hand_over(actor, guest),
        people: all.iter().filter(|u| u.active).map(|u| (u.id, words(&u.name, &u.login))).collect(),
    })
}

/// The tab again with what was wrong.
fn refuse(person: &Person, text: &str, form: Form, e: Error) -> Answer {
    let guest = find(person, text)?;
    let (head, view) = (head(person, &guest)?, view(person, &guest)?);
    again(person, form, e, |p, form| page::access(p, &head, &view, form))
}

fn back(text: &str) -> String {
    format!("/machines/{text}/access")
}

pub async fn share(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    match shared(&person, &text, &form).await {
        Ok(said) => Ok(finished(&person, &back(&text), &said)),
        Err(e) => refuse(&person, &text, form, e),
    }
}

async fn shared(person: &Person, text: &str, form: &Form) -> Result<String> {
    let guests = person.web.app.guests();
    let guest = find(person, text)?;
    let right = GuestRight::parse(form.value("right"));
    let right = right.ok_or_else(|| Error::field("right", "Choose see, use or manage."))?;
    let with = guests.person_for_sharing(&person.actor, guest.row.id, form.value("login"))?;
    let grant = guests.share(&person.actor, guest.row.id, with, right).await?;
    Ok(format!("{} may now {} it.", grant.login, grant.right.name()))
}

/// Stops sharing it with somebody; without a name, gives back what was shared with the person who asks.
pub async fn unshare(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let (guest, form) = (find(&person, &text)?, Form::from_pairs(form));
    let own = form.value("user").is_empty();
    let user = match own {
        true => person.actor.require_person()?,
        false => crate::door::forms::id::<UserId>(form.value("user"))?,
    };
    match person.web.app.guests().unshare(&person.actor, guest.row.id, user).await {
        Ok(()) if own => Ok(finished(&person, "/machines", "It is no longer shared with you.")),
        Ok(()) => Ok(finished(&person, &back(&text), "It is no longer shared with them.")),
        Err(e) => refused(&person, &back(&text), e),
    }
}

pub async fn owner(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    match handed_over(&person, &text, &form).await {
        // The old owner may have kept nothing.
        Ok(()) if find(&person, &text).is_err() => Ok(finished(&person, "/machines", "Handed over.")),
        Ok(()) => Ok(finished(&person, &back(&text), "Handed over.")),
        Err(e) => refuse(&person, &text, form, e),
    }
}

async fn handed_over(person: &Person, text: &str, form: &Form) -> Result<()> {
    let guests = person.web.app.guests();
    let guest = find(person, text)?;
    let keep = GuestRight::parse(form.value("keep"));
    let owner = match form.value("owner") {
        "" if person.actor.is_admin() => None,
        "" => return Err(Error::field("owner", "Enter the login of the new owner.")),
        text => {
            let named = guests.person_for_sharing(&person.actor, guest.row.id, text);
            Some(named.map_err(|_| Error::field("owner", "There is nobody with this login."))?)
        }
    };
    guests.set_owner(&person.actor, guest.row.id, owner, keep).await
}
