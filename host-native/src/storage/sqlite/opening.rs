//! A store while SQLite checks its structures: that reads the whole file once, and so goes
//! on beside the restore, on a thread of its own.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use burrow_core::journal::Load;
use rusqlite::{Connection, OpenFlags};

use super::SqliteStore;
use super::layout::verify_structure;
use crate::storage::Storage;
use crate::storage::error::OpenError;

/// A store that can be read already, and is written to once the check has ended well.
#[derive(Debug)]
pub struct Opening {
    pub(super) check: Check,
    pub(super) store: SqliteStore,
}

impl Opening {
    /// Reads what is stored. What is read may turn out to be damaged.
    pub fn load(&mut self) -> Box<dyn Load + '_> {
        self.store.load()
    }

    /// Waits for the check's end.
    ///
    /// # Errors
    /// What SQLite found wrong with the file; nothing was written to it.
    pub fn finish(self) -> Result<SqliteStore, OpenError> {
        let Self { check, store } = self;
        check
            .finish()
            .map_err(|error| store.folder.explain(error))?;
        if let Some(open) = &store.open {
            open.remove_probe()
                .map_err(|error| OpenError::sqlite(&store.data_file, error))?;
        }
        Ok(store)
    }
}

/// SQLite's check of its structures, under way.
#[derive(Debug)]
pub(super) struct Check {
    /// `None` once it was waited for.
    thread: Option<JoinHandle<Result<(), OpenError>>>,
}

impl Check {
    /// Begins, on a connection of its own.
    pub(super) fn start(data_file: &Path) -> Result<Self, OpenError> {
        let path: PathBuf = data_file.to_owned();
        let verify = move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)
                .map_err(|error| OpenError::sqlite(&path, error))?;
            verify_structure(&path, &connection)
        };
        let thread = thread::Builder::new()
            .name("burrow-check".into())
            .spawn(verify)
            .map_err(|error| OpenError::access("start a thread to check", data_file, error))?;
        Ok(Self {
            thread: Some(thread),
        })
    }

    pub(super) fn finish(mut self) -> Result<(), OpenError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), OpenError> {
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(found)) => found,
            Some(Err(panic)) => resume_unwind(panic),
        }
    }
}

impl Drop for Check {
    /// No thread may read the file when the folder's lock is gone.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
