//! Setting quotas, and the figures for pages.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id, maybe_number};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::quotas::page::QuotaItem;
use crate::users::page as users_page;
use crate::users::{everybody, view};
use app::quotas::QuotaView;
use axum::extract::Path;
use base::ids::UserId;
use base::{Error, Result};
use model::quotas::{Allowance, Quota, Resource, UserQuota};

pub fn item(view: &QuotaView) -> QuotaItem {
    QuotaItem { used: view.used, quota: view.quota }
}

/// The person's own figures.
pub fn mine(person: &Person) -> Result<QuotaItem> {
    Ok(item(&person.web.app.quotas().mine(&person.actor)?))
}

/// Sets what counts for everybody.
pub async fn set_usual(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    let set = match usual(&form) {
        Ok(quota) => person.web.app.quotas().set_usual(&person.actor, quota).await,
        Err(e) => Err(e),
    };
    match set {
        Ok(()) => Ok(finished(&person, "/users", "The quota for everyone is saved.")),
        Err(e) => {
            let list = everybody(&person)?;
            again(&person, form, e, |p, form| users_page::users(p, &list, form))
        }
    }
}

/// All wrong fields at once.
fn read_all(form: &Form, mut each: impl FnMut(Resource, Option<u64>)) -> Result<()> {
    let mut wrong: Option<Error> = None;
    for what in Resource::ALL {
        match maybe_number::<u64>(form, what.name()) {
            Ok(most) => each(what, most),
            Err(e) => {
                let text = e.fields().get(what.name()).cloned().unwrap_or_default();
                wrong = Some(wrong.unwrap_or(e).with_field(what.name(), text));
            }
        }
    }
    wrong.map_or(Ok(()), Err)
}

fn usual(form: &Form) -> Result<Quota> {
    let mut quota = Quota::default();
    read_all(form, |what, most| quota.set(what, most))?;
    Ok(quota)
}

fn own(form: &Form) -> Result<UserQuota> {
    let mut quota = UserQuota::default();
    read_all(form, |what, most| {
        let open = form.has(&format!("{}_open", what.name()));
        let allowance = match most {
            _ if open => Allowance::NoLimit,
            Some(n) => Allowance::AtMost(n),
            None => Allowance::Usual,
        };
        quota.set(what, allowance);
    })?;
    Ok(quota)
}

/// Sets what counts for one person.
pub async fn set(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let (user, form) = (id::<UserId>(&text)?, Form::from_pairs(form));
    let set = match own(&form) {
        Ok(quota) => person.web.app.quotas().set(&person.actor, user, quota).await,
        Err(e) => Err(e),
    };
    match set {
        Ok(()) => Ok(finished(&person, &format!("/users/{user}"), "The quota is saved.")),
        Err(e) => {
            let view = view(&person, user)?;
            again(&person, form, e, |p, form| users_page::user(p, &view, form))
        }
    }
}
