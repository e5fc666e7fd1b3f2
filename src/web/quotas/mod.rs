//! Setting quotas, and the figures for pages.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{finished, submit};
use crate::door::problem::Answer;
use crate::door::visit::{Id, Person};
use crate::frame::Form;
use crate::quotas::page::QuotaItem;
use crate::users::page as users_page;
use crate::users::{everybody, view};
use app::quotas::QuotaView;
use base::Result;
use base::ids::UserId;
use model::quotas::{Allowance, Quota, Resource, UserQuota};

pub fn item(view: &QuotaView) -> QuotaItem {
    QuotaItem { used: view.used, quota: view.quota }
}

/// The person's own figures.
pub fn mine(person: &Person) -> Result<QuotaItem> {
    Ok(item(&person.web.app.quotas().mine(&person.actor)?))
}

/// Sets what counts for everybody.
pub async fn set_usual(person: Person, Checked { form, .. }: Checked) -> Answer {
    let set = async {
        person.web.app.quotas().set_usual(&person.actor, form.read()?).await?;
        Ok(finished(&person, "/users", "The quota for everybody is saved."))
    };
    submit(&person, &form, set, async |p, form| Ok(users_page::users(&p, &everybody(&person)?, &form))).await
}

/// A person's quota: without a number it is the one for everybody, and a tick says that there is no limit.
fn own(form: &Form) -> Result<UserQuota> {
    let (most, mut own) = (form.read::<Quota>()?, UserQuota::default());
    for what in Resource::ALL {
        let allowance = match most.get(what) {
            _ if form.has(&format!("{}_open", what.name())) => Allowance::NoLimit,
            Some(n) => Allowance::AtMost(n),
            None => Allowance::Usual,
        };
        own.set(what, allowance);
    }
    Ok(own)
}

/// Sets what counts for one person.
pub async fn set(person: Person, Id(user): Id<UserId>, Checked { form, .. }: Checked) -> Answer {
    let set = async {
        person.web.app.quotas().set(&person.actor, user, own(&form)?).await?;
        Ok(finished(&person, &format!("/users/{user}"), "The quota is saved."))
    };
    submit(&person, &form, set, async |p, form| Ok(users_page::user(&p, &view(&person, user)?, &form))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_number_no_limit_or_the_usual_one() {
        let form = Form::new().set("machines", "3").set("cores", "9").set("cores_open", "on").set("memory", " ");
        let quota = own(&form).unwrap();
        assert_eq!((quota.machines, quota.cores), (Allowance::AtMost(3), Allowance::NoLimit));
        assert_eq!((quota.memory, quota.disk), (Allowance::Usual, Allowance::Usual));
        let wrong = own(&form.replace("machines", "x").replace("memory", "-1")).unwrap_err();
        assert_eq!(wrong.fields().keys().collect::<Vec<_>>(), ["machines", "memory"]);
    }
}
