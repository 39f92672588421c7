//! Damage to files that have seen checkpoints: with pieces of them, bodies copied forward, blobs
//! that were dropped, and rows that are used again.

use std::path::Path;

use burrow::storage::{SqliteStore, Storage as _};
use burrow_core::{Command, Config, Detail, JournalConfig};

use crate::history::{FRAME, History, LOG_HEADER, PAGE, commits};
use crate::support::{copy_files, digest, folder, put, queue, start_with};

const ROUNDS: usize = 300;

/// Most messages go soon after they came, and a few stay for long.
async fn history() -> History {
    let stopped = folder();
    let journal = JournalConfig {
        checkpoint_bytes: 3_000,
        extent_bytes: 1_000,
        ..JournalConfig::default()
    };
    let config = Config {
        journal,
        ..Config::default()
    };
    let engine = start_with(stopped.path(), config);
    let mut digests = Vec::new();
    for round in 0..ROUNDS {
        let id = format!("m{round}");
        let body = [round as u8; 300];
        engine
            .execute(put(&id, &body[..round % 300]))
            .await
            .unwrap();
        digests.push(engine_digest(stopped.path()));
        if round >= 5 && round % 16 != 5 {
            let delete = Command::DeleteMessage {
                queue: queue(),
                id: format!("m{}", round - 5).into(),
                claim: None,
                detail: Detail::None,
            };
            engine.execute(delete).await.unwrap();
            digests.push(engine_digest(stopped.path()));
        }
    }
    let history = History::end(engine, stopped, digests).await;
    check_variety(&history);
    history
}

/// The files hold what they are made for.
fn check_variety(history: &History) {
    let mut store = SqliteStore::open(history.stopped.path()).unwrap();
    let sequences = store.load().sequences().unwrap();
    let (first, last) = (sequences[0], sequences[sequences.len() - 1]);
    assert!(first > 1, "blobs were dropped");
    let holes = last - first + 1 - sequences.len() as u64;
    assert!(holes > 0, "also some between others that stay");
    let more = last - history.digests.len() as u64;
    assert!(more > 10, "pieces of checkpoints have blobs of their own");
    let pages = (history.data_len() / PAGE) as u64;
    assert!(
        pages < last / 2,
        "{pages} pages for {last} commits: rows are used again"
    );
}

fn engine_digest(dir: &Path) -> u64 {
    let image = folder();
    copy_files(dir, image.path());
    digest(image.path()).unwrap()
}

#[tokio::test]
async fn flipped_bytes_after_checkpoints_are_noticed() {
    let history = history().await;
    for position in (0..history.data_len()).step_by(41) {
        let mask = 1 << (position % 8);
        let dir = history.with_data(|bytes| bytes[position] ^= mask);
        history.refused_or_whole(dir.path(), &format!("byte {position} ^ {mask:#x}"));
    }
}

#[tokio::test]
async fn files_that_are_cut_after_checkpoints_are_noticed() {
    history().await.cuts_of_the_data_file_are_noticed();
}

#[tokio::test]
async fn a_log_that_is_cut_after_checkpoints_gives_a_prefix() {
    let history = history().await;
    let commits = commits(&history.log());
    let end = commits[commits.len() - 1];
    let mut before = None;
    for boundary in (LOG_HEADER..=end).step_by(FRAME) {
        for cut in [boundary - 1, boundary + 1] {
            let dir = history.with_log(|bytes| bytes.truncate(cut));
            let found = digest(dir.path()).ok();
            let found =
                found.and_then(|found| history.digests.iter().position(|&own| own == found));
            assert!(found >= before, "cut at {cut}: {found:?} after {before:?}");
            before = found;
        }
    }
    assert_eq!(before, Some(history.digests.len() - 1));
}

#[tokio::test]
async fn flipped_bytes_of_the_log_after_checkpoints_are_noticed() {
    let history = history().await;
    let commits = commits(&history.log());
    // The last two commits may be taken for torn ones.
    let certain = commits[commits.len() - 3];
    for position in (0..certain).step_by(509) {
        let dir = history.with_log(|bytes| bytes[position] ^= 0x55);
        history.refused_or_whole(dir.path(), &format!("byte {position} of the log"));
    }
}
