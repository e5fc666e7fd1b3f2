//! What is known of nodes and guests right now, in memory: Steward's own rows joined with the provider's last
//! report. Pages and the REST API read one immutable snapshot; the poller and the use cases publish a new one.

use arc_swap::ArcSwap;
use base::ids::{ConnectionId, GuestId, UserId};
use base::{Result, Timestamp};
use model::connections::Reach;
use model::guests::{Guest, GuestState};
use model::nodes::{Node, Storage};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use store::{Read, Scan, Store, tables};

/// Points of the small charts: one a minute, an hour back.
const SPARK_POINTS: usize = 60;
const SPARK_STEP_MS: i64 = 60_000;

/// One guest as pages show it.
#[derive(Clone, Debug)]
pub struct GuestLive {
    pub row: Guest,
    pub state: GuestState,
    pub rates: Rates,
    /// CPU share (0 to 1) by minute, the oldest first.
    pub spark: Arc<[f32]>,
    /// When Proxmox said this; `None` for a guest that is still being made.
    pub at: Option<Timestamp>,
    /// Proxmox is not answering: this is the last known state.
    pub stale: bool,
}

/// Bytes a second since the report before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    pub netin: f64,
    pub netout: f64,
    pub diskread: f64,
    pub diskwrite: f64,
}

impl Rates {
    /// Bytes a second in and out together.
    pub fn network(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are not negative")]
        let sum = (self.netin + self.netout).round() as u64;
        sum
    }
}

/// One node as pages show it.
#[derive(Clone, Debug)]
pub struct NodeLive {
    pub connection: ConnectionId,
    pub node: Node,
    /// Guests on it, without templates.
    pub guests: usize,
    pub spark: Arc<[f32]>,
    pub stale: bool,
}

/// One connection as pages show it.
#[derive(Clone, Debug)]
pub struct ConnectionLive {
    pub id: ConnectionId,
    pub name: String,
    pub reach: Reach,
    /// When Proxmox answered last.
    pub at: Option<Timestamp>,
    pub quorate: bool,
    pub storages: Vec<Storage>,
}

/// Everything at one moment.
#[derive(Debug, Default)]
pub struct LiveView {
    pub connections: Vec<ConnectionLive>,
    /// By name.
    pub nodes: Vec<NodeLive>,
    /// By name, then number.
    pub guests: Vec<Arc<GuestLive>>,
    by_id: HashMap<GuestId, usize>,
}

impl LiveView {
    pub fn guest(&self, id: GuestId) -> Option<&Arc<GuestLive>> {
        self.by_id.get(&id).and_then(|i| self.guests.get(*i))
    }

    pub fn connection(&self, id: ConnectionId) -> Option<&ConnectionLive> {
        self.connections.iter().find(|c| c.id == id)
    }

    pub fn node(&self, connection: ConnectionId, name: &str) -> Option<&NodeLive> {
        self.nodes.iter().find(|n| n.connection == connection && n.node.name == name)
    }
}

/// The keeper of the snapshot.
pub struct Live {
    now: ArcSwap<LiveView>,
    work: Mutex<Work>,
}

/// What the snapshot is made from.
#[derive(Default)]
struct Work {
    rows: HashMap<GuestId, Guest>,
    connections: HashMap<ConnectionId, Connected>,
    states: HashMap<GuestId, GuestReading>,
}

struct Connected {
    name: String,
    reach: Reach,
    at: Option<Timestamp>,
    quorate: bool,
    nodes: Vec<Node>,
    node_sparks: HashMap<String, Spark>,
    storages: Vec<Storage>,
}

struct GuestReading {
    state: GuestState,
    rates: Rates,
    spark: Spark,
    at: Timestamp,
    /// What the rates are counted from: a round of the provider's own daemon, and when it was first seen.
    base: (Counters, Timestamp),
}

/// A guest's counters and the age of its life in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    netin: u64,
    netout: u64,
    diskread: u64,
    diskwrite: u64,
    uptime: u64,
}

