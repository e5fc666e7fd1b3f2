//! What to trust over TLS: certificates that a person compared, a given authority, or the system's. One
//! verifier for everything that Steward connects to.

use base::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// How a server's certificate is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// SHA-256 of each accepted leaf certificate's DER. Names and dates are not looked at: the person compared this
    /// very certificate. An empty list trusts nobody: the certificate is noted and the handshake aborted.
    Fingerprints(Vec<[u8; 32]>),
    /// PEM of a CA. Chain, dates and name or IP are checked, and no other CA counts.
    Ca(String),
    /// The operating system's authorities, with name and dates.
    System,
}

/// As it is stored. A stored pin always has 32 bytes; another would never match, so it is left out.
impl From<&model::connections::Trust> for Trust {
    fn from(stored: &model::connections::Trust) -> Self {
        match stored {
            model::connections::Trust::Fingerprints(all) => {
                Self::Fingerprints(all.iter().filter_map(|f| f.as_slice().try_into().ok()).collect())
            }
            model::connections::Trust::Ca(pem) => Self::Ca(pem.clone()),
        }
    }
}

/// Why there is nothing to trust, as a sentence for people.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct TrustError(pub String);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// SHA-256 of a certificate's DER.
pub fn fingerprint(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

/// `AB:CD:..`
pub fn colons(sha256: &[u8; 32]) -> String {
    sha256.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

/// The TLS settings of a client that trusts `trust` and notes what it is shown. No ALPN: HTTP/1.1 only.
///
/// # Errors
/// When the CA can't be read, or the system trusts no authority at all.
pub fn config(trust: &Trust, seen: &LastChain) -> Result<Arc<ClientConfig>, TrustError> {
    let check = match trust {
        Trust::Fingerprints(pins) => Check::Pins(pins.clone()),
        Trust::Ca(pem) => Check::Authorities(authority(pem)?),
        Trust::System => Check::Authorities(system()?),
    };
    let verifier = Verifier { seen: seen.clone(), check, provider: provider() };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| TrustError(format!("The TLS library can't be set up: {e}")))?;
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(Arc::new(config))
}

fn authority(pem: &str) -> Result<Arc<WebPkiServerVerifier>, TrustError> {
    let bad = || TrustError("This is not a CA certificate in PEM form (-----BEGIN CERTIFICATE-----).".to_owned());
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(cert.map_err(|_| bad())?).map_err(|_| bad())?;
    }
    if roots.is_empty() {
        return Err(bad());
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().map_err(|_| bad())
}

/// Read once: the roots change with updates of the system.
fn system() -> Result<Arc<WebPkiServerVerifier>, TrustError> {
    static SYSTEM: OnceLock<Option<Arc<WebPkiServerVerifier>>> = OnceLock::new();
    let made = SYSTEM.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()
    });
    made.clone().ok_or_else(|| {
        TrustError("This host trusts no certificate authority: the package ca-certificates is missing.".to_owned())
    })
}

/// What the last handshake showed.
#[derive(Debug, Clone, Default)]
pub struct LastChain(Arc<Mutex<Option<Chain>>>);

impl LastChain {
    pub fn last(&self) -> Option<Chain> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A server's certificate and those that it sent along.
#[derive(Debug, Clone)]
pub struct Chain {
    leaf: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    /// It is one that is trusted.
    pub accepted: bool,
}

impl Chain {
    pub fn sha256(&self) -> [u8; 32] {
        fingerprint(&self.leaf)
    }

    /// The system's authorities vouch for it, under this name and today.
    pub fn is_vouched(&self, host: &str) -> bool {
        let (Ok(system), Ok(name)) = (system(), ServerName::try_from(host)) else { return false };
        system.verify_server_cert(&self.leaf, &self.intermediates, &name, &[], UnixTime::now()).is_ok()
    }

    /// `None` when the certificate can't be read.
    pub fn describe(&self) -> Option<CertificateInfo> {
        let (_, cert) = X509Certificate::from_der(&self.leaf).ok()?;
        let names = cert.subject_alternative_name().ok().flatten();
        Some(CertificateInfo {
            sha256: self.sha256(),
            subject: cert.subject().to_string(),
            issuer: cert.issuer().to_string(),
            not_after: Timestamp::from_secs(cert.validity().not_after.timestamp()),
            names: names.map(|san| san.value.general_names.iter().filter_map(name).collect()).unwrap_or_default(),
        })
    }
}

/// What a person compares before accepting a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// SHA-256 of the certificate's DER, as Proxmox shows it under Certificates.
    pub sha256: [u8; 32],
    pub subject: String,
    pub issuer: String,
    pub not_after: Timestamp,
    /// Names and addresses that it is for.
    pub names: Vec<String>,
}

impl CertificateInfo {
    pub fn fingerprint(&self) -> String {
        colons(&self.sha256)
    }
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| IpAddr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    }
}

#[derive(Debug)]
enum Check {
    Pins(Vec<[u8; 32]>),
    Authorities(Arc<WebPkiServerVerifier>),
}

/// Notes the certificate, then checks it. The handshake's signature is always verified: without that a pin
/// would be worth nothing, as certificates are public.
#[derive(Debug)]
struct Verifier {
    seen: LastChain,
    check: Check,
    provider: Arc<CryptoProvider>,
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
        let own = |der: &CertificateDer<'_>| der.clone().into_owned();
        let judged = match &self.check {
            Check::Pins(pins) if pins.contains(&fingerprint(leaf)) => Ok(ServerCertVerified::assertion()),
            Check::Pins(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Check::Authorities(verifier) => verifier.verify_server_cert(leaf, intermediates, name, ocsp, now),
        };
        let intermediates = intermediates.iter().map(own).collect();
        let chain = Chain { leaf: own(leaf), intermediates, accepted: judged.is_ok() };
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain);
        judged
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
