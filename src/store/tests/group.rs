//! Group commit: many callers, few commits, each with its own fate.

use super::maker::{Fresh, fresh, record};
use crate::tables::{AUDIT, EVENTS, SETTINGS};
use crate::{Json, Name, Read as _, Scan, WriteTx};
use base::{Error, Kind, Result};
use model::subject::Subject;
use serde_json::json;
use std::sync::mpsc::{Receiver, channel};

fn setting(n: usize) -> Name {
    Name::new(format!("setting {n}"))
}

/// Holds the writer until `count` closures wait behind it, then lets them go. The answers come in order.
fn crowd(
    f: &Fresh,
    count: usize,
    write: impl Fn(usize, &mut WriteTx) -> Result<()> + Copy + Send + 'static,
) -> Vec<Result<()>> {
    let (open_gate, gate) = channel::<()>();
    let (held, holds) = channel();
    let hold = move |tx: &mut WriteTx| {
        held.send(()).unwrap();
        gate.recv().unwrap();
        tx.put(SETTINGS, &"gate".into(), &Json(json!(true)))
    };
    f.store.0.submit(hold, |answer| answer.unwrap()).unwrap();
    holds.recv().unwrap();
    let answers: Vec<Receiver<Result<()>>> = (0..count)
        .map(|n| {
            let (sender, receiver) = channel();
            f.store.0.submit(move |tx| write(n, tx), move |answer| sender.send(answer).unwrap()).unwrap();
            receiver
        })
        .collect();
    open_gate.send(()).unwrap();
    answers.into_iter().map(|a| a.recv().unwrap()).collect()
}

fn put(n: usize, tx: &mut WriteTx) -> Result<()> {
    tx.audit(record(&format!("write {n}")));
    tx.event(Subject::Plugins, None);
    tx.put(SETTINGS, &setting(n), &Json(json!(n)))
}

fn is_there(f: &Fresh, n: usize) -> bool {
    f.store.read(|tx| tx.get(SETTINGS, &setting(n))).unwrap().is_some()
}

#[test]
fn a_hundred_callers_share_one_commit() {
    let f = fresh();
    let answers = crowd(&f, 100, put);
    assert!(answers.iter().all(Result::is_ok));
    // One for the closure that held the writer, one for all the others.
    assert_eq!(f.store.commits(), 2);
    let f = f.reopen();
    assert!((0..100).all(|n| is_there(&f, n)));
}

#[test]
fn a_batch_has_an_end() {
    let f = fresh();
    crowd(&f, 300, put);
    assert_eq!(f.store.commits(), 3);
}

#[test]
fn one_error_and_one_panic_in_a_crowd_fail_only_themselves() {
    let f = fresh();
    let answers = crowd(&f, 60, |n, tx| {
        put(n, tx)?;
        match n {
            20 => Err(Error::conflict("no")),
            40 => panic!("a bug"),
            _ => Ok(()),
        }
    });
    for (n, answer) in answers.into_iter().enumerate() {
        let kind = answer.err().map(|e| e.kind());
        assert_eq!(
            kind,
            [(20, Kind::Conflict), (40, Kind::Internal)].into_iter().find(|(m, _)| *m == n).map(|(_, k)| k)
        );
    }
    assert_eq!(f.store.commits(), 2);
    let f = f.reopen();
    assert!((0..60).all(|n| is_there(&f, n) != [20, 40].contains(&n)));
    // Numbers are given without gaps, although two closures had asked for some.
    let events = f.store.read(|tx| tx.list(EVENTS, Scan::all(), 1000)).unwrap();
    assert_eq!(events.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=58).collect::<Vec<u64>>());
    let entries = f.store.read(|tx| tx.list(AUDIT, Scan::all(), 1000)).unwrap();
    assert_eq!(entries.len(), 58);
    assert_eq!(f.store.verify_audit().unwrap().first_bad, None);
}

#[test]
fn closures_of_one_commit_see_what_those_before_them_did() {
    let f = fresh();
    let answers = crowd(&f, 10, |_, tx| tx.insert_new(SETTINGS, &"only one".into(), &Json(json!(1))));
    let kinds: Vec<Option<Kind>> = answers.into_iter().map(|a| a.err().map(|e| e.kind())).collect();
    assert_eq!(kinds[0], None);
    assert!(kinds[1..].iter().all(|k| *k == Some(Kind::Conflict)));
}

#[test]
fn reading_only_makes_no_commit() {
    let f = fresh();
    let answers = crowd(&f, 10, |n, tx| tx.get(SETTINGS, &setting(n)).map(|_| ()));
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(f.store.commits(), 1, "the one of the closure that held the writer");
}

#[tokio::test]
async fn callers_on_tasks_share_commits_too() {
    let f = fresh();
    let writes = (0..500).map(|n| {
        let store = f.store.clone();
        async move { store.write(move |tx| put(n, tx)).await }
    });
    let answers = futures_util::future::join_all(writes).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(f.store.commits() < 100, "{} commits for 500 writes", f.store.commits());
}