impl From<&GuestState> for Counters {
    fn from(s: &GuestState) -> Self {
        Self { netin: s.netin, netout: s.netout, diskread: s.diskread, diskwrite: s.diskwrite, uptime: s.uptime }
    }
}

/// A ring of averages by minute.
#[derive(Default)]
struct Spark {
    points: VecDeque<f32>,
    minute: i64,
    sum: f64,
    count: u32,
    shown: Arc<[f32]>,
}

impl Spark {
    fn push(&mut self, at: Timestamp, value: f64) {
        let minute = at.0.div_euclid(SPARK_STEP_MS);
        if minute != self.minute && self.count > 0 {
            if self.points.len() == SPARK_POINTS {
                self.points.pop_front();
            }
            #[expect(clippy::cast_possible_truncation, reason = "a share of 0 to 1 for a chart 22 pixels high")]
            self.points.push_back((self.sum / f64::from(self.count)) as f32);
            (self.sum, self.count) = (0.0, 0);
            self.shown = self.points.iter().copied().collect();
        }
        self.minute = minute;
        self.sum += value;
        self.count += 1;
    }
}

/// A provider's `inventory` report.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Report {
    pub guests: Vec<ReportedGuest>,
    pub nodes: Vec<Node>,
    #[serde(default)]
    pub storages: Vec<Storage>,
    #[serde(default = "yes")]
    pub quorate: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, serde::Deserialize)]
pub struct ReportedGuest {
    pub vmid: u32,
    pub kind: model::guests::GuestKind,
    #[serde(flatten)]
    pub state: GuestState,
}

impl Live {
    pub(super) fn load(store: &Store) -> Result<Self> {
        let rows = store.read(|tx| tx.list(tables::GUESTS, Scan::all(), usize::MAX))?;
        let live = Self { now: ArcSwap::from_pointee(LiveView::default()), work: Mutex::new(Work::default()) };
        live.change(|work| work.rows = rows.into_iter().collect());
        Ok(live)
    }

    /// The present moment; cheap, and it does not change while it is held.
    pub fn snapshot(&self) -> Arc<LiveView> {
        self.now.load_full()
    }

    fn change(&self, f: impl FnOnce(&mut Work)) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut work);
        self.now.store(Arc::new(work.snapshot()));
    }

    pub(super) fn put_rows(&self, rows: Vec<Guest>) {
        if rows.is_empty() {
            return;
        }
        self.change(|work| {
            for row in rows {
                // Rows come from several tasks, in any order. The owner has a way of its own, so that no late row
                // brings back the owner who gave the machine away.
                let owner = work.rows.get(&row.id).map_or(row.owner, |old| old.owner);
                work.rows.insert(row.id, Guest { owner, ..row });
            }
        });
    }

    pub(super) fn set_owner(&self, id: GuestId, owner: Option<UserId>) {
        self.change(|work| {
            if let Some(row) = work.rows.get_mut(&id) {
                row.owner = owner;
            }
        });
    }

    pub(super) fn remove_rows(&self, ids: &[GuestId]) {
        if ids.is_empty() {
            return;
        }
        self.change(|work| {
            for id in ids {
                work.rows.remove(id);
                work.states.remove(id);
            }
        });
    }

    /// The rows of one connection.
    pub(super) fn rows_of(&self, connection: ConnectionId) -> Vec<Guest> {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.rows.values().filter(|g| g.connection == connection).cloned().collect()
    }

    pub(super) fn set_connection(&self, id: ConnectionId, name: &str, reach: Reach) {
        self.change(|work| {
            let c = work.connections.entry(id).or_insert_with(|| Connected::new(name));
            name.clone_into(&mut c.name);
            c.reach = reach;
        });
    }

    pub(super) fn remove_connection(&self, id: ConnectionId) {
        self.change(|work| {
            work.connections.remove(&id);
        });
    }

    /// Takes a report in. `ids` gives each reported guest its row's id, in the report's order.
    pub(super) fn take_report(&self, id: ConnectionId, at: Timestamp, report: Report, ids: &[GuestId]) {
        self.change(|work| {
            if let Some(c) = work.connections.get_mut(&id) {
                c.take_report(at, report.nodes, report.storages, report.quorate);
            }
            for (guest, row) in report.guests.into_iter().zip(ids) {
                work.see(*row, at, guest.state);
            }
        });
    }

    /// Shows what a finished job knows, until the next report: the state that it is sure of, and that the lock of its
    /// own work is gone. (A list that was made meanwhile would refuse what is asked next.)
    pub(super) fn job_is_over(&self, id: GuestId, status: Option<&str>) {
        self.change(|work| {
            let Some(seen) = work.states.get_mut(&id) else { return };
            seen.state.lock.take_if(|lock| !matches!(lock.as_str(), "suspended" | "backup"));
            if let Some(status) = status {
                status.clone_into(&mut seen.state.status);
                if status != "running" {
                    (seen.state.cpu, seen.state.mem, seen.state.uptime) = (0.0, 0, 0);
                }
            }
        });
    }
}

