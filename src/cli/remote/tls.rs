//! Whom the command line believes: the one certificate that the person accepted, or the system's authorities.

use base::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// For the name, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(10);

/// How the server is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// SHA-256 of the certificate's DER. Names and dates are not looked at: the person compared this very one.
    Pin([u8; 32]),
    /// The system's certificate authorities, with name and dates.
    System,
}

/// A certificate that nobody believes yet.
#[derive(Clone, Debug)]
pub struct Shown {
    pub sha256: [u8; 32],
    pub subject: String,
    pub issuer: String,
    /// The system's authorities vouch for it.
    pub vouched: bool,
}

/// `AB:CD:..`
pub fn colons(sha256: &[u8; 32]) -> String {
    sha256.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

/// 32 pairs of hex digits, with colons or without.
///
/// # Errors
/// `Invalid`.
pub fn parse(text: &str) -> Result<[u8; 32]> {
    let hex: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let bytes = hex::decode(hex).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
    bytes.ok_or_else(|| Error::invalid("A fingerprint is 32 pairs of hex digits (SHA-256)."))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// None when the system has no authorities at all.
fn system() -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()
}

/// The certificate that the last handshake showed.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Option<Leaf>>>);

#[derive(Clone, Debug)]
struct Leaf {
    der: Vec<u8>,
    /// The system's authorities vouch for it.
    vouched: bool,
}

impl Seen {
    fn note(&self, der: &[u8], vouched: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Leaf { der: der.to_vec(), vouched });
    }

    fn take(&self) -> Option<Leaf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[derive(Debug)]
struct Verifier {
    /// None: believe nobody, only look.
    trust: Option<Trust>,
    system: Option<Arc<WebPkiServerVerifier>>,
    seen: Seen,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let refused = || Err(CertificateError::ApplicationVerificationFailure.into());
        let by_system = || match &self.system {
            Some(system) => system.verify_server_cert(leaf, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match &self.trust {
            Some(Trust::Pin(pin)) if <[u8; 32]>::from(Sha256::digest(leaf)) == *pin => {
                Ok(ServerCertVerified::assertion())
            }
            Some(Trust::Pin(_)) => refused(),
            Some(Trust::System) => by_system(),
            None => {
                let vouched = by_system().is_ok();
                self.seen.note(leaf, vouched);
                refused()
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

fn config(verifier: Verifier) -> Result<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn away(url: &url::Url, why: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("No Steward answers at {}: {why}", url.origin().ascii_serialization()))
}

async fn handshake(url: &url::Url, config: Arc<ClientConfig>) -> Result<TlsStream<TcpStream>> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let name = ServerName::try_from(host.clone()).map_err(|_| away(url, "this is no host name."))?;
    let all = async {
        let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(|e| match e.kind() {
            std::io::ErrorKind::ConnectionRefused => away(url, "connection refused. Is it running?").with_cause(e),
            _ => away(url, format!("{e}.")),
        })?;
        // Small requests and answers in turn.
        let _ = tcp.set_nodelay(true);
        TlsConnector::from(config).connect(name, tcp).await.map_err(|e| refused(url, &e))
    };
    match tokio::time::timeout(CONNECT, all).await {
        Ok(result) => result,
        Err(_) => Err(away(url, "no connection within 10 seconds.")),
    }
}

fn refused(url: &url::Url, e: &std::io::Error) -> Error {
    let tls = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            Error::unauthenticated(format!(
                "{} shows another certificate than the one that was accepted. Nothing was sent. If it was renewed, compare \
                 the new fingerprint and run “steward login” again; if not, somebody may be answering in its place.",
                url.origin().ascii_serialization()
            ))
        }
        Some(rustls::Error::InvalidCertificate(why)) => Error::unauthenticated(format!(
            "The certificate of {} is not good any more ({why}). Nothing was sent.",
            url.origin().ascii_serialization()
        )),
        Some(rustls::Error::InvalidMessage(_)) => away(url, "what answers there does not speak TLS."),
        _ => away(url, "it broke off the TLS handshake."),
    }
}

/// A connection to a server that `trust` recognises.
///
/// # Errors
/// `Unavailable` when nothing answers; `Unauthenticated` for another certificate.
pub async fn connect(url: &url::Url, trust: &Trust) -> Result<TlsStream<TcpStream>> {
    let system = if *trust == Trust::System { system() } else { None };
    handshake(url, config(Verifier { trust: Some(trust.clone()), system, seen: Seen::default() })?).await
}

/// The certificate that the server shows. Nothing is believed and nothing sent.
///
/// # Errors
/// `Unavailable`.
pub async fn look(url: &url::Url) -> Result<Shown> {
    let seen = Seen::default();
    let result = handshake(url, config(Verifier { trust: None, system: system(), seen: seen.clone() })?).await;
    let Some(Leaf { der, vouched }) = seen.take() else {
        return Err(result.err().unwrap_or_else(|| away(url, "it showed no certificate.")));
    };
    let (_, cert) = X509Certificate::from_der(&der).map_err(|_| away(url, "its certificate can't be read."))?;
    Ok(Shown {
        sha256: Sha256::digest(&der).into(),
        subject: cert.subject().to_string(),
        issuer: cert.issuer().to_string(),
        vouched,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_with_and_without_colons() {
        let text = colons(&[0xab; 32]);
        assert_eq!(parse(&text).unwrap(), [0xab; 32]);
        assert_eq!(parse(&text.replace(':', "")).unwrap(), [0xab; 32]);
        assert!(parse("AB:CD").is_err() && parse("hello").is_err());
    }
}
