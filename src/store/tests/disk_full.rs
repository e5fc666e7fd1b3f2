//! A disk that is full, for real: a small tmpfs in a mount namespace of the test's own.

use super::maker::{again, open, record};
use crate::tables::{EVENTS, JOB_LOG};
use crate::{Read as _, Scan, Store, WriteTx};
use base::ids::JobId;
use base::{Kind, Result};
use model::jobs::{LogLevel, LogLine};
use model::subject::Subject;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const NAME: &str = "tests::disk_full::a_full_disk_is_said_loses_nothing_and_writing_goes_on_when_there_is_room";
const FOLDER: &str = "STEWARD_TEST_DISK";

#[test]
fn a_full_disk_is_said_loses_nothing_and_writing_goes_on_when_there_is_room() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return on_the_small_disk(Path::new(&folder));
    }
    let dir = tempfile::tempdir().unwrap();
    // The mount is seen by this process only and goes away with it.
    let script = "mount -t tmpfs -o size=6m steward-test \"$STEWARD_TEST_DISK\" && exec \"$@\"";
    let test = again(NAME);
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--", "sh", "-c", script, "sh"])
        .arg(test.get_program())
        .args(test.get_args())
        .env(FOLDER, dir.path())
        .output()
        .expect("`unshare` (package util-linux) is needed to test a full disk");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "The test on the small disk failed, or the disk could not be made (that needs root).\n{out}\n{err}"
    );
    assert!(out.contains("the small disk was full"), "the other process did not run the test: {out}");
}

fn big_line(n: u32) -> LogLine {
    LogLine { at: base::Timestamp::ZERO, level: LogLevel::Info, text: format!("{n} ").repeat(3000) }
}

fn put(job: JobId, n: u32) -> impl FnOnce(&mut WriteTx) -> Result<()> + Send + 'static {
    move |tx| {
        tx.event(Subject::JobLog(job), None);
        tx.audit(record("job.log"));
        tx.put(JOB_LOG, &(job, n), &big_line(n))
    }
}

/// Everything that is there, after looking at each row.
fn there(store: &Store, job: JobId) -> Result<BTreeSet<u32>> {
    store.read(|tx| {
        let rows = tx.list(JOB_LOG, Scan::prefix(&job), usize::MAX)?;
        Ok(rows
            .into_iter()
            .map(|((_, n), line)| {
                assert_eq!(line, big_line(n));
                n
            })
            .collect())
    })
}

/// Ends the reading thread also when the test fails: it would be waited for.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn on_the_small_disk(folder: &Path) {
    let path = folder.join("steward.redb");
    let store = open(&path).unwrap();
    let job = JobId::new();
    let next = AtomicU32::new(0);
    let write = || {
        let n = next.fetch_add(1, Ordering::Relaxed);
        store.write_blocking(put(job, n)).map(|()| n)
    };
    let mut kept: BTreeSet<u32> = (0..5).map(|_| write().unwrap()).collect();

    for round in 0..3 {
        let filler = fill(folder);
        let (stop, reads) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    there(&store, job).expect("reading goes on");
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
            let mut refused = 0;
            let _stop = StopAtEnd(&stop);
            let mut reads_before = u32::MAX;
            // Until some writes were refused and somebody read meanwhile.
            while refused < 5 || reads.load(Ordering::Relaxed) < reads_before.saturating_add(3) {
                assert!(!reader.is_finished(), "reading goes on");
                match write() {
                    Ok(n) => drop(kept.insert(n)),
                    Err(e) => {
                        assert_eq!(e.kind(), Kind::Storage, "{e:?}");
                        assert!(e.message().starts_with("The disk is full. Nothing was changed."), "{e}");
                        refused += 1;
                        reads_before = reads_before.min(reads.load(Ordering::Relaxed));
                    }
                }
            }
        });
        assert_eq!(there(&store, job).unwrap(), kept, "round {round}: what was refused is not there, the rest is");

        fs::remove_file(filler).unwrap();
        kept.insert(write().expect("there is room again"));
        kept.insert(write().unwrap());
        assert_eq!(there(&store, job).unwrap(), kept);
        // Make room in the file itself for the next round.
        let keep_from = *kept.iter().next_back().unwrap() - 2;
        store
            .write_blocking(move |tx| (0..keep_from).try_for_each(|n| tx.delete(JOB_LOG, &(job, n)).map(drop)))
            .unwrap();
        kept.retain(|n| *n >= keep_from);
    }

    let numbers = check_numbers(&store);
    store.close();
    let store = open(&path).unwrap();
    assert_eq!(there(&store, job).unwrap(), kept);
    assert_eq!(check_numbers(&store), numbers);
    writeln!(std::io::stdout(), "the small disk was full").unwrap();
}

/// Fills the disk to the last byte.
fn fill(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("filler");
    let mut file = File::create(&path).unwrap();
    for size in [64 << 10, 4096, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
    path
}

/// Events and audit entries have no gaps and no doubles, whatever was refused.
fn check_numbers(store: &Store) -> u64 {
    let events = store.read(|tx| tx.list(EVENTS, Scan::all(), usize::MAX)).unwrap();
    let numbers: Vec<u64> = events.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    let audit = store.verify_audit().unwrap();
    assert_eq!((audit.first_bad, audit.entries), (None, events.len() as u64), "{:?}", audit.why);
    audit.entries
}