/// A machine that Proxmox has not reported yet.
fn unlisted(row: &Guest) -> GuestState {
    GuestState { name: row.name.clone(), status: "unknown".to_owned(), ..GuestState::default() }
}

impl Connected {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            reach: Reach::Unknown,
            at: None,
            quorate: true,
            nodes: Vec::new(),
            node_sparks: HashMap::new(),
            storages: Vec::new(),
        }
    }

    fn take_report(&mut self, at: Timestamp, nodes: Vec<Node>, storages: Vec<Storage>, quorate: bool) {
        for node in &nodes {
            self.node_sparks.entry(node.name.clone()).or_default().push(at, node.cpu);
        }
        let since = match self.reach {
            Reach::Here { since } => since,
            _ => at,
        };
        self.reach = Reach::Here { since };
        (self.at, self.quorate, self.nodes, self.storages) = (Some(at), quorate, nodes, storages);
    }
}

impl Work {
    fn see(&mut self, id: GuestId, at: Timestamp, state: GuestState) {
        let seen = self.states.entry(id).or_insert_with(|| GuestReading {
            state: GuestState::default(),
            rates: Rates::default(),
            spark: Spark::default(),
            at,
            base: (Counters::default(), at),
        });
        let now = Counters::from(&state);
        // Two looks within one round of the provider's daemon show the same figures: what was counted between
        // the rounds before still holds.
        if state.status != "running" {
            (seen.rates, seen.base) = (Rates::default(), (now, at));
        } else if now != seen.base.0 {
            (seen.rates, seen.base) = (rates(seen.base, (now, at)), (now, at));
        }
        seen.spark.push(at, state.cpu);
        (seen.state, seen.at) = (state, at);
    }

    fn snapshot(&self) -> LiveView {
        let mut guests: Vec<_> = self.rows.values().map(|row| Arc::new(self.guest(row))).collect();
        guests.sort_by(|a, b| a.state.name.cmp(&b.state.name).then(a.row.vmid.cmp(&b.row.vmid)));
        let by_id = guests.iter().enumerate().map(|(i, g)| (g.row.id, i)).collect();
        let mut nodes: Vec<_> = self.connections.iter().flat_map(|(id, c)| c.live_nodes(*id, &guests)).collect();
        nodes.sort_by(|a, b| a.node.name.cmp(&b.node.name));
        let mut connections: Vec<_> = self.connections.iter().map(|(id, c)| c.live(*id)).collect();
        connections.sort_by(|a, b| a.name.cmp(&b.name));
        LiveView { connections, nodes, guests, by_id }
    }

    fn guest(&self, row: &Guest) -> GuestLive {
        let away = self.connections.get(&row.connection).is_none_or(|c| !matches!(c.reach, Reach::Here { .. }));
        let (mut state, rates, spark, at) = match self.states.get(&row.id) {
            Some(seen) => (seen.state.clone(), seen.rates, Arc::clone(&seen.spark.shown), Some(seen.at)),
            None if row.making.is_some() => {
                let state =
                    GuestState { name: row.name.clone(), status: "creating".to_owned(), ..GuestState::default() };
                return GuestLive {
                    row: row.clone(),
                    state,
                    rates: Rates::default(),
                    spark: Arc::default(),
                    at: None,
                    stale: false,
                };
            }
            // Known from before the restart, or made a moment ago: Proxmox has not listed it since.
            None => (row.last.clone().unwrap_or_else(|| unlisted(row)), Rates::default(), Arc::default(), None),
        };
        state.name = row.called(&state.name);
        GuestLive { row: row.clone(), state, rates, spark, at, stale: away }
    }
}

