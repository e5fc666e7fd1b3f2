//! The store's figures: durable writes with 1, 16 and 64 callers, reads, opening. Prints one row a line.
//!
//! Rows are users (about 100 bytes of CBOR), the key is a real one, the file lies in the folder for
//! temporary files (`TMPDIR` chooses another disk).
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints and may stop")]

use base::ids::UserId;
use base::{SystemClock, Timestamp};
use crypto::SealKey;
use model::users::{Role, User};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::tables::USERS;
use store::{Read as _, Scan, Seal, Store};

struct Key(SealKey);

impl Seal for Key {
    fn seal(&self, ad: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        self.0.seal(ad, plain)
    }
    fn open(&self, ad: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        self.0.open(ad, sealed)
    }
}

fn user() -> User {
    User {
        id: UserId::new(),
        login: "mira.martin".to_owned(),
        name: "Mira Martin".to_owned(),
        email: Some("mira.martin@home.example".to_owned()),
        role: Role::User,
        active: true,
        created: Timestamp::from_secs(1_790_000_000),
        last_login: None,
        password_set: None,
    }
}

fn open(path: &Path) -> Store {
    Store::open(path, Arc::new(Key(SealKey::from_bytes([7; 64]))), Arc::new(SystemClock)).unwrap()
}

fn row(what: &str, value: f64, unit: &str) {
    println!("{what:<52} {value:>12.1} {unit}");
}

/// How often `f` runs in a second of trying.
fn rate(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < Duration::from_secs(1) {
        f();
        runs += 1;
    }
    f64::from(runs) / start.elapsed().as_secs_f64()
}

/// Each caller waits for its own write to be on the disk before the next.
fn writes(store: &Store, callers: usize) {
    let (commits, start) = (store.commits(), Instant::now());
    let written: usize = std::thread::scope(|scope| {
        let caller = || {
            let mut written = 0;
            while start.elapsed() < Duration::from_secs(2) {
                let user = user();
                store.write_blocking(move |tx| tx.put(USERS, &user.id, &user)).unwrap();
                written += 1;
            }
            written
        };
        let threads: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    let seconds = start.elapsed().as_secs_f64();
    row(&format!("durable writes, {callers} callers"), written as f64 / seconds, "/s");
    row(&format!("  commits, {callers} callers"), (store.commits() - commits) as f64 / seconds, "/s");
}

fn reads(store: &Store) {
    let ids: Vec<UserId> =
        store.read(|tx| tx.list(USERS, Scan::all(), 1000)).unwrap().into_iter().map(|(id, _)| id).collect();
    let mut next = ids.iter().cycle();
    let one = rate(|| drop(store.read(|tx| tx.get(USERS, next.next().unwrap())).unwrap()));
    row("reads of one row, each in its own transaction", one, "/s");
    let list = rate(|| drop(store.read(|tx| tx.list(USERS, Scan::all(), 1000)).unwrap()));
    row("list of 1,000 rows", 1000.0 / list, "ms");
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("steward.redb");
    let store = open(&path);
    for callers in [1, 16, 64] {
        writes(&store, callers);
    }
    reads(&store);
    let rows = 100_000;
    for _ in 0..10 {
        store
            .write_blocking(move |tx| (0..rows / 10).try_for_each(|_| tx.put(USERS, &UserId::new(), &user())))
            .unwrap();
    }
    store.close();
    let megabytes = std::fs::metadata(&path).unwrap().len() as f64 / f64::from(1 << 20);
    let start = Instant::now();
    open(&path).close();
    row(&format!("open (with the check) and close, {megabytes:.0} MiB"), start.elapsed().as_secs_f64() * 1000.0, "ms");
}
