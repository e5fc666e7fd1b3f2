//! The machines list, its rows, and what is done to machines from there.

pub mod page;

use crate::door::cache;
use crate::door::csrf::Checked;
use crate::door::forms::finished;
use crate::door::problem::Answer;
use crate::door::visit::Person;
use crate::guests::list::page::{Away, MachineRow, MachinesView};
use app::live::{GuestLive, LiveView};
use axum::extract::Query;
use axum::response::IntoResponse;
use base::Result;
use base::ids::{GuestId, JobId};
use http::HeaderMap;
use maud::Markup;
use model::connections::Reach;
use serde::Deserialize;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Rows on one page. Larger installations get the rest from the script, page by page, or turns pages without it.
const PAGE: usize = 100;

#[derive(Debug, Deserialize)]
pub struct GuestPageParams {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    /// Counted from 1.
    #[serde(default)]
    page: usize,
}

/// The machines that the person may see. In a small installation those that do not match the filter are there but
/// hidden, so that typing filters at once; of many machines one page comes first.
pub async fn list(person: Person, Query(look): Query<GuestPageParams>) -> Answer<Markup> {
    let app = &person.web.app;
    let rows = Rows::of(&person)?;
    let mut guests = app.guests().list(&person.actor, "");
    let total = guests.len();
    let few = total <= PAGE;
    let fitting = if look.q.is_empty() { None } else { Some(app.guests().list(&person.actor, &look.q)) };
    let fits: Option<HashSet<GuestId>> = fitting.as_ref().map(|all| all.iter().map(|g| g.row.id).collect());
    if !few && let Some(fitting) = fitting {
        guests = fitting;
    }
    let pages = if few { 1 } else { guests.len().div_ceil(PAGE).max(1) };
    let number = look.page.clamp(1, pages);
    rows.sort(&mut guests, &look.sort);
    let shown = fits.as_ref().map_or(total, HashSet::len);
    let skipped = (number - 1) * PAGE;
    let mut page_rows = rows.all(guests.iter().skip(skipped).take(PAGE));
    for row in &mut page_rows {
        row.shown = fits.as_ref().is_none_or(|f| f.contains(&row.id));
    }
    let snapshot = app.live().snapshot();
    let view = MachinesView {
        rows: page_rows,
        total,
        shown,
        page: number,
        pages,
        filter: look.q,
        sort: look.sort,
        hidden_columns: app.account().prefs(&person.actor)?.hidden_columns,
        away: away(&snapshot),
        connections: snapshot.connections.len(),
    };
    Ok(page::machines(&person.page(), &view))
}

