//! The machines list, its rows, and what is done to machines from there.

use crate::app::live::{GuestLive, Snapshot};
use crate::base::ids::{GuestId, JobId};
use crate::base::{Error, Result};
use crate::model::connections::Reach;
use crate::model::guests::PowerAction;
use crate::web::csrf::{Checked, Pairs};
use crate::web::forms::{finished, id, refused};
use crate::web::page::Form;
use crate::web::page::machines::{self as page, Away, MachineRow, MachinesView};
use crate::web::visit::Person;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::Markup;
use serde::Deserialize;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

#[derive(Debug, Deserialize)]
pub struct Look {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
}

/// All machines that the person may see; those that do not fit the filter are there but hidden.
///
/// # Errors
/// What the store says.
pub async fn list(person: Person, Query(look): Query<Look>) -> Result<Markup> {
    let app = &person.web.app;
    let fits: HashSet<GuestId> = app.guests().list(&person.actor, &look.q).iter().map(|g| g.row.id).collect();
    let mut rows = Rows::of(&person)?.all(&app.guests().list(&person.actor, ""));
    for row in &mut rows {
        row.shown = fits.contains(&row.id);
    }
    sort(&mut rows, &look.sort);
    let snapshot = app.live().snapshot();
    let view = MachinesView {
        rows,
        filter: look.q,
        sort: look.sort,
        hidden_columns: app.profile().prefs(&person.actor)?.hidden_columns,
        away: away(&snapshot),
        connections: snapshot.connections.len(),
    };
    Ok(page::machines(&person.page(), &view))
}

/// Connections that do not answer.
pub fn away(snapshot: &Snapshot) -> Vec<Away> {
    let away = snapshot.connections.iter().filter_map(|c| match &c.reach {
        Reach::Away { since, why } => Some(Away { name: c.name.clone(), since: *since, why: why.clone() }),
        _ => None,
    });
    away.collect()
}

/// Makes rows: owners' names and open jobs are looked up once for all.
pub struct Rows<'a> {
    person: &'a Person,
    jobs: HashMap<GuestId, (JobId, String)>,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// What the store says.
    pub fn of(person: &'a Person) -> Result<Self> {
        let open = person.web.app.jobs().open(&person.actor)?;
        let jobs = open.into_iter().filter_map(|j| Some((j.guest?, (j.id, j.title)))).collect();
        Ok(Self { person, jobs })
    }

    pub fn all(&self, guests: &[std::sync::Arc<GuestLive>]) -> Vec<MachineRow> {
        guests.iter().map(|g| self.row(g)).collect()
    }

    pub fn row(&self, g: &GuestLive) -> MachineRow {
        let (row, state) = (&g.row, &g.state);
        let runs = state.status == "running";
        let status = match (row.making, row.missing_since) {
            (Some(_), _) => "making".to_owned(),
            (None, Some(_)) => "missing".to_owned(),
            _ => state.status.clone(),
        };
        MachineRow {
            id: row.id,
            name: state.name.clone(),
            vmid: row.vmid,
            kind: row.kind,
            status,
            template: state.template,
            owner: row.owner.and_then(|o| self.person.web.app.people().get(o)).map(|u| u.login.clone()),
            node: state.node.clone(),
            cpu: runs.then_some(state.cpu),
            cores: state.maxcpu,
            mem: runs.then_some(state.mem),
            maxmem: state.maxmem,
            net: runs.then(|| g.rates.network()),
            disk: state.maxdisk,
            uptime: state.uptime,
            tags: state.tags.clone(),
            spark: g.spark.to_vec(),
            job: self.jobs.get(&row.id).cloned(),
            shown: true,
        }
    }
}

/// Sorts by `key`, falling with a `-` in front; what is equal stays by name.
fn sort(rows: &mut [MachineRow], key: &str) {
    let (key, falling) = key.strip_prefix('-').map_or((key, false), |k| (k, true));
    let order = |a: &MachineRow, b: &MachineRow| -> Ordering {
        match key {
            "status" => a.status.cmp(&b.status),
            "owner" => a.owner.cmp(&b.owner),
            "node" => a.node.cmp(&b.node),
            "cpu" => a.cpu.unwrap_or(-1.0).total_cmp(&b.cpu.unwrap_or(-1.0)),
            "mem" => a.mem.cmp(&b.mem),
            "net" => a.net.cmp(&b.net),
            "disk" => a.disk.cmp(&b.disk),
            "vmid" => a.vmid.cmp(&b.vmid),
            "uptime" => a.uptime.cmp(&b.uptime),
            "tags" => a.tags.cmp(&b.tags),
            "name" => a.name.cmp(&b.name),
            _ => Ordering::Equal,
        }
    };
    rows.sort_by(|a, b| if falling { order(b, a) } else { order(a, b) });
}

