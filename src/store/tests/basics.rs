//! Writing, reading and scanning; one closure's failure; events and the bell.

use super::maker::{Fresh, fresh, record, user};
use crate::tables::{AUDIT, EVENTS, EVENTS_KEPT, GUEST_JOBS, JOB_LOG, PLUGIN_KV, SETTINGS, USER_LOGINS, USERS};
use crate::{Json, Name, Read as _, Scan};
use base::ids::{GuestId, JobId, UserId};
use base::{Error, Kind};
use model::jobs::{LogLevel, LogLine};
use model::subject::Subject;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

fn line(text: &str) -> LogLine {
    LogLine { at: base::Timestamp::ZERO, level: LogLevel::Info, text: text.to_owned() }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let f = fresh();
    let mira = user("mira");
    let id = mira.id;
    f.store
        .write(move |tx| {
            tx.put(USERS, &id, &mira)?;
            tx.put(USER_LOGINS, &"mira".into(), &id)
        })
        .await
        .unwrap();
    let f = f.reopen();
    let found = f.store.read(|tx| tx.get(USER_LOGINS, &Name::new("mira"))).unwrap();
    assert_eq!(found, Some(id));
    assert_eq!(f.store.read(|tx| tx.get(USERS, &id)).unwrap().unwrap().login, "mira");
    assert_eq!(f.store.read(|tx| tx.get(USER_LOGINS, &"jon".into())).unwrap(), None);
}

#[test]
fn a_store_keeps_its_id_and_is_readable_by_its_owner_only() {
    use std::os::unix::fs::MetadataExt as _;
    let f = fresh();
    let id = f.store.id();
    let f = f.reopen();
    assert_eq!(f.store.id(), id);
    assert_eq!(std::fs::metadata(&f.path).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_writer_sees_its_own_changes_and_readers_only_committed_ones() {
    let f = fresh();
    let job = JobId::new();
    f.store.write_blocking(move |tx| (0..3).try_for_each(|n| tx.put(JOB_LOG, &(job, n), &line("old")))).unwrap();
    let reader = f.store.clone();
    let seen = f
        .store
        .write_blocking(move |tx| {
            assert!(tx.delete(JOB_LOG, &(job, 1))?);
            assert!(!tx.delete(JOB_LOG, &(job, 1))?);
            tx.put(JOB_LOG, &(job, 2), &line("new"))?;
            tx.put(JOB_LOG, &(job, 7), &line("added"))?;
            assert_eq!(tx.get(JOB_LOG, &(job, 1))?, None);
            let outside = reader.read(|r| r.list(JOB_LOG, Scan::prefix(&job), 100))?;
            assert_eq!(outside.len(), 3);
            let rows = tx.list(JOB_LOG, Scan::prefix(&job).rev(), 100)?;
            Ok(rows.into_iter().map(|((_, n), l)| (n, l.text)).collect::<Vec<_>>())
        })
        .unwrap();
    assert_eq!(seen, [(7, "added".to_owned()), (2, "new".to_owned()), (0, "old".to_owned())]);
    assert_eq!(f.store.read(|tx| tx.list(JOB_LOG, Scan::all(), 100)).unwrap().len(), 3);
}

#[test]
fn an_error_or_a_panic_drops_only_that_closure() {
    let f = fresh();
    let (a, b) = (user("a"), user("b"));
    let a_id = a.id;
    let error = f
        .store
        .write_blocking(move |tx| -> Result<(), Error> {
            tx.put(USERS, &a.id, &a)?;
            tx.audit(record("user.create"));
            tx.event(Subject::Users, None);
            Err(Error::conflict("This login is taken."))
        })
        .unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Conflict, "This login is taken."));
    let b_id = b.id;
    let error = f
        .store
        .write_blocking(move |tx| -> Result<(), Error> {
            tx.put(USERS, &b_id, &b)?;
            panic!("a bug in a use case")
        })
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.chain().contains("a bug in a use case"));
    for id in [a_id, b_id] {
        assert!(f.store.read(|tx| tx.get(USERS, &id)).unwrap().is_none());
    }
    assert_eq!(f.store.commits(), 0);
    assert!(f.store.read(|tx| tx.list(AUDIT, Scan::all(), 9)).unwrap().is_empty());
    assert!(f.store.read(|tx| tx.list(EVENTS, Scan::all(), 9)).unwrap().is_empty());
}

