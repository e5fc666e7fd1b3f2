//! What the file contains: nothing typed, and nothing that opens anywhere else.

use super::maker::{fresh, open, raw_put, raw_rows, raw_tables};
use super::planted::{ROWS, WORD, keyspace, plant, read_all, readers};
use crate::tables::{META, PREFS, SETTINGS, USERS};
use crate::{Json, Name, Read as _, Scan};
use model::prefs::Prefs;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// Where `word` is in the file, ignoring case.
fn find(path: &Path, word: &str) -> Vec<usize> {
    let bytes = std::fs::read(path).unwrap();
    let word = word.as_bytes();
    (0..bytes.len().saturating_sub(word.len()))
        .filter(|i| bytes[*i..][..word.len()].eq_ignore_ascii_case(word))
        .collect()
}

#[test]
fn no_planted_word_stands_in_the_file() {
    let f = fresh();
    let users = plant(&f.store);
    // What was overwritten or deleted must not be left either.
    let gone = users[0];
    f.store
        .write_blocking(move |tx| {
            tx.put(SETTINGS, &Name::new(format!("{WORD}-old")), &Json(json!(WORD)))?;
            tx.delete(USERS, &gone)
        })
        .unwrap();
    f.store.write_blocking(|tx| tx.delete(SETTINGS, &Name::new(format!("{WORD}-old")))).unwrap();
    f.store.close();
    assert_eq!(find(&f.path, WORD), Vec::<usize>::new());
    for part in ["guest_create", "proxmox", "home.example", "ssh-ed25519", "Firefox", "0 3 * * *"] {
        assert_eq!(find(&f.path, part), Vec::<usize>::new(), "{part}");
    }

    let planted: BTreeSet<String> = raw_tables(&f.path).into_iter().collect();
    let known = readers().into_iter().map(|(name, _)| name).chain([META, PREFS.name()]);
    assert_eq!(planted, known.map(str::to_owned).collect(), "a table is missing in planted.rs");
    // The search does find what is not sealed.
    raw_put(&f.path, "users", &[(b"k".to_vec(), Some(format!("a {WORD} in clear").into_bytes()))]);
    assert_ne!(find(&f.path, WORD), Vec::<usize>::new());
}

#[test]
fn a_row_moved_to_another_key_does_not_open() {
    let f = fresh();
    let users = plant(&f.store);
    f.store.close();
    let good = std::fs::read(&f.path).unwrap();
    for (table, _) in readers() {
        let rows = raw_rows(&f.path, table);
        assert!(rows.len() >= ROWS, "{table}");
        raw_put(&f.path, table, &[(rows[0].0.clone(), Some(rows[1].1.clone()))]);
        let store = open(&f.path).unwrap();
        let error = read_all(&store, &users).unwrap_err();
        assert!(error.message().starts_with("The store file is damaged."), "{table}: {error}");
        assert!(error.chain().contains(table), "{}", error.chain());
        store.close();
        std::fs::write(&f.path, &good).unwrap();
    }
    let store = open(&f.path).unwrap();
    assert!(read_all(&store, &users).is_ok(), "the file itself was good");
}

#[test]
fn a_row_moved_to_another_table_does_not_open() {
    let f = fresh();
    let users = plant(&f.store);
    f.store.close();
    // Both have a user's id as key.
    let slots = raw_rows(&f.path, "password_slots");
    raw_put(&f.path, "users", &[(slots[0].0.clone(), Some(slots[0].1.clone()))]);
    let store = open(&f.path).unwrap();
    assert!(store.read(|tx| tx.get(USERS, &users[0])).is_err());
    assert!(store.read(|tx| tx.get(USERS, &users[1])).is_ok());
}

#[test]
fn a_users_row_opens_only_with_that_users_key_and_in_that_users_place() {
    let f = fresh();
    let users = plant(&f.store);
    f.store.close();
    let rows = raw_rows(&f.path, PREFS.name());
    assert_eq!(rows.len(), ROWS);
    let good = std::fs::read(&f.path).unwrap();
    let row_of = |n: usize| rows.iter().find(|(key, _)| key.starts_with(users[n].bytes())).unwrap();
    for owner in 0..ROWS {
        for other in (0..ROWS).filter(|other| *other != owner) {
            // The owner's row with the other's key, by somebody who claims to be the owner.
            let store = open(&f.path).unwrap();
            let claimed = keyspace(users[owner], other as u8);
            let refused = store.read(|tx| tx.own(&claimed).get(PREFS, &()));
            assert!(refused.unwrap_err().message().contains("does not open with its owner's key"));
            assert!(store.read(|tx| tx.own(&claimed).list(PREFS, Scan::all(), 9)).is_err());
            store.close();
            // The owner's row in the other's place, with either key.
            let (from, to) = (row_of(owner), row_of(other));
            raw_put(&f.path, PREFS.name(), &[(to.0.clone(), Some(from.1.clone()))]);
            let store = open(&f.path).unwrap();
            for key in [owner, other] {
                let keys = keyspace(users[other], key as u8);
                assert!(store.read(|tx| tx.own(&keys).get(PREFS, &())).is_err(), "{owner} {other} {key}");
            }
            store.close();
            std::fs::write(&f.path, &good).unwrap();
        }
    }
}

#[test]
fn a_keyspace_lists_and_erases_only_its_owners_rows() {
    let f = fresh();
    let users = plant(&f.store);
    for (n, user) in users.iter().enumerate() {
        let rows = f.store.read(|tx| tx.own(&keyspace(*user, n as u8)).list(PREFS, Scan::all(), 9)).unwrap();
        assert_eq!(rows.len(), 1);
        assert!(rows[0].1.ssh_keys.ends_with(&format!("-{n}")));
    }
    let gone = users[1];
    assert_eq!(f.store.write_blocking(move |tx| tx.erase_owner(gone)).unwrap(), 1);
    let left: Vec<Option<Prefs>> =
        (0..ROWS).map(|n| f.store.read(|tx| tx.own(&keyspace(users[n], n as u8)).get(PREFS, &())).unwrap()).collect();
    assert_eq!(left.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn a_keyspace_writes_and_deletes_its_owners_rows() {
    let f = fresh();
    let keys = keyspace(base::ids::UserId::new(), 9);
    let writer = keys.clone();
    f.store
        .write_blocking(move |tx| {
            let mut own = tx.own(&writer);
            own.put(PREFS, &(), &Prefs { language: Some("en".to_owned()), ..Prefs::default() })?;
            assert!(own.get(PREFS, &())?.is_some());
            Ok(())
        })
        .unwrap();
    let f = f.reopen();
    let prefs = f.store.read(|tx| tx.own(&keys).get(PREFS, &())).unwrap().unwrap();
    assert_eq!(prefs.language.as_deref(), Some("en"));
    let writer = keys.clone();
    assert!(f.store.write_blocking(move |tx| tx.own(&writer).delete(PREFS, &())).unwrap());
    assert_eq!(f.store.read(|tx| tx.own(&keys).get(PREFS, &())).unwrap(), None);
}

#[test]
fn equal_values_in_two_rows_look_different() {
    let f = fresh();
    f.store
        .write_blocking(|tx| ["a", "b"].into_iter().try_for_each(|k| tx.put(SETTINGS, &k.into(), &Json(json!("same")))))
        .unwrap();
    f.store.close();
    let rows = raw_rows(&f.path, "settings");
    assert_ne!(rows[0].1, rows[1].1);
}
