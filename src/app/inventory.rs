//! Looking at Proxmox: one call of the provider's `inventory` hook brings all nodes and guests.

use crate::guests::sharing::drop_of_guest;
use crate::report::{Report, ReportedGuest};
use crate::{App, plugin_host, quotas};
use base::ids::{ConnectionId, GuestId};
use base::{Error, Result, Timestamp};
use model::connections::Reach;
use model::guests::{Guest, GuestState};
use model::subject::Subject;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use store::{Read, tables};

/// A guest that Proxmox no longer lists is kept this long: lists have gaps while a machine moves between nodes.
const MISSING_FOR: Duration = Duration::from_secs(30);

pub struct Inventory<'a>(pub(super) &'a App);

impl Inventory<'_> {
    /// Asks the poller to look soon, because something was just changed.
    pub fn look_soon(&self) {
        self.0.0.look_now.notify_one();
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

    async fn look_at(&self, id: ConnectionId) {
        let asked = self.0.now();
        let looked = match self.report(id).await {
            Ok(report) => self.take(id, report, asked).await,
            Err(e) => Err(e),
        };
        if let Err(e) = looked {
            self.note_failure(id, &e);
        }
    }

    async fn report(&self, id: ConnectionId) -> Result<Report> {
        let value: Value = plugin_host::call(self.0, id, "inventory", Vec::new()).await?;
        let report = Report::read(&value)?;
        if let Some(first) = report.left_out.sentences.first() {
            let known = self.0.live().snapshot().connection(id).is_some_and(|c| !c.left_out.is_empty());
            if !known {
                // Once, when it begins; all of them are on the connection's page.
                tracing::warn!(connection.id = %id, rows = report.left_out.sentences.len(), "what was told can't be read: {first}");
            }
        }
        Ok(report)
    }

    fn note_failure(&self, id: ConnectionId, e: &Error) {
        let before = self.0.live().snapshot().connection(id).map(|c| c.reach.clone());
        let since = match before {
            // It was forgotten meanwhile.
            None => return,
            Some(Reach::Away { since, .. }) => since,
            Some(_) => {
                // Logged once, when it begins.
                tracing::warn!(connection.id = %id, error = e.chain(), "a connection is away");
                self.0.now()
            }
        };
        self.0.live().set_reach(id, Reach::Away { since, why: e.message().to_owned() });
    }

    async fn take(&self, id: ConnectionId, report: Report, asked: Timestamp) -> Result<()> {
        let now = self.0.now();
        let was_away =
            !matches!(self.0.live().snapshot().connection(id).map(|c| c.reach.clone()), Some(Reach::Here { .. }));
        let known: HashMap<u32, Guest> =
            self.0.live().rows_of(id).into_iter().filter_map(|g| g.vmid.map(|v| (v, g))).collect();
        let mut ids = Vec::with_capacity(report.guests.len());
        let mut changed = Vec::new();
        for guest in &report.guests {
            let (row, differs) = joined(known.get(&guest.vmid), guest, id, now);
            ids.push(row.id);
            if differs {
                changed.push(row);
            }
        }
        let (missing, gone) = self.missing(&known, &report, now);
        changed.extend(missing);
        let gone_ids: Vec<GuestId> = gone.iter().map(|g| g.id).collect();
        let changed = self.store(id, changed, gone, was_away, asked).await?;
        self.0.live().put_rows(changed);
        self.0.live().remove_rows(&gone_ids);
        self.0.grants().reload(self.0.store(), &gone_ids)?;
        self.0.live().take_report(id, (asked, now), report, &ids);
        Ok(())
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
    async fn store(
        &self,
        connection: ConnectionId,
        changed: Vec<Guest>,
        gone: Vec<Guest>,
        was_away: bool,
        asked: Timestamp,
    ) -> Result<Vec<Guest>> {
        let ripe = quotas::ripe(self.0, asked)?;
        if changed.is_empty() && gone.is_empty() && ripe.is_empty() && !was_away {
            return Ok(Vec::new());
        }
        self.0
            .store()
            .write(move |tx| {
                // Somebody may have had it forgotten while the look was under way.
                if tx.get(tables::CONNECTIONS, &connection)?.is_none() {
                    return Ok(Vec::new());
                }
                let mut written = Vec::with_capacity(changed.len());
                for row in changed {
                    // The owner or the maker may have changed since the rows were looked at.
                    let row = match tx.get(tables::GUESTS, &row.id)? {
                        Some(now) => told(row, now),
                        None => row,
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
