//! Opening a connection: name, TCP, TLS, each failure with its own sentence.

use super::endpoint::Endpoint;
use super::error::PveError;
use super::trust::{Seen, fingerprint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::{CertificateError, ClientConfig};
use rustls_pki_types::ServerName;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// For the name, TCP and TLS together.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to one endpoint, whatever address the request names: the client is made per endpoint.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    seen: Seen,
}

impl Connector {
    pub(super) fn new(endpoint: Endpoint, tls: ClientConfig, seen: Seen) -> Self {
        Self { endpoint, tls: Arc::new(tls), seen }
    }

    pub(super) async fn open(&self) -> Result<TlsStream<TcpStream>, PveError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.handshake()).await {
            Ok(result) => result,
            Err(_) => {
                Err(away(&self.endpoint, "no connection within 5 seconds. Is it switched on, is the address right?"))
            }
        }
    }

    async fn handshake(&self) -> Result<TlsStream<TcpStream>, PveError> {
        let Endpoint { host, port } = &self.endpoint;
        let name = ServerName::try_from(host.clone())
            .map_err(|_| away(&self.endpoint, "this is neither a host name nor an IP address."))?;
        let mut found = tokio::net::lookup_host((host.as_str(), *port))
            .await
            .map_err(|_| away(&self.endpoint, "its name is not known. Is the address written right?"))?
            .peekable();
        if found.peek().is_none() {
            return Err(away(&self.endpoint, "its name has no address."));
        }
        let mut failure = None;
        for address in found {
            match TcpStream::connect(address).await {
                Ok(tcp) => return self.tls(tcp, name).await,
                Err(e) => failure = Some(e),
            }
        }
        Err(failure.map_or_else(|| away(&self.endpoint, "no address."), |e| tcp_failure(&self.endpoint, &e)))
    }

    async fn tls(&self, tcp: TcpStream, name: ServerName<'static>) -> Result<TlsStream<TcpStream>, PveError> {
        // Small requests and answers in turn: waiting to fill packets would only add delay.
        let _ = tcp.set_nodelay(true);
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        connector.connect(name, tcp).await.map_err(|e| self.tls_failure(&e))
    }

    fn tls_failure(&self, e: &io::Error) -> PveError {
        let Some(tls) = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
            return away(&self.endpoint, "it broke off the TLS handshake. Is this Proxmox' port (8006)?");
        };
        match tls {
            rustls::Error::InvalidCertificate(why) => self.wrong_certificate(why),
            rustls::Error::InvalidMessage(_) => away(&self.endpoint, "what answers there does not speak TLS."),
            other => away(&self.endpoint, format!("the TLS handshake failed ({other}).")),
        }
    }

    fn wrong_certificate(&self, why: &CertificateError) -> PveError {
        let endpoint = &self.endpoint;
        let message = match why {
            CertificateError::ApplicationVerificationFailure => format!(
                "Proxmox at {endpoint} shows another certificate than the one that was accepted. If it was \
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
            Some(der) => error.with_error("certificate", hex::encode(fingerprint(&der))),
            None => error,
        }
    }
}

fn away(endpoint: &Endpoint, why: impl std::fmt::Display) -> PveError {
    PveError::unreachable(format!("Proxmox at {endpoint} does not answer: {why}"))
}

fn tcp_failure(endpoint: &Endpoint, e: &io::Error) -> PveError {
    match e.kind() {
        io::ErrorKind::ConnectionRefused => away(endpoint, "connection refused. Is it switched on?"),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            away(endpoint, "there is no way to it in the network.")
        }
        io::ErrorKind::ConnectionReset => away(endpoint, "it broke off the connection."),
        _ => away(endpoint, e),
    }
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