#[test]
fn inserting_what_is_there_is_a_conflict() {
    let f = fresh();
    let put = |value| f.store.write_blocking(move |tx| tx.insert_new(SETTINGS, &"theme".into(), &Json(json!(value))));
    put("dark").unwrap();
    assert_eq!(put("light").unwrap_err().kind(), Kind::Conflict);
    let stored = f.store.read(|tx| tx.get(SETTINGS, &"theme".into())).unwrap();
    assert_eq!(stored, Some(Json(json!("dark"))));
}

#[test]
fn names_from_a_scan_can_be_used_as_keys() {
    let f = fresh();
    f.store
        .write_blocking(|tx| {
            for key in ["a", "b", "c"] {
                tx.put(PLUGIN_KV, &("proxmox".into(), key.into()), &Json(json!(key)))?;
            }
            tx.put(PLUGIN_KV, &("email".into(), "a".into()), &Json(json!("other")))
        })
        .unwrap();
    let rows = f.store.read(|tx| tx.list(PLUGIN_KV, Scan::prefix(&Name::new("proxmox")), 9)).unwrap();
    assert_eq!(rows.len(), 3);
    for (key, value) in rows {
        assert_eq!(f.store.read(|tx| tx.get(PLUGIN_KV, &key)).unwrap(), Some(value));
        f.store.write_blocking(move |tx| tx.delete(PLUGIN_KV, &key)).unwrap();
    }
    assert_eq!(f.store.read(|tx| tx.list(PLUGIN_KV, Scan::all(), 9)).unwrap().len(), 1);
}

#[test]
fn a_range_is_deleted_whole_and_nothing_else() {
    let f = fresh();
    let (a, b) = (GuestId::new(), GuestId::new());
    let deleted = f.store.write_blocking(move |tx| {
        for guest in [a, b] {
            (0..5).try_for_each(|_| tx.put(GUEST_JOBS, &(guest, JobId::new()), &()))?;
        }
        tx.delete_all(GUEST_JOBS, Scan::prefix(&a))
    });
    assert_eq!(deleted.unwrap(), 5);
    assert!(f.store.read(|tx| tx.list(GUEST_JOBS, Scan::prefix(&a), 9)).unwrap().is_empty());
    assert_eq!(f.store.read(|tx| tx.list(GUEST_JOBS, Scan::prefix(&b), 9)).unwrap().len(), 5);
}

#[tokio::test]
async fn the_bell_rings_after_commits_with_events_and_knows_the_last_one_after_a_restart() {
    let f = fresh();
    let mut bell = f.store.bell();
    assert_eq!(*bell.borrow_and_update(), 0);
    f.store.write(|tx| tx.put(SETTINGS, &"x".into(), &Json(json!(1)))).await.unwrap();
    assert!(!bell.has_changed().unwrap(), "nothing to hear");
    let owner = UserId::new();
    let write = |tx: &mut crate::WriteTx| {
        tx.event(Subject::Plugins, None);
        tx.event(Subject::Users, None);
        Ok(())
    };
    f.store.write(write).await.unwrap();
    assert_eq!(*bell.borrow_and_update(), 2);
    let f = f.reopen();
    assert_eq!(*f.store.bell().borrow(), 2);
    f.store
        .write(move |tx| {
            tx.event(Subject::Plugins, Some(owner));
            Ok(())
        })
        .await
        .unwrap();
    let events = f.store.read(|tx| tx.list(EVENTS, Scan::all().after(&1), 9)).unwrap();
    let events: Vec<_> = events.into_iter().map(|(n, e)| (n, e.seq, e.about, e.owner)).collect();
    assert_eq!(events, [(2, 2, Subject::Users, None), (3, 3, Subject::Plugins, Some(owner))]);
}

