//! Quotas on pages: bars of what is used, and the forms that set what there is.

use crate::frame::Page;
use crate::frame::form::{Form, csrf, number, tick};
use crate::frame::parts::{bytes, meter};
use maud::{Markup, html};
use model::quotas::{Allowance, Amounts, Quota, Resource, UserQuota};

/// What somebody's machines have, and how much they may have.
#[derive(Clone, Copy, Debug)]
pub struct QuotaItem {
    pub used: Amounts,
    pub quota: Quota,
}

/// An amount with its unit, short: `3`, `4 GiB`.
fn amount(what: Resource, n: u64) -> String {
    match what {
        Resource::Machines | Resource::Cores => n.to_string(),
        Resource::Memory => bytes(n.saturating_mul(1 << 20)),
        Resource::Disk => bytes(n.saturating_mul(1 << 30)),
    }
}

/// One bar for each thing that counts.
pub fn meters(item: &QuotaItem) -> Markup {
    html! {
        dl.figures.quota {
            @for what in Resource::ALL {
                @let used = item.used.get(what);
                div { dt { (what.word()) }
                    dd { @match item.quota.get(what) {
                        Some(most) => {
                            @let share = if most == 0 { f64::from(u8::from(used > 0)) } else { used as f64 / most as f64 };
                            (meter(share, &amount(what, used))) small { "of " (amount(what, most)) }
                        },
                        None => { (amount(what, used)) small { "no limit" } }
                    } }
                }
            }
        }
    }
}

/// What is left when `takes` more is taken: `Leaves 3 of 8 cores.` The script counts on while the field `of` is typed in: its
/// value times `each` and `more` besides.
pub fn left(what: Resource, used: u64, most: u64, takes: u64, (each, more): (u64, u64), of: &str) -> Markup {
    let all = match what {
        Resource::Machines => format!("{} machines", amount(what, most)),
        Resource::Cores => format!("{} cores", amount(what, most)),
        Resource::Memory => format!("{} of memory", amount(what, most)),
        Resource::Disk => format!("{} of disk", amount(what, most)),
    };
    let (fits, over) = (format!("Leaves # of {all}."), format!("# more than your {all}."));
    let total = used.saturating_add(takes);
    let text = match total.checked_sub(most).filter(|n| *n > 0) {
        Some(n) => over.replacen('#', &amount(what, n), 1),
        None => fits.replacen('#', &amount(what, most.saturating_sub(total)), 1),
    };
    let unit = match what {
        Resource::Machines | Resource::Cores => 0,
        Resource::Memory => 1 << 20,
        Resource::Disk => 1_u64 << 30,
    };
    html! {
        p.left.over[total > most] role="status" data-left=(of) data-used=(used) data-most=(most) data-each=(each) data-more=(more)
            data-unit=(unit) data-fits=(fits) data-over=(over) { (text) }
    }
}

/// The same in one line, for lists.
pub fn line(item: &QuotaItem) -> String {
    let one = |what: Resource| {
        let used = amount(what, item.used.get(what));
        match item.quota.get(what) {
            Some(most) => format!("{used} of {}", amount(what, most)),
            None => used,
        }
    };
    let (cores, memory, disk) = (one(Resource::Cores), one(Resource::Memory), one(Resource::Disk));
    format!("{cores} cores, {memory} memory, {disk} disk")
}

/// A card with one's own use; nothing when nothing is limited.
pub fn card(item: Option<&QuotaItem>, title: &str) -> Markup {
    html! {
        @if let Some(item) = item.filter(|i| !i.quota.is_open()) {
            section.card { h2 { (title) } (meters(item)) }
        }
    }
}

/// What counts for everybody.
pub fn usual_form(page: &Page, usual: &Quota, form: &Form) -> Markup {
    html! {
        section.card.narrow id="usual-quota" { h2 { "Quota for everyone" }
            p.dim { "The most that one person's machines may use together. Empty means no limit. Admins have no limit, and you can set a different quota for a single person on their page." }
            form method="post" action="/users/quota" {
                (csrf(page))
                @for pair in Resource::ALL.chunks(2) { div.pair { @for what in pair {
                    @let most = usual.get(*what).map(|n| n.to_string()).unwrap_or_default();
                    (number(what.name(), what.word(), 0, what.most()).unit(what.unit()).default(&most).render(form))
                } } }
                div.actions { button.primary { "Save" } }
            }
        }
    }
}

/// What counts for one person.
pub fn own_form(page: &Page, action: &str, own: &UserQuota, usual: &Quota, form: &Form) -> Markup {
    html! {
        form method="post" action=(action) {
            (csrf(page))
            input type="hidden" name="form" value="quota";
            @for what in Resource::ALL {
                @let most = match own.get(what) { Allowance::AtMost(n) => n.to_string(), _ => String::new() };
                @let hint = match usual.get(what) {
                    Some(n) => format!("Empty: same as for everyone, {}.", amount(what, n)),
                    None => "Empty: same as for everyone, no limit.".to_owned(),
                };
                @let open = format!("{}_open", what.name());
                (number(what.name(), what.word(), 0, what.most()).unit(what.unit()).default(&most).hint(&hint).render(form))
                @if usual.get(what).is_some() {
                    (tick(&open, "No limit", if form.has("form") { form.has(&open) } else { own.get(what) == Allowance::NoLimit }, ""))
                }
            }
            div.actions { button.primary { "Save the quota" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_said_with_units_and_limits() {
        let used = Amounts { machines: 2, cores: 6, memory: 6144, disk: 40 };
        let quota = Quota { cores: Some(8), memory: Some(8192), ..Quota::default() };
        let item = QuotaItem { used, quota };
        let line = line(&item).replace('\u{a0}', " ");
        assert_eq!(line, "6 of 8 cores, 6 GiB of 8 GiB memory, 40 GiB disk");
        let html = meters(&item).into_string();
        assert!(html.contains("of 8<") && html.contains("no limit"), "{html}");
        assert!(card(Some(&QuotaItem { quota: Quota::default(), ..item }), "x").into_string().is_empty());
    }
}
