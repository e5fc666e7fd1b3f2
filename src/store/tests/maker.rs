//! What the tests share: keys, clocks, a store in a folder of its own, rows with few fields.

use crate::{OwnedSeal, Seal, Store};
use base::ids::{GuestId, JobId, UserId};
use base::time::ManualClock;
use base::{Clock, Timestamp};
use crypto::SealKey;
use model::audit::AuditRecord;
use model::jobs::{Job, JobKind, JobState, Priority, Progress};
use model::subject::Subject;
use model::users::{Role, User};
use sha2::{Digest as _, Sha256};
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

/// A stand-in that keeps the promises of a `Seal` and is quick in unoptimised tests (AES-SIV takes 60 us a row
/// there), for tests that open a store hundreds of times.
pub struct Quick;

impl Quick {
    fn tag(ad: &[&[u8]], plain: &[u8]) -> [u8; 32] {
        let mut h = Sha256::new();
        for part in ad {
            h.update((part.len() as u64).to_be_bytes());
            h.update(part);
        }
        h.update(plain);
        h.finalize().into()
    }

    fn stream(tag: &[u8], text: &[u8]) -> Vec<u8> {
        let block = |n: usize| Sha256::new().chain_update(tag).chain_update(n.to_be_bytes()).finalize();
        text.chunks(32)
            .enumerate()
            .flat_map(|(n, c)| c.iter().zip(block(n)).map(|(a, b)| a ^ b).collect::<Vec<_>>())
            .collect()
    }
}

impl Seal for Quick {
    fn seal(&self, ad: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        let tag = &Self::tag(ad, plain)[..16];
        [tag, &Self::stream(tag, plain)].concat()
    }
    fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        let (tag, text) = sealed.split_at_checked(16)?;
        let plain = Self::stream(tag, text);
        (Self::tag(ad, &plain)[..16] == *tag).then_some(plain)
    }
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

pub fn open(path: &Path) -> base::Result<Store> {
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
        kind: JobKind::Plugin { hook: "tidy".to_owned(), args: serde_json::json!({ "name": title }) },
        title: title.to_owned(),
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
        subject: Subject::Guest(GuestId::new()),
        lane: None,
        dedup: None,
        progress: Progress::default(),
        wait: None,
        error: None,
        cancel_asked: false,
        again: false,
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
        about: None,
    }
}

/// Works on the file of a closed store behind its back.
pub fn raw<T>(path: &Path, f: impl FnOnce(&redb::Database) -> T) -> T {
    f(&redb::Database::open(path).unwrap())
}

/// The rows of a table as they are in the file.
pub fn raw_rows(path: &Path, table: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    use redb::{ReadableDatabase as _, ReadableTable as _};
    raw(path, |db| {
        let tx = db.begin_read().unwrap();
        let table = tx.open_table(crate::view::definition(table)).unwrap();
        let rows = table.iter().unwrap().map(Result::unwrap);
        rows.map(|(k, v)| (k.value().to_vec(), v.value().to_vec())).collect()
    })
}

/// Puts rows as they are, or takes them away.
pub fn raw_put(path: &Path, table: &str, rows: &[(Vec<u8>, Option<Vec<u8>>)]) {
    raw(path, |db| {
        let tx = db.begin_write().unwrap();
        {
            let mut table = tx.open_table(crate::view::definition(table)).unwrap();
            for (key, row) in rows {
                match row {
                    Some(row) => drop(table.insert(key.as_slice(), row.as_slice()).unwrap()),
                    None => drop(table.remove(key.as_slice()).unwrap()),
                }
            }
        }
        tx.commit().unwrap();
    });
}

/// The names of all tables in the file.
pub fn raw_tables(path: &Path) -> Vec<String> {
    use redb::{ReadableDatabase as _, TableHandle as _};
    raw(path, |db| db.begin_read().unwrap().list_tables().unwrap().map(|t| t.name().to_owned()).collect())
}

/// This test binary, to be run again as another process that runs only the test `name`.
pub fn again(name: &str) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command
}
