//! Counters of the door itself, written as Prometheus text.

use crate::door::problem::Answer;
use crate::door::state::Web;
use crate::door::visit::Visit;
use axum::response::IntoResponse;
use http::{Method, header};
use model::connections::Reach;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Requests by route and status. Routes come from the table, so their number is bounded.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(String, &'static str, u16), Count>>,
    pub panics: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    number: u64,
    micros: u64,
}

impl Metrics {
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one answered request. `route` is the pattern of the table, or `none`.
    pub fn count(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = requests.entry((route.to_owned(), short(method), status)).or_default();
        count.number += 1;
        count.micros += u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    }

    fn write(&self, out: &mut String) {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        head(out, "steward_http_requests_total", "counter", "Requests answered, by route, method and status.");
        for ((route, method, status), count) in &requests {
            line(out, "steward_http_requests_total", &labels(route, method, *status), count.number);
        }
        head(out, "steward_http_request_microseconds_total", "counter", "Time until the answer's head, summed.");
        for ((route, method, status), count) in &requests {
            line(out, "steward_http_request_microseconds_total", &labels(route, method, *status), count.micros);
        }
        single(
            out,
            "steward_http_panics_total",
            "counter",
            "Handlers that panicked.",
            self.panics.load(Ordering::Relaxed),
        );
    }
}

/// Methods that the table does not know share one name, so a client can't make series.
fn short(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn labels(route: &str, method: &str, status: u16) -> String {
    format!("{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}")
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(out, "{name}{labels} {value}");
}

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    head(out, name, kind, help);
    line(out, name, "", value);
}

/// `GET /metrics`: from this host without a token, from elsewhere for admins.
pub async fn show(visit: Visit) -> Answer {
    if !visit.address.is_loopback() {
        visit.actor()?.require_admin()?;
    }
    let text = text(&visit.web);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn text(web: &Web) -> String {
    let mut out = String::with_capacity(8 * 1024);
    let (app, costs) = (&web.app, web.app.health().footprint());
    head(&mut out, "steward_build_info", "gauge", "Always 1; the version is the label.");
    line(&mut out, "steward_build_info", &format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1);
    single(&mut out, "steward_uptime_seconds", "gauge", "Since the start of this process.", costs.uptime_seconds);
    single(&mut out, "process_resident_memory_bytes", "gauge", "Resident memory.", costs.rss);
    single(&mut out, "process_cpu_seconds_total", "counter", "CPU time used.", costs.cpu_seconds);
    single(&mut out, "process_open_fds", "gauge", "Open files and sockets.", costs.open_files);
    single(&mut out, "process_threads", "gauge", "Threads.", costs.threads);
    single(&mut out, "steward_store_bytes", "gauge", "Size of the store's file.", costs.store_bytes);
    single(&mut out, "steward_streams", "gauge", "Open event streams.", web.streams.total());
    let consoles = web.app.consoles().open_now();
    single(&mut out, "steward_consoles", "gauge", "Open consoles.", consoles);
    head(&mut out, "steward_jobs_open", "gauge", "Jobs that are not over, by state.");
    for (state, number) in app.health().open_jobs() {
        line(&mut out, "steward_jobs_open", &format!("{{state=\"{state}\"}}"), number);
    }
    proxmox(&mut out, web);
    web.metrics.write(&mut out);
    out
}

fn proxmox(out: &mut String, web: &Web) {
    let snapshot = web.app.live().snapshot();
    single(out, "steward_guests", "gauge", "Guests that Steward knows, templates too.", snapshot.guests.len());
    head(out, "steward_connection_up", "gauge", "1 while Proxmox answers, by connection.");
    for c in &snapshot.connections {
        let up = u8::from(matches!(c.reach, Reach::Here { .. }));
        line(out, "steward_connection_up", &format!("{{connection=\"{}\"}}", c.id), up);
    }
    head(out, "steward_connection_age_seconds", "gauge", "Since Proxmox answered last, by connection.");
    for (id, at) in snapshot.connections.iter().filter_map(|c| Some((c.id, c.at?))) {
        line(out, "steward_connection_age_seconds", &format!("{{connection=\"{id}\"}}"), at.until(web.now()).as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let metrics = Metrics::new();
        metrics.count("/machines/{id}", &Method::GET, 200, Duration::from_micros(1500));
        metrics.count("/machines/{id}", &Method::GET, 200, Duration::from_micros(500));
        metrics.count("none", &Method::from_bytes(b"BREW").unwrap(), 404, Duration::ZERO);
        let mut out = String::new();
        metrics.write(&mut out);
        assert!(
            out.contains("steward_http_requests_total{route=\"/machines/{id}\",method=\"GET\",status=\"200\"} 2"),
            "{out}"
        );
        assert!(out.contains("microseconds_total{route=\"/machines/{id}\",method=\"GET\",status=\"200\"} 2000"));
        assert!(out.contains("method=\"other\",status=\"404\"} 1"));
    }
}
