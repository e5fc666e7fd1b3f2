//! The sources of facts. Each looks at one machine through a [`Scene`] and asks nobody: what has to be asked for
//! is in `told`. Names are given only where the actor may see them; the others are counted.

use super::Scene;
use base::Result;
use base::ids::{GuestId, JobId};
use model::access::GuestRight;
use model::guests::ActionKind;
use model::guests::snapshots::Snapshot;
use model::impact::{Fact, GoingDisk, Program, SnapshotFact};
use model::jobs::Job;
use model::software::SoftwareState;
use model::subject::Subject;
use std::collections::HashSet;
use store::{Read, Scan, tables};

type Source = fn(&Scene<'_>) -> Result<Vec<Fact>>;

/// All of them. The order does not matter: what they find is sorted by weight.
const SOURCES: [Source; 11] =
    [steward, guards, work, state, software, people, consoles, disks, snapshots, copies, ties];

pub(super) fn facts(scene: &Scene<'_>) -> Result<Vec<Fact>> {
    let mut all = Vec::new();
    for source in SOURCES {
        all.extend(source(scene)?);
    }
    Ok(all)
}

fn steward(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let nics = s.told.hardware.as_ref().map(|h| h.nics.as_slice());
    Ok(s.own.is(&s.guest.state.name, nics).map(|sure| Fact::Steward { sure }).into_iter().collect())
}

fn guards(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let values = s.told.hardware.iter().flat_map(|h| &h.values);
    let protected = values.filter(|v| v.key == "protection").any(|v| v.current == "1");
    let lock = s.guest.state.lock.clone().filter(|l| !l.is_empty()).map(Fact::Locked);
    let ha = s.guest.state.ha.clone().map(Fact::HighAvailability);
    Ok(protected.then_some(Fact::Protected).into_iter().chain(lock).chain(ha).collect())
}

fn work(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let (id, connection, vmid) = (s.guest.row.id, Some(s.guest.row.connection), s.guest.row.vmid);
    let on_it: Vec<&Job> = s.open.iter().filter(|j| j.subject == Subject::Guest(id)).collect();
    let from_it = |j: &&Job| {
        j.subject != Subject::Guest(id)
            && j.connection == connection
            && j.kind.new_guest().and_then(|new| new.source) == vmid
    };
    let from_it: Vec<&Job> = s.open.iter().filter(|j| vmid.is_some() && from_it(j)).collect();
    let overtaken = on_it.iter().all(|j| j.kind.is_power());
    let (jobs, more) = named(s, &on_it);
    let mut facts = vec![Fact::Jobs { jobs, more, overtaken }];
    let (jobs, more) = named(s, &from_it);
    facts.push(Fact::Making { jobs, more });
    Ok(facts)
}

fn named(s: &Scene<'_>, jobs: &[&Job]) -> (Vec<(JobId, String)>, usize) {
    let seen = jobs.iter().filter(|j| s.app.jobs().may_see(s.actor, j));
    let seen: Vec<(JobId, String)> = seen.map(|j| (j.id, j.title.clone())).collect();
    let more = jobs.len() - seen.len();
    (seen, more)
}

fn state(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let state = &s.guest.state;
    if state.template || s.guest.row.making.is_some() {
        return Ok(Vec::new());
    }
    Ok(vec![Fact::State { status: state.status.clone(), uptime: state.uptime }])
}

fn software(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let there = s.told.software.iter().filter(|p| {
        p.installed.is_some()
            || matches!(p.state, SoftwareState::Wanted | SoftwareState::Installing | SoftwareState::Installed)
    });
    let page = |l: &model::software::Link| {
        let open = l.url.starts_with("http://") || l.url.starts_with("https://");
        (open && !l.url.contains("{address}")).then(|| (l.title.clone(), l.url.clone()))
    };
    let programs = there.map(|p| Program {
        title: p.title.clone(),
        pages: p.links.iter().filter_map(page).collect(),
        waits: p.installed.is_none() && p.state != SoftwareState::Installed,
    });
    let programs: Vec<Program> = programs.collect();
    Ok(if programs.is_empty() { Vec::new() } else { vec![Fact::Software(programs)] })
}

/// May the actor know who the machine is shared with?
fn manages(s: &Scene<'_>) -> bool {
    s.actor.person_right(&s.guest.row) == Some(GuestRight::Manage)
}

fn people(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let me = s.actor.user_id();
    let people = s.app.people();
    let owner = s.guest.row.owner.filter(|o| Some(*o) != me).and_then(|o| people.get(o)).map(|u| u.login.clone());
    let shared = s.app.grants().on(s.guest.row.id);
    let mut shared: Vec<(String, GuestRight)> = shared
        .into_iter()
        .filter(|(user, _)| Some(*user) != me)
        .filter_map(|(user, right)| Some((people.get(user)?.login.clone(), right)))
        .collect();
    shared.sort();
    let others = if manages(s) { 0 } else { std::mem::take(&mut shared).len() };
    Ok(vec![Fact::People { owner, shared, others }])
}

fn consoles(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let open = s.app.consoles().at(s.guest.row.id);
    let own: usize = open.iter().filter(|(user, _)| Some(*user) == s.actor.user_id()).map(|(_, n)| n).sum();
    let theirs: Vec<_> = open.into_iter().filter(|(user, _)| Some(*user) != s.actor.user_id()).collect();
    let name = |(user, n): &(_, usize)| std::iter::repeat_n(s.app.people().name_of(Some(*user)), *n);
    let (names, others) = match manages(s) {
        true => (theirs.iter().flat_map(name).collect(), 0),
        false => (Vec::new(), theirs.iter().map(|(_, n)| n).sum()),
    };
    Ok(vec![Fact::Consoles { own, names, others }])
}

fn disks(s: &Scene<'_>) -> Result<Vec<Fact>> {
    if s.guest.row.vmid.is_none() {
        return Ok(Vec::new());
    }
    let all = s.told.hardware.iter().flat_map(|h| &h.disks).filter(|d| !matches!(d.kind.as_str(), "cd" | "cloudinit"));
    let list: Vec<GoingDisk> = all
        .map(|d| GoingDisk {
            key: d.key.clone(),
            storage: d.storage.clone(),
            bytes: d.size,
            unused: d.kind == "unused",
        })
        .collect();
    let known: u64 = list.iter().map(|d| d.bytes).sum();
    Ok(vec![Fact::Disks { bytes: known.max(s.guest.state.maxdisk), list }])
}

fn snapshots(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let Some(all) = &s.told.snapshots else { return Ok(Vec::new()) };
    let now = s.app.now();
    let kept = |x: &Snapshot| SnapshotFact { name: x.name.clone(), taken: x.time, memory: x.memory };
    if s.asked.action != ActionKind::Rollback {
        return Ok(vec![Fact::Snapshots { list: all.snapshots.iter().map(kept).collect(), now }]);
    }
    let to = s.asked.snapshot.as_deref().and_then(|name| all.get(name));
    let since = to.map(|to| {
        let mut newer: Vec<&Snapshot> = all.snapshots.iter().filter(|x| x.time > to.time).collect();
        newer.sort_by_key(|x| x.time);
        Fact::Since { to: kept(to), newer: newer.into_iter().map(kept).collect(), now }
    });
    Ok(since.into_iter().collect())
}

/// Machines that Steward made from it, and those whose disks are linked to its own.
fn copies(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let id = s.guest.row.id;
    let snapshot = s.app.live().snapshot();
    let numbers: &[u32] = s.told.ties.as_ref().map_or(&[], |t| t.linked.as_slice());
    let with_number = |vmid: &u32| {
        snapshot.guests.iter().find(|g| g.row.connection == s.guest.row.connection && g.row.vmid == Some(*vmid))
    };
    let linked: Vec<GuestId> = numbers.iter().filter_map(with_number).map(|g| g.row.id).collect();
    let strangers = numbers.len() - linked.len();
    let rows = s.app.store().read(|tx| tx.list(tables::GUEST_COPIES, Scan::prefix(&id), usize::MAX))?;
    let apart: HashSet<GuestId> = linked.iter().copied().collect();
    let made: Vec<GuestId> = rows.into_iter().map(|((_, copy), ())| copy).filter(|c| !apart.contains(c)).collect();
    let split = |ids: Vec<GuestId>| {
        let there: Vec<_> = ids.into_iter().filter_map(|id| snapshot.guest(id)).collect();
        let seen: Vec<(GuestId, String)> = there
            .iter()
            .filter(|g| s.actor.guest_right(&g.row).is_some())
            .map(|g| (g.row.id, g.state.name.clone()))
            .collect();
        let more = there.len() - seen.len();
        (seen, more)
    };
    let (machines, more) = split(linked);
    let linked = Fact::Linked { machines, more: more + strangers };
    let (machines, more) = split(made);
    Ok(vec![linked, Fact::Copies { machines, more }])
}

fn ties(s: &Scene<'_>) -> Result<Vec<Fact>> {
    let Some(ties) = &s.told.ties else { return Ok(Vec::new()) };
    Ok(vec![Fact::Devices(ties.devices.clone()), Fact::Replication(ties.replication.clone())])
}
