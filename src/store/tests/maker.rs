//! What the tests share: keys, clocks, a store in a folder of its own, rows with few fields.

use crate::base::ids::{GuestId, JobId, UserId};
use crate::base::time::ManualClock;
use crate::base::{Clock, Timestamp};
use crate::crypto::SealKey;
use crate::model::audit::AuditRecord;
use crate::model::jobs::{Job, JobState, Priority, Progress};
use crate::model::users::{Role, User};
use crate::store::{OwnedSeal, Seal, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The real sealing, as `app` wires it.
pub struct Key(pub SealKey);

impl Seal for Key {
    fn seal(&self, ad: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        self.0.seal(ad, plain)
    }
    fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.open(ad, sealed)
    }
}

pub fn key(n: u8) -> Arc<Key> {
    Arc::new(Key(SealKey::from_bytes([n; 64])))
}

/// A user with a key of their own.
pub struct VaultOf(pub UserId, pub SealKey);

impl Seal for VaultOf {
    fn seal(&self, ad: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        self.1.seal(ad, plain)
    }
    fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        self.1.open(ad, sealed)
    }
}

impl OwnedSeal for VaultOf {
    fn owner(&self) -> UserId {
        self.0
    }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(1_790_000_000)))
}

pub fn open(path: &Path) -> crate::base::Result<Store> {
    Store::open(path, key(1), clock())
}

/// A store in a folder that goes away with it.
pub struct Fresh {
    pub store: Store,
    pub path: PathBuf,
    pub dir: tempfile::TempDir,
}

pub fn fresh() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("steward.redb");
    Fresh { store: open(&path).unwrap(), path, dir }
}

impl Fresh {
    /// Closes the store and opens it again.
    pub fn reopen(self) -> Self {
        self.store.close();
        Self { store: open(&self.path).unwrap(), ..self }
    }
}

pub fn user(login: &str) -> User {
    User {
        id: UserId::new(),
        login: login.to_owned(),
        name: login.to_uppercase(),
        email: None,
        role: Role::User,
        active: true,
        created: Timestamp::ZERO,
        last_login: None,
        password_set: None,
    }
}

pub fn job(title: &str, state: JobState) -> Job {
    Job {
        id: JobId::new(),
        plugin: "proxmox".to_owned(),
        hook: "guest_create".to_owned(),
        title: title.to_owned(),
        args: serde_json::json!({ "name": title }),
        owner: None,
        asked_by: "mira".to_owned(),
        priority: Priority::Normal,
        state,
        created: Timestamp::ZERO,
        started: None,
        finished: None,
        attempts: 0,
        max_attempts: 3,
        not_before: Timestamp::ZERO,
        plugin_hash: None,
        guest: Some(GuestId::new()),
        lane: None,
        dedup: None,
        progress: Progress::default(),
        wait: None,
        error: None,
        cancel_asked: false,
        result: serde_json::Value::Null,
        connection: None,
    }
}

pub fn record(action: &str) -> AuditRecord {
    AuditRecord {
        at: Timestamp::ZERO,
        actor: "mira".to_owned(),
        actor_id: None,
        action: action.to_owned(),
        subject: "VM 104 web-01".to_owned(),
        detail: String::new(),
        address: None,
        ok: true,
    }
}
