//! `steward console`: a machine's serial line (or a container's terminal) in this terminal.

use super::Common;
use super::find::GuestArg;
use super::terminal::{self, Raw};
use base::{Error, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use http::header;
use model::consoles::ConsoleKind;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use web::guests::console::rest::ConsoleTicketView;

/// Ctrl-], as with telnet and virsh.
const LEAVE: u8 = 0x1d;
/// For the handshake and the first word.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub struct Console {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    guest: GuestArg,
}

fn broken(e: tungstenite::Error) -> Error {
    match e {
        tungstenite::Error::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            super::client::problem(response.status(), body)
        }
        other => Error::unavailable("The console was cut off.").with_cause(other),
    }
}

fn late<T>(_: T) -> Error {
    Error::unavailable("The console did not open within 30 seconds.")
}

impl Console {
    pub async fn run(self) -> Result<ExitCode> {
        if !terminal::somebody() {
            return Err(Error::invalid("A console needs a terminal."));
        }
        let mut api = self.common.api()?;
        let path = self.guest.path(&mut api, "console").await?;
        let ticket: ConsoleTicketView = api.post(&path, &json!({ "kind": ConsoleKind::Serial })).await?;
        let address = url::Url::parse(&ticket.websocket)
            .map_err(|e| Error::unavailable("Steward gave no address for the console.").with_cause(e))?;
        let path = format!("{}?{}", address.path(), address.query().unwrap_or_default());
        let (url, token, tls) = api.bare().await?;
        // Ours, not the one that the answer names: the certificate was accepted for this one.
        let mut target = url.clone();
        target.set_scheme("wss").map_err(|()| Error::internal("no such scheme"))?;
        let target = target.join(&path).map_err(Error::internal)?;
        let mut request = target.as_str().into_client_request().map_err(broken)?;
        let bearer = format!("Bearer {token}").parse().map_err(Error::internal)?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let opening = tokio_tungstenite::client_async(request, tls);
        let (mut socket, _) = tokio::time::timeout(PATIENCE, opening).await.map_err(late)?.map_err(broken)?;
        let first = tokio::time::timeout(PATIENCE, socket.next()).await.map_err(late)?;
        refused(first)?;
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "Connected. Ctrl-] leaves.\r\n");
        drop(err);
        let raw = Raw::begin()?;
        let ended = carry(&mut socket).await;
        drop(raw);
        let _ = socket.close(None).await;
        match ended? {
            None => Ok(ExitCode::SUCCESS),
            Some(why) => Err(Error::unavailable(format!("The console was closed: {why}."))),
        }
    }
}

/// The first frame says whether the machine's side is open.
fn refused(first: Option<std::result::Result<Message, tungstenite::Error>>) -> Result<()> {
    let why = match first {
        Some(Ok(Message::Text(text))) => {
            let value: Value = serde_json::from_str(text.as_str()).unwrap_or_default();
            if value["open"].is_object() {
                return Ok(());
            }
            value["error"].as_str().map(str::to_owned)
        }
        Some(Ok(Message::Close(Some(CloseFrame { reason, .. })))) => Some(reason.to_string()),
        Some(Err(e)) => return Err(broken(e)),
        _ => None,
    };
    Err(Error::unavailable(why.filter(|w| !w.is_empty()).unwrap_or_else(|| "The console did not open.".to_owned())))
}

fn size() -> Message {
    let (columns, rows) = terminal_size::terminal_size().map_or((80, 24), |(w, h)| (w.0, h.0));
    Message::text(json!({ "columns": columns, "rows": rows }).to_string())
}

/// What is typed, read by a thread of its own: a terminal can't be read without blocking.
fn keys() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = std::io::stdin().lock().read(&mut buffer) {
            if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Carries bytes both ways until the person leaves (`None`) or the other side ends, with its reason.
async fn carry<S>(socket: &mut tokio_tungstenite::WebSocketStream<S>) -> Result<Option<String>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut keys = keys();
    let mut resized = signal(SignalKind::window_change()).map_err(Error::internal)?;
    socket.send(size()).await.map_err(broken)?;
    loop {
        tokio::select! {
            typed = keys.recv() => {
                let Some(typed) = typed else { return Ok(None) };
                let left = typed.iter().position(|b| *b == LEAVE);
                let typed = &typed[..left.unwrap_or(typed.len())];
                if !typed.is_empty() {
                    socket.send(Message::binary(typed.to_vec())).await.map_err(broken)?;
                }
                if left.is_some() {
                    return Ok(None);
                }
            }
            _ = resized.recv() => socket.send(size()).await.map_err(broken)?,
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    // As it is: this is the machine's own terminal, with its colours and cursor.
                    let mut out = std::io::stdout().lock();
                    let _ = out.write_all(&bytes);
                    let _ = out.flush();
                }
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|f| f.reason.to_string()).filter(|r| !r.is_empty());
                    return Ok(Some(why.unwrap_or_else(|| "the other side ended it".to_owned())));
                }
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(broken(e)),
                None => return Ok(Some("the other side ended it".to_owned())),
            }
        }
    }
}
