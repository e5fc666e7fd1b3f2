//! The audit log: whatever is done to it behind Steward's back is found, and the first bad entry named.

use super::maker::{Fresh, fresh, key, open, raw_put, raw_rows, record};
use crate::audit::append;
use crate::table::{open_row, seal_row};
use crate::tables::{AUDIT, META};
use crate::{AuditCheck, AuditHead, Read as _};
use model::audit::AuditEntry;
use std::path::Path;

type Raw = Vec<(Vec<u8>, Vec<u8>)>;

/// Ten entries in several commits, closed.
fn ten() -> (Fresh, Raw) {
    let f = fresh();
    for n in 0..5 {
        let write = move |tx: &mut crate::WriteTx| {
            tx.audit(record(&format!("first {n}")));
            tx.audit(record(&format!("second {n}")));
            Ok(())
        };
        f.store.write_blocking(write).unwrap();
    }
    f.store.close();
    let rows = raw_rows(&f.path, AUDIT.name());
    assert_eq!(rows.len(), 10);
    (f, rows)
}

fn check(path: &Path) -> AuditCheck {
    open(path).unwrap().verify_audit().unwrap()
}

/// An entry changed by somebody who has the appliance key.
fn forged(row: &(Vec<u8>, Vec<u8>), change: impl FnOnce(&mut AuditEntry)) -> Vec<u8> {
    let seal = key(1);
    let mut entry: AuditEntry = open_row(AUDIT.name(), &row.0, &row.1, &*seal).unwrap();
    change(&mut entry);
    seal_row(AUDIT.name(), &row.0, &entry, &*seal).unwrap()
}

#[test]
fn an_untouched_log_is_good() {
    let (f, _) = ten();
    let good = check(&f.path);
    assert_eq!((good.entries, good.first_bad, good.why), (10, None, None));
    assert_eq!(good.head.unwrap().len(), 32);
}

#[test]
fn an_empty_log_is_good() {
    let f = fresh();
    let check = f.store.verify_audit().unwrap();
    assert_eq!(check, AuditCheck { entries: 0, head: None, first_bad: None, why: None });
}

#[test]
fn a_changed_entry_is_found_even_when_it_was_sealed_again() {
    for n in 0..10_usize {
        let (f, rows) = ten();
        let row = forged(&rows[n], |e| e.record.actor = "somebody else".to_owned());
        raw_put(&f.path, AUDIT.name(), &[(rows[n].0.clone(), Some(row))]);
        let found = check(&f.path);
        assert_eq!((found.first_bad, found.entries), (Some(n as u64 + 1), n as u64), "{found:?}");
        assert_eq!(found.why.unwrap(), format!("Entry {} does not continue the entry before it.", n + 1));
    }
}

#[test]
fn a_flipped_bit_in_an_entry_is_found() {
    let (f, rows) = ten();
    let mut row = rows[6].1.clone();
    row[20] ^= 4;
    raw_put(&f.path, AUDIT.name(), &[(rows[6].0.clone(), Some(row))]);
    let found = check(&f.path);
    assert_eq!(found.first_bad, Some(7));
    assert!(found.why.unwrap().starts_with("Entry 7 does not open"));
}

#[test]
fn a_deleted_entry_is_found_wherever_it_stood() {
    for n in 0..10_usize {
        let (f, rows) = ten();
        raw_put(&f.path, AUDIT.name(), &[(rows[n].0.clone(), None)]);
        let found = check(&f.path);
        assert_eq!(found.first_bad, Some(n as u64 + 1), "{found:?}");
    }
}

#[test]
fn entries_that_changed_places_are_found() {
    let (f, rows) = ten();
    let swap = |a: usize, b: usize| (rows[a].0.clone(), Some(rows[b].1.clone()));
    raw_put(&f.path, AUDIT.name(), &[swap(3, 4), swap(4, 3)]);
    assert_eq!(check(&f.path).first_bad, Some(4));

    // By somebody who has the key and corrects the numbers.
    let (f, rows) = ten();
    let seal = key(1);
    let renumbered = |from: usize, to: usize| {
        let mut entry: AuditEntry = open_row(AUDIT.name(), &rows[from].0, &rows[from].1, &*seal).unwrap();
        entry.seq = to as u64 + 1;
        (rows[to].0.clone(), Some(seal_row(AUDIT.name(), &rows[to].0, &entry, &*seal).unwrap()))
    };
    raw_put(&f.path, AUDIT.name(), &[renumbered(3, 4), renumbered(4, 3)]);
    assert_eq!(check(&f.path).first_bad, Some(4));
}

