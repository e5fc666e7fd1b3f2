//! Opening a connection: name, TCP, TLS, each failure with its own sentence.

use super::endpoint::{DEFAULT_PORT, Endpoint};
use super::error::{PveError, PveErrorKind};
use crate::http::Failure;
use crate::tls::{self, Chain, LastChain, Trust};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, ClientConfig};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// For the name, TCP and TLS together.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to one endpoint, whatever address the request names: the client is made per endpoint.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    seen: LastChain,
}

impl Connector {
    pub(super) fn new(endpoint: Endpoint, trust: &Trust) -> Result<Self, PveError> {
        let seen = LastChain::default();
        let tls = tls::config(trust, &seen).map_err(|e| PveError::new(PveErrorKind::Invalid, e.0))?;
        Ok(Self { endpoint, tls, seen })
    }

    /// The certificate that the server showed last.
    pub(super) fn shown(&self) -> Option<Chain> {
        self.seen.last()
    }

    pub(super) async fn open(&self) -> Result<TlsStream<TcpStream>, PveError> {
        let Endpoint { host, port } = &self.endpoint;
        let opened = crate::http::tls(host, *port, Arc::clone(&self.tls), CONNECT_TIMEOUT).await;
        opened.map_err(|failure| self.explain(&failure))
    }

    fn explain(&self, failure: &Failure) -> PveError {
        let away = |why: &str| away(&self.endpoint, why);
        match (failure, failure.tls()) {
            (Failure::Late, _) => away("no connection within 5 seconds. Is it switched on, is the address right?"),
            (Failure::Host, _) => away("this is neither a host name nor an IP address."),
            (Failure::Name, _) => away("its name is not known. Is the address written right?"),
            (Failure::Tcp(e), _) => match e.kind() {
                io::ErrorKind::ConnectionRefused => away("connection refused. Is it switched on?"),
                io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => away("there is no route to it."),
                io::ErrorKind::ConnectionReset => away("it closed the connection."),
                _ => away(&e.to_string()),
            },
            (Failure::Tls(_), None) if self.endpoint.port == DEFAULT_PORT => away(
                "it closes connections at once. Its pveproxy may be stopped or starting: systemctl status pveproxy",
            ),
            (Failure::Tls(_), None) => away(
                "it closes connections at once. Is this Proxmox's port (usually 8006)? If so, its pveproxy may be \
                 stopped or starting: systemctl status pveproxy",
            ),
            (_, Some(rustls::Error::InvalidCertificate(why))) => self.wrong_certificate(why),
            (_, Some(rustls::Error::InvalidMessage(_))) => away("what answers there does not speak TLS."),
            (_, Some(other)) => away(&format!("the TLS handshake failed ({other}).")),
        }
    }

    fn wrong_certificate(&self, why: &CertificateError) -> PveError {
        let endpoint = &self.endpoint;
        let message = match why {
            CertificateError::ApplicationVerificationFailure => format!(
                "Proxmox at {endpoint} presents a different certificate from the one that was accepted. If it was \
                 renewed, compare the new fingerprint and accept it on the connection's page; if not, \
                 somebody may be answering in its place."
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("The certificate of Proxmox at {endpoint} is for another name or address.")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("The certificate of Proxmox at {endpoint} has expired.")
            }
            _ => format!("The certificate of Proxmox at {endpoint} is not from the cluster's CA."),
        };
        let error = PveError::unreachable(message);
        match self.seen.last() {
            Some(chain) => error.with_error("certificate", hex::encode(chain.sha256())),
            None => error,
        }
    }
}

fn away(endpoint: &Endpoint, why: impl std::fmt::Display) -> PveError {
    PveError::unreachable(format!("Proxmox at {endpoint} does not answer: {why}"))
}

impl tower::Service<http::Uri> for Connector {
    type Response = Stream;
    type Error = PveError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, PveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.open().await.map(|tls| Stream(TokioIo::new(tls))) })
    }
}

/// A TLS connection as hyper's client pool wants it.
#[derive(Debug)]
pub(super) struct Stream(TokioIo<TlsStream<TcpStream>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
