//! Connections to a Steward, with sentences for what goes wrong.

use base::{Error, Result};
use remote::http::{self, Failure};
use remote::tls::{self, CertificateInfo, LastChain, Trust};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// For the name, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(10);

/// 32 pairs of hex digits, with colons or without.
pub fn parse(text: &str) -> Result<[u8; 32]> {
    let hex: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let bytes = hex::decode(hex).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
    bytes.ok_or_else(|| Error::invalid("A fingerprint is 32 pairs of hex digits (SHA-256)."))
}

fn away(url: &url::Url, why: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("No Steward answers at {}: {why}", url.origin().ascii_serialization()))
}

async fn open(url: &url::Url, trust: &Trust, seen: &LastChain) -> Result<TlsStream<TcpStream>> {
    let config = tls::config(trust, seen).map_err(|e| Error::unavailable(e.0))?;
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
    http::tls(host, port, config, CONNECT).await.map_err(|failure| explain(url, &failure))
}

fn explain(url: &url::Url, failure: &Failure) -> Error {
    use rustls::CertificateError::ApplicationVerificationFailure as Another;
    let origin = url.origin().ascii_serialization();
    match (failure, failure.tls()) {
        (Failure::Late, _) => away(url, "no connection within 10 seconds."),
        (Failure::Host, _) => away(url, "this is not a host name."),
        (Failure::Name, _) => away(url, "its name is not known."),
        (Failure::Tcp(e), _) if e.kind() == ErrorKind::ConnectionRefused => {
            away(url, "connection refused. Is it running?")
        }
        (Failure::Tcp(e), _) => away(url, format!("{e}.")),
        (Failure::Tls(_), None) => away(url, "it ended the TLS handshake."),
        (_, Some(rustls::Error::InvalidCertificate(Another))) => Error::unauthenticated(format!(
            "{origin} presents a different certificate from the one that was accepted. Nothing was sent. If it was renewed, compare \
             the new fingerprint and run “steward login” again; if not, somebody may be answering in its place."
        )),
        (_, Some(rustls::Error::InvalidCertificate(why))) => {
            Error::unauthenticated(format!("The certificate of {origin} is no longer valid ({why}). Nothing was sent."))
        }
        (_, Some(rustls::Error::InvalidMessage(_))) => away(url, "what answers there does not speak TLS."),
        (_, Some(_)) => away(url, "it ended the TLS handshake."),
    }
}

/// A connection to a server that `trust` recognises.
pub async fn connect(url: &url::Url, trust: &Trust) -> Result<TlsStream<TcpStream>> {
    open(url, trust, &LastChain::default()).await
}

/// The certificate that the server shows, and whether the system's authorities vouch for it. Nothing is believed and
/// nothing sent.
pub async fn look(url: &url::Url) -> Result<(CertificateInfo, bool)> {
    let seen = LastChain::default();
    let result = open(url, &Trust::Fingerprints(Vec::new()), &seen).await;
    let Some(chain) = seen.last() else {
        return Err(result.err().unwrap_or_else(|| away(url, "it presented no certificate.")));
    };
    let info = chain.describe().ok_or_else(|| away(url, "its certificate can't be read."))?;
    Ok((info, chain.is_vouched(url.host_str().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let text = tls::colons(&[0xab; 32]);
        assert_eq!(parse(&text).unwrap(), [0xab; 32]);
        assert_eq!(parse(&text.replace(':', "")).unwrap(), [0xab; 32]);
        assert!(parse("AB:CD").is_err() && parse("hello").is_err());
    }
}