/// Connections that do not answer.
pub fn away(snapshot: &LiveView) -> Vec<Away> {
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
    pub fn of(person: &'a Person) -> Result<Self> {
        let open = person.web.app.jobs().open(&person.actor)?;
        let jobs = open.into_iter().filter_map(|j| Some((j.subject.guest()?, (j.id, j.title)))).collect();
        Ok(Self { person, jobs })
    }

    pub fn all<'g>(&self, guests: impl IntoIterator<Item = &'g Arc<GuestLive>>) -> Vec<MachineRow> {
        guests.into_iter().map(|g| self.row(g)).collect()
    }

    fn owner(&self, g: &GuestLive) -> Option<String> {
        g.row.owner.and_then(|o| self.person.web.app.people().get(o)).map(|u| u.login.clone())
    }

    /// Sorts by `key`, falling with a `-` in front; what is equal stays by name.
    fn sort(&self, guests: &mut [Arc<GuestLive>], key: &str) {
        let (key, falling) = key.strip_prefix('-').map_or((key, false), |k| (k, true));
        if key == "owner" {
            guests.sort_by_cached_key(|g| self.owner(g));
            if falling {
                guests.reverse();
            }
            return;
        }
        let runs = |g: &GuestLive| g.state.status == "running";
        let order = |a: &GuestLive, b: &GuestLive| -> Ordering {
            let (x, y) = (&a.state, &b.state);
            match key {
                "status" => status(a).cmp(status(b)),
                "node" => x.node.cmp(&y.node),
                "cpu" => runs(a).cmp(&runs(b)).then(x.cpu.total_cmp(&y.cpu)),
                "mem" => runs(a).cmp(&runs(b)).then(x.mem.cmp(&y.mem)),
                "net" => runs(a).cmp(&runs(b)).then(a.rates.network().cmp(&b.rates.network())),
                "disk" => x.maxdisk.cmp(&y.maxdisk),
                "vmid" => a.row.vmid.cmp(&b.row.vmid),
                "uptime" => x.uptime.cmp(&y.uptime),
                "tags" => x.tags.cmp(&y.tags),
                "name" => x.name.cmp(&y.name),
                _ => Ordering::Equal,
            }
        };
        guests.sort_by(|a, b| if falling { order(b, a) } else { order(a, b) });
    }

    pub fn row(&self, g: &GuestLive) -> MachineRow {
        let (row, state) = (&g.row, &g.state);
        let runs = state.status == "running";
        MachineRow {
            id: row.id,
            name: state.name.clone(),
            vmid: row.vmid,
            kind: row.kind,
            status: status(g).to_owned(),
            template: state.template,
            owner: self.owner(g),
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

/// The word in the state column: what Proxmox says, but for machines that come or are gone.
fn status(g: &GuestLive) -> &str {
    match (g.row.making, g.row.missing_since) {
        (Some(_), _) => "creating",
        (None, Some(_)) => "missing",
        _ => &g.state.status,
    }
}

#[derive(Debug, Deserialize)]
pub struct GuestRowsParams {
    /// These machines, separated by commas.
    ids: Option<String>,
    #[serde(default)]
    sort: String,
    /// Else one page of all; counted from 1.
    #[serde(default)]
    page: usize,
}

/// Bare rows for a list that is open in a browser: those asked for, of which one that is gone is not there, or
/// one page of all.
pub async fn rows(person: Person, headers: HeaderMap, Query(wanted): Query<GuestRowsParams>) -> Answer {
    if let Some(ids) = &wanted.ids {
        let ids: HashSet<GuestId> = ids.split(',').take(2_000).filter_map(|t| t.parse().ok()).collect();
        let mut guests = person.web.app.guests().list(&person.actor, "");
        guests.retain(|g| ids.contains(&g.row.id));
        return Ok(page::rows(&Rows::of(&person)?.all(&guests)).into_response());
    }
    let address = format!("/machines/rows {} {}", wanted.page, wanted.sort);
    cache::answer(&person, &headers, address, "text/html; charset=utf-8", move |person| {
        let rows = Rows::of(person)?;
        let mut guests = person.web.app.guests().list(&person.actor, "");
        rows.sort(&mut guests, &wanted.sort);
        let skipped = wanted.page.saturating_sub(1).saturating_mul(PAGE);
        Ok(page::rows(&rows.all(guests.iter().skip(skipped).take(PAGE))).into_string().into_bytes())
    })
    .await
}

/// What became of an action for several machines. `at_once`: it is done, without a job.
pub(crate) fn summary(label: &str, at_once: bool, count: usize, refusals: &[String]) -> String {
    let machines = if count == 1 { "1 machine".to_owned() } else { format!("{count} machines") };
    let done = format!("{}: {label} {machines}.", if at_once { "Done" } else { "Started" });
    if refusals.is_empty() {
        return done;
    }
    let shown = refusals.iter().take(3).cloned().collect::<Vec<_>>().join(" ");
    let more = refusals.len().saturating_sub(3);
    let rest = if more > 0 { format!(" And {more} more.") } else { String::new() };
    format!("!{done} Skipped {}: {shown}{rest}", refusals.len())
}

/// Which columns the person does not want to see.
pub async fn columns(person: Person, Checked { form, .. }: Checked) -> Answer {
    let shown = form.values("show");
    let hidden = page::COLUMNS.iter().map(|(key, _)| (*key).to_owned()).filter(|key| !shown.contains(key));
    let profile = person.web.app.account();
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
        assert_eq!(summary("Start", false, 2, &[]), "Started: Start 2 machines.");
        assert_eq!(summary("Hand over", true, 1, &[]), "Done: Hand over 1 machine.");
        let text = summary("Stop", false, 1, &["web-01: It is stopped now.".to_owned()]);
        assert_eq!(text, "!Started: Stop 1 machine. Skipped 1: web-01: It is stopped now.");
    }
}
