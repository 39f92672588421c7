use super::*;

fn batch(sequence: u64, blob: &[u8]) -> Batch {
    Batch {
        sequence,
        blob: blob.to_vec(),
        drops: Vec::new(),
    }
}

fn contents(store: &mut SqliteStore) -> Vec<(u64, Vec<u8>)> {
    let mut load = store.load();
    let sequences = load.sequences().unwrap();
    sequences
        .into_iter()
        .map(|sequence| (sequence, load.read(sequence).unwrap()))
        .collect()
}

#[test]
fn blobs_come_back_as_they_were_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Box::new(SqliteStore::open(dir.path()).unwrap());
    store.append(&batch(1, b"one")).unwrap();
    store.append(&batch(2, b"")).unwrap();
    store.append(&batch(3, &[0xff; 100_000])).unwrap();
    let expected = vec![(1, b"one".to_vec()), (2, vec![]), (3, vec![0xff; 100_000])];
    assert_eq!(contents(&mut store), expected);
    store.close().unwrap();
    assert_eq!(
        contents(&mut SqliteStore::open(dir.path()).unwrap()),
        expected
    );
}

fn sequences(store: &mut SqliteStore) -> Vec<u64> {
    store.load().sequences().unwrap()
}

fn slots(store: &SqliteStore) -> i64 {
    let count = store
        .writer()
        .unwrap()
        .query_row("SELECT count(*) FROM journal", [], |row| row.get(0));
    count.unwrap()
}

#[test]
fn drops_take_whole_blobs_and_no_others_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    for sequence in 1..=9 {
        store
            .append(&batch(sequence, &[sequence as u8; 1500]))
            .unwrap();
    }
    let drops = vec![2..=2, 4..=6, 8..=8];
    store
        .append(&Batch {
            drops,
            ..batch(10, &[1])
        })
        .unwrap();
    let left = [1, 3, 7, 9, 10];
    assert_eq!(sequences(&mut store), left);
    let before = contents(&mut store);
    drop(store);
    let mut store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(contents(&mut store), before);
    // Also not once some of their slots hold something else.
    store.append(&batch(11, &[11; 1500])).unwrap();
    drop(store);
    assert_eq!(
        sequences(&mut SqliteStore::open(dir.path()).unwrap()),
        [1, 3, 7, 9, 10, 11]
    );
}

#[test]
fn slots_are_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    for sequence in 1..=300u64 {
        let drops = match sequence.checked_sub(10) {
            Some(old @ 1..) => vec![old..=old],
            _ => vec![],
        };
        let blob = vec![sequence as u8; 100 + sequence as usize * 37 % 5000];
        store
            .append(&Batch {
                sequence,
                blob,
                drops,
            })
            .unwrap();
    }
    // Ten blobs at a time, of up to six slots each.
    assert!(slots(&store) <= 66, "{} slots", slots(&store));
    for (sequence, blob) in contents(&mut store) {
        assert_eq!(
            blob,
            vec![sequence as u8; 100 + sequence as usize * 37 % 5000]
        );
    }
}

#[test]
fn blobs_of_all_sizes_share_slots() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    let bytes: Vec<u8> = (0..=250).cycle().take(10_000).collect();
    let lengths = (0..300)
        .chain(FRAGMENT_BYTES - 90..FRAGMENT_BYTES + 3)
        .chain([2 * FRAGMENT_BYTES - 1, 2 * FRAGMENT_BYTES, 10_000]);
    let mut expected = Vec::new();
    for (sequence, length) in (1..).zip(lengths) {
        store.append(&batch(sequence, &bytes[..length])).unwrap();
        expected.push((sequence, bytes[..length].to_vec()));
    }
    assert_eq!(contents(&mut store), expected);
    drop(store);
    let mut store = SqliteStore::open(dir.path()).unwrap();
    assert_eq!(contents(&mut store), expected);
    let least = expected.iter().map(|(_, blob)| blob.len()).sum::<usize>() / SLOT_BYTES;
    assert!(slots(&store) as usize <= least + least / 4);
}

