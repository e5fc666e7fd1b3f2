//! One action for several machines: looking at what it would do, and asking for it.

pub mod page;
pub mod rest;

use crate::door::csrf::Checked;
use crate::door::forms::{finished, id, refused, submit};
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::frame::Form;
use crate::guests::bulk::page::BulkView;
use crate::guests::list::{Rows, summary};
use app::guests::bulk::BulkCheck;
use axum::response::IntoResponse;
use base::ids::GuestId;
use base::{Error, Result};
use model::access::GuestRight;
use model::guests::ActionKind;
use model::guests::snapshots::Snapshots;
use std::collections::BTreeSet;

/// The first time (without `sure`) the page that says what would be done; then asking for it. What takes nothing from
/// anybody and needs no more words, as a start, is asked for at once.
pub async fn act(person: Person, Checked { form, .. }: Checked) -> Answer {
    let Some(kind) = ActionKind::bulk().find(|kind| kind.name() == form.value("action")) else {
        return refused(&person, "/machines", Error::invalid("Choose what to do with the machines."));
    };
    let ids: Vec<GuestId> = form.values("id").iter().map(|text| id(text)).collect::<Result<_>>()?;
    let guests = person.web.app.guests();
    let check = match guests.bulk_check(&person.actor, &ids, &kind.empty()) {
        Ok(check) => check,
        Err(e) => return refused(&person, "/machines", e),
    };
    let at_once = !kind.has_impact() && kind.spec().right == GuestRight::Use;
    if !form.has("sure") && !at_once {
        let view = view(&person, kind, &check)?;
        return Ok(page::bulk(&person.page(), &view, &form).into_response());
    }
    let done = async {
        let action = counted(&form, kind, &check).and_then(|()| kind.read(form.node()))?;
        guests.bulk(&person.actor, &ids, &action).await
    };
    let done = done.await;
    let refused = done.as_ref().map_or(check.refused, |done| done.refused.clone());
    let check = BulkCheck { fit: check.fit, refused };
    let asked = async {
        let done = done?;
        if done.count() == 0 {
            return Err(Error::conflict("It can't be done for any of them."));
        }
        // Jobs can be watched; what is done at once is seen in the list.
        let to = if done.jobs.is_empty() || at_once { "/machines" } else { "/jobs" };
        let refusals: Vec<String> = done.refused.iter().map(|r| format!("{}: {}", r.name, r.why)).collect();
        let said = summary(kind.spec().label, done.jobs.is_empty(), done.count(), &refusals);
        Ok(finished(&person, to, &said))
    };
    submit(&person, &form, asked, async |p, form| Ok(page::bulk(&p, &view(&person, kind, &check)?, &form))).await
}

/// Deleting many asks for their number: counting makes people look.
fn counted(form: &Form, kind: ActionKind, check: &BulkCheck) -> Result<()> {
    let n = check.fit.len();
    if kind == ActionKind::Delete && form.value("confirm").trim() != n.to_string() {
        return Err(Error::field("confirm", format!("Type how many machines are deleted: {n}.")));
    }
    Ok(())
}

fn view(person: &Person, kind: ActionKind, check: &BulkCheck) -> Result<BulkView> {
    let app = &person.web.app;
    let ids: Vec<GuestId> = check.fit.iter().map(|g| g.row.id).collect();
    let impact = kind.has_impact().then(|| app.impact().of_many(&person.actor, &ids, kind)).transpose()?;
    let mut nodes: BTreeSet<String> = BTreeSet::new();
    if kind == ActionKind::Migrate {
        for connection in check.fit.iter().map(|g| g.row.connection).collect::<std::collections::HashSet<_>>() {
            nodes.extend(app.nodes().usable(connection).unwrap_or_default());
        }
    }
    let tags: BTreeSet<&String> = check.fit.iter().flat_map(|g| &g.state.tags).collect();
    let all = if person.actor.is_admin() { app.people().all() } else { Vec::new() };
    Ok(BulkView {
        kind,
        rows: Rows::of(person)?.all(&check.fit),
        refused: check.refused.iter().map(|r| (r.guest, r.name.clone(), r.why.clone())).collect(),
        impact,
        nodes: nodes.into_iter().collect(),
        tags: tags.into_iter().cloned().collect(),
        people: all.iter().filter(|u| u.active).map(|u| u.login.clone()).collect(),
        suggestion: Snapshots::default().suggestion(person.web.now()),
    })
}
