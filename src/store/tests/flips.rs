//! Bits that flip in the file: the right data or a clear sentence, never wrong data, never a panic.

use super::maker::{Quick, clock};
use super::planted::{plant, read_all};
use crate::tables::{JOB_LOG, JOBS, SESSIONS, USER_SESSIONS, USERS};
use crate::{Read as _, ReadTx, Scan, Store};
use base::ids::{JobId, UserId};
use base::{Error, Kind, Result, Timestamp};
use model::jobs::{LogLevel, LogLine};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn open(path: &Path) -> Result<Store> {
    Store::open(path, Arc::new(Quick), clock())
}

/// What every way of reading gives, each on its own: one that finds nothing must not hide behind another's error.
fn read_every_way(store: &Store, users: &[UserId], job: JobId) -> Vec<Result<String>> {
    let mut out = vec![read_all(store, users).map(|all| all.join("\n"))];
    let one = |f: &dyn Fn(&ReadTx) -> Result<String>| store.read(|tx| f(tx));
    for n in (0..200).step_by(3) {
        out.push(one(&|tx| Ok(format!("{:?}", tx.get(JOB_LOG, &(job, n))?))));
    }
    for user in users {
        out.push(one(&|tx| Ok(format!("{:?}", tx.get(USERS, user)?))));
        out.push(one(&|tx| Ok(format!("{:?}", tx.list(USER_SESSIONS, Scan::prefix(user), 9)?))));
    }
    out.push(one(&|tx| Ok(format!("{:?}", tx.list(SESSIONS, Scan::all().rev(), 99)?))));
    out.push(one(&|tx| Ok(format!("{:?}", tx.list(JOB_LOG, Scan::all().rev(), 999)?))));
    out.push(one(&|tx| Ok(format!("{:?}", tx.list(JOBS, Scan::all(), 1)?))));
    out
}

#[derive(Debug, Default)]
struct Seen {
    harmless: usize,
    at_open: usize,
    at_read: usize,
}

/// The store that is hurt, and what is in it.
struct Patient {
    path: PathBuf,
    good: Vec<u8>,
    users: Vec<UserId>,
    job: JobId,
    expected: Vec<String>,
}

impl Patient {
    /// Opens and reads: whether it opened, and the first error. Wrong data and panics end the test.
    fn look(&self, flip: &str) -> (bool, Option<Error>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            open(&self.path).map(|store| {
                let read = read_every_way(&store, &self.users, self.job);
                store.close();
                read
            })
        }));
        match outcome.unwrap_or_else(|_| panic!("{flip}: a panic got through")) {
            Ok(read) => {
                for (got, expected) in read.iter().zip(&self.expected) {
                    assert!(got.as_ref().map_or(true, |got| got == expected), "{flip}: wrong data: {got:?}");
                }
                (true, read.into_iter().find_map(Result::err))
            }
            Err(e) => (false, Some(e)),
        }
    }

    fn flip(&self, at: usize, bit: u8, seen: &mut Seen) {
        let file = File::options().write(true).open(&self.path).unwrap();
        file.write_all_at(&[self.good[at] ^ (1 << bit)], at as u64).unwrap();
        drop(file);
        let flip = format!("byte {at} bit {bit}");
        let (opened, error) = self.look(&flip);
        match error {
            None => seen.harmless += 1,
            Some(e) => {
                assert_eq!(e.kind(), Kind::Internal, "{flip}: {e:?}");
                assert!(e.message().contains("damaged"), "{flip}: {e}");
                *(if opened { &mut seen.at_read } else { &mut seen.at_open }) += 1;
                // Nothing may have been mended silently: it stays so.
                assert!(self.look(&flip).1.is_some(), "{flip}: the second look found nothing: {e:?}");
            }
        }
        restore(&self.path, &self.good);
    }
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
        // A page of type 2 is a branch: it leads to the others, so there more bytes are tried.
        let step = in_use.len() / if page[0] == 2 { 40 } else { 4 } + 1;
        at.extend(in_use.iter().step_by(step).map(|i| n * 4096 + i));
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
    let expected = read_every_way(&store, &users, job).into_iter().map(Result::unwrap).collect();
    store.close();
    let good = std::fs::read(&path).unwrap();
    let patient = Patient { path, good, users, job, expected };
    let positions = positions(&patient.good);
    let mut seen = Seen::default();
    for (n, at) in positions.iter().enumerate() {
        patient.flip(*at, (n % 8) as u8, &mut seen);
    }
    writeln!(std::io::stderr(), "{} flips in {} bytes: {seen:?}", positions.len(), patient.good.len()).unwrap();
    assert!(seen.at_open > 100, "{seen:?}");
}