#[test]
fn a_slot_is_a_page_and_a_small_commit_writes_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    store.append(&batch(1, &[1; 500_000])).unwrap();
    let pages: i64 = store
        .writer()
        .unwrap()
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    // Besides, SQLite's tree has a page for about a hundred.
    let slots = slots(&store);
    assert!(
        pages <= slots + slots / 50 + 8,
        "{pages} pages, {slots} slots"
    );
    let logged = |store: &SqliteStore| store.open.as_ref().unwrap().logged.load(Relaxed);
    store.append(&batch(2, &[2; SLOT_BYTES / 2])).unwrap();
    let before = logged(&store);
    store.append(&batch(3, &[3; 100])).unwrap();
    assert_eq!(logged(&store) - before, 1);
    // A large one leaves the slot before it as it is, if that spares a page.
    let drops = vec![1..=1];
    store
        .append(&Batch {
            drops,
            ..batch(4, &[4; 300])
        })
        .unwrap();
    let before = logged(&store);
    store.append(&batch(5, &[5; 5 * FRAGMENT_BYTES])).unwrap();
    assert_eq!(logged(&store) - before, 5);
    store.append(&batch(6, &[6; 100])).unwrap();
    let before = logged(&store);
    store
        .append(&batch(7, &[7; 4 * FRAGMENT_BYTES + 100]))
        .unwrap();
    assert_eq!(
        logged(&store) - before,
        5,
        "the rest fits into the last slot"
    );
}

#[test]
fn what_is_missing_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    for sequence in 1..=5 {
        store.append(&batch(sequence, &[7; 1900])).unwrap();
    }
    store
        .append(&Batch {
            drops: vec![2..=2],
            ..batch(6, &[7; 10])
        })
        .unwrap();
    let change = |sql: &str| {
        let copy = tempfile::tempdir().unwrap();
        for name in ["journal.db", "journal.db-wal", "lock"] {
            std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let connection = Connection::open(copy.path().join("journal.db")).unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        SqliteStore::open(copy.path()).map(|mut store| sequences(&mut store))
    };
    assert_eq!(change("").unwrap(), [1, 3, 4, 5, 6]);
    let zeros = format!("zeroblob({SLOT_BYTES})");
    for sql in [
        "DELETE FROM journal WHERE slot = 1".to_owned(),
        "DELETE FROM journal WHERE slot = (SELECT max(slot) FROM journal)".to_owned(),
        format!("UPDATE journal SET bytes = {zeros} WHERE slot = 1"),
        format!("UPDATE journal SET bytes = {zeros} WHERE slot = (SELECT max(slot) FROM journal)"),
        "UPDATE journal SET bytes = x'00' WHERE slot = 2".to_owned(),
        "UPDATE notes SET bytes = x'00'".to_owned(),
    ] {
        let error = change(&sql).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{sql}: {error}");
    }
}

#[test]
fn a_failed_append_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    store.append(&batch(1, b"one")).unwrap();
    let again = Batch {
        sequence: 1,
        blob: b"other".to_vec(),
        drops: vec![1..=1],
    };
    assert!(matches!(
        store.append(&again),
        Err(AppendError::NotStored(_))
    ));
    assert_eq!(store.recover().unwrap(), 1);
    assert_eq!(contents(&mut store), [(1, b"one".to_vec())]);
    store.append(&batch(2, b"two")).unwrap();
}

/// What a commit leaves whose frames were written, but whose sync failed: a log that a
/// later start would take for one with that commit.
#[test]
fn a_failed_commit_does_not_come_back() {
    let copy_to = |from: &Path, to: &Path| {
        for name in ["journal.db", "journal.db-wal"] {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    store.append(&batch(1, b"one")).unwrap();
    let other = tempfile::tempdir().unwrap();
    copy_to(dir.path(), other.path());
    let mut ahead = SqliteStore::open(other.path()).unwrap();
    ahead.append(&batch(2, b"two")).unwrap();
    std::fs::copy(
        other.path().join("journal.db-wal"),
        dir.path().join("journal.db-wal"),
    )
    .unwrap();

    store.settled = false;
    assert_eq!(store.recover().unwrap(), 1);
    let crashed = tempfile::tempdir().unwrap();
    copy_to(dir.path(), crashed.path());
    let mut again = SqliteStore::open(crashed.path()).unwrap();
    assert_eq!(contents(&mut again), [(1, b"one".to_vec())]);
    store.append(&batch(2, b"other")).unwrap();
}

#[test]
fn a_probe_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path()).unwrap();
    store.append(&batch(1, b"one")).unwrap();
    store.probe(100_000).unwrap();
    assert_eq!(store.recover().unwrap(), 1);
    assert_eq!(contents(&mut store), [(1, b"one".to_vec())]);
}

