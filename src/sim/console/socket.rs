//! The websocket: the upgrade as pveproxy answers it, and the pump between frames and a plain stream.

use crate::http::form::Raw;
use crate::http::request::Decoded;
use crate::world::{World, lock};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// The real proxy takes no larger frames from a client.
const FRAME: usize = 128 * 1024;

/// A request that wants to become a websocket.
#[derive(Debug)]
pub struct UpgradeRequest {
    upgrade: OnUpgrade,
    accept: String,
    protocol: Option<HeaderValue>,
}

/// Looks whether the request wants to become a websocket, and takes its connection if so.
pub fn asked(request: &mut Request<Incoming>) -> Option<UpgradeRequest> {
    let is = |name: HeaderName, word: &str| {
        let value = request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        value.to_ascii_lowercase().contains(word)
    };
    if !is(UPGRADE, "websocket") || !is(CONNECTION, "upgrade") || !request.uri().path().ends_with("/vncwebsocket") {
        return None;
    }
    let accept = derive_accept_key(request.headers().get(SEC_WEBSOCKET_KEY)?.as_bytes());
    let protocol = request.headers().get(SEC_WEBSOCKET_PROTOCOL).cloned();
    Some(UpgradeRequest { upgrade: hyper::upgrade::on(request), accept, protocol })
}

/// The ticket that a request shows.
fn ticket(decoded: &Decoded) -> Option<String> {
    match decoded.params.get("vncticket") {
        Some(Raw::One(ticket)) => Some(ticket.clone()),
        _ => None,
    }
}

/// The way from a request to its worker, looked up before the request is used up.
#[derive(Debug)]
pub struct TicketParam(Option<String>);

impl TicketParam {
    pub fn of(decoded: &Decoded) -> Self {
        Self(ticket(decoded))
    }
}

/// Brings the websocket to the worker that waits for it. When nobody waits nothing is answered:
/// the real proxy's connection to the worker's port hangs.
pub async fn attach(world: &Arc<World>, way: TicketParam, asked: UpgradeRequest) -> Response<Full<Bytes>> {
    let door = way.0.and_then(|t| lock(&world.desk.waiting).get_mut(&t).and_then(|w| w.door.take()));
    let door = door.filter(|d| !d.is_closed());
    let Some(door) = door else {
        return std::future::pending().await;
    };
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&asked.accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = asked.protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    world.background(async move {
        let Ok(upgraded) = asked.upgrade.await else { return };
        let config = WebSocketConfig::default().max_message_size(Some(FRAME)).max_frame_size(Some(FRAME));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (ours, theirs) = tokio::io::duplex(FRAME);
        if door.send(theirs).is_ok() {
            pump(socket, ours).await;
        }
    });
    response
}

/// Carries bytes both ways until one side ends. Frames to the client are binary.
async fn pump<S>(socket: WebSocketStream<S>, line: DuplexStream)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
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
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(n @ 1..) = reader.read(&mut buffer).await {
            if sink.send(Message::Binary(Bytes::copy_from_slice(&buffer[..n]))).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    };
    tokio::select! { () = inward => {}, () = outward => {} }
}