#[test]
fn old_events_make_room() {
    let f = fresh();
    let ring = |n: u64| {
        f.store.write_blocking(move |tx| {
            (0..n).for_each(|_| tx.event(Subject::Users, None));
            Ok(())
        })
    };
    ring(EVENTS_KEPT - 1).unwrap();
    ring(3).unwrap();
    let keys = f.store.read(|tx| {
        let first = tx.list(EVENTS, Scan::all(), 1)?[0].0;
        let last = tx.list(EVENTS, Scan::all().rev(), 1)?[0].0;
        Ok((first, last))
    });
    assert_eq!(keys.unwrap(), (3, EVENTS_KEPT + 2));
}

#[test]
fn a_closed_store_refuses_with_a_sentence_and_can_be_opened_again() {
    let f = fresh();
    let store = f.store.clone();
    store.close();
    assert_eq!(store.read(|_| Ok(())).unwrap_err().message(), "Steward is stopping.");
    assert_eq!(store.write_blocking(|_| Ok(())).unwrap_err().message(), "Steward is stopping.");
    store.close();
    f.reopen();
}

#[test]
fn the_last_clone_closes_the_file() {
    let Fresh { store, path, dir: _dir } = fresh();
    drop(store);
    super::maker::open(&path).unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Commit,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..24_u8, any::<u8>()).prop_map(|(k, v)| Step::Put(k, v)),
        2 => (0..24_u8).prop_map(Step::Delete),
        1 => Just(Step::Commit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Pending changes over stored rows look as one map does, from every start, in both directions.
    #[test]
    fn scans_agree_with_a_plain_map(steps in prop::collection::vec(step(), 1..60), from in 0..26_u32, limit in 0..30_usize) {
        let f = fresh();
        let job = JobId::new();
        let mut model: BTreeMap<u32, u8> = BTreeMap::new();
        for batch in steps.split(|s| matches!(s, Step::Commit)) {
            for s in batch {
                match s {
                    Step::Put(k, v) => drop(model.insert(u32::from(*k), *v)),
                    Step::Delete(k) => drop(model.remove(&u32::from(*k))),
                    Step::Commit => {}
                }
            }
            let (batch, model) = (batch.to_vec(), model.clone());
            f.store.write_blocking(move |tx| {
                for s in batch {
                    match s {
                        Step::Put(k, v) => tx.put(JOB_LOG, &(job, k.into()), &line(&v.to_string()))?,
                        Step::Delete(k) => drop(tx.delete(JOB_LOG, &(job, k.into()))?),
                        Step::Commit => {}
                    }
                }
                let texts = |rows: Vec<((JobId, u32), LogLine)>| {
                    rows.into_iter().map(|((_, n), l)| (n, l.text.parse().unwrap())).collect::<Vec<(u32, u8)>>()
                };
                let start = &(job, from);
                let up = tx.list(JOB_LOG, Scan::prefix(&job).from(start), limit)?;
                assert_eq!(texts(up), model.range(from..).map(|(k, v)| (*k, *v)).take(limit).collect::<Vec<_>>());
                let after = tx.list(JOB_LOG, Scan::prefix(&job).after(start), limit)?;
                assert_eq!(texts(after), model.range(from + 1..).map(|(k, v)| (*k, *v)).take(limit).collect::<Vec<_>>());
                let down = tx.list(JOB_LOG, Scan::prefix(&job).from(start).rev(), limit)?;
                assert_eq!(texts(down), model.range(..=from).rev().map(|(k, v)| (*k, *v)).take(limit).collect::<Vec<_>>());
                let below = tx.list(JOB_LOG, Scan::all().after(start).rev(), limit)?;
                assert_eq!(texts(below), model.range(..from).rev().map(|(k, v)| (*k, *v)).take(limit).collect::<Vec<_>>());
                Ok(())
            }).unwrap();
        }
        let mut seen = 0;
        f.store.read(|tx| tx.scan(JOB_LOG, Scan::all(), |_, _| {
            seen += 1;
            Ok(ControlFlow::Continue(()))
        })).unwrap();
        prop_assert_eq!(seen, model.len());
    }
}
