//! Looking at Proxmox: one call of the provider's `inventory` hook brings all nodes and guests.

use crate::guests::sharing::drop_of_guest;
use crate::report::{Report, ReportedGuest};
use crate::{App, plugin_host, quotas};
use base::ids::{ConnectionId, GuestId};
use base::{Error, Kind, Result, Timestamp};
use model::connections::Reach;
use model::guests::forgotten::ForgottenGuest;
use model::guests::{Guest, GuestState};
use model::nodes::Node;
use model::subject::Subject;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;
use store::{Name, Read, Scan, WriteTx, tables};

/// A guest that Proxmox no longer lists is kept this long: lists have gaps while a machine moves between nodes.
const MISSING_FOR: Duration = Duration::from_secs(30);

/// Nobody looks any more this long after the last request.
const QUIET_AFTER: Duration = Duration::from_secs(60);
/// Between two looks while nobody looks.
const QUIET_PAUSE: Duration = Duration::from_secs(30);

pub struct Inventory<'a>(pub(super) &'a App);

impl Inventory<'_> {
    /// Asks the poller to look soon, because something was just changed.
    pub fn look_soon(&self) {
        self.0.0.look_now.notify_one();
    }

    /// Somebody asks for something. After a quiet time what they see would be old, so it is looked at.
    pub fn visited(&self) {
        let now = self.0.now();
        let before = Timestamp(self.0.0.visited.swap(now.0, Ordering::Relaxed));
        if before.until(now) >= QUIET_AFTER {
            self.look_soon();
        }
    }

    /// How long after the last look the next one is due: often only while somebody looks at what it finds.
    pub fn pause(&self) -> Duration {
        let every = Duration::from_secs(self.0.settings().poll_seconds);
        let last = Timestamp(self.0.0.visited.load(Ordering::Relaxed));
        let is_watched = self.0.0.tick.receiver_count() > 0 || last.until(self.0.now()) < QUIET_AFTER;
        if is_watched { every } else { every.max(QUIET_PAUSE) }
    }

    /// Resolves when somebody asked for a look.
    pub async fn asked(&self) {
        self.0.0.look_now.notified().await;
    }

    /// Looks at every connection once and rings the pages, after a look that is under way. Failures are kept as
    /// the connection's state.
    pub async fn look(&self) {
        let _alone = self.0.0.looking.lock().await;
        for id in self.0.connections().ids() {
            self.look_at(id).await;
        }
        self.0.0.tick.send_modify(|n| *n += 1);
    }

    /// Looks at one connection now, for somebody who has just made it or put it right and waits for at most `limit`.
    /// How many machines and nodes there are; `None` when it did not tell in time.
    pub async fn look_first(&self, id: ConnectionId, limit: Duration) -> Option<(usize, usize)> {
        let look = async {
            let _alone = self.0.0.looking.lock().await;
            self.look_at(id).await;
        };
        tokio::time::timeout(limit, look).await.ok()?;
        self.0.0.tick.send_modify(|n| *n += 1);
        let snapshot = self.0.live().snapshot();
        let nodes = snapshot.nodes.iter().filter(|n| n.connection == id && !n.stale).count();
        let machines = snapshot.guests.iter().filter(|g| g.row.connection == id && !g.state.template).count();
        self.is_here(id).then_some((machines, nodes))
    }

    async fn look_at(&self, id: ConnectionId) {
        let asked = self.0.now();
        let was_away = !self.is_here(id);
        let looked = match self.report(id).await {
            Ok(report) => self.take(id, report, asked).await,
            Err(e) => Err(e),
        };
        if looked.is_ok()
            && was_away
            && let Err(e) = self.0.connections().learn_identity(id).await
        {
            tracing::warn!(connection.id = %id, error = e.chain(), "which cluster it is was not kept");
        }
        if let Err(e) = looked {
            self.note_failure(id, &e).await;
        }
    }

    fn is_here(&self, id: ConnectionId) -> bool {
        matches!(self.0.live().snapshot().connection(id).map(|c| &c.reach), Some(Reach::Here { .. }))
    }

    async fn report(&self, id: ConnectionId) -> Result<Report> {
        let value: Value = plugin_host::call(self.0, id, "inventory", Vec::new()).await?;
        let mut report = Report::read(&value)?;
        if report.quorate.is_none() && self.0.live().quorum_is_due(id, &report.nodes, self.0.now()) {
            report.quorate = self.quorum(id, &report.nodes).await?;
        }
        if let Some(first) = report.left_out.sentences.first() {
            let known = self.0.live().snapshot().connection(id).is_some_and(|c| !c.left_out.is_empty());
            if !known {
                // Once, when it begins; all of them are on the connection's page.
                tracing::warn!(connection.id = %id, rows = report.left_out.sentences.len(), "what was told can't be read: {first}");
            }
        }
        Ok(report)
    }

    /// Asks a provider that knows of such a thing whether anything can be changed.
    async fn quorum(&self, id: ConnectionId, nodes: &[Node]) -> Result<Option<bool>> {
        const HOOK: &str = "quorum";
        let plugin = self.0.connections().plugin_of(id)?;
        if !self.0.plugin_set().get(&plugin).is_some_and(|p| p.manifest().hooks.contains_key(HOOK)) {
            return Ok(None);
        }
        let nodes = nodes.iter().map(|n| json!({ "name": n.name, "status": n.status })).collect();
        Ok(plugin_host::call::<Value>(self.0, id, HOOK, vec![nodes]).await?.as_bool())
    }

    async fn note_failure(&self, id: ConnectionId, e: &Error) {
        let before = self.0.live().snapshot().connection(id).map(|c| c.reach.clone());
        let (since, begins) = match before {
            // It was forgotten meanwhile.
            None => return,
            Some(Reach::Away { since, .. }) => (since, false),
            Some(_) => {
                // Logged once, when it begins.
                tracing::warn!(connection.id = %id, error = e.chain(), "a connection is away");
                (self.0.now(), true)
            }
        };
        self.0.live().set_reach(id, Reach::Away { since, why: e.message().to_owned() });
        if begins {
            // Open pages look again.
            let told = self.0.store().write(move |tx| {
                tx.event(Subject::Connection(id), None);
                Ok(())
            });
            if let Err(e) = told.await {
                tracing::warn!(error = e.chain(), "open pages were not told");
            }
        }
    }

    async fn take(&self, id: ConnectionId, mut report: Report, asked: Timestamp) -> Result<()> {
        let now = self.0.now();
        let was_away = !self.is_here(id);
        let mut known: HashMap<u32, Guest> =
            self.0.live().rows_of(id).into_iter().filter_map(|g| g.vmid.map(|v| (v, g))).collect();
        let returned = self.returned(id, &known, &report)?;
        known.extend(returned.iter().map(|(vmid, f)| (*vmid, Guest { connection: id, ..f.row.clone() })));
        // One that is new and of which nothing is told yet may be one that comes back: it waits until it has its name.
        let lost = self.lost(id, &report, was_away)?;
        report.guests.retain(|g| known.contains_key(&g.vmid) || !g.state.is_unknown() || !g.state.name.is_empty());
        for guest in &mut report.guests {
            if let Some(last) = known.get(&guest.vmid).and_then(|row| row.last.as_ref()) {
                guest.state.keep(last);
            }
        }
        let mut ids = Vec::with_capacity(report.guests.len());
        let mut changed = Vec::new();
        for guest in &report.guests {
            let (row, differs) = joined(known.get(&guest.vmid), guest, id, now);
            ids.push(row.id);
            if differs || returned.contains_key(&guest.vmid) {
                changed.push(row);
            }
        }
        let (missing, gone) = self.missing(&known, &report, now);
        changed.extend(missing);
        let gone_ids: Vec<GuestId> = gone.iter().map(|g| g.id).collect();
        let regranted: Vec<GuestId> = returned.values().map(|f| f.row.id).chain(gone_ids.iter().copied()).collect();
        match self.store(id, Changes { changed, gone, returned, lost, was_away, asked }).await {
            Ok(changed) => {
                self.0.live().put_rows(changed);
                self.0.live().remove_rows(&gone_ids);
                self.0.grants().reload(self.0.store(), &regranted)?;
            }
            // The provider did answer: what runs is seen all the same, and the rows are written when there is room.
            Err(e) if e.kind() == Kind::Storage => {
                tracing::debug!(connection.id = %id, error = e.chain(), "what has changed could not be stored");
            }
            Err(e) => return Err(e),
        }
        self.0.live().take_report(id, (asked, now), report, &ids);
        Ok(())
    }

    /// Machines whose cluster was forgotten and is connected again, by number: they are themselves again, with owner
    /// and shares.
    fn returned(
        &self,
        id: ConnectionId,
        known: &HashMap<u32, Guest>,
        report: &Report,
    ) -> Result<HashMap<u32, ForgottenGuest>> {
        let mut new = report.guests.iter().filter(|g| !known.contains_key(&g.vmid)).peekable();
        let Some(identity) = self.0.connections().identity(id).filter(|_| new.peek().is_some()) else {
            return Ok(HashMap::new());
        };
        self.0.store().read(|tx| {
            let mut returned = HashMap::new();
            for guest in new {
                let found = tx.get(tables::FORGOTTEN_GUESTS, &(Name::new(identity.as_str()), guest.vmid))?;
                // One that was recognised already is somewhere else now.
                let free = |f: &ForgottenGuest| Ok::<_, Error>(tx.get(tables::GUESTS, &f.row.id)?.is_none());
                if let Some(found) = found.filter(|f| f.is(guest.kind, &guest.state))
                    && free(&found)?
                {
                    returned.insert(guest.vmid, found);
                }
            }
            Ok(returned)
        })
    }

    /// Numbers of forgotten machines that will not come back: the cluster's first list has none of that number, or
    /// another machine has it. Later, somebody's new machine under that number must not become theirs.
    fn lost(&self, id: ConnectionId, report: &Report, was_away: bool) -> Result<Vec<u32>> {
        let whole = report.left_out.sentences.is_empty();
        let Some(identity) = self.0.connections().identity(id).filter(|_| was_away && whole) else {
            return Ok(Vec::new());
        };
        let listed: HashMap<u32, &ReportedGuest> = report.guests.iter().map(|g| (g.vmid, g)).collect();
        let stays = |f: &ForgottenGuest, vmid: u32| match listed.get(&vmid) {
            Some(guest) => guest.state.name.is_empty() || f.is(guest.kind, &guest.state),
            None => false,
        };
        let name = Name::new(identity.as_str());
        let all = self.0.store().read(|tx| tx.list(tables::FORGOTTEN_GUESTS, Scan::prefix(&name), usize::MAX))?;
        let numbers = all.into_iter().filter_map(|(_, f)| f.row.vmid.filter(|vmid| !stays(&f, *vmid)));
        Ok(numbers.collect())
    }

    /// Rows whose guest is not listed: those to mark, and those that were missing long enough to go.
    fn missing(&self, known: &HashMap<u32, Guest>, report: &Report, now: Timestamp) -> (Vec<Guest>, Vec<Guest>) {
        if report.left_out.unnamed_guest {
            return (Vec::new(), Vec::new());
        }
        let listed = report.guests.iter().map(|g| g.vmid).chain(report.left_out.vmids.iter().copied());
        let listed: HashSet<u32> = listed.collect();
        let unlisted = known.values().filter(|g| g.making.is_none() && g.vmid.is_some_and(|v| !listed.contains(&v)));
        let (mut mark, mut gone) = (Vec::new(), Vec::new());
        for row in unlisted {
            match row.missing_since {
                None => mark.push(Guest { missing_since: Some(now), ..row.clone() }),
                Some(since) if since.until(now) >= MISSING_FOR => gone.push(row.clone()),
                Some(_) => {}
            }
        }
        (mark, gone)
    }

    /// Writes what Proxmox told and answers the rows as they stand now.
    async fn store(&self, connection: ConnectionId, changes: Changes) -> Result<Vec<Guest>> {
        let Changes { changed, gone, returned, lost, was_away, asked } = changes;
        let ripe = quotas::ripe(self.0, asked)?;
        if changed.is_empty() && gone.is_empty() && ripe.is_empty() && lost.is_empty() && !was_away {
            return Ok(Vec::new());
        }
        let identity = self.0.connections().identity(connection);
        let back = returned.len();
        if back > 0 {
            tracing::info!(connection.id = %connection, machines = back, "machines have their owners and shares again");
        }
        self.0
            .store()
            .write(move |tx| {
                // Somebody may have had it forgotten while the look was under way.
                if tx.get(tables::CONNECTIONS, &connection)?.is_none() {
                    return Ok(Vec::new());
                }
                for (vmid, forgotten) in returned {
                    for (user, grant) in forgotten.grants {
                        if tx.get(tables::USERS, &user)?.is_some() {
                            tx.put(tables::GUEST_GRANTS, &(forgotten.row.id, user), &grant)?;
                        }
                    }
                    if let Some(identity) = &identity {
                        tx.delete(tables::FORGOTTEN_GUESTS, &(Name::new(identity.as_str()), vmid))?;
                    }
                }
                for vmid in lost {
                    if let Some(identity) = &identity {
                        tx.delete(tables::FORGOTTEN_GUESTS, &(Name::new(identity.as_str()), vmid))?;
                    }
                }
                let mut written = Vec::with_capacity(changed.len());
                for row in changed {
                    // The owner or the maker may have changed since the rows were looked at.
                    let row = match tx.get(tables::GUESTS, &row.id)? {
                        Some(now) => told(row, now),
                        None => with_living_owner(tx, row)?,
                    };
                    tx.put(tables::GUESTS, &row.id, &row)?;
                    if let Some(vmid) = row.vmid {
                        tx.put(tables::GUEST_VMIDS, &(row.connection, vmid), &row.id)?;
                    }
                    written.push(row);
                }
                for row in &gone {
                    tx.delete(tables::GUESTS, &row.id)?;
                    if let Some(vmid) = row.vmid {
                        tx.delete(tables::GUEST_VMIDS, &(row.connection, vmid))?;
                    }
                    drop_of_guest(tx, row.id)?;
                }
                quotas::fade(tx, &ripe)?;
                // A first look finds a thousand guests: one event for all is enough then.
                let touched: Vec<&Guest> = written.iter().chain(&gone).collect();
                if touched.len() <= 50 {
                    for row in touched {
                        tx.event(Subject::Guest(row.id), row.owner);
                    }
                } else {
                    tx.event(Subject::Connection(connection), None);
                }
                if was_away {
                    tx.event(Subject::Connection(connection), None);
                }
                Ok(written)
            })
            .await
    }
}

