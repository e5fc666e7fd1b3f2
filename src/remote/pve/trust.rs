//! Whom to believe: pinned certificates or the cluster's own CA.

use super::error::{PveError, PveErrorKind};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};

/// How the servers' certificates are recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// SHA-256 of each accepted leaf certificate's DER. Names and dates are not looked at: the person
    /// compared this very certificate.
    Fingerprints(Vec<[u8; 32]>),
    /// PEM of the cluster's CA (`/etc/pve/pve-root-ca.pem`). Chain, dates and name or IP are checked, and
    /// no other CA counts.
    Ca(String),
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

/// SHA-256 of a certificate's DER.
pub(super) fn fingerprint(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The TLS settings of a client that believes `trust`. No ALPN: Proxmox speaks HTTP/1.1 only.
pub(super) fn tls_config(trust: &Trust, seen: &Seen) -> Result<ClientConfig, PveError> {
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Fingerprints(pins) => {
            Arc::new(Watching { seen: seen.clone(), check: Check::Pins(pins.clone()), provider: provider() })
        }
        Trust::Ca(pem) => {
            Arc::new(Watching { seen: seen.clone(), check: Check::Ca(ca_verifier(pem)?), provider: provider() })
        }
    };
    config(verifier)
}

/// TLS settings that note the server's certificate and then break off: nothing is believed, nothing sent.
pub(super) fn looking_config(seen: &Seen) -> Result<ClientConfig, PveError> {
    config(Arc::new(Watching { seen: seen.clone(), check: Check::Pins(Vec::new()), provider: provider() }))
}

fn config(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, PveError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| PveError::internal(format!("The TLS library can't be set up: {e}")))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn ca_verifier(pem: &str) -> Result<Arc<WebPkiServerVerifier>, PveError> {
    let bad = || {
        PveError::new(PveErrorKind::Invalid, "This is not a CA certificate in PEM form (-----BEGIN CERTIFICATE-----).")
    };
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(cert.map_err(|_| bad())?).map_err(|_| bad())?;
    }
    if roots.is_empty() {
        return Err(bad());
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().map_err(|_| bad())
}

/// The certificate that the last handshake showed (DER).
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Option<Vec<u8>>>>);

impl Seen {
    fn note(&self, der: &[u8]) {
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(der.to_vec());
        }
    }

    pub(super) fn last(&self) -> Option<Vec<u8>> {
        self.0.lock().ok().and_then(|slot| slot.clone())
    }
}

#[derive(Debug)]
enum Check {
    Pins(Vec<[u8; 32]>),
    Ca(Arc<WebPkiServerVerifier>),
}

/// Notes the certificate, then checks it. The handshake's signature is always verified: without that a pin
/// would be worth nothing, as certificates are public.
#[derive(Debug)]
struct Watching {
    seen: Seen,
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Watching {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.note(leaf);
        match &self.check {
            Check::Pins(pins) if pins.contains(&fingerprint(leaf)) => Ok(ServerCertVerified::assertion()),
            Check::Pins(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Check::Ca(verifier) => verifier.verify_server_cert(leaf, intermediates, name, ocsp, now),
        }
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
