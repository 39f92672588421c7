//! Damage to files that have seen checkpoints: with pieces of them, bodies copied forward, blobs
//! that were dropped, and rows that are used again.

use std::path::Path;

use burrow::inspect;
use burrow::storage::{SqliteStore, Storage as _};
use burrow_core::{Command, Config, Detail, JournalConfig};
use tempfile::TempDir;

use crate::damage::{FRAME, LOG_HEADER, changed, commits, refused_or_whole};
use crate::support::{copy_files, digest, folder, put, queue, start_with};

const ROUNDS: usize = 300;

struct History {
    killed: TempDir,
    stopped: TempDir,
    /// What followed from each command, in order; no two are the same.
    digests: Vec<u64>,
}

impl History {
    /// Most messages go soon after they came, and a few stay for long.
    async fn make() -> Self {
        let (killed, stopped) = (folder(), folder());
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
        copy_files(stopped.path(), killed.path());
        engine.stop().await;
        let history = Self {
            killed,
            stopped,
            digests,
        };
        history.check_variety();
        history
    }

    fn last(&self) -> u64 {
        self.digests[self.digests.len() - 1]
    }

    /// The files hold what they are made for.
    fn check_variety(&self) {
        let mut store = SqliteStore::open(self.stopped.path()).unwrap();
        let sequences = store.load().sequences().unwrap();
        let (first, last) = (sequences[0], sequences[sequences.len() - 1]);
        assert!(first > 1, "blobs were dropped");
        let holes = last - first + 1 - sequences.len() as u64;
        assert!(holes > 0, "also some between others that stay");
        let more = last - self.digests.len() as u64;
        assert!(more > 10, "pieces of checkpoints have blobs of their own");
        let pages = std::fs::metadata(self.stopped.path().join("journal.db"))
            .unwrap()
            .len()
            / 1024;
        assert!(
            pages < last / 2,
            "{pages} pages for {last} commits: rows are used again"
        );
    }
}

fn engine_digest(dir: &Path) -> u64 {
    let image = folder();
    copy_files(dir, image.path());
    digest(image.path()).unwrap()
}

#[tokio::test]
async fn flipped_bytes_after_checkpoints_are_noticed() {
    let history = History::make().await;
    let len = std::fs::metadata(history.stopped.path().join("journal.db"))
        .unwrap()
        .len() as usize;
    for position in (0..len).step_by(41) {
        let mask = 1 << (position % 8);
        let dir = changed(history.stopped.path(), "journal.db", |bytes| {
            bytes[position] ^= mask
        });
        let context = format!("byte {position} ^ {mask:#x}");
        refused_or_whole(dir.path(), history.last(), &context);
    }
}

#[tokio::test]
async fn files_that_are_cut_after_checkpoints_are_noticed() {
    let history = History::make().await;
    let len = std::fs::metadata(history.stopped.path().join("journal.db"))
        .unwrap()
        .len() as usize;
    for boundary in (0..len).step_by(1024) {
        for cut in [boundary.saturating_sub(1), boundary, boundary + 1] {
            let dir = changed(history.stopped.path(), "journal.db", |bytes| {
                bytes.truncate(cut)
            });
            digest(dir.path()).expect_err("nobody said that the tail is missing");
            let checked = inspect::check(dir.path());
            assert!(
                !checked.is_ok_and(|report| report.is_sound()),
                "cut at {cut}"
            );
        }
    }
}

#[tokio::test]
async fn a_log_that_is_cut_after_checkpoints_gives_a_prefix() {
    let history = History::make().await;
    let log = std::fs::read(history.killed.path().join("journal.db-wal")).unwrap();
    let starts = commits(&log);
    let end = starts[starts.len() - 1];
    let mut before = None;
    for boundary in (LOG_HEADER..=end).step_by(FRAME) {
        for cut in [boundary - 1, boundary + 1] {
            let dir = changed(history.killed.path(), "journal.db-wal", |bytes| {
                bytes.truncate(cut)
            });
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
    let history = History::make().await;
    let log = std::fs::read(history.killed.path().join("journal.db-wal")).unwrap();
    let starts = commits(&log);
    // The last two commits may be taken for torn ones.
    let certain = starts[starts.len() - 3];
    for position in (0..certain).step_by(509) {
        let dir = changed(history.killed.path(), "journal.db-wal", |bytes| {
            bytes[position] ^= 0x55
        });
        let context = format!("byte {position} of the log");
        refused_or_whole(dir.path(), history.last(), &context);
    }
}
