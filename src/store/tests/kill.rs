//! `kill -9` at random moments under load: what was acknowledged is there, nothing is half there.

use super::maker::{again, open};
use crate::tables::{JOB_LOG, STEPS};
use crate::{Name, Read as _, Scan, Store, WriteTx};
use base::ids::JobId;
use base::{Error, Result, random};
use model::jobs::{LogLevel, LogLine};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const NAME: &str = "tests::kill::nothing_acknowledged_is_lost_and_nothing_is_there_by_half";
const ROUNDS: u32 = 200;
const CALLERS: usize = 8;

/// Each round writes below its own job, so a check looks at that round only.
fn round_job(round: u32) -> JobId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&round.to_be_bytes());
    JobId::from_bytes(bytes)
}

/// A row in each of two tables, an event and an audit entry.
fn write_both(tx: &mut WriteTx, job: JobId, n: u32) -> Result<()> {
    let line = LogLine { at: tx.now(), level: LogLevel::Info, text: format!("line {n}") };
    tx.put(JOB_LOG, &(job, n), &line)?;
    let step = model::jobs::Step {
        name: n.to_string(),
        state: model::jobs::StepState::Done,
        began: tx.now(),
        ended: None,
        result: serde_json::Value::Null,
        order: n,
    };
    tx.put(STEPS, &(job, Name::new(n.to_string())), &step)?;
    tx.event(model::subject::Subject::Job(job), None);
    tx.audit(super::maker::record("job.step"));
    if n % 7 == 3 { Err(Error::conflict("every seventh is refused")) } else { Ok(()) }
}

/// The process that is killed: writes from several threads for ever and prints what was acknowledged.
fn child(path: &Path, job: JobId) {
    let store = open(path).unwrap();
    writeln!(std::io::stdout(), "open").unwrap();
    let next = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    match store.write_blocking(move |tx| write_both(tx, job, n)) {
                        // Not `println`, which the test harness would catch.
                        Ok(()) => writeln!(std::io::stdout(), "ack {n}").unwrap(),
                        Err(e) => assert_eq!(e.message(), "every seventh is refused"),
                    }
                }
            });
        }
    });
}

/// Runs the child, kills it after `life`, and returns what it said was written.
fn killed_after(life: Duration, path: &Path, round: u32) -> Vec<u32> {
    let mut child = again(NAME)
        .env("STEWARD_TEST_KILL", path)
        .env("STEWARD_TEST_KILL_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = channel();
    let reader =
        std::thread::spawn(move || out.lines().map_while(std::result::Result::ok).try_for_each(|l| sender.send(l)));
    // Every second life is counted from the moment when the store is open, however slow the machine is.
    let from_open = round % 2 == 1;
    let mut end = Instant::now() + if from_open { Duration::from_secs(60) } else { life };
    let mut lines = Vec::new();
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                // The test harness leaves its own words in front of the first line.
                if from_open && line.ends_with("open") {
                    end = Instant::now() + life;
                }
                lines.push(line);
            }
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => {
                let output = child.wait_with_output().unwrap();
                panic!("the writer ended by itself: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    lines.extend(receiver);
    reader.join().unwrap().unwrap();
    // A line goes out in one write, so there are no half ones.
    lines.iter().filter_map(|l| l.split_once("ack ").and_then(|(_, n)| n.parse().ok())).collect()
}

/// The numbers of a round that are there; each must be there in both tables.
fn written(store: &Store, round: u32) -> BTreeSet<u32> {
    let job = round_job(round);
    store
        .read(|tx| {
            let lines = tx.list(JOB_LOG, Scan::prefix(&job), usize::MAX)?;
            let steps = tx.list(STEPS, Scan::prefix(&job), usize::MAX)?;
            let lines: BTreeSet<u32> = lines
                .into_iter()
                .map(|((_, n), line)| {
                    assert_eq!(line.text, format!("line {n}"));
                    n
                })
                .collect();
            assert_eq!(lines, steps.into_iter().map(|(_, step)| step.order).collect(), "round {round}: by half");
            Ok(lines)
        })
        .unwrap()
}

fn check(store: &Store, round: u32, acknowledged: &[u32]) -> usize {
    let there = written(store, round);
    let lost: Vec<_> = acknowledged.iter().filter(|n| !there.contains(n)).collect();
    assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    assert!(there.iter().all(|n| n % 7 != 3), "round {round}: a refused write is there");
    there.len()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_by_half() {
    if let Some(path) = std::env::var_os("STEWARD_TEST_KILL") {
        let round = std::env::var("STEWARD_TEST_KILL_ROUND").unwrap().parse().unwrap();
        return child(Path::new(&path), round_job(round));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("steward.redb");
    let mut rounds: Vec<Vec<u32>> = Vec::new();
    let mut total = 0;
    for round in 0..ROUNDS {
        // From "before it is open" to "in full run"; the first ones may die while the store is being made.
        let life = Duration::from_millis(u64::from(random::bytes::<1>()[0]) / 2);
        let acknowledged = killed_after(life, &path, round);
        let store = open(&path).unwrap();
        total += check(&store, round, &acknowledged);
        store.close();
        rounds.push(acknowledged);
    }
    let store = open(&path).unwrap();
    for (round, acknowledged) in (0..).zip(&rounds) {
        check(&store, round, acknowledged);
    }
    let audit = store.verify_audit().unwrap();
    assert_eq!((audit.first_bad, audit.entries), (None, total as u64), "{:?}", audit.why);
    let acknowledged: usize = rounds.iter().map(Vec::len).sum();
    writeln!(std::io::stderr(), "{ROUNDS} kills, {acknowledged} acknowledged, {total} written").unwrap();
    assert!(acknowledged > 1000, "only {acknowledged} writes were acknowledged: this proves little");
}
