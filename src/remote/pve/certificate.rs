//! Looking at a server's certificate before anybody trusts it.

use super::connect::Connector;
use super::endpoint::Endpoint;
use super::error::PveError;
use crate::tls::{CertificateInfo, Trust};

/// Fetches the certificate that `endpoint` presents. Nothing is trusted and nothing is sent: the handshake
/// is aborted as soon as the certificate is there.
///
/// # Errors
/// `Invalid` for a malformed address, `Unreachable` when nothing speaks TLS there.
pub async fn fetch_certificate(endpoint: &str) -> Result<CertificateInfo, PveError> {
    let endpoint: Endpoint = endpoint.parse()?;
    let connector = Connector::new(endpoint.clone(), &Trust::Fingerprints(Vec::new()))?;
    match (connector.open().await, connector.shown()) {
        (Ok(_), _) => Err(PveError::internal("A certificate was accepted that nobody checked.")),
        (Err(_), Some(chain)) => chain
            .describe()
            .ok_or_else(|| PveError::unreachable(format!("The certificate of {endpoint} can't be read."))),
        (Err(error), None) => Err(error),
    }
}
