//! What is known of nodes and guests right now, in memory: Steward's own rows joined with the provider's last
//! report. Pages and the REST API read one immutable snapshot; the poller and the use cases publish a new one.

use crate::beats::Beats;
use crate::report::Report;
use arc_swap::ArcSwap;
use base::ids::{ConnectionId, GuestId, UserId};
use base::{Result, Timestamp};
use model::connections::Reach;
use model::guests::{Guest, GuestState};
use model::nodes::{Node, Reporter, Storage};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Read, Scan, Store, tables};

/// Points of the small charts: one a minute, an hour back.
const SPARK_POINTS: usize = 60;
const SPARK_STEP_MS: i64 = 60_000;

/// A quorum that nothing speaks against is asked for again after this long.
const QUORUM_EVERY: Duration = Duration::from_secs(30);

/// The status of a guest whose host or node does not answer: whatever it was, nobody knows what it is.
pub const UNREACHABLE: &str = "unreachable";

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
    /// The status that it had when it was seen last. Its host or node does not answer now, and `state` is unreachable.
    pub last_seen: Option<String>,
    /// A job has just made another status of it than Proxmox's list tells: this is the list's.
    pub listed: Option<String>,
}

impl GuestLive {
    pub fn is_stale(&self) -> bool {
        self.last_seen.is_some()
    }
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
    /// What measures the machines of its nodes and is silent, on which of them.
    pub silent: Option<(Reporter, Vec<String>)>,
    /// What its last report told in a way that can't be read, as sentences.
    pub left_out: Arc<[String]>,
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
    /// When the quorum was asked for last.
    quorum_asked: Option<Timestamp>,
    reporter: Option<Reporter>,
    beats: Beats,
    nodes: Vec<Node>,
    node_sparks: HashMap<String, Spark>,
    storages: Vec<Storage>,
    left_out: Arc<[String]>,
}

struct GuestReading {
    state: GuestState,
    rates: Rates,
    spark: Spark,
    at: Timestamp,
    /// What the rates are counted from: a round of the provider's own daemon, and when it was first seen.
    base: (Counters, Timestamp),
    made: Made,
    /// The status of the last list, where a job knows better.
    listed: Option<String>,
}

/// A list that still tells what was before a job is older than the job, for this long: pvestatd measures every 10 s.
const LISTS_LAG: Duration = Duration::from_secs(15);

/// What the last job made of a machine and saw itself; each as it was before and as it is now.
#[derive(Default)]
struct Made {
    status: Option<(String, String)>,
    node: Option<(String, String)>,
    at: Timestamp,
}

impl Made {
    /// Puts right what a list tells that lags behind, until one tells something else.
    fn put_right(&mut self, listed: &mut GuestState, asked: Timestamp, at: Timestamp) {
        let since = self.at.until(at);
        let began_after = listed.status == "running" && listed.uptime <= since.as_secs();
        // A machine that was just made is "unknown" until it is measured.
        let is_older = |before: &str| (listed.status == before && !began_after) || listed.status == "unknown";
        self.status.take_if(|(before, _)| since >= LISTS_LAG || !is_older(before));
        // Where it is stands in the cluster's own files, so only a list that was asked for before lags behind.
        self.node.take_if(|_| asked >= self.at);
        if let Some((_, now)) = &self.status {
            listed.stands(now);
        }
        if let Some((_, now)) = &self.node {
            now.clone_into(&mut listed.node);
        }
    }
}

impl GuestReading {
    fn new(state: GuestState, at: Timestamp) -> Self {
        Self {
            state,
            rates: Rates::default(),
            spark: Spark::default(),
            at,
            base: (Counters::default(), at),
            made: Made::default(),
            listed: None,
        }
    }
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

    /// How a connection is doing that is still known: a look may end after somebody had it forgotten.
    pub(super) fn set_reach(&self, id: ConnectionId, reach: Reach) {
        self.change(|work| {
            if let Some(c) = work.connections.get_mut(&id) {
                c.reach = reach;
            }
        });
    }

    pub(super) fn quorum_is_due(&self, id: ConnectionId, nodes: &[Node], now: Timestamp) -> bool {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.connections.get(&id).is_some_and(|c| c.quorum_is_due(nodes, now))
    }

