//! What opening a store refuses, and what it says then.

use super::maker::{again, clock, fresh, job, key, open, raw_put, raw_rows};
use super::version1;
use crate::tables::{JOBS, META, OPEN_JOBS};
use crate::view::Overlay;
use crate::{Read as _, Scan, Store, database, meta, migrations};
use base::{Kind, Timestamp};
use model::jobs::JobState;
use std::path::Path;

fn refusal(path: &Path) -> String {
    open(path).unwrap_err().message().to_owned()
}

#[test]
fn a_second_opener_in_the_same_process_is_refused() {
    let f = fresh();
    let error = open(&f.path).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    let sentence = "Another Steward is using this store. Use its commands while it runs, or stop the service first.";
    assert_eq!(error.message(), sentence);
    f.store.write_blocking(|tx| tx.put(OPEN_JOBS, &base::ids::JobId::new(), &())).unwrap();
}

const OTHER_PROCESS: &str = "tests::opening::a_second_opener_in_another_process_is_refused";

#[test]
fn a_second_opener_in_another_process_is_refused() {
    if let Some(path) = std::env::var_os("STEWARD_TEST_SECOND_OPENER") {
        assert_eq!(open(Path::new(&path)).unwrap_err().kind(), Kind::Conflict);
        return;
    }
    let f = fresh();
    let try_it = || again(OTHER_PROCESS).env("STEWARD_TEST_SECOND_OPENER", &f.path).output().unwrap();
    let refused = try_it();
    assert!(refused.status.success(), "{}", String::from_utf8_lossy(&refused.stderr));
    f.store.close();
    assert!(!try_it().status.success(), "a closed store is opened by the other");
}

#[test]
fn a_wrong_key_is_named_and_changes_nothing() {
    let f = fresh();
    f.store.close();
    let before = std::fs::read(&f.path).unwrap();
    let error = Store::open(&f.path, key(2), clock()).unwrap_err();
    for part in ["sealed with another appliance key", "Bring back the key file or the systemd credential steward.key"] {
        assert!(error.message().contains(part), "{error}");
    }
    let print = |n| hex::encode(meta::fingerprint(&*key(n)));
    assert!(error.message().contains(&print(1)) && error.message().contains(&print(2)), "{error}");
    assert_eq!(raw_rows(&f.path, META).len(), 3);
    open(&f.path).unwrap().close();
    assert_eq!(before.len(), std::fs::read(&f.path).unwrap().len());
}

#[test]
fn a_store_of_a_newer_version_is_refused_with_both_versions() {
    let f = fresh();
    f.store.close();
    let newer = migrations::CURRENT + 1;
    {
        let db = database::open_file(&f.path, false).unwrap();
        let mut changes = Overlay::default();
        meta::write(&mut changes, newer, &meta::new_marker(Timestamp::ZERO), &*key(1)).unwrap();
        database::commit(&db, &changes).unwrap();
    }
    let rows = raw_rows(&f.path, META);
    let sentence = refusal(&f.path);
    assert!(sentence.starts_with("This store has version 3, and this Steward knows versions up to 2."), "{sentence}");
    assert_eq!(raw_rows(&f.path, META), rows, "nothing was written");
}

#[test]
fn a_changed_version_number_is_damage_and_not_another_version() {
    let f = fresh();
    f.store.close();
    for schema in [0_u32, 1, 3, u32::MAX] {
        raw_put(&f.path, META, &[(vec![meta::Row::Schema.key()], Some(schema.to_be_bytes().to_vec()))]);
        assert!(refusal(&f.path).starts_with("The store file is damaged."), "{schema}");
    }
}

#[test]
fn a_store_without_its_own_rows_is_damaged_and_not_new() {
    let f = fresh();
    f.store.write_blocking(|tx| tx.put(JOBS, &base::ids::JobId::new(), &job("x", JobState::Queued))).unwrap();
    f.store.close();
    for row in raw_rows(&f.path, META) {
        raw_put(&f.path, META, &[(row.0, None)]);
        assert!(refusal(&f.path).starts_with("The store file is damaged."));
    }
}

#[test]
fn what_is_no_store_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("steward.redb");
    for content in [&b"hello"[..], &[0; 5000], &[0xff; 2 << 20], b"SQLite format 3\0"] {
        std::fs::write(&path, content).unwrap();
        let sentence = refusal(&path);
        assert!(sentence.starts_with("The store file is damaged."), "{sentence}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
    let folder = refusal(dir.path());
    assert!(folder.contains("can't be opened"), "{folder}");
}

#[test]
fn a_store_cut_short_is_damaged() {
    let f = fresh();
    super::planted::plant(&f.store);
    f.store.close();
    let whole = std::fs::read(&f.path).unwrap();
    for part in [1, 100, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        std::fs::write(&f.path, &whole[..part]).unwrap();
        let sentence = refusal(&f.path);
        assert!(sentence.starts_with("The store file is damaged."), "{part} of {} bytes: {sentence}", whole.len());
    }
}

#[test]
fn a_store_is_made_where_none_is_and_an_empty_file_is_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/steward.redb");
    assert!(!Store::exists(&path));
    open(&path).unwrap().close();
    assert!(Store::exists(&path));
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|f| f.unwrap().file_name());
    assert_eq!(files.collect::<Vec<_>>(), ["steward.redb"]);
    let empty = dir.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    assert!(Store::exists(&empty), "no new key is made for it");
    let sentence = refusal(&empty);
    assert!(sentence.starts_with("The store file is damaged."), "{sentence}");
    // The process died while it was made.
    std::fs::write(dir.path().join("late.new"), b"half").unwrap();
    open(&dir.path().join("late")).unwrap();
}

#[test]
fn migrations_are_numbered_without_gaps_up_to_today() {
    let numbers: Vec<u32> = migrations::ALL.iter().map(|m| m.to).collect();
    assert_eq!(numbers, (2..=migrations::CURRENT).collect::<Vec<_>>());
    assert!(migrations::ALL.iter().all(|m| !m.about.is_empty()));
}

#[test]
fn a_store_of_version_1_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("steward.redb");
    let made = version1::make(&path, &*key(1));
    let store = open(&path).unwrap();
    assert_eq!(store.id(), made.id);
    let jobs = store.read(|tx| tx.list(JOBS, Scan::all(), 99)).unwrap();
    let titles: Vec<String> = jobs.iter().map(|(_, j)| j.title.clone()).collect();
    assert_eq!(titles, made.jobs.iter().map(|(_, title, _)| title.clone()).collect::<Vec<_>>());
    let open_jobs = store.read(|tx| tx.list(OPEN_JOBS, Scan::all(), 99)).unwrap();
    let expected: Vec<_> = made.jobs.iter().filter(|(_, _, open)| *open).map(|(id, ..)| *id).collect();
    assert_eq!(open_jobs.into_iter().map(|(id, ())| id).collect::<Vec<_>>(), expected);
    store.close();
    assert_eq!(raw_rows(&path, META)[0].1, migrations::CURRENT.to_be_bytes());
    // And once more, when there is nothing left to do.
    assert_eq!(open(&path).unwrap().id(), made.id);
}

#[test]
fn a_store_of_version_1_with_another_key_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("steward.redb");
    version1::make(&path, &*key(2));
    assert!(refusal(&path).contains("sealed with another appliance key"));
    assert_eq!(raw_rows(&path, META)[0].1, 1_u32.to_be_bytes());
}