#[derive(Debug, Deserialize)]
pub struct Ids {
    #[serde(default)]
    ids: String,
}

/// Bare rows for a list that is open in a browser; a machine that is gone is not among them.
///
/// # Errors
/// What the store says.
pub async fn rows(person: Person, Query(query): Query<Ids>) -> Result<Markup> {
    let wanted: HashSet<GuestId> = query.ids.split(',').take(2_000).filter_map(|t| t.parse().ok()).collect();
    let guests = person.web.app.guests().list(&person.actor, "");
    let guests: Vec<_> = guests.into_iter().filter(|g| wanted.contains(&g.row.id)).collect();
    Ok(page::rows(&Rows::of(&person)?.all(&guests)))
}

/// One power action for many machines. Each is asked for alone; what is refused is said, the rest goes on.
///
/// # Errors
/// `Invalid` when nothing was chosen.
pub async fn power_many(person: Person, Checked { form, .. }: Checked<Pairs>) -> Result<Response> {
    let form = Form::from_pairs(form);
    let action = match action(&form) {
        Ok(action) => action,
        Err(e) => return refused(&person, "/machines", e),
    };
    let ids = form.values("id");
    if ids.is_empty() {
        return refused(&person, "/machines", Error::invalid("Choose at least one machine first."));
    }
    let (mut asked, mut refusals) = (0, Vec::new());
    for text in ids.iter().take(1_000) {
        let guest = id::<GuestId>(text)?;
        match person.web.app.guests().request_power(&person.actor, guest, action).await {
            Ok(_) => asked += 1,
            Err(e) if matches!(e.kind(), crate::base::Kind::Internal | crate::base::Kind::Storage) => return Err(e),
            Err(e) => refusals.push(format!("{}: {}", name_of(&person, guest), e.message())),
        }
    }
    let said = summary(action, asked, &refusals);
    // The script shows only what went wrong, so it must hear of it.
    if person.fragment && !refusals.is_empty() {
        return Err(Error::conflict(said.trim_start_matches('!')));
    }
    Ok(finished(&person, "/machines", &said))
}

fn name_of(person: &Person, guest: GuestId) -> String {
    person.web.app.guests().get(&person.actor, guest).map_or_else(|_| guest.to_string(), |g| g.state.name.clone())
}

fn summary(action: PowerAction, asked: usize, refusals: &[String]) -> String {
    let machines = if asked == 1 { "1 machine".to_owned() } else { format!("{asked} machines") };
    let done = format!("{} asked for {machines}.", action.word());
    if refusals.is_empty() {
        return done;
    }
    let shown = refusals.iter().take(3).cloned().collect::<Vec<_>>().join(" ");
    let more = refusals.len().saturating_sub(3);
    let rest = if more > 0 { format!(" And {more} more.") } else { String::new() };
    format!("!{done} Not for {}: {shown}{rest}", refusals.len())
}

fn action(form: &Form) -> Result<PowerAction> {
    PowerAction::parse(form.value("action")).ok_or_else(|| Error::invalid("Choose what to do with the machines."))
}

/// # Errors
/// `NotFound`, `Forbidden`; for our script also why it makes no sense now.
pub async fn power(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked<Pairs>) -> Result<Response> {
    let guest = id::<GuestId>(&text)?;
    let back = format!("/machines/{guest}");
    let asked = match action(&Form::from_pairs(form)) {
        Ok(action) => person.web.app.guests().request_power(&person.actor, guest, action).await,
        Err(e) => Err(e),
    };
    match asked {
        Ok(job) => Ok(finished(&person, &back, &format!("{}: asked for.", job.title))),
        Err(e) => refused(&person, &back, e),
    }
}

/// Which columns the person does not want to see.
///
/// # Errors
/// What the store says.
pub async fn columns(person: Person, Checked { form, .. }: Checked<Pairs>) -> Result<Response> {
    let form = Form::from_pairs(form);
    let shown = form.values("show");
    let hidden = page::COLUMNS.iter().map(|(key, _)| (*key).to_owned()).filter(|key| !shown.contains(key));
    let profile = person.web.app.profile();
    let mut prefs = profile.prefs(&person.actor)?;
    prefs.hidden_columns = hidden.collect();
    profile.set_prefs(&person.actor, prefs).await?;
    Ok(finished(&person, "/machines", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_among_many_is_said_with_its_machine() {
        assert_eq!(summary(PowerAction::Start, 2, &[]), "Start asked for 2 machines.");
        let text = summary(PowerAction::Stop, 1, &["web-01: It is stopped now.".to_owned()]);
        assert_eq!(text, "!Stop asked for 1 machine. Not for 1: web-01: It is stopped now.");
    }
}