impl Connected {
    fn live(&self, id: ConnectionId) -> ConnectionLive {
        ConnectionLive {
            id,
            name: self.name.clone(),
            reach: self.reach.clone(),
            at: self.at,
            quorate: self.quorate,
            storages: self.storages.clone(),
        }
    }

    fn live_nodes<'a>(&'a self, id: ConnectionId, guests: &'a [Arc<GuestLive>]) -> impl Iterator<Item = NodeLive> + 'a {
        let stale = !matches!(self.reach, Reach::Here { .. });
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for g in guests.iter().filter(|g| g.row.connection == id && !g.state.template) {
            *counts.entry(&g.state.node).or_default() += 1;
        }
        self.nodes.iter().map(move |node| NodeLive {
            connection: id,
            guests: counts.get(node.name.as_str()).copied().unwrap_or(0),
            spark: self.node_sparks.get(&node.name).map(|s| Arc::clone(&s.shown)).unwrap_or_default(),
            node: node.clone(),
            stale,
        })
    }
}

/// Rates from counters; none when the guest was restarted (its counters fell) or nothing passed.
#[expect(clippy::cast_precision_loss, reason = "bytes a second for people")]
fn rates((old, old_at): (Counters, Timestamp), (new, at): (Counters, Timestamp)) -> Rates {
    let seconds = old_at.until(at).as_secs_f64();
    if seconds <= 0.0 || new.uptime < old.uptime || old.uptime == 0 {
        return Rates::default();
    }
    let rate = |old: u64, new: u64| new.saturating_sub(old) as f64 / seconds;
    Rates {
        netin: rate(old.netin, new.netin),
        netout: rate(old.netout, new.netout),
        diskread: rate(old.diskread, new.diskread),
        diskwrite: rate(old.diskwrite, new.diskwrite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_come_from_counters_and_stop_at_a_restart() {
        let old = Counters { netin: 1_000, uptime: 50, ..Counters::default() };
        let new = Counters { netin: 21_000, uptime: 60, ..Counters::default() };
        let (a, b) = (Timestamp::from_secs(0), Timestamp::from_secs(10));
        assert!((rates((old, a), (new, b)).netin - 2_000.0).abs() < 0.01);
        assert_eq!(rates((new, a), (Counters { uptime: 3, ..new }, b)), Rates::default());
    }

    #[test]
    fn a_second_look_in_the_same_round_keeps_the_rate() {
        let mut work = Work::default();
        let id = GuestId::new();
        let look = |netin, uptime| GuestState { status: "running".into(), netin, uptime, ..GuestState::default() };
        work.see(id, Timestamp::from_secs(0), look(1_000, 50));
        work.see(id, Timestamp::from_secs(10), look(21_000, 60));
        work.see(id, Timestamp::from_secs(12), look(21_000, 60));
        assert!((work.states[&id].rates.netin - 2_000.0).abs() < 0.01, "{:?}", work.states[&id].rates);
        // The next round is counted from the one before, not from the look in between.
        work.see(id, Timestamp::from_secs(20), look(41_000, 70));
        assert!((work.states[&id].rates.netin - 2_000.0).abs() < 0.01, "{:?}", work.states[&id].rates);
        work.see(id, Timestamp::from_secs(30), GuestState { status: "stopped".into(), ..GuestState::default() });
        assert_eq!(work.states[&id].rates, Rates::default());
    }

    #[test]
    fn the_small_chart_keeps_an_hour_of_minutes() {
        let mut spark = Spark::default();
        for i in 0..800 {
            spark.push(Timestamp::from_secs(i * 10), 0.5);
        }
        assert_eq!(spark.shown.len(), SPARK_POINTS);
    }
}
