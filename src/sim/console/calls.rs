//! `POST vncproxy`, `POST termproxy`, `GET vncwebsocket`.

use super::{TICKET, Waiting, rfb, shell};
use crate::dispatch::Call;
use crate::error::ApiError;
use crate::http::answer::Answer;
use crate::state::{Guest, Kind};
use crate::tasks;
use crate::world::{World, lock};
use base::random;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a worker shows.
#[derive(Clone)]
enum Show {
    Screen { password: String },
    Terminal { hello: String },
}

/// `POST .../qemu/{vmid}/vncproxy`. Also a stopped machine gets a ticket; its worker then finds no one to
/// talk to.
pub fn screen(call: &Call) -> Answer {
    guest(call, Kind::Qemu)?;
    let password = password();
    // Without `websocket` the worker listens for VNC viewers itself, which is not simulated.
    let (ticket, port, upid) = open(call, "vncproxy", call.params.flag("websocket"), |ticket| {
        (format!("{password}:{ticket}"), Show::Screen { password: password.clone() })
    })?;
    let answer = json!({ "user": call.who.id(), "ticket": ticket, "port": port, "upid": upid, "password": password,
        "cert": call.world.authority.pem });
    Ok(answer.into())
}

/// `POST .../qemu/{vmid}/termproxy`: the machine needs a serial port that is a socket.
pub fn terminal(call: &Call) -> Answer {
    let guest = guest(call, Kind::Qemu)?;
    let is_socket = |key: &str| guest.get(key).is_some_and(|v| v == "socket");
    match call.params.get("serial") {
        Some(serial) if !is_socket(serial) => {
            return Err(ApiError::die(format!("unable to find serial interface '{serial}'")));
        }
        None if !(0..4).any(|n| is_socket(&format!("serial{n}"))) => {
            return Err(ApiError::die("unable to find a serial interface"));
        }
        _ => {}
    }
    talk(call)
}

/// `POST .../lxc/{vmid}/termproxy`.
pub fn lxc_terminal(call: &Call) -> Answer {
    guest(call, Kind::Lxc)?;
    talk(call)
}

fn talk(call: &Call) -> Answer {
    let user = call.who.id();
    let (ticket, port, upid) = open(call, "vncproxy", true, |ticket| {
        (ticket.clone(), Show::Terminal { hello: format!("{user}:{ticket}\n") })
    })?;
    Ok(json!({ "user": call.who.id(), "ticket": ticket, "port": port, "upid": upid }).into())
}

fn guest(call: &Call, kind: Kind) -> Result<Guest, ApiError> {
    call.world.read(|c| c.guest(call.node(), kind, call.vmid()).cloned()).map_err(ApiError::from)
}

/// Starts the worker; gives the ticket, the port as text, and the worker's UPID.
fn open(
    call: &Call,
    kind: &str,
    by_websocket: bool,
    make: impl FnOnce(String) -> (String, Show),
) -> Result<(String, String, String), ApiError> {
    let (world, vmid) = (Arc::clone(&call.world), call.vmid());
    let port = world.desk.take_port().ok_or_else(|| ApiError::die("unable to find free port (5900-5999)"))?;
    let (ticket, show) = make(format!("PVEVNC:{:08X}::{}", world.seconds(), random::token::<48>()));
    let (door, visitor) = oneshot::channel();
    let mut waiting = lock(&world.desk.waiting);
    waiting.retain(|_, w| w.until > Instant::now());
    waiting.insert(
        ticket.clone(),
        Waiting {
            user: call.who.id(),
            path: format!("/vms/{vmid}"),
            port,
            until: Instant::now() + TICKET,
            door: by_websocket.then_some(door),
        },
    );
    drop(waiting);
    let upid = tasks::spawn(&world, &call.who, call.node(), kind, &vmid.to_string(), move |job| async move {
        // Quicker than the real ten seconds where all is quicker, but never too quick for a busy machine.
        let patience = job.world.scaled(10.0).max(Duration::from_secs(2));
        let visitor = tokio::time::timeout(patience, visitor).await;
        let result = match visitor {
            Ok(Ok(line)) => {
                serve(&job.world, vmid, line, show).await;
                Ok(())
            }
            _ => Err("connection timed out".to_owned()),
        };
        lock(&job.world.desk.ports).remove(&port);
        result
    });
    Ok((ticket, port.to_string(), upid))
}

/// Serves until the visitor goes, the machine stops, or the line is cut.
async fn serve(world: &Arc<World>, vmid: u32, line: DuplexStream, show: Show) {
    let (cut, away) = (world.desk.cut.notified(), world.faults.until_away());
    let shown = async {
        match show {
            Show::Screen { password } => rfb::serve(world, vmid, line, &password).await,
            Show::Terminal { hello } => shell::serve(world, vmid, line, &hello).await,
        }
    };
    tokio::select! {
        ended = shown => if let Err(e) = ended { tracing::debug!(vmid, error = %e, "a simulated console ended") },
        () = stopped(world, vmid) => {}
        () = cut => {}
        () = away => {}
    }
}

/// Returns as soon as the machine does not run.
async fn stopped(world: &World, vmid: u32) {
    while world.read(|c| c.guests.get(&vmid).is_some_and(|g| g.run.is_some())) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// `GET .../vncwebsocket`: judges the ticket. Whether the worker still waits is seen only afterwards.
pub fn connect(call: &Call) -> Answer {
    let (ticket, port) = (call.params.text("vncticket"), call.params.text("port"));
    let path = format!("/vms/{}", call.vmid());
    let waiting = lock(&call.world.desk.waiting);
    let fits = waiting.get(&ticket).is_some_and(|w| {
        w.user == call.who.id() && w.path == path && w.port.to_string() == port && w.until > Instant::now()
    });
    if fits {
        Ok(json!({ "port": port }).into())
    } else {
        Err(ApiError { delay: 3.0, ..ApiError::new(401, "permission denied - invalid PVEVNC ticket") })
    }
}

/// Eight characters of all kinds: clients must not take them for harmless.
fn password() -> String {
    const SYMBOLS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789!'#$%&()*+,-./:;<=>?@[]^_{|}~";
    random::bytes::<8>().iter().map(|b| char::from(SYMBOLS[usize::from(*b) % SYMBOLS.len()])).collect()
}