/// What a look found out.
struct Changes {
    changed: Vec<Guest>,
    gone: Vec<Guest>,
    returned: HashMap<u32, ForgottenGuest>,
    /// Numbers of forgotten machines that do not come back.
    lost: Vec<u32>,
    was_away: bool,
    asked: Timestamp,
}

/// A machine that returns may have belonged to somebody who is gone.
fn with_living_owner(tx: &WriteTx, row: Guest) -> Result<Guest> {
    let owner = match row.owner {
        Some(owner) => tx.get(tables::USERS, &owner)?.map(|_| owner),
        None => None,
    };
    Ok(Guest { owner, ..row })
}

/// The current row with what Proxmox reported.
fn told(report: Guest, today: Guest) -> Guest {
    Guest { kind: report.kind, name: report.name, missing_since: report.missing_since, last: report.last, ..today }
}

/// The row for a reported guest, and whether it differs from what is stored. Figures that move all the time are
/// no difference: they would write every row every ten seconds.
fn joined(known: Option<&Guest>, guest: &ReportedGuest, connection: ConnectionId, now: Timestamp) -> (Guest, bool) {
    let still = without_counters(&guest.state);
    match known {
        None => {
            let row = Guest {
                id: GuestId::new(),
                connection,
                vmid: Some(guest.vmid),
                kind: guest.kind,
                name: guest.state.name.clone(),
                owner: None,
                created: now,
                making: None,
                missing_since: None,
                last: Some(still),
                profile: None,
            };
            (row, true)
        }
        Some(row) => {
            let differs = row.missing_since.is_some() || row.last.as_ref() != Some(&still) || row.kind != guest.kind;
            let name = row.called(&still.name);
            let row = Guest { kind: guest.kind, name, missing_since: None, last: Some(still), ..row.clone() };
            (row, differs)
        }
    }
}

/// A state without the figures that move by themselves.
fn without_counters(state: &GuestState) -> GuestState {
    GuestState { cpu: 0.0, mem: 0, disk: 0, netin: 0, netout: 0, diskread: 0, diskwrite: 0, uptime: 0, ..state.clone() }
}
