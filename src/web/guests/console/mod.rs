//! The console tab of a machine, its tickets, and the websocket between a browser (or a program) and the machine.
//!
//! On the websocket: first one text frame, `{"open":{"kind":..,"password":..}}` or `{"error":".."}`. From then
//! on binary frames carry what the machine and its viewer say; a viewer's text frame `{"columns":..,"rows":..}`
//! gives a terminal its size. The close code says why it ended (`Ending`).

pub mod page;
pub mod rest;

use crate::door::csrf;
use crate::door::csrf::Checked;
use crate::door::forms::id;
use crate::door::problem::Answer;
use crate::door::state::Web;
use crate::door::visit::Person;
use crate::guests::console::page::ConsoleView;
use crate::guests::one::{Machine, find, head};
use app::consoles::{ConsoleReader, ConsoleWriter, Entry, OpenConsole, Watch, is_on};
use axum::Json;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, Path, Query};
use axum::response::IntoResponse as _;
use base::ids::GuestId;
use base::{Error, Result};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use maud::Markup;
use model::access::GuestRight;
use model::consoles::ConsoleKind;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long the page waits for the provider's word on which consoles there are.
const CHOICES: Duration = Duration::from_secs(5);
/// A viewer that is silent for this long, pongs included, is gone.
const SILENT: Duration = Duration::from_secs(45);
/// A keep-alive this often, both ways.
const PING: Duration = Duration::from_secs(15);
/// No console needs larger frames from a viewer: clipboards are cut to less.
const FRAME: usize = 256 * 1024;
/// What is read from the machine at once.
const PIECE: usize = 32 * 1024;
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

pub async fn show(person: Person, Machine(guest): Machine) -> Answer<Markup> {
    if person.actor.guest_right(&guest.row) < Some(GuestRight::Use) {
        return Err(Error::forbidden("You may view this machine, but not use its console.").into());
    }
    let on = is_on(&guest.state.status);
    let consoles = person.web.app.consoles();
    let asked = tokio::time::timeout(CHOICES, consoles.choices(&person.actor, guest.row.id)).await;
    let (choices, refusal) = match asked {
        Ok(Ok(choices)) => (choices, None),
        Ok(Err(e)) => (Vec::new(), Some(e.message().to_owned())),
        Err(_) => (Vec::new(), Some("The machine's host is taking too long to answer. Reload the page.".to_owned())),
    };
    Ok(page::console(&person.page(), &head(&person, &guest)?, &ConsoleView { choices, refusal, on }))
}

/// A ticket for our own page.
pub async fn ticket(person: Person, Path(text): Path<String>, Checked { form, .. }: Checked) -> Answer<Json<Value>> {
    let kind = kind(form.value("kind"))?;
    let ticket = person.web.app.consoles().ticket(&person.actor, id::<GuestId>(&text)?, kind).await?;
    Ok(Json(json!({ "ticket": ticket.text.expose(), "kind": kind })))
}

pub fn kind(text: &str) -> Result<ConsoleKind> {
    ConsoleKind::parse(text).ok_or_else(|| Error::field("kind", "Choose vnc or serial."))
}

#[derive(Debug, Deserialize)]
pub struct Shown {
    #[serde(default)]
    ticket: String,
}