#[test]
fn a_cut_off_end_is_found() {
    let (f, rows) = ten();
    let cut: Vec<_> = rows[7..].iter().map(|(key, _)| (key.clone(), None)).collect();
    raw_put(&f.path, AUDIT.name(), &cut);
    let found = check(&f.path);
    assert_eq!((found.first_bad, found.entries), (Some(8), 7));
    assert_eq!(found.why.unwrap(), "The end was cut off: there were 10 entries, 7 are left.");
}

#[test]
fn a_log_that_was_emptied_is_found() {
    let (f, rows) = ten();
    let all: Vec<_> = rows.iter().map(|(key, _)| (key.clone(), None)).collect();
    raw_put(&f.path, AUDIT.name(), &all);
    assert_eq!(check(&f.path).first_bad, Some(1));
}

#[test]
fn entries_added_by_others_are_found() {
    let (f, _) = ten();
    // A good chain that goes on, made with the key, but not by Steward's commit: the head is not moved.
    let store = open(&f.path).unwrap();
    let meta_before = {
        store.close();
        raw_rows(&f.path, META)
    };
    let store = open(&f.path).unwrap();
    store
        .write_blocking(|tx| {
            tx.audit(record("added"));
            Ok(())
        })
        .unwrap();
    store.close();
    let back: Vec<_> = meta_before.into_iter().map(|(key, row)| (key, Some(row))).collect();
    raw_put(&f.path, META, &back);
    let found = check(&f.path);
    assert_eq!((found.first_bad, found.entries), (Some(11), 10));
}

#[test]
fn an_older_store_put_in_place_is_found_with_a_head_noted_outside() {
    let (f, _) = ten();
    let old = std::fs::read(&f.path).unwrap();
    let store = open(&f.path).unwrap();
    store
        .write_blocking(|tx| {
            tx.audit(record("the one to hide"));
            Ok(())
        })
        .unwrap();
    let now = store.verify_audit().unwrap();
    let noted = AuditHead { entries: now.entries, hash: now.head.unwrap() };
    assert_eq!(store.verify_audit_with(&noted).unwrap().first_bad, None);
    // More entries than were noted are fine.
    store
        .write_blocking(|tx| {
            tx.audit(record("one more"));
            Ok(())
        })
        .unwrap();
    assert_eq!(store.verify_audit_with(&noted).unwrap().first_bad, None);
    store.close();

    std::fs::write(&f.path, &old).unwrap();
    let store = open(&f.path).unwrap();
    assert_eq!(store.verify_audit().unwrap().first_bad, None, "alone it can't be seen");
    let found = store.verify_audit_with(&noted).unwrap();
    assert_eq!(found.first_bad, Some(11));
    // Another entry in its place has another hash.
    store
        .write_blocking(|tx| {
            tx.audit(record("something harmless"));
            Ok(())
        })
        .unwrap();
    let found = store.verify_audit_with(&noted).unwrap();
    assert_eq!(found.first_bad, Some(11));
    assert_eq!(found.why.unwrap(), "Entry 11 is not the one that was noted outside.");
}

/// Somebody with the appliance key can write a whole new chain: only the noted head reveals it.
#[test]
fn a_chain_written_anew_is_found_with_a_head_noted_outside() {
    let (f, rows) = ten();
    let before = check(&f.path);
    let noted = AuditHead { entries: 10, hash: before.head.unwrap() };
    let all: Vec<_> = rows.iter().map(|(key, _)| (key.clone(), None)).collect();
    raw_put(&f.path, AUDIT.name(), &all);
    let store = open(&f.path).unwrap();
    store
        .write_blocking(|tx| {
            let records = (0..10).map(|n| record(&format!("forged {n}"))).collect();
            append(tx, &AuditHead::default(), records).map(|_| ())
        })
        .unwrap();
    assert_eq!(store.verify_audit().unwrap().first_bad, None);
    assert_eq!(store.verify_audit_with(&noted).unwrap().first_bad, Some(10));
    assert_eq!(store.read(|tx| tx.get(AUDIT, &1)).unwrap().unwrap().record.action, "forged 0");
}
