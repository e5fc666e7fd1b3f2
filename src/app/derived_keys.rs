//! Keys that the machine derives from the appliance key, so they need no row of their own.

use base::Secret;
use crypto::SealKey;

pub(super) struct DerivedKeys {
    /// Signs JWTs (HS256).
    pub jwt: Secret<Vec<u8>>,
    /// Signs forms, flash messages and pre-session cookies.
    pub forms: Secret<Vec<u8>>,
    /// Tells this appliance from others: 8 hexadecimal digits, no secret.
    pub mark: String,
}

impl DerivedKeys {
    pub(super) fn derive(key: &SealKey) -> Self {
        let bytes = |label| Secret::new(key.derive(label).expose().to_vec());
        let mark = hex::encode(&key.derive("appliance mark").expose()[..4]);
        Self { jwt: bytes("jwt"), forms: bytes("forms"), mark }
    }
}