/// The websocket. A browser's must come from our own page: browsers send cookies with websockets of any page,
/// and ask nobody.
pub async fn socket(
    person: Person,
    Path(text): Path<String>,
    Query(shown): Query<Shown>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer {
    use app::actor::Via;
    let guest = find(&person, &text)?.row.id;
    if matches!(person.actor.via(), Some(Via::Session(_)))
        && csrf::same_origin(person.web.scheme(), &uri, &headers) != Some(true)
    {
        return Err(Error::forbidden("A console can be opened only from Steward's own page.").into());
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    let entry = person.web.app.consoles().enter(&person.actor, guest, &shown.ticket)?;
    let web = person.web.clone();
    // Counted, so that a stop of the service waits for the last word in the audit log.
    let counted = web.consoles.token();
    Ok(upgrade.max_message_size(FRAME).max_frame_size(FRAME).on_upgrade(move |socket| async move {
        serve(&web, socket, entry).await;
        drop(counted);
    }))
}

/// Why a console ended: the close code and sentence that its viewer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    /// The viewer went by itself.
    Left,
    /// The machine's side ended: it was stopped, or the connection to its node was cut.
    Cut,
    /// The way to the machine's host broke.
    Lost,
    /// The viewer gave no sign of life.
    Silent,
    /// The person may not any more.
    Refused(&'static str),
    /// The service stops.
    Stopping,
    /// It could not be opened.
    Failed(String),
}

impl Ending {
    /// The machine's side is over; `cut` when it was the way there.
    fn of_line(cut: bool) -> Self {
        if cut { Self::Lost } else { Self::Cut }
    }

    /// 1001 and 1011 are of RFC 6455 section 7.4.1, 4000 to 4999 are free for us.
    fn code(&self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::Cut => 4000,
            Self::Silent => 4001,
            Self::Lost => 4002,
            Self::Refused(_) => 4003,
            Self::Stopping => 1001,
            Self::Failed(_) => 1011,
        }
    }

    fn words(&self) -> &str {
        match self {
            Self::Left => "closed by the viewer",
            Self::Cut => "the machine's side ended",
            Self::Lost => "the connection to its host was cut",
            Self::Silent => "the viewer was silent",
            Self::Refused(why) => why,
            Self::Stopping => "Steward stops",
            Self::Failed(_) => "it could not be opened",
        }
    }
}

/// Opens the machine's side, carries bytes, and ends with a reason.
async fn serve(web: &Web, mut socket: WebSocket, entry: Entry) {
    let opened = tokio::select! {
        opened = entry.open() => opened,
        () = web.stop.cancelled() => return goodbye(socket, Ending::Stopping).await,
    };
    let OpenConsole { reader, writer, password, watch } = match opened {
        Ok(open) => open,
        Err(e) => {
            tracing::debug!(error = e.chain(), "a console could not be opened");
            return goodbye(socket, Ending::Failed(e.message().to_owned())).await;
        }
    };
    let password = password.as_ref().map(|p| p.expose().as_str());
    let first = json!({ "open": { "kind": watch.kind(), "password": password } }).to_string();
    let ending = match socket.send(Message::text(first)).await {
        Ok(()) => carry(web, &mut socket, reader, writer, &watch).await,
        Err(_) => Ending::Left,
    };
    watch.close(ending.words()).await;
    goodbye(socket, ending).await;
}

async fn carry(
    web: &Web,
    socket: &mut WebSocket,
    mut reader: ConsoleReader,
    mut writer: ConsoleWriter,
    watch: &Watch,
) -> Ending {
    let (mut sink, mut source) = socket.split();
    let inward = async {
        let mut beat = tokio::time::interval(PING);
        let mut heard = tokio::time::Instant::now();
        loop {
            let message = tokio::select! {
                message = source.next() => message,
                _ = beat.tick() => {
                    if heard.elapsed() > SILENT {
                        return Ending::Silent;
                    }
                    if writer.keep_alive().await.is_err() {
                        return Ending::of_line(writer.is_cut().await);
                    }
                    continue;
                }
            };
            heard = tokio::time::Instant::now();
            let done = match message {
                None | Some(Err(_) | Ok(Message::Close(_))) => return Ending::Left,
                Some(Ok(Message::Binary(bytes))) => writer.input(&bytes).await,
                Some(Ok(Message::Text(text))) => match serde_json::from_str::<Size>(&text) {
                    Ok(Size { columns, rows }) => writer.resize(columns.clamp(1, 1000), rows.clamp(1, 1000)).await,
                    Err(_) => Ok(()),
                },
                Some(Ok(_)) => Ok(()),
            };
            if done.is_err() {
                return Ending::of_line(writer.is_cut().await);
            }
        }
    };
    let outward = async {
        let mut buffer = vec![0; PIECE];
        let mut beat = tokio::time::interval(PING);
        loop {
            let message = tokio::select! {
                read = reader.read(&mut buffer) => match read {
                    Ok(n @ 1..) => Message::Binary(Bytes::copy_from_slice(&buffer[..n])),
                    _ => return Ending::of_line(reader.is_cut().await),
                },
                _ = beat.tick() => Message::Ping(Bytes::new()),
            };
            if sink.send(message).await.is_err() {
                return Ending::Left;
            }
        }
    };
    tokio::select! {
        ending = inward => ending,
        ending = outward => ending,
        why = watch.refused() => Ending::Refused(why),
        () = web.stop.cancelled() => Ending::Stopping,
    }
}

/// The size of a viewer's terminal.
#[derive(Deserialize)]
struct Size {
    columns: u16,
    rows: u16,
}

/// Tells the viewer why, if it still listens.
async fn goodbye(mut socket: WebSocket, ending: Ending) {
    let last = async {
        if let Ending::Failed(why) = &ending {
            socket.send(Message::text(json!({ "error": why }).to_string())).await?;
        }
        let frame = CloseFrame { code: ending.code(), reason: ending.words().into() };
        socket.send(Message::Close(Some(frame))).await
    };
    let _ = tokio::time::timeout(GOODBYE, last).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_a_code_of_its_own_and_a_reason_that_fits_a_close_frame() {
        let all = [
            Ending::Left,
            Ending::Cut,
            Ending::Lost,
            Ending::Silent,
            Ending::Refused("You may not use this machine any more."),
            Ending::Stopping,
            Ending::Failed("x".repeat(500)),
        ];
        let codes: std::collections::BTreeSet<u16> = all.iter().map(Ending::code).collect();
        assert_eq!(codes.len(), all.len());
        // RFC 6455 section 5.5: a control frame has at most 125 bytes, two of them for the code.
        assert!(all.iter().all(|e| e.words().len() <= 123));
    }
}