    pub(super) fn remove_connection(&self, id: ConnectionId) {
        self.change(|work| {
            work.connections.remove(&id);
        });
    }

    /// Takes a report in that was asked for and came at these times. `ids` gives each reported guest its row's id, in the report's order.
    pub(super) fn take_report(
        &self,
        id: ConnectionId,
        when: (Timestamp, Timestamp),
        mut report: Report,
        ids: &[GuestId],
    ) {
        self.change(|work| {
            let Some(c) = work.connections.get_mut(&id) else { return };
            c.take_report(when.1, &mut report);
            let off: Vec<String> = c.nodes.iter().filter(|n| n.status == "offline").map(|n| n.name.clone()).collect();
            for (guest, row) in report.guests.into_iter().zip(ids) {
                // One without a row is new and could not be stored, or its row has just been taken away.
                if !work.rows.contains_key(row) {
                    continue;
                }
                // What is told of a node that is off was seen before it went.
                let before = work.states.get(row).filter(|_| off.contains(&guest.state.node)).map(|seen| seen.at);
                work.see(*row, when, guest.state);
                if let (Some(before), Some(seen)) = (before, work.states.get_mut(row)) {
                    seen.at = before;
                }
            }
        });
    }

    /// Shows what a finished job knows: state and node as its result tells them, until a list is newer, and that the
    /// lock of its own work is gone. (A list that was made meanwhile would refuse what is asked next.)
    pub(super) fn job_is_over(&self, id: GuestId, result: &Value, at: Timestamp) {
        let told = |key: &str| result.get(key).and_then(Value::as_str);
        let differs = |before: &str, now: Option<&str>| {
            now.filter(|now| *now != before).map(|now| (before.to_owned(), now.to_owned()))
        };
        self.change(|work| {
            let is_new = !work.states.contains_key(&id);
            if is_new && let (Some(_), Some(row)) = (told("status"), work.rows.get(&id)) {
                // No list has told of it yet: what was made and started is listed as stopped at first.
                let state =
                    GuestState { status: "stopped".to_owned(), ..row.last.clone().unwrap_or_else(|| unlisted(row)) };
                work.states.insert(id, GuestReading::new(state, at));
            }
            let Some(seen) = work.states.get_mut(&id) else { return };
            let state = &mut seen.state;
            state.lock.take_if(|lock| !matches!(lock.as_str(), "suspended" | "backup"));
            let (status, node) = (differs(&state.status, told("status")), differs(&state.node, told("node")));
            seen.made = Made { status, node, at };
            seen.listed = Some(state.status.clone());
            seen.made.put_right(state, Timestamp::ZERO, at);
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
            quorum_asked: None,
            reporter: None,
            beats: Beats::default(),
            nodes: Vec::new(),
            node_sparks: HashMap::new(),
            storages: Vec::new(),
            left_out: Arc::default(),
        }
    }

    fn take_report(&mut self, at: Timestamp, report: &mut Report) {
        for node in &report.nodes {
            self.node_sparks.entry(node.name.clone()).or_default().push(at, node.cpu);
        }
        let since = match self.reach {
            Reach::Here { since } => since,
            _ => at,
        };
        self.reach = Reach::Here { since };
        self.at = Some(at);
        if let Some(quorate) = report.quorate {
            (self.quorate, self.quorum_asked) = (quorate, Some(at));
        }
        self.reporter = report.reporter.take();
        self.beats.see(&report.nodes, at);
        (self.nodes, self.storages) = (take(&mut report.nodes), take(&mut report.storages));
        self.left_out = take(&mut report.left_out.sentences).into();
    }
}

impl Work {
    fn see(&mut self, id: GuestId, (asked, at): (Timestamp, Timestamp), mut state: GuestState) {
        let seen = self.states.entry(id).or_insert_with(|| GuestReading::new(GuestState::default(), at));
        let listed = state.status.clone();
        seen.made.put_right(&mut state, asked, at);
        seen.listed = Some(listed).filter(|listed| *listed != state.status);
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
        let connection = self.connections.get(&row.connection);
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
                    last_seen: None,
                    listed: None,
                };
            }
            // Known from before the restart, or made a moment ago: Proxmox has not listed it since.
            None => (row.last.clone().unwrap_or_else(|| unlisted(row)), Rates::default(), Arc::default(), None),
        };
        state.name = row.called(&state.name);
        let stale = connection.is_none_or(|c| c.is_away_from(&state.node));
        let last_seen = stale.then(|| state.status.clone());
        // A template is nothing that runs, and before the first look after a start nothing is known to be away.
        let is_asked = connection.is_some_and(|c| c.reach != Reach::Unknown);
        if stale && is_asked && !state.template {
            state.stands(UNREACHABLE);
        }
        let rates = if stale { Rates::default() } else { rates };
        let listed = self.states.get(&row.id).and_then(|seen| seen.listed.clone());
        GuestLive { row: row.clone(), state, rates, spark, at, last_seen, listed }
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
            silent: self.silent(),
            left_out: Arc::clone(&self.left_out),
        }
    }

    fn silent(&self) -> Option<(Reporter, Vec<String>)> {
        let silent = self.beats.silent(&self.nodes, self.at?);
        self.reporter.clone().filter(|_| !silent.is_empty()).map(|reporter| (reporter, silent))
    }

    /// Whether the quorum has to be asked for: it was long ago, it was lost, or a node came or went.
    fn quorum_is_due(&self, nodes: &[Node], now: Timestamp) -> bool {
        let status = |all: &[Node]| all.iter().map(|n| (n.name.clone(), n.status.clone())).collect::<BTreeMap<_, _>>();
        let recent = self.quorum_asked.is_some_and(|at| at <= now && at.until(now) < QUORUM_EVERY);
        let is_here = matches!(self.reach, Reach::Here { .. });
        !recent || !self.quorate || !is_here || status(&self.nodes) != status(nodes)
    }

    /// Nothing is known of what is on that node now: the host does not answer, or says that the node is off.
    fn is_away_from(&self, node: &str) -> bool {
        let is_off = |n: &Node| n.name == node && n.status == "offline";
        !matches!(self.reach, Reach::Here { .. }) || self.nodes.iter().any(is_off)
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
    use model::guests::GuestKind;
    use serde_json::json;

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
        work.see(id, (Timestamp::from_secs(0), Timestamp::from_secs(0)), look(1_000, 50));
        work.see(id, (Timestamp::from_secs(10), Timestamp::from_secs(10)), look(21_000, 60));
        work.see(id, (Timestamp::from_secs(12), Timestamp::from_secs(12)), look(21_000, 60));
        assert!((work.states[&id].rates.netin - 2_000.0).abs() < 0.01, "{:?}", work.states[&id].rates);
        // The next round is counted from the one before, not from the look in between.
        work.see(id, (Timestamp::from_secs(20), Timestamp::from_secs(20)), look(41_000, 70));
        assert!((work.states[&id].rates.netin - 2_000.0).abs() < 0.01, "{:?}", work.states[&id].rates);
        work.see(
            id,
            (Timestamp::from_secs(30), Timestamp::from_secs(30)),
            GuestState { status: "stopped".into(), ..GuestState::default() },
        );
        assert_eq!(work.states[&id].rates, Rates::default());
    }

    #[test]
    fn a_look_that_ends_after_the_connection_was_forgotten_changes_nothing() {
        let live = Live { now: ArcSwap::default(), work: Mutex::default() };
        let id = ConnectionId::new();
        live.set_connection(id, "Home", Reach::Unknown);
        live.remove_connection(id);
        live.set_reach(id, Reach::Away { since: Timestamp::ZERO, why: "The connection was refused.".into() });
        let report = Report::read(&json!({ "nodes": [{ "name": "pve1", "status": "online" }], "guests": [] })).unwrap();
        live.take_report(id, (Timestamp::ZERO, Timestamp::ZERO), report, &[]);
        assert!(live.snapshot().connections.is_empty() && live.snapshot().nodes.is_empty());
    }

    #[test]
    fn what_a_job_made_stands_until_a_list_is_newer() {
        let at = Timestamp::from_secs;
        let look = |node: &str, status: &str, uptime| GuestState {
            node: node.into(),
            status: status.into(),
            uptime,
            ..GuestState::default()
        };
        let pair = |before: &str, now: &str| Some((before.to_owned(), now.to_owned()));
        let stopped = || Made { status: pair("running", "stopped"), node: None, at: at(100) };
        let started = || Made { status: pair("stopped", "running"), node: None, at: at(100) };
        let moved = || Made { status: None, node: pair("pve1", "pve2"), at: at(100) };
        for (mut made, seconds, mut listed, right) in [
            // Lists lag behind a stop by up to 10 s.
            (stopped(), 104, look("pve1", "running", 5_010), ("pve1", "stopped")),
            // It was started again since, by somebody else.
            (stopped(), 104, look("pve1", "running", 2), ("pve1", "running")),
            (stopped(), 104, look("pve1", "paused", 0), ("pve1", "paused")),
            (stopped(), 130, look("pve1", "running", 5_030), ("pve1", "running")),
            (started(), 104, look("pve1", "stopped", 0), ("pve1", "running")),
            (started(), 104, look("pve1", "unknown", 0), ("pve1", "running")),
            (moved(), 104, look("pve1", "stopped", 0), ("pve1", "stopped")),
        ] {
            made.put_right(&mut listed, at(seconds), at(seconds));
            assert_eq!((&*listed.node, &*listed.status), right);
        }
        let mut late = look("pve1", "stopped", 0);
        moved().put_right(&mut late, at(99), at(104));
        assert_eq!(late.node, "pve2", "it was asked for before the move was over");
        let mut made = stopped();
        made.put_right(&mut look("pve1", "stopped", 0), at(104), at(104));
        let mut later = look("pve1", "running", 5_000);
        made.put_right(&mut later, at(106), at(106));
        assert_eq!(later.status, "running", "once a list agreed it is believed again");
    }

    #[test]
    fn machines_of_a_node_or_cluster_that_is_away_are_unreachable_at_once() {
        let live = Live { now: ArcSwap::default(), work: Mutex::default() };
        let id = ConnectionId::new();
        live.set_connection(id, "Home", Reach::Unknown);
        let rows: Vec<Guest> = ["lark", "wren"]
            .map(|name| Guest::wanted(id, GuestKind::Vm, name.to_owned(), None, Timestamp::ZERO))
            .into();
        let ids: Vec<GuestId> = rows.iter().map(|row| row.id).collect();
        live.put_rows(rows);
        let look = |seconds: i64, pve2: &str| {
            let at = (Timestamp::from_secs(seconds), Timestamp::from_secs(seconds));
            let nodes = json!([{ "name": "pve1", "status": "online" }, { "name": "pve2", "status": pve2 }]);
            let guest = |vmid: u32, name: &str, node: &str| json!({ "vmid": vmid, "kind": "vm", "name": name, "node": node, "status": "running", "cpu": 0.5 });
            let guests = [guest(100, "lark", "pve1"), guest(101, "wren", "pve2")];
            let report = Report::read(&json!({ "nodes": nodes, "guests": guests })).unwrap();
            live.take_report(id, at, report, &ids);
        };
        let seen = || {
            let now = live.snapshot();
            let one = |id: &GuestId| {
                let guest = now.guest(*id).unwrap();
                (guest.state.status.clone(), guest.last_seen.clone())
            };
            (one(&ids[0]), one(&ids[1]))
        };
        let (running, lost) = (("running".to_owned(), None), (UNREACHABLE.to_owned(), Some("running".to_owned())));
        look(10, "online");
        assert_eq!(seen(), (running.clone(), running.clone()));
        look(20, "offline");
        assert_eq!(seen(), (running.clone(), lost.clone()));
        let told = ids.iter().map(|id| live.snapshot().guest(*id).unwrap().at.unwrap().as_secs());
        assert_eq!(told.collect::<Vec<_>>(), [20, 10], "it was seen before the node went");
        look(30, "online");
        assert_eq!(seen(), (running.clone(), running));
        live.set_reach(id, Reach::Away { since: Timestamp::ZERO, why: "The connection was refused.".into() });
        assert_eq!(seen(), (lost.clone(), lost));
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
