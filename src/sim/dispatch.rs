//! The way of one call: fault? who? which route? may they? is the node there? are the parameters right?
//! Then the handler. The order is the real one (pve-manager: PVE/HTTPServer.pm `rest_handler`).

use super::access::permissions::{require, require_any};
use super::access::who::{Who, identify};
use super::control;
use super::error::ApiError;
use super::faults::{AnswerFault, Faults, Trap};
use super::formats;
use super::http::answer::Answer;
use super::http::form::percent_decode;
use super::http::multipart::File;
use super::http::request::Decoded;
use super::routes::{Need, ROUTES, Route, Run};
use super::schema::{Params, validate};
use super::world::World;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    Answer(Answer),
    /// The connection is cut without an answer.
    Cut,
}

/// A call that passed all checks, as handlers get it.
#[derive(Debug, Clone)]
pub struct Call {
    pub world: Arc<World>,
    pub who: Who,
    /// Values of the `{..}` parts of the path.
    pub args: BTreeMap<&'static str, String>,
    pub params: Params,
    /// An uploaded file.
    pub file: Option<File>,
}

impl Call {
    pub fn arg(&self, name: &str) -> &str {
        self.args.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn node(&self) -> &str {
        self.arg("node")
    }

    pub fn vmid(&self) -> u32 {
        self.arg("vmid").parse().unwrap_or(0)
    }
}

pub async fn handle(world: Arc<World>, request: Decoded, peer: SocketAddr) -> Outcome {
    if request.path.starts_with("/sim/") {
        return Outcome::Answer(control::handle(&world, &request, peer).await);
    }
    let Some(path) = request.path.strip_prefix("/api2/json").map(str::to_owned) else {
        return Outcome::Answer(Err(ApiError::not_implemented(&request.method, &request.path)));
    };
    let (later, now): (Vec<_>, Vec<_>) =
        world.faults.traps_for(&request.method, &path).into_iter().partition(|trap| trap.after);
    switch_on(&world, now).await;
    let plan = world.faults.answer_for(&request.method, &path).unwrap_or_default();
    let delay = world.faults.slow() + plan.delay;
    tokio::time::sleep(Duration::from_secs_f64(delay.max(0.0))).await;
    if plan.after || (plan.status == 0 && !plan.cut) {
        let answer = call(&world, request, &path).await;
        switch_on(&world, later).await;
        return if plan.after { faulty(&plan) } else { Outcome::Answer(answer) };
    }
    switch_on(&world, later).await;
    faulty(&plan)
}

async fn switch_on(world: &Arc<World>, traps: Vec<Trap>) {
    for fault in traps.into_iter().flat_map(|trap| trap.then) {
        if let Err(e) = Faults(Arc::clone(world)).set(fault).await {
            tracing::warn!(error = e.chain(), "a fault could not be switched on");
        }
    }
}

fn faulty(plan: &AnswerFault) -> Outcome {
    if plan.cut {
        return Outcome::Cut;
    }
    Outcome::Answer(Err(if plan.status >= 595 || plan.status == 401 {
        ApiError::proxy(plan.status, if plan.text.is_empty() { "Connection timed out" } else { &plan.text })
    } else {
        ApiError::new(plan.status, plan.text.clone())
    }))
}

async fn call(world: &Arc<World>, request: Decoded, path: &str) -> Answer {
    let found = find(&request.method, path);
    let who = match found {
        Some((Route { need: Need::World, .. }, _)) => Who { user: String::new(), token: None },
        _ => identify(world, &request)?,
    };
    let Some((route, args)) = found else { return Err(ApiError::not_implemented(&request.method, path)) };
    if route.path == "/access/ticket" && request.authorization.is_some() && route.method == "POST" {
        return Err(ApiError::new(403, "API call not allowed with API token"));
    }
    allowed(world, &who, route, &args)?;
    reachable(world, &args)?;
    let mut errors = BTreeMap::new();
    for (name, value) in &args {
        if let Err(text) = path_value(name, value) {
            errors.insert((*name).to_owned(), text);
        }
    }
    if !errors.is_empty() {
        return Err(ApiError::params(errors));
    }
    let params = validate(route.schema, request.params)?;
    let call = Call { world: Arc::clone(world), who, args, params, file: request.file };
    match route.run {
        Run::Now(handler) => handler(&call),
        Run::Wait(handler) => handler(call).await,
    }
}

/// The route of a method and path with the values of its `{..}` parts. Literal parts win over `{..}`.
fn find(method: &str, path: &str) -> Option<(&'static Route, BTreeMap<&'static str, String>)> {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let mut best: Option<(&'static Route, BTreeMap<&'static str, String>)> = None;
    for route in ROUTES.iter().filter(|r| r.method == method) {
        let Some(args) = fit(route.path, &parts) else { continue };
        if best.as_ref().is_none_or(|(_, other)| args.len() < other.len()) {
            best = Some((route, args));
        }
    }
    best
}

/// A last part `{name*}` takes the rest of the path: volume ids have slashes.
fn fit(pattern: &'static str, parts: &[&str]) -> Option<BTreeMap<&'static str, String>> {
    let mut args = BTreeMap::new();
    let wanted: Vec<&'static str> = pattern.split('/').collect();
    for (i, piece) in wanted.iter().enumerate() {
        let name = piece.strip_prefix('{').and_then(|p| p.strip_suffix('}'));
        match (name, parts.get(i)) {
            (Some(name), Some(_)) if name.ends_with('*') => {
                args.insert(name.trim_end_matches('*'), percent_decode(&parts[i..].join("/")));
                return Some(args);
            }
            (Some(name), Some(part)) if !part.is_empty() => {
                args.insert(name, percent_decode(part));
            }
            (None, Some(part)) if *part == *piece => {}
            _ => return None,
        }
    }
    (wanted.len() == parts.len()).then_some(args)
}

fn allowed(world: &World, who: &Who, route: &Route, args: &BTreeMap<&'static str, String>) -> Result<(), ApiError> {
    let fill = |template: &str| {
        args.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    };
    match route.need {
        Need::World | Need::Any => Ok(()),
        Need::All(path, privileges) => world.read(|c| require(c, who, &fill(path), privileges)),
        Need::OneOf(path, privileges) => world.read(|c| require_any(c, who, &fill(path), privileges)),
    }
}

/// Calls with a `{node}` are carried to it: an unknown one can't be looked up, a dead one can't be reached.
fn reachable(world: &World, args: &BTreeMap<&'static str, String>) -> Result<(), ApiError> {
    let Some(name) = args.get("node") else { return Ok(()) };
    if formats::node(name).is_err() {
        return Ok(());
    }
    world.read(|c| match c.nodes.get(name).or_else(|| (name == "localhost").then(|| c.local()).flatten()) {
        None => Err(ApiError::die(format!(
            "hostname lookup '{name}' failed - failed to get address info for: {name}: Name or service not known"
        ))),
        Some(node) if node.offline => Err(ApiError::proxy(595, "No route to host")),
        Some(_) => Ok(()),
    })
}

fn path_value(name: &str, value: &str) -> Result<(), String> {
    let judged = match name {
        "vmid" => formats::vmid(value),
        "node" => formats::node(value),
        "storage" => formats::storage(value),
        "snapname" => formats::config_id(value),
        "upid" => return super::tasklists::parse(value).map(|_| ()),
        _ => Ok(()),
    };
    judged.map_err(|e| format!("invalid format - {e}"))
}
