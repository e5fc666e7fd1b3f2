//! The appliance's own certificate: made at the first start, replaceable while running.

use arc_swap::ArcSwap;
use base::{Error, Result, Secret, Timestamp};
use chrono::Datelike;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use x509_parser::extensions::GeneralName;

/// How long a self-signed certificate is valid. Apple's systems refuse more than 825 days.
const LIFETIME: Duration = Duration::from_secs(820 * 24 * 3600);

/// A certificate chain (leaf first) and its private key, both as PEM. The app keeps it sealed.
#[derive(Clone, Debug)]
pub struct Pem {
    pub chain: String,
    pub key: Secret<String>,
}

/// Makes a self-signed certificate for `names` (host names and IP addresses), good from yesterday for 820 days.
pub fn self_signed(names: &[String], now: Timestamp) -> Result<Pem> {
    let mut params = CertificateParams::new(names).map_err(Error::internal)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, names.first().map_or("steward", String::as_str));
    name.push(DnType::OrganizationName, "Steward");
    params.distinguished_name = name;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let (year, month, day) = calendar(now.minus(Duration::from_secs(24 * 3600)));
    params.not_before = date_time_ymd(year, month, day);
    let (year, month, day) = calendar(now.plus(LIFETIME));
    params.not_after = date_time_ymd(year, month, day);
    let key = KeyPair::generate().map_err(Error::internal)?;
    let certificate = params.self_signed(&key).map_err(Error::internal)?;
    Ok(Pem { chain: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

/// Year, month and day: all that rcgen needs, which has a different calendar type than the rest of the program.
fn calendar(at: Timestamp) -> (i32, u8, u8) {
    let utc = at.to_utc();
    (utc.year(), u8::try_from(utc.month()).unwrap_or(1), u8::try_from(utc.day()).unwrap_or(1))
}

/// When the leaf of `pem` ends.
pub fn expires(pem: &Pem) -> Result<Timestamp> {
    let leaf = chain(pem)?.into_iter().next().ok_or_else(no_certificate)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).map_err(|_| no_certificate())?;
    Ok(Timestamp::from_secs(parsed.validity().not_after.timestamp()))
}

/// The host names and addresses that the leaf of `pem` is for.
pub fn names(pem: &Pem) -> Result<Vec<String>> {
    let leaf = chain(pem)?.into_iter().next().ok_or_else(no_certificate)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).map_err(|_| no_certificate())?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let address = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
    };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|a| a.to_string()),
        _ => None,
    };
    Ok(names.iter().flat_map(|names| &names.value.general_names).filter_map(text).collect())
}

/// SHA-256 of the leaf's DER, as browsers show it (`AB:CD:..`), so a person can compare before they trust it.
pub fn fingerprint(pem: &Pem) -> Result<String> {
    use sha2::Digest;
    let leaf = chain(pem)?.into_iter().next().ok_or_else(no_certificate)?;
    let hash = sha2::Sha256::digest(&leaf);
    Ok(hash.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":"))
}

fn chain(pem: &Pem) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.chain.as_bytes())
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|e| no_certificate().with_cause(e))
}

fn no_certificate() -> Error {
    Error::invalid("This is not a certificate in PEM form.")
}

/// What the listener presents. `replace` takes effect with the next connection.
#[derive(Debug)]
pub struct Certificates(ArcSwap<CertifiedKey>);

impl Certificates {
    pub fn new(pem: &Pem) -> Result<Arc<Self>> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(certified(pem)?))))
    }

    pub fn replace(&self, pem: &Pem) -> Result<()> {
        self.0.store(Arc::new(certified(pem)?));
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn certified(pem: &Pem) -> Result<CertifiedKey> {
    let chain = chain(pem)?;
    if chain.is_empty() {
        return Err(no_certificate());
    }
    if pem.key.expose().contains("ENCRYPTED") {
        return Err(Error::invalid(
            "The certificate's key has a password, which nobody can type when the service starts. Write one without: \
             openssl pkey -in KEY -out NEWKEY.",
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(pem.key.expose().as_bytes())
        .map_err(|e| Error::invalid("The certificate's key is not a private key in PEM form.").with_cause(e))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider)
        .map_err(|e| Error::invalid("The certificate and its key do not belong together.").with_cause(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> Pem {
        let names = ["steward.home.example".to_owned(), "127.0.0.1".to_owned()];
        self_signed(&names, Timestamp::from_secs(1_790_000_000)).unwrap()
    }

    #[test]
    fn a_self_made_certificate_is_good_for_820_days_and_can_be_presented() {
        let made = pem();
        let days = (expires(&made).unwrap().as_secs() - 1_790_000_000) / 86_400;
        assert!((818..=820).contains(&days), "{days}");
        assert_eq!(fingerprint(&made).unwrap().len(), 32 * 3 - 1);
        assert_eq!(names(&made).unwrap(), ["steward.home.example", "127.0.0.1"]);
        Certificates::new(&made).unwrap();
    }

    #[test]
    fn a_key_with_a_password_is_told_as_such() {
        for head in ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED"]
        {
            let locked = Pem { key: Secret::new(format!("{head}\n")), ..pem() };
            let told = Certificates::new(&locked).unwrap_err();
            assert!(told.message().contains("has a password") && told.message().contains("openssl pkey"), "{told}");
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_the_old_one_stays() {
        let held = Certificates::new(&pem()).unwrap();
        let before = held.0.load_full();
        let mixed = Pem { key: pem().key, ..pem() };
        assert!(held.replace(&mixed).is_err());
        assert!(Arc::ptr_eq(&before, &held.0.load_full()));
    }
}
