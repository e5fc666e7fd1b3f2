//! A VNC viewer (RFC 6143) as small as can be, and the websocket as a stream of bytes.

use crate::appliance::{Appliance, any_certificate};
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::{self, http};
use tokio_tungstenite::{WebSocketStream, client_async};

/// What a viewer knows after the greeting.
#[derive(Debug)]
pub struct Screen {
    pub width: u16,
    pub height: u16,
    pub name: String,
}

fn response(password: &str, challenge: [u8; 16]) -> Vec<u8> {
    let mut key = [0_u8; 8];
    key.iter_mut().zip(password.bytes()).for_each(|(k, b)| *k = b.reverse_bits());
    let cipher = des::Des::new(&key.into());
    let mut out = Vec::new();
    for half in challenge.chunks_exact(8) {
        let mut block = <[u8; 8]>::try_from(half).unwrap().into();
        cipher.encrypt_block(&mut block);
        out.extend(block);
    }
    out
}

/// Version, password, names; `None` when the password is not taken. An empty password is none at all.
pub async fn greet<S: AsyncRead + AsyncWrite + Unpin>(line: &mut S, password: &str) -> Option<Screen> {
    let mut version = [0; 12];
    line.read_exact(&mut version).await.unwrap();
    assert_eq!(&version, b"RFB 003.008\n");
    line.write_all(&version).await.unwrap();
    let kind = if password.is_empty() { 1 } else { 2 };
    assert_eq!((line.read_u8().await.unwrap(), line.read_u8().await.unwrap()), (1, kind), "one kind of sign-in");
    line.write_u8(kind).await.unwrap();
    if kind == 2 {
        let mut challenge = [0; 16];
        line.read_exact(&mut challenge).await.unwrap();
        line.write_all(&response(password, challenge)).await.unwrap();
    }
    if line.read_u32().await.unwrap() != 0 {
        return None;
    }
    line.write_u8(1).await.unwrap();
    let (width, height) = (line.read_u16().await.unwrap(), line.read_u16().await.unwrap());
    let mut format = [0; 16];
    line.read_exact(&mut format).await.unwrap();
    assert_eq!(format[0], 32);
    let mut name = vec![0; line.read_u32().await.unwrap() as usize];
    line.read_exact(&mut name).await.unwrap();
    Some(Screen { width, height, name: String::from_utf8(name).unwrap() })
}

/// One update: which rows changed, and all bytes of their pixels.
pub async fn update<S: AsyncRead + AsyncWrite + Unpin>(
    line: &mut S,
    screen: &Screen,
    incremental: bool,
) -> Vec<(u16, Vec<u8>)> {
    let mut ask = vec![3, u8::from(incremental), 0, 0, 0, 0];
    ask.extend(screen.width.to_be_bytes());
    ask.extend(screen.height.to_be_bytes());
    line.write_all(&ask).await.unwrap();
    assert_eq!(line.read_u8().await.unwrap(), 0);
    line.read_u8().await.unwrap();
    let mut out = Vec::new();
    for _ in 0..line.read_u16().await.unwrap() {
        let (_, y) = (line.read_u16().await.unwrap(), line.read_u16().await.unwrap());
        let (width, height) = (line.read_u16().await.unwrap(), line.read_u16().await.unwrap());
        assert_eq!(line.read_i32().await.unwrap(), 0, "raw");
        let mut pixels = vec![0; usize::from(width) * usize::from(height) * 4];
        line.read_exact(&mut pixels).await.unwrap();
        out.push((y, pixels));
    }
    out
}

pub async fn key<S: AsyncWrite + Unpin>(line: &mut S, down: bool, key: u32) {
    let mut message = vec![4, u8::from(down), 0, 0];
    message.extend(key.to_be_bytes());
    line.write_all(&message).await.unwrap();
}

pub async fn press<S: AsyncWrite + Unpin>(line: &mut S, text: &str) {
    for c in text.chars() {
        key(line, true, u32::from(c)).await;
        key(line, false, u32::from(c)).await;
    }
}

/// The appliance's websocket. Frames are kept, so that text and bytes can be told apart.
pub struct Socket(pub WebSocketStream<TlsStream<TcpStream>>);

/// Why it was not opened: status and body.
pub type Refused = (u16, String);

impl Socket {
    /// Opens `path` with these headers beside what a websocket needs.
    pub async fn open(appliance: &Appliance, path: &str, headers: &[(&str, &str)]) -> Result<Self, Refused> {
        let mut request = format!("wss://{}{path}", appliance.address).into_client_request().unwrap();
        for (name, value) in headers {
            let name = http::HeaderName::try_from(*name).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let tcp = TcpStream::connect(appliance.address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let tls = any_certificate().connect(name, tcp).await.unwrap();
        match client_async(request, tls).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(answer)) => {
                let status = answer.status().as_u16();
                Err((status, String::from_utf8(answer.into_body().unwrap_or_default()).unwrap()))
            }
            Err(e) => panic!("{path}: {e}"),
        }
    }

    pub async fn message(&mut self) -> Message {
        let next = tokio::time::timeout(Duration::from_secs(20), self.0.next());
        next.await.expect("a message in time").expect("not the end").expect("no broken frame")
    }

    /// The first frame, which is text.
    pub async fn first(&mut self) -> Value {
        match self.message().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Reads on until the other side closes; gives its code.
    pub async fn until_closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.message().await {
                let frame = frame.expect("a code");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    /// Reads output until it holds `wanted`.
    pub async fn until_says(&mut self, wanted: &str) -> String {
        let mut said = String::new();
        while !said.contains(wanted) {
            match self.message().await {
                Message::Binary(bytes) => said.push_str(&String::from_utf8_lossy(&bytes)),
                Message::Close(frame) => panic!("it ended: {frame:?}, {said:?}"),
                _ => {}
            }
        }
        said
    }

    pub async fn say(&mut self, bytes: &[u8]) {
        self.0.send(Message::Binary(bytes.to_vec().into())).await.unwrap();
    }

    pub async fn tell(&mut self, text: Value) {
        self.0.send(Message::text(text.to_string())).await.unwrap();
    }

    /// A plain stream of bytes from here on; ends with the websocket.
    pub fn bytes(mut self) -> tokio::io::DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (mut reader, mut writer) = tokio::io::split(ours);
        tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            let mut waiting = VecDeque::new();
            loop {
                tokio::select! {
                    message = self.0.next() => match message {
                        Some(Ok(Message::Binary(bytes))) => waiting.push_back(bytes),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                        _ => {}
                    },
                    read = reader.read(&mut buffer) => match read {
                        Ok(n @ 1..) => self.0.send(Message::Binary(buffer[..n].to_vec().into())).await.unwrap(),
                        _ => return drop(self.0.close(None).await),
                    },
                }
                while let Some(bytes) = waiting.pop_front() {
                    if writer.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            }
        });
        theirs
    }
}
