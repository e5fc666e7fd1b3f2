//! What tells one cluster from all others, whatever address, name or certificate it has today: the certificate
//! authority that Proxmox makes for each cluster (for a host alone, too) when it is installed, and keeps.

use super::client::PveClient;
use super::error::PveError;
use super::login::Ticket;
use crate::tls::fingerprint;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

/// Whichever node answers; everybody who is signed in may ask.
const ASK: &str = "/nodes/localhost/certificates/info";

impl PveClient {
    /// SHA-256 of the cluster's own CA as hex. `None` when it does not tell.
    pub async fn identity(&self) -> Option<String> {
        told(self.call("GET", ASK, &Value::Null).await)
    }
}

impl Ticket {
    /// As [`PveClient::identity`].
    pub async fn identity(&self) -> Option<String> {
        told(self.call("GET", ASK, &Value::Null).await)
    }
}

/// The identity of the cluster whose CA this is, as PEM.
pub fn identity_of_ca(pem: &str) -> Option<String> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    Some(hex::encode(fingerprint(&der)))
}

fn told(answer: Result<Value, PveError>) -> Option<String> {
    match answer {
        Ok(list) => read(&list),
        Err(e) => {
            tracing::debug!(error = %e, "the cluster does not tell its CA");
            None
        }
    }
}

fn read(list: &Value) -> Option<String> {
    let ca = list.as_array()?.iter().find(|c| c["filename"] == "pve-root-ca.pem")?;
    let hex: String = ca["fingerprint"].as_str()?.chars().filter(char::is_ascii_hexdigit).collect();
    (hex.len() == 64).then(|| hex.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_clusters_own_ca_is_read_and_no_other_certificate() {
        let colons = vec!["AB"; 32].join(":");
        let list = |name: &str| json!([{ "filename": "pve-ssl.pem", "fingerprint": "00" }, { "filename": name, "fingerprint": colons }]);
        assert_eq!(read(&list("pve-root-ca.pem")), Some("ab".repeat(32)));
        for none in
            [list("pveproxy-ssl.pem"), json!([{ "filename": "pve-root-ca.pem", "fingerprint": "AB:CD" }]), json!(null)]
        {
            assert_eq!(read(&none), None, "{none}");
        }
    }
}
