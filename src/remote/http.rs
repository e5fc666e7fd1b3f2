//! Connections to servers: name, TCP, TLS, and HTTP/1.1 over them. Who connects has the sentences for people.

use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why there is no connection.
#[derive(Debug)]
pub enum Failure {
    /// Neither a host name nor an IP address.
    Host,
    /// The name is not known.
    Name,
    Tcp(io::Error),
    Tls(io::Error),
    /// Nothing within the time.
    Late,
}

impl Failure {
    /// What TLS itself objects to; `None` when the other side only broke off.
    pub fn tls(&self) -> Option<&rustls::Error> {
        match self {
            Self::Tls(e) => e.get_ref().and_then(|inner| inner.downcast_ref()),
            _ => None,
        }
    }
}

/// A plain connection. A bracketed IPv6 address is taken as one.
///
/// # Errors
/// `Name`, `Tcp`.
pub async fn tcp(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let found = tokio::net::lookup_host((bare(host), port)).await.map_err(|_| Failure::Name)?;
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(Failure::Name);
    }
    let stream = TcpStream::connect(&found[..]).await.map_err(Failure::Tcp)?;
    // Small requests and answers in turn: waiting to fill packets would only add delay.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// A connection to a server that `config` recognises; name, TCP and TLS within `patience`.
///
/// # Errors
/// Any.
pub async fn tls(
    host: &str,
    port: u16,
    config: Arc<ClientConfig>,
    patience: Duration,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(bare(host).to_owned()).map_err(|_| Failure::Host)?;
    let all = async { TlsConnector::from(config).connect(name, tcp(host, port).await?).await.map_err(Failure::Tls) };
    tokio::time::timeout(patience, all).await.unwrap_or(Err(Failure::Late))
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// `host`, or `host:port` where it is not the scheme's own: for the header.
pub fn authority(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Speaks HTTP/1.1 over a connection, until the other side or the last body ends it.
///
/// # Errors
/// What hyper says of the handshake.
pub async fn sender<S, B>(stream: S) -> hyper::Result<SendRequest<B>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(e) = connection.await {
            tracing::debug!(error = %e, "the connection ended");
        }
    });
    Ok(sender)
}
