//! Consoles: a websocket to a node (`.../vncwebsocket`), as a plain stream of bytes.
//!
//! The port in the path is open only on the node that gave it and only for some seconds, and the ticket is
//! bound to who asked for it: so this call goes to the very endpoint that answered the one before, with the
//! same token. A ticket that was used or is too late gets no answer at all, hence the short patience.

use super::answer::{self, SentRequest};
use super::encode::{check_path, form};
use super::error::{PveError, PveErrorKind};
use super::wire::{Auth, Wire};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::tungstenite::Error as SocketError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// For connection, TLS and the websocket's handshake together.
const PATIENCE: Duration = Duration::from_secs(10);
/// A sign of life this often: pveproxy and firewalls forget connections on which nothing moves.
const PING: Duration = Duration::from_secs(20);
/// pveproxy takes frames of at most 128 KiB.
const FRAME: usize = 32 * 1024;
/// What is kept for a reader that is slower than the machine.
const BUFFER: usize = 128 * 1024;

/// Opens the websocket at `path` of this endpoint. Dropping the stream closes it.
///
/// # Errors
/// `Unreachable` when nothing connects or answers; what Proxmox says otherwise (`Auth` for a ticket that is
/// not good).
pub(super) async fn open(wire: &Wire, auth: &Auth, path: &str, params: &Value) -> Result<DuplexStream, PveError> {
    check_path(path)?;
    let request = request(wire, auth, path, params)?;
    let whole = async {
        let tls = wire.connector.open().await?;
        let config = WebSocketConfig::default().max_message_size(Some(16 << 20)).max_frame_size(Some(16 << 20));
        client_async_with_config(request, tls, Some(config)).await.map_err(|e| refused(wire, path, e))
    };
    let (socket, _) = tokio::time::timeout(PATIENCE, whole).await.map_err(|_| {
        PveError::unreachable(format!("Proxmox at {} did not open the console within 10 seconds.", wire.endpoint))
    })??;
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    tokio::spawn(pump(socket, ours));
    Ok(theirs)
}

fn request(wire: &Wire, auth: &Auth, path: &str, params: &Value) -> Result<Request<()>, PveError> {
    let authority = wire.endpoint.authority();
    let uri = format!("wss://{authority}/api2/json{path}?{}", form(params)?);
    let mut builder = Request::builder()
        .uri(uri)
        .header(HOST, authority)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, generate_key())
        .header(SEC_WEBSOCKET_PROTOCOL, "binary");
    match auth {
        Auth::Nobody => {}
        Auth::Token(value) => builder = builder.header(AUTHORIZATION, value),
        Auth::Ticket { cookie, .. } => builder = builder.header(COOKIE, cookie),
    }
    builder.body(()).map_err(|_| PveError::internal("The request can't be written."))
}

/// An answer that is not a websocket is read like any other answer of the API.
fn refused(wire: &Wire, path: &str, e: SocketError) -> PveError {
    let SocketError::Http(response) = e else {
        return PveError::unreachable(format!("Proxmox at {} closed the console's connection.", wire.endpoint));
    };
    let status = response.status().as_u16();
    let body = response.into_body().map(Bytes::from).unwrap_or_default();
    let asked = SentRequest { method: "GET", path, endpoint: &wire.endpoint };
    match answer::read(asked, status, None, &body) {
        Err(e) => e,
        Ok(_) => PveError::new(PveErrorKind::Refused, format!("Proxmox answered the console with {status}.")),
    }
}

/// Carries bytes both ways until one side ends. Frames to Proxmox are binary, masked and unfragmented.
async fn pump<S>(socket: WebSocketStream<S>, line: DuplexStream)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut source) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(line);
    let inward = async {
        while let Some(Ok(message)) = source.next().await {
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Text(text) => Bytes::from(text),
                Message::Close(_) => return,
                _ => continue,
            };
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let outward = async {
        let mut buffer = vec![0; FRAME];
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
        loop {
            let message = tokio::select! {
                read = reader.read(&mut buffer) => match read {
                    Ok(n @ 1..) => Message::Binary(Bytes::copy_from_slice(&buffer[..n])),
                    _ => break,
                },
                _ = ping.tick() => Message::Ping(Bytes::new()),
            };
            if sink.send(message).await.is_err() {
                return;
            }
        }
        let _ = tokio::time::timeout(PATIENCE, sink.close()).await;
    };
    tokio::select! { () = inward => {}, () = outward => {} }
}
