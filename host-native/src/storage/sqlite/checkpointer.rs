//! Copies the pages of SQLite's log to the data file, beside the commits.
//!
//! A copy of tens of megabytes with its sync takes far longer than a commit, so a thread
//! with a connection of its own does it. What is committed meanwhile stays in the log;
//! the store copies that little rest itself, between two commits, and with that the log
//! is done with and starts anew.

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OpenFlags};

/// Says when the log is to be copied, and has the greater part of it copied.
#[derive(Debug)]
pub(super) struct Checkpointer {
    data_file: PathBuf,
    copying: Option<JoinHandle<Result<(), rusqlite::Error>>>,
    /// After a failure the log must have grown to so many pages before the next try.
    not_before: u32,
}

impl Checkpointer {
    pub(super) fn new(data_file: PathBuf) -> Self {
        Self {
            data_file,
            copying: None,
            not_before: 0,
        }
    }

    /// To be called after a commit, with the number of pages in the log. True if the log
    /// is copied but for its end, which the caller should copy now.
    pub(super) fn advance(&mut self, logged: u32, limit: u32) -> bool {
        match self.copying.take() {
            Some(copying) if !copying.is_finished() => {
                self.copying = Some(copying);
                false
            }
            Some(copying) => {
                let copied = matches!(copying.join(), Ok(Ok(())));
                self.not_before = if copied {
                    0
                } else {
                    logged.saturating_add(limit / 4)
                };
                copied
            }
            None => {
                if logged >= limit.max(self.not_before) {
                    self.start(logged.saturating_add(limit / 4));
                }
                false
            }
        }
    }

    /// Waits until no copying is under way.
    pub(super) fn rest(&mut self) {
        if let Some(copying) = self.copying.take() {
            // It was to save time later; whether it did shows in the log.
            let _ = copying.join();
        }
    }

    fn start(&mut self, not_before_if_failed: u32) {
        let data_file = self.data_file.clone();
        let copy = move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            copy_log(&Connection::open_with_flags(data_file, flags)?)
        };
        match thread::Builder::new()
            .name("burrow-wal-copy".into())
            .spawn(copy)
        {
            Ok(copying) => self.copying = Some(copying),
            Err(_) => self.not_before = not_before_if_failed,
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.rest();
    }
}

/// Copies what can be copied without waiting for anybody.
pub(super) fn copy_log(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
