//! Looking at a server's certificate before anybody trusts it.

use super::connect::Connector;
use super::endpoint::Endpoint;
use super::error::PveError;
use super::trust::{Seen, fingerprint, looking_config};
use base::Timestamp;
use std::net::IpAddr;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

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
    /// `AB:CD:…`, the way Proxmox prints it.
    pub fn fingerprint(&self) -> String {
        self.sha256.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
    }
}

/// Fetches the certificate that `endpoint` shows. Nothing is trusted and nothing is sent: the handshake is
/// broken off as soon as the certificate is there.
///
/// # Errors
/// `Invalid` for a malformed address, `Unreachable` when nothing speaks TLS there.
pub async fn fetch_certificate(endpoint: &str) -> Result<CertificateInfo, PveError> {
    let endpoint: Endpoint = endpoint.parse()?;
    let seen = Seen::default();
    let connector = Connector::new(endpoint.clone(), looking_config(&seen)?, seen.clone());
    match connector.open().await {
        Ok(_) => Err(PveError::internal("A certificate was accepted that nobody checked.")),
        Err(error) => match seen.last() {
            Some(der) => describe(&der, &endpoint),
            None => Err(error),
        },
    }
}

fn describe(der: &[u8], endpoint: &Endpoint) -> Result<CertificateInfo, PveError> {
    let (_, cert) = X509Certificate::from_der(der)
        .map_err(|_| PveError::unreachable(format!("The certificate of {endpoint} can't be read.")))?;
    Ok(CertificateInfo {
        sha256: fingerprint(der),
        subject: cert.subject().to_string(),
        issuer: cert.issuer().to_string(),
        not_after: Timestamp::from_secs(cert.validity().not_after.timestamp()),
        names: names(&cert),
    })
}

fn names(cert: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(san)) = cert.subject_alternative_name() else { return Vec::new() };
    san.value.general_names.iter().filter_map(name).collect()
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
