//! `GET /events`: what changes, for open pages (Server-Sent Events, WHATWG HTML section 9.2).
//!
//! Stored events carry their number as `id`, so a browser that lost its connection asks with
//! `Last-Event-ID` and misses nothing. Live figures (`tick`, `health`) carry none.

use crate::door::problem::Answer;
use crate::door::state::Web;
use crate::door::visit::Person;
use crate::system::health;
use app::{Actor, App};
use axum::body::Body;
use axum::extract::Query;
use axum::response::IntoResponse;
use base::Error;
use base::ids::GuestId;
use http::{HeaderMap, header};
use model::events::Event;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;

/// Streams that one person may have open: more than anybody has tabs with live pages.
pub const PER_PERSON: usize = 16;
/// A comment this often keeps proxies from closing a quiet stream.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the session behind a stream is looked at again.
const RECHECK: Duration = Duration::from_secs(5);
/// How long a browser may leave its stream unread.
const SLOW: Duration = Duration::from_secs(20);
/// Events read at once.
const BATCH: usize = 500;

#[derive(Debug, Deserialize)]
pub struct After {
    /// As `Last-Event-ID`, for the first connection of a page.
    after: Option<u64>,
}

pub async fn events(person: Person, Query(query): Query<After>, headers: HeaderMap) -> Answer {
    let too_many = || Error::too_many("Too many open pages are watching for changes. Close some of them.", 30);
    let slot = person.web.streams.enter(person.actor.require_person()?).ok_or_else(too_many)?;
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
    let (sender, receiver) = mpsc::channel::<String>(16);
    let mut stream = Stream::new(person.web.clone(), person.actor.clone(), last.or(query.after), sender);
    tokio::spawn(async move {
        let _slot = slot;
        let stop = stream.web.stop.clone();
        // Ends by itself when the browser is gone, the session is revoked or the service stops.
        let _ = stop.run_until_cancelled(stream.run()).await;
    });
    let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|text| (Ok::<_, Infallible>(text), receiver))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// One browser's stream.
struct Stream {
    web: Web,
    actor: Actor,
    /// The last event that was looked at.
    seen: u64,
    replay: bool,
    sender: mpsc::Sender<String>,
    figures: Figures,
    health: String,
}

/// Why a stream ends.
struct Over;

impl Stream {
    fn new(web: Web, actor: Actor, after: Option<u64>, sender: mpsc::Sender<String>) -> Self {
        let seen = after.unwrap_or_else(|| *web.app.bell().borrow());
        Self { web, actor, seen, replay: after.is_some(), sender, figures: Figures::default(), health: String::new() }
    }

    async fn run(&mut self) -> Result<(), Over> {
        // Registered before looking, so nothing falls between.
        let (mut bell, mut ticks) = (self.web.app.bell(), self.web.app.ticks());
        bell.mark_changed();
        ticks.mark_unchanged();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        let mut recheck = tokio::time::interval(RECHECK);
        self.send("retry: 3000\n\n".to_owned()).await?;
        self.send_health().await?;
        loop {
            tokio::select! {
                () = self.sender.closed() => return Err(Over),
                rung = bell.changed() => { rung.map_err(|_| Over)?; self.send_events().await?; self.send_health().await?; }
                rung = ticks.changed() => { rung.map_err(|_| Over)?; self.send_tick().await?; self.send_health().await?; }
                _ = heartbeat.tick() => self.send(": still here\n\n".to_owned()).await?,
                _ = recheck.tick() => self.check()?,
            }
        }
    }

    async fn send(&self, text: String) -> Result<(), Over> {
        // A browser that reads nothing for this long is gone, and its session may have ended in the meantime.
        self.sender.send_timeout(text, SLOW).await.map_err(|_| Over)
    }

    /// Revoked, deactivated, or no longer of the same role: the stream ends and a new one is judged anew.
    fn check(&self) -> Result<(), Over> {
        let app = &self.web.app;
        let role = self.actor.user_id().and_then(|id| app.people().get(id)).map(|u| u.role);
        if app.sessions().is_alive(&self.actor) && role == Some(self.actor.role()) { Ok(()) } else { Err(Over) }
    }

