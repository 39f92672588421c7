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

#[test]
fn drops_take_whole_blobs_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open_sized(dir.path(), 10, LOG_PAGES).unwrap();
    for sequence in 1..=9 {
        store
            .append(&batch(sequence, &[sequence as u8; 35]))
            .unwrap();
    }
    let drops = vec![2..=2, 4..=6, 8..=8];
    store
        .append(&Batch {
            sequence: 10,
            blob: vec![1],
            drops,
        })
        .unwrap();
    let left: Vec<_> = contents(&mut store)
        .into_iter()
        .map(|(sequence, _)| sequence)
        .collect();
    assert_eq!(left, [1, 3, 7, 9, 10]);
    let rows = store
        .writer()
        .unwrap()
        .query_row("SELECT count(*) FROM journal", [], |row| {
            row.get::<_, i64>(0)
        });
    assert_eq!(rows.unwrap(), 4 * 4 + 1);
}

#[test]
fn a_blob_too_large_for_one_value_is_stored_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open_sized(dir.path(), 10, LOG_PAGES).unwrap();
    let blob: Vec<u8> = (0..=255).cycle().take(10 * 256).collect();
    for len in [1, 9, 10, 11, 20, 2560] {
        store.append(&batch(len as u64, &blob[..len])).unwrap();
        assert_eq!(store.load().read(len as u64).unwrap(), &blob[..len]);
    }
    let too_large = store.append(&batch(5000, &[0; 10 * 256 + 1]));
    assert!(
        matches!(too_large, Err(AppendError::NotStored(_))),
        "{too_large:?}"
    );
    assert_eq!(store.recover().unwrap(), 2560);
    store
        .writer()
        .unwrap()
        .execute("DELETE FROM journal WHERE key = ?1", [2560 * PARTS + 7])
        .unwrap();
    let lacking = store.load().sequences().unwrap_err();
    assert!(
        lacking.0.contains("blob 2560 lacks the part before part 8"),
        "{lacking}"
    );
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
    let mut store = SqliteStore::open_sized(dir.path(), PART_BYTES, 64).unwrap();
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
        .execute_batch("PRAGMA user_version = 2")
        .unwrap();
    let later = SqliteStore::open(dir.path()).unwrap_err();
    assert!(
        matches!(
            later,
            OpenError::Newer {
                found: 2,
                supported: 1,
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
