//! Certificates as a cluster makes them: a CA like `pve-root-ca.pem` and leaves signed by it whose
//! names are those of pve-ssl.pem (127.0.0.1, ::1, localhost, node names).
//! Keys are elliptic, not RSA-4096: making an RSA key takes seconds in a debug build.

use crate::base::{Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The cluster's CA, kept so that later leaves come from the same one.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// One server certificate, ready for rustls.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the certificate's DER form.
    pub fingerprint: [u8; 32],
}

impl Authority {
    pub fn generate() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Proxmox Virtual Environment");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "simulated");
        params.distinguished_name.push(DnType::OrganizationName, "PVE Cluster Manager CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(Error::internal)?;
        let pem = params.self_signed(&key).map_err(Error::internal)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// A fresh leaf with a fresh key for `nodes`.
    pub fn leaf(&self, nodes: &[String]) -> Result<Leaf> {
        let mut names = vec!["127.0.0.1".to_owned(), "::1".to_owned(), "localhost".to_owned()];
        names.extend(nodes.iter().cloned());
        let mut params = CertificateParams::new(names).map_err(Error::internal)?;
        let first = nodes.first().cloned().unwrap_or_default();
        params.distinguished_name.push(DnType::OrganizationalUnitName, "PVE Cluster Node");
        params.distinguished_name.push(DnType::OrganizationName, "Proxmox Virtual Environment");
        params.distinguished_name.push(DnType::CommonName, format!("{first}.home.arpa"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(Error::internal)?;
        let der = params.signed_by(&key, &self.issuer).map_err(Error::internal)?.der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Leaf { fingerprint: Sha256::digest(&der).into(), config: server_config(der, key.into())? })
    }
}

/// HTTP/1 only, as the real proxy: no ALPN for h2 is offered.
fn server_config(der: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .map_err(Error::internal)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// `AA:BB:..` as Proxmox writes fingerprints.
pub fn colons(fingerprint: &[u8]) -> String {
    fingerprint.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}
