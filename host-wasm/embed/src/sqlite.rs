//! Storage in SQLite, as the native server has it: the two can open the same folder, one
//! after the other.

use std::path::Path;

use burrow::storage::{self, OpenError, SqliteStore};
use burrow_core::journal::Batch;

use crate::storage::{AppendError, Storage, StorageError};

/// Blobs in a folder of their own.
#[derive(Debug)]
pub struct SqliteStorage(SqliteStore);

impl SqliteStorage {
    /// Opens the store in the folder, or makes an empty one. The folder is made if it is
    /// missing, its parents are not.
    ///
    /// # Errors
    /// If the folder is in use, not of Burrow, or what is in it is damaged.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        SqliteStore::open(folder).map(Self)
    }
}

impl Storage for SqliteStorage {
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        use storage::Storage as _;
        self.0.append(batch).map_err(|error| match error {
            storage::AppendError::NotStored(error) => AppendError::NotStored(error.to_string()),
            storage::AppendError::Unknown(error) => AppendError::Unknown(error.to_string()),
        })?;
        self.0.maintain();
        Ok(())
    }

    fn sequences(&mut self) -> Result<Vec<u64>, StorageError> {
        use storage::Storage as _;
        self.0
            .load()
            .sequences()
            .map_err(|error| StorageError(error.0))
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, StorageError> {
        use storage::Storage as _;
        self.0
            .load()
            .read(sequence)
            .map_err(|error| StorageError(error.0))
    }

    fn recover(&mut self) -> Result<(), StorageError> {
        use storage::Storage as _;
        self.0
            .recover()
            .map(drop)
            .map_err(|error| StorageError(error.to_string()))
    }
}
