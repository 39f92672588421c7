//! A history as a killed and as a stopped server leave it, and damage done to copies of that.

use std::path::Path;

use burrow::engine::Engine;
use burrow::inspect;
use tempfile::TempDir;

use crate::support::{copy_files, digest, folder};

pub(crate) const DATA: &str = "journal.db";
pub(crate) const LOG: &str = "journal.db-wal";
pub(crate) const PAGE: usize = 1024;
pub(crate) const LOG_HEADER: usize = 32;
pub(crate) const FRAME_HEADER: usize = 24;
pub(crate) const FRAME: usize = FRAME_HEADER + PAGE;

pub(crate) struct History {
    /// The folder of a killed server: everything since the last copy lies in the log.
    pub(crate) killed: TempDir,
    /// The folder after an orderly stop: everything lies in the data file.
    pub(crate) stopped: TempDir,
    /// What followed from each command, in order; no two are the same.
    pub(crate) digests: Vec<u64>,
}

impl History {
    pub(crate) async fn end(engine: Engine, stopped: TempDir, digests: Vec<u64>) -> Self {
        let killed = folder();
        copy_files(stopped.path(), killed.path());
        engine.stop().await;
        Self {
            killed,
            stopped,
            digests,
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.digests[self.digests.len() - 1]
    }

    pub(crate) fn data_len(&self) -> usize {
        std::fs::metadata(self.stopped.path().join(DATA))
            .unwrap()
            .len() as usize
    }

    pub(crate) fn log(&self) -> Vec<u8> {
        std::fs::read(self.killed.path().join(LOG)).unwrap()
    }

    /// A copy of what the stopped server left, with its data file changed.
    pub(crate) fn with_data(&self, change: impl FnOnce(&mut Vec<u8>)) -> TempDir {
        changed(self.stopped.path(), DATA, change)
    }

    /// A copy of what the killed server left, with its log changed.
    pub(crate) fn with_log(&self, change: impl FnOnce(&mut Vec<u8>)) -> TempDir {
        changed(self.killed.path(), LOG, change)
    }

    /// A start fails or finds everything; if it fails, the check says why.
    pub(crate) fn refused_or_whole(&self, dir: &Path, context: &str) {
        let checked = inspect::check(dir);
        match digest(dir) {
            Ok(digest) => assert_eq!(
                digest,
                self.last(),
                "{context}: something is missing, and nobody said so"
            ),
            Err(error) => {
                let silent = checked.is_ok_and(|report| report.is_sound());
                assert!(!silent, "{context}: {error}, but the check finds nothing");
            }
        }
    }

    /// However the data file is cut, a start and the check say so.
    pub(crate) fn cuts_of_the_data_file_are_noticed(&self) {
        for boundary in (0..self.data_len()).step_by(PAGE) {
            for cut in [boundary.saturating_sub(1), boundary, boundary + 1] {
                let dir = self.with_data(|bytes| bytes.truncate(cut));
                let error = digest(dir.path()).expect_err("nobody said that the tail is missing");
                assert!(error.contains(DATA) || error.contains("blob"), "{error}");
                let checked = inspect::check(dir.path());
                assert!(
                    !checked.is_ok_and(|report| report.is_sound()),
                    "cut at {cut}"
                );
            }
        }
    }
}

/// A copy of the folder with one file changed.
fn changed(from: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> TempDir {
    let dir = folder();
    copy_files(from, dir.path());
    let path = dir.path().join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    dir
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
