//! Joins crypto's keys to the store's idea of sealing.

use base::ids::UserId;
use crypto::{SealKey, VaultKey};
use store::{OwnedSeal, Seal};

/// The appliance key: seals what the machine itself must be able to use.
pub struct ApplianceSeal(SealKey);

impl ApplianceSeal {
    pub fn new(key: SealKey) -> Self {
        Self(key)
    }
}

impl Seal for ApplianceSeal {
    fn seal(&self, ad: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        self.0.seal(ad, plain)
    }

    fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.open(ad, sealed)
    }
}

/// One person's vault key, open while they act.
pub struct VaultSeal {
    owner: UserId,
    key: SealKey,
}

impl VaultSeal {
    pub fn new(owner: UserId, vault: &VaultKey) -> Self {
        Self { owner, key: vault.seal_key() }
    }
}

impl Seal for VaultSeal {
    fn seal(&self, ad: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        self.key.seal(ad, plain)
    }

    fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        self.key.open(ad, sealed)
    }
}

impl OwnedSeal for VaultSeal {
    fn owner(&self) -> UserId {
        self.owner
    }
}