    async fn send_events(&mut self) -> Result<(), Over> {
        self.check()?;
        loop {
            let (events, last) = self.web.app.events_after(&self.actor, self.seen, BATCH).map_err(log)?;
            match events {
                Some(events) => {
                    for event in newest_of_each(events) {
                        self.send(text_of(&event)).await?;
                    }
                }
                // Older than what is kept: the page loads its live parts anew.
                None if self.replay => self.send(message("reset", Some(last), &json!({}))).await?,
                None => {}
            }
            if last == self.seen {
                return Ok(());
            }
            (self.seen, self.replay) = (last, true);
        }
    }

    async fn send_tick(&mut self) -> Result<(), Over> {
        let rows = self.figures.changed(&self.web.app, &self.actor);
        let data = json!({ "at": self.web.now().0, "rows": rows });
        self.send(message("tick", None, &data)).await
    }

    async fn send_health(&mut self) -> Result<(), Over> {
        let health = health::appliance_health(&self.web.app, &self.actor);
        let jobs = health::open_jobs(&self.web.app, &self.actor);
        let text = message("health", None, &json!({ "level": health.level.name(), "text": health.text, "jobs": jobs }));
        if text == self.health {
            return Ok(());
        }
        self.health.clone_from(&text);
        self.send(text).await
    }
}

fn log(e: Error) -> Over {
    tracing::error!(error = %e.chain(), "an event stream failed");
    Over
}

/// A burst often says the same thing again and again (a log line, a row); the last one is enough.
fn newest_of_each(events: Vec<Event>) -> Vec<Event> {
    let mut seen = HashSet::new();
    let mut kept: Vec<Event> = events.into_iter().rev().filter(|e| seen.insert(e.about)).collect();
    kept.reverse();
    kept
}

fn text_of(event: &Event) -> String {
    message("change", Some(event.seq), &json!(event.about))
}

/// JSON has no line breaks, so one `data:` line is enough.
fn message(name: &str, id: Option<u64>, data: &Value) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("{id}event: {name}\ndata: {data}\n\n")
}

/// What a browser was last told of each guest.
#[derive(Default)]
struct Figures(HashMap<GuestId, Row>);

#[derive(Clone, PartialEq)]
struct Row {
    status: String,
    /// Thousandths.
    cpu: Option<u32>,
    mem: Option<u64>,
    maxmem: u64,
    /// Bytes a second.
    net: Option<u64>,
}

impl Figures {
    /// Rows that differ from what was last told, as `[id, status, cpu share, bytes, bytes at most, network bytes a second]`.
    fn changed(&mut self, app: &App, actor: &Actor) -> Vec<Value> {
        let snapshot = app.live().snapshot();
        let mut out = Vec::new();
        for guest in snapshot.guests.iter().filter(|g| actor.guest_right(&g.row).is_some()) {
            let (state, runs) = (&guest.state, guest.state.status == "running");
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of 0 to 1 in thousandths"
            )]
            let cpu = runs.then(|| (state.cpu.clamp(0.0, 1.0) * 1000.0).round() as u32);
            let (mem, net) = (runs.then_some(state.mem), runs.then(|| guest.rates.network()));
            let row = Row { status: state.status.clone(), cpu, mem, maxmem: state.maxmem, net };
            if self.0.get(&guest.row.id) != Some(&row) {
                let share = cpu.map(|c| f64::from(c) / 1000.0);
                out.push(json!([guest.row.id, row.status, share, row.mem, row.maxmem, row.net]));
                self.0.insert(guest.row.id, row);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Timestamp;
    use base::ids::JobId;
    use model::subject::Subject;

    #[test]
    fn a_burst_of_the_same_event_is_told_once_with_its_last_number() {
        let (a, b) = (JobId::new(), JobId::new());
        let event = |seq, about| Event { seq, at: Timestamp::ZERO, about, owner: None };
        let events = vec![
            event(1, Subject::JobLog(a)),
            event(2, Subject::Job(b)),
            event(3, Subject::JobLog(a)),
            event(4, Subject::JobLog(b)),
        ];
        let kept: Vec<u64> = newest_of_each(events).iter().map(|e| e.seq).collect();
        assert_eq!(kept, [2, 3, 4]);
    }

    #[test]
    fn a_message_is_one_event_of_the_stream() {
        let event = Event { seq: 7, at: Timestamp::ZERO, about: Subject::Users, owner: None };
        assert_eq!(text_of(&event), "id: 7\nevent: change\ndata: {\"kind\":\"users\"}\n\n");
        assert_eq!(message("tick", None, &json!({})), "event: tick\ndata: {}\n\n");
    }
}
