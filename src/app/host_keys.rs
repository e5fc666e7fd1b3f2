//! Keys that the machine derives from the appliance key, so they need no row of their own.

use crate::base::Secret;
use crate::crypto::SealKey;

pub(super) struct HostKeys {
    /// Signs JWTs (HS256).
    pub jwt: Secret<Vec<u8>>,
    /// Signs forms, flash messages and pre-session cookies.
    pub forms: Secret<Vec<u8>>,
}

impl HostKeys {
    pub(super) fn derive(key: &SealKey) -> Self {
        let bytes = |label| Secret::new(key.derive(label).expose().to_vec());
        Self { jwt: bytes("jwt"), forms: bytes("forms") }
    }
}
