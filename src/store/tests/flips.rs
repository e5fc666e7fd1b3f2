//! Bits that flip in the file: the right data or a clear sentence, never wrong data, never a panic.

use super::maker::{Quick, clock};
use super::planted::{plant, read_all};
use crate::base::ids::{JobId, UserId};
use crate::base::{Kind, Timestamp};
use crate::model::jobs::{LogLevel, LogLine};
use crate::store::tables::{GUESTS, JOB_LOG, JOBS, SESSIONS, USERS};
use crate::store::{Read as _, Scan, Store};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path) -> crate::base::Result<Store> {
    Store::open(path, Arc::new(Quick), clock())
}

/// Everything in words, also read row by row: a branch with a wrong key misleads only those.
fn read_every_way(store: &Store, users: &[UserId]) -> crate::base::Result<Vec<String>> {
    let mut out = read_all(store, users)?;
    store.read(|tx| {
        for (key, _) in tx.list(JOB_LOG, Scan::all(), usize::MAX)? {
            out.push(format!("{:?}", tx.get(JOB_LOG, &key)?));
        }
        for user in users {
            out.push(format!("{:?}", tx.get(USERS, user)?));
        }
        out.push(format!("{:?}", tx.list(SESSIONS, Scan::all().rev(), 99)?));
        for (id, guest) in tx.list(GUESTS, Scan::all(), 99)? {
            out.push(format!("{guest:?} {:?}", tx.get(GUESTS, &id)?));
        }
        out.push(format!("{:?}", tx.list(JOBS, Scan::all().rev(), 99)?));
        Ok(out)
    })
}

#[derive(Debug, Default)]
struct Seen {
    harmless: usize,
    at_open: usize,
    at_read: usize,
}

fn try_flip(path: &Path, good: &[u8], at: usize, bit: u8, users: &[UserId], expected: &[String], seen: &mut Seen) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&[good[at] ^ (1 << bit)], at as u64).unwrap();
    drop(file);
    let outcome = catch_unwind(AssertUnwindSafe(|| match open(path) {
        Ok(store) => {
            let read = read_every_way(&store, users);
            store.close();
            (true, read)
        }
        Err(e) => (false, Err(e)),
    }));
    let (opened, outcome) = outcome.unwrap_or_else(|_| panic!("byte {at} bit {bit}: a panic got through"));
    match outcome {
        Ok(read) => {
            assert_eq!(read, expected, "byte {at} bit {bit}: wrong data");
            seen.harmless += 1;
        }
        Err(e) => {
            assert_eq!(e.kind(), Kind::Internal, "byte {at} bit {bit}: {e:?}");
            assert!(e.message().contains("damaged"), "byte {at} bit {bit}: {e}");
            if opened {
                seen.at_read += 1
            } else {
                seen.at_open += 1
            }
            // Nothing may have been mended silently: it stays refused.
            let again = open(path).and_then(|store| read_every_way(&store, users));
            assert!(again.is_err(), "byte {at} bit {bit}: the second look found nothing: {e:?}");
        }
    }
    restore(path, good);
}

fn restore(path: &Path, good: &[u8]) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(good.len() as u64).unwrap();
    file.write_all_at(good, 0).unwrap();
}

/// Every byte of the header, and bytes spread over the pages that are in use.
fn positions(good: &[u8]) -> Vec<usize> {
    let mut at: Vec<usize> = (0..64).chain((64..320).step_by(2)).collect();
    let used = good.chunks(4096).enumerate().skip(1).filter(|(_, page)| page.iter().any(|b| *b != 0));
    for (n, page) in used {
        let in_use: Vec<usize> =
            (0..page.len()).filter(|i| page[i.saturating_sub(4)..(i + 4).min(page.len())] != [0; 8]).collect();
        at.extend(in_use.iter().step_by(in_use.len() / 6 + 1).map(|i| n * 4096 + i));
        // The head of a page says what it is.
        at.extend((0..4).map(|i| n * 4096 + i));
    }
    at
}

#[test]
fn a_flipped_bit_gives_the_right_data_or_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("steward.redb");
    let store = open(&path).unwrap();
    let users = plant(&store);
    let job = JobId::new();
    let line = |n: u32| LogLine { at: Timestamp::ZERO, level: LogLevel::Info, text: format!("line {n}").repeat(20) };
    // Enough rows for a tree with branches.
    store.write_blocking(move |tx| (0..200).try_for_each(|n| tx.put(JOB_LOG, &(job, n), &line(n)))).unwrap();
    let expected = read_every_way(&store, &users).unwrap();
    store.close();
    let good = std::fs::read(&path).unwrap();
    let positions = positions(&good);
    let mut seen = Seen::default();
    for (n, at) in positions.iter().enumerate() {
        try_flip(&path, &good, *at, (n % 8) as u8, &users, &expected, &mut seen);
    }
    writeln!(std::io::stderr(), "{} flips in {} bytes: {seen:?}", positions.len(), good.len()).unwrap();
    assert!(seen.at_open > 100, "{seen:?}");
}
