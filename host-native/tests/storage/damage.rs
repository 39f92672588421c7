//! Damaged files: the damage is reported, or only what nobody was told about is lost.

use std::path::{Path, PathBuf};

use burrow::inspect;
use tempfile::TempDir;

use crate::support::{copy_files, digest, folder, make_history, start};

/// The last one puts a body of several pages.
const COMMITS: usize = 18;
pub(crate) const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
pub(crate) const FRAME: usize = FRAME_HEADER + 1024;

struct History {
    /// The folder of a killed server: everything lies in the log.
    killed: TempDir,
    /// The folder after an orderly stop: everything lies in the data file.
    stopped: TempDir,
    digests: Vec<u64>,
}

impl History {
    async fn make() -> Self {
        let (killed, stopped) = (folder(), folder());
        let engine = start(stopped.path());
        let digests = make_history(&engine, stopped.path(), COMMITS).await;
        copy_files(stopped.path(), killed.path());
        engine.stop().await;
        Self {
            killed,
            stopped,
            digests,
        }
    }

    fn last(&self) -> u64 {
        self.digests[COMMITS - 1]
    }
}

/// A copy of the folder with one file changed.
pub(crate) fn changed(from: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> TempDir {
    let dir = folder();
    copy_files(from, dir.path());
    let path: PathBuf = dir.path().join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    dir
}

/// A start fails or finds everything; if it fails, the check says why.
pub(crate) fn refused_or_whole(dir: &Path, whole: u64, context: &str) {
    let checked = inspect::check(dir);
    match digest(dir) {
        Ok(digest) => assert_eq!(
            digest, whole,
            "{context}: something is missing, and nobody said so"
        ),
        Err(error) => {
            let silent = checked.is_ok_and(|report| report.is_sound());
            assert!(!silent, "{context}: {error}, but the check finds nothing");
        }
    }
}

#[tokio::test]
async fn flipped_bytes_of_the_data_file_are_noticed() {
    let history = History::make().await;
    let len = std::fs::metadata(history.stopped.path().join("journal.db"))
        .unwrap()
        .len() as usize;
    let positions = (0..200).chain((200..len).step_by(17));
    for position in positions {
        let mask = if position % 2 == 0 {
            0xff
        } else {
            1 << (position / 2 % 8)
        };
        let dir = changed(history.stopped.path(), "journal.db", |bytes| {
            bytes[position] ^= mask
        });
        refused_or_whole(
            dir.path(),
            history.last(),
            &format!("byte {position} ^ {mask:#x}"),
        );
    }
}

/// The newest row is the one that no other row would miss.
#[tokio::test]
async fn a_row_that_vanished_is_noticed() {
    let history = History::make().await;
    let bytes = std::fs::read(history.stopped.path().join("journal.db")).unwrap();
    let leaves = (1024..bytes.len())
        .step_by(1024)
        .filter(|&page| bytes[page] == 13 && bytes[page + 4] > 0);
    for page in leaves {
        let dir = changed(history.stopped.path(), "journal.db", |bytes| {
            bytes[page + 4] -= 1;
        });
        digest(dir.path()).expect_err("a commit is missing, and nobody said so");
        assert!(!inspect::check(dir.path()).is_ok_and(|report| report.is_sound()));
    }
}

#[tokio::test]
async fn a_data_file_that_is_cut_is_noticed() {
    let history = History::make().await;
    let len = std::fs::metadata(history.stopped.path().join("journal.db"))
        .unwrap()
        .len() as usize;
    for boundary in (0..len).step_by(1024) {
        for cut in [boundary.saturating_sub(1), boundary, boundary + 1] {
            let dir = changed(history.stopped.path(), "journal.db", |bytes| {
                bytes.truncate(cut)
            });
            let error = digest(dir.path()).expect_err("nobody said that the tail is missing");
            assert!(
                error.contains("journal.db") || error.contains("blob"),
                "{error}"
            );
            assert!(
                !inspect::check(dir.path()).is_ok_and(|report| report.is_sound()),
                "cut at {cut}"
            );
        }
    }
}

/// Where each commit's frames begin in the log, and the end of the last.
pub(crate) fn commits(log: &[u8]) -> Vec<usize> {
    let salts = &log[16..24];
    let frames = (LOG_HEADER..log.len())
        .step_by(FRAME)
        .map(|at| (at, &log[at..at + FRAME_HEADER]));
    let mut starts = vec![LOG_HEADER];
    for (at, header) in frames.take_while(|(_, header)| &header[8..16] == salts) {
        if header[4..8] != [0; 4] {
            starts.push(at + FRAME);
        }
    }
    starts
}

#[tokio::test]
async fn flipped_bytes_of_the_log_are_noticed_or_hit_the_last_commit() {
    let history = History::make().await;
    let log = std::fs::read(history.killed.path().join("journal.db-wal")).unwrap();
    let commits = commits(&log);
    let (last, end) = (commits[commits.len() - 2], commits[commits.len() - 1]);
    let headers = (LOG_HEADER..end)
        .step_by(FRAME)
        .flat_map(|frame| frame..frame + FRAME_HEADER);
    let mut positions: Vec<usize> = (0..LOG_HEADER)
        .chain(headers)
        .chain((0..end).step_by(211))
        .collect();
    positions.sort_unstable();
    // The mark of the last commit but one: without it the two look like one commit that
    // was cut short.
    let mark = last - FRAME + 4..last - FRAME + 8;
    for position in positions {
        let dir = changed(history.killed.path(), "journal.db-wal", |bytes| {
            bytes[position] ^= 0x55
        });
        match digest(dir.path()) {
            Ok(digest) if digest == history.last() => {}
            Ok(digest) if position >= last => {
                assert_eq!(digest, history.digests[COMMITS - 2], "byte {position}")
            }
            Ok(digest) if mark.contains(&position) => assert!(history.digests.contains(&digest)),
            Ok(_) => {
                panic!("byte {position}: acknowledged commits are missing, and nobody said so")
            }
            // A commit that may be torn, because it is the last, keeps no server from
            // starting; unless what was hit now says that the commit ended there.
            Err(error) => {
                let ending = (4..8).contains(&((position.saturating_sub(LOG_HEADER)) % FRAME));
                assert!(position < last || ending, "byte {position}: {error}");
                assert!(error.contains("journal.db-wal"), "{error}");
                assert!(
                    !inspect::check(changed_again(&history, position).path())
                        .unwrap()
                        .is_sound()
                );
            }
        }
    }
}

/// A failed start leaves the files as they were, but to be sure of it here is another copy.
fn changed_again(history: &History, position: usize) -> TempDir {
    changed(history.killed.path(), "journal.db-wal", |bytes| {
        bytes[position] ^= 0x55
    })
}

#[tokio::test]
async fn a_log_that_is_cut_gives_a_prefix() {
    let history = History::make().await;
    let log = std::fs::read(history.killed.path().join("journal.db-wal")).unwrap();
    let commits = commits(&log);
    // Before the first command there was a commit or two for the table.
    let setup = commits.len() - 1 - COMMITS;
    let empty = history.digests.len();
    for boundary in (LOG_HEADER..=commits[commits.len() - 1]).step_by(FRAME) {
        for cut in [boundary - 1, boundary, boundary + 1] {
            let whole = commits
                .iter()
                .filter(|&&start| start <= cut)
                .count()
                .saturating_sub(1 + setup);
            let dir = changed(history.killed.path(), "journal.db-wal", |bytes| {
                bytes.truncate(cut)
            });
            match (digest(dir.path()), whole) {
                (Ok(digest), 1..) => assert_eq!(digest, history.digests[whole - 1], "cut at {cut}"),
                (Ok(digest), 0) => assert!(
                    !history.digests.contains(&digest),
                    "cut at {cut} of {empty}"
                ),
                (Err(error), 0) => assert!(error.contains("journal.db"), "{error}"),
                (Err(error), _) => panic!("cut at {cut}: {error}"),
            }
        }
    }
}
