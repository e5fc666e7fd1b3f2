//! Certificates as a cluster makes them: a CA like `pve-root-ca.pem` and leaves signed by it whose
//! names are those of pve-ssl.pem (127.0.0.1, ::1, localhost, node names).
//! Keys are elliptic, not RSA-4096: making an RSA key takes seconds in a debug build.

use base::{Error, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
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
#[derive(Clone)]
pub struct Leaf {
    pub config: Arc<ServerConfig>,
    /// Certificate and key as hexadecimal DER, for the state file.
    pub der: String,
    pub key: String,
    /// SHA-256 of the certificate's DER form.
    pub fingerprint: [u8; 32],
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leaf")
    }
}

impl Leaf {
    fn new(der: Vec<u8>, key: Vec<u8>) -> Result<Self> {
        let (shown_der, shown_key) = (hex::encode(&der), hex::encode(&key));
        let fingerprint = Sha256::digest(&der).into();
        let config = server_config(CertificateDer::from(der), PrivatePkcs8KeyDer::from(key).into())?;
        Ok(Self { config, der: shown_der, key: shown_key, fingerprint })
    }

    /// From the state file.
    pub fn again(der: &str, key: &str) -> Result<Self> {
        Self::new(hex::decode(der).map_err(Error::internal)?, hex::decode(key).map_err(Error::internal)?)
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Proxmox Virtual Environment");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "simulated");
    params.distinguished_name.push(DnType::OrganizationName, "PVE Cluster Manager CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    pub fn generate() -> Result<Self> {
        let key = KeyPair::generate().map_err(Error::internal)?;
        let pem = ca_params().self_signed(&key).map_err(Error::internal)?.pem();
        Ok(Self { issuer: Issuer::new(ca_params(), key), pem })
    }

    /// From the state file: the same certificate and key.
    pub fn again(pem: &str, key: &str) -> Result<Self> {
        let key = KeyPair::from_pem(key).map_err(Error::internal)?;
        Ok(Self { issuer: Issuer::new(ca_params(), key), pem: pem.to_owned() })
    }

    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// SHA-256 of its DER form.
    pub fn fingerprint(&self) -> std::result::Result<[u8; 32], String> {
        let der = CertificateDer::from_pem_slice(self.pem.as_bytes()).map_err(|e| e.to_string())?;
        Ok(Sha256::digest(&der).into())
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
        Leaf::new(der.to_vec(), key.serialize_der())
    }
}

/// Without ALPN, as the real proxy: clients that offer h2 get HTTP/1.
fn server_config(der: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .map_err(Error::internal)?;
    Ok(Arc::new(config))
}

/// `AA:BB:..` as Proxmox writes fingerprints.
pub fn colons(fingerprint: &[u8]) -> String {
    fingerprint.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}