#[test]
fn the_log_starts_anew_when_it_is_copied_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::begin_open_sized(dir.path(), 64)
        .unwrap()
        .finish()
        .unwrap();
    let mut sequence = 0;
    let mut restarts = 0;
    let mut logged = 0;
    while restarts < 3 {
        sequence += 1;
        let drops = if sequence > 20 {
            vec![sequence - 20..=sequence - 20]
        } else {
            vec![]
        };
        store
            .append(&Batch {
                sequence,
                blob: vec![7; 5000],
                drops,
            })
            .unwrap();
        store.maintain();
        let now_logged = store.open.as_ref().unwrap().logged.load(Relaxed);
        restarts += u32::from(now_logged < logged);
        logged = now_logged;
    }
    assert_eq!(contents(&mut store).len(), 20);
}

#[test]
fn one_folder_has_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path()).unwrap();
    let second = SqliteStore::open(dir.path()).unwrap_err();
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    drop(store);
    SqliteStore::open(dir.path()).unwrap();
}

#[test]
fn a_folder_is_made_but_its_parents_are_not() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(&dir.path().join("a")).unwrap());
    let error = SqliteStore::open(&dir.path().join("b/c")).unwrap_err();
    assert!(
        matches!(&error, OpenError::CreateFolder { path, .. } if path.ends_with("b/c")),
        "{error}"
    );
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = SqliteStore::open(&dir.path().join("file")).unwrap_err();
    assert!(
        matches!(&error, OpenError::Access { path, .. } if path.ends_with("file/lock")),
        "{error}"
    );
}

#[test]
fn foreign_and_later_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal.db");
    for len in [1, 100, 5000] {
        std::fs::write(&file, vec![b'x'; len]).unwrap();
        assert!(matches!(
            SqliteStore::open(dir.path()),
            Err(OpenError::NotOurs { .. })
        ));
        assert_eq!(
            std::fs::read(&file).unwrap(),
            vec![b'x'; len],
            "nobody's file is written to"
        );
    }
    std::fs::remove_file(&file).unwrap();
    Connection::open(&file)
        .unwrap()
        .execute_batch("CREATE TABLE journal (a, b)")
        .unwrap();
    assert!(matches!(
        SqliteStore::open(dir.path()),
        Err(OpenError::NotOurs { .. })
    ));
    std::fs::remove_file(&file).unwrap();

    drop(SqliteStore::open(dir.path()).unwrap());
    Connection::open(&file)
        .unwrap()
        .execute_batch("PRAGMA user_version = 4")
        .unwrap();
    let later = SqliteStore::open(dir.path()).unwrap_err();
    assert!(
        matches!(
            later,
            OpenError::Newer {
                found: 4,
                supported: 3,
                ..
            }
        ),
        "{later}"
    );
}

#[test]
fn data_that_vanished_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(dir.path()).unwrap());
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() != "lock" {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert!(matches!(
        SqliteStore::open(dir.path()),
        Err(OpenError::Missing { .. })
    ));
    std::fs::write(dir.path().join("journal.db"), "").unwrap();
    assert!(matches!(
        SqliteStore::open(dir.path()),
        Err(OpenError::Missing { .. })
    ));

    std::fs::remove_file(dir.path().join("journal.db")).unwrap();
    let other = Connection::open(dir.path().join("journal.db")).unwrap();
    other
        .execute_batch("CREATE TABLE t (a); DROP TABLE t")
        .unwrap();
    drop(other);
    let error = SqliteStore::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}
