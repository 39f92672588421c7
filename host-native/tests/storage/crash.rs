//! What a killed server leaves is everything that it acknowledged.

use crate::support::{copy_files, digest, folder, ids, make_history, put, start};

#[tokio::test]
async fn every_acknowledged_commit_survives_a_crash() {
    let dir = folder();
    let engine = start(dir.path());
    let digests = make_history(&engine, dir.path(), 20).await;
    let mut distinct = digests.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), digests.len(), "each commit shows");
    engine.stop().await;
    assert_eq!(digest(dir.path()).as_ref(), Ok(digests.last().unwrap()));
}

#[tokio::test]
async fn a_stopped_server_leaves_one_file_that_holds_all() {
    let dir = folder();
    let engine = start(dir.path());
    for n in 0..10 {
        engine.execute(put(&n.to_string(), b"x")).await.unwrap();
    }
    engine.stop().await;
    let copy = folder();
    std::fs::copy(
        dir.path().join("journal.db"),
        copy.path().join("journal.db"),
    )
    .unwrap();
    assert_eq!(ids(&start(copy.path())).await.len(), 10);
    let log = dir.path().join("journal.db-wal");
    assert!(!log.exists() || log.metadata().unwrap().len() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_under_load_loses_nothing_acknowledged() {
    let dir = folder();
    let engine = start(dir.path());
    let (acknowledged, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (engine, acknowledged) = (engine.clone(), acknowledged.clone());
            tokio::spawn(async move {
                for n in 0..200 {
                    let id = format!("{task}-{n}");
                    engine.execute(put(&id, &[b'x'; 2000])).await.unwrap();
                    acknowledged.send(id).unwrap();
                }
            })
        })
        .collect();
    drop(acknowledged);
    let mut before = Vec::new();
    for _ in 0..800 {
        before.push(seen.recv().await.unwrap());
    }
    // Copied while it is written to: the log first cut off where the copy was made, as a
    // crash does, and the data file is older than it.
    let image = folder();
    copy_files(dir.path(), image.path());
    for task in tasks {
        task.await.unwrap();
    }
    engine.stop().await;
    let survivors = ids(&start(image.path())).await;
    for id in before {
        assert!(
            survivors.contains(&id),
            "{id} was acknowledged before the crash"
        );
    }
}
