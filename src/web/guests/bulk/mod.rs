//! One wish for several machines: looking at what it would do, and asking for it.

pub mod page;
pub mod rest;

use crate::door::csrf::{Checked, Pairs};
use crate::door::forms::{again, finished, id, refused};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::guests::bulk::page::BulkView;
use crate::guests::list::{Rows, summary};
use app::guests::bulk::{BulkCheck, BulkDone};
use axum::response::IntoResponse;
use base::ids::GuestId;
use base::{Error, Result};
use model::access::GuestRight;
use model::guests::bulk::{BulkWish, tags_in};
use model::guests::snapshots::Snapshots;
use std::collections::BTreeSet;

/// The first time (without `sure`) the page that says what would be done; then asking for it.
///
/// # Errors
/// What the store says.
pub async fn act(person: Person, Checked { form, .. }: Checked<Pairs>) -> Answer {
    let form = Form::from_pairs(form);
    let Some(wish) = wish(&form) else {
        return refused(&person, "/machines", Error::invalid("Choose what to do with the machines."));
    };
    let ids: Vec<GuestId> = form.values("id").iter().map(|text| id(text)).collect::<Result<_>>()?;
    let guests = person.web.app.guests();
    let check = match guests.bulk_check(&person.actor, &ids, &wish) {
        Ok(check) => check,
        Err(e) => return refused(&person, "/machines", e),
    };
    if !form.has("sure") {
        let view = view(&person, &wish, &check)?;
        return Ok(page::bulk(&person.page(), &view, &form).into_response());
    }
    let done = match counted(&form, &wish, &check) {
        Ok(()) => guests.bulk(&person.actor, &ids, &wish).await,
        Err(e) => Err(e),
    };
    match done {
        Ok(done) if done.count() > 0 => {
            // Jobs can be watched; what is done at once is seen in the list.
            let to = if done.jobs.is_empty() { "/machines" } else { "/jobs" };
            Ok(finished(&person, to, &told(&wish, &done)))
        }
        Ok(done) => {
            let e = Error::conflict("It can't be done for any of them.");
            let check = BulkCheck { fit: check.fit, refused: done.refused };
            let view = view(&person, &wish, &check)?;
            again(&person, form, e, |p, form| page::bulk(p, &view, form))
        }
        Err(e) => {
            let view = view(&person, &wish, &check)?;
            again(&person, form, e, |p, form| page::bulk(p, &view, form))
        }
    }
}

fn told(wish: &BulkWish, done: &BulkDone) -> String {
    let refusals: Vec<String> = done.refused.iter().map(|r| format!("{}: {}", r.name, r.why)).collect();
    summary(wish.word(), done.jobs.is_empty(), done.count(), &refusals)
}

fn wish(form: &Form) -> Option<BulkWish> {
    let text = |name: &str| form.value(name).trim().to_owned();
    Some(match BulkWish::blank(form.value("action"))? {
        BulkWish::Snapshot { .. } => BulkWish::Snapshot {
            name: text("name"),
            description: form.value("description").replace('\r', "").trim().to_owned(),
        },
        BulkWish::Tags { .. } => {
            BulkWish::Tags { add: tags_in(form.value("add")), remove: tags_in(form.value("remove")) }
        }
        BulkWish::Migrate { .. } => BulkWish::Migrate { node: text("node"), disks: form.on("disks", true) },
        BulkWish::Give { .. } => BulkWish::Give { owner: text("owner"), keep: GuestRight::parse(form.value("keep")) },
        other => other,
    })
}

/// Deleting many asks for how many there are: whoever counts looks.
fn counted(form: &Form, wish: &BulkWish, check: &BulkCheck) -> Result<()> {
    let n = check.fit.len();
    if *wish == BulkWish::Delete && form.value("confirm").trim() != n.to_string() {
        return Err(Error::field("confirm", format!("Type how many machines are deleted: {n}.")));
    }
    Ok(())
}

fn view(person: &Person, wish: &BulkWish, check: &BulkCheck) -> Result<BulkView> {
    let app = &person.web.app;
    let ids: Vec<GuestId> = check.fit.iter().map(|g| g.row.id).collect();
    let impact = wish.deed().map(|deed| app.impact().of_many(&person.actor, &ids, deed)).transpose()?;
    let mut nodes: BTreeSet<String> = BTreeSet::new();
    if matches!(wish, BulkWish::Migrate { .. }) {
        for connection in check.fit.iter().map(|g| g.row.connection).collect::<std::collections::HashSet<_>>() {
            nodes.extend(app.nodes().usable(connection).unwrap_or_default());
        }
    }
    let tags: BTreeSet<&String> = check.fit.iter().flat_map(|g| &g.state.tags).collect();
    let all = if person.actor.is_admin() { app.people().all() } else { Vec::new() };
    Ok(BulkView {
        wish: wish.clone(),
        rows: Rows::of(person)?.all(&check.fit),
        refused: check.refused.iter().map(|r| (r.guest, r.name.clone(), r.why.clone())).collect(),
        impact,
        nodes: nodes.into_iter().collect(),
        tags: tags.into_iter().cloned().collect(),
        people: all.iter().filter(|u| u.active).map(|u| u.login.clone()).collect(),
        suggestion: Snapshots::default().suggestion(person.web.now()),
    })
}
