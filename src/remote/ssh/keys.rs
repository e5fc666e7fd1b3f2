//! Key pairs that Steward makes: Ed25519 only.

use super::error::{SshError, SshErrorKind};
use base::Secret;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};

/// A new key pair.
#[derive(Debug)]
pub struct KeyPair {
    /// OpenSSH's private key format, without a passphrase: it is sealed wherever it is kept.
    pub private: Secret<String>,
    /// One line as in `authorized_keys`.
    pub public: String,
}

impl KeyPair {
    /// Makes one. `comment` is at the end of the public line, so that a person knows whose it is.
    ///
    /// # Errors
    /// `Internal` when the key can't be written down.
    pub fn new(comment: &str) -> Result<Self, SshError> {
        let wrong = |e: russh::keys::ssh_key::Error| SshError::new(SshErrorKind::Internal, format!("a new key: {e}"));
        let mut key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(wrong)?;
        key.set_comment(comment);
        let private = key.to_openssh(LineEnding::LF).map_err(wrong)?;
        let public = key.public_key().to_openssh().map_err(wrong)?;
        Ok(Self { private: Secret::new(private.to_string()), public })
    }
}

/// The public line of a private key as people paste it.
///
/// # Errors
/// `Invalid` when it can't be read, also when it needs a passphrase.
pub fn public_line(private: &Secret<String>) -> Result<String, SshError> {
    let wrong = |e: &dyn std::fmt::Display| {
        SshError::new(SshErrorKind::Invalid, format!("This private key can't be used: {e}."))
    };
    let key = read(private)?;
    PublicKey::to_openssh(key.public_key()).map_err(|e| wrong(&e))
}

pub(super) fn read(private: &Secret<String>) -> Result<PrivateKey, SshError> {
    let wrong = |text: &str| SshError::new(SshErrorKind::Invalid, text);
    let text = private.expose();
    if !text.contains("PRIVATE KEY") {
        return Err(wrong("This is not a private key. Paste the whole file, from -----BEGIN to -----END."));
    }
    russh::keys::decode_secret_key(text, None).map_err(|e| match e {
        e if text.contains("ENCRYPTED") || matches!(e, russh::keys::Error::KeyIsEncrypted) => wrong(
            "This private key has a password, which Steward can't ask for. Make a copy of its file, take the password off \
             the copy with “ssh-keygen -p -N '' -f COPY”, and paste that.",
        ),
        e => wrong(&format!("This private key can't be read: {e}. Paste the whole file, from -----BEGIN to -----END.")),
    })
}
