//! Reads what is stored.

use burrow_core::journal::{Load, LoadError};
use rusqlite::Connection;

use super::layout::{PARTS, first_key};
use crate::storage::error::StoreError;

/// Reads blobs through a connection.
#[derive(Debug)]
pub(crate) struct SqliteLoad<'c> {
    connection: &'c Connection,
}

impl<'c> SqliteLoad<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    fn keys(&self) -> Result<Vec<i64>, rusqlite::Error> {
        let mut keys = self
            .connection
            .prepare_cached("SELECT key FROM journal WHERE key >= 0 ORDER BY key")?;
        keys.query_map([], |row| row.get(0))?.collect()
    }

    fn parts(&self, first_key: i64) -> Result<Option<Vec<u8>>, rusqlite::Error> {
        let mut parts = self
            .connection
            .prepare_cached("SELECT bytes FROM journal WHERE key BETWEEN ?1 AND ?2 ORDER BY key")?;
        let mut rows = parts.query([first_key, first_key.saturating_add(PARTS - 1)])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let mut blob = row.get_ref(0)?.as_blob()?.to_vec();
        while let Some(row) = rows.next()? {
            blob.extend_from_slice(row.get_ref(0)?.as_blob()?);
        }
        Ok(Some(blob))
    }
}

impl Load for SqliteLoad<'_> {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        let keys = self.keys().map_err(|error| LoadError(error.to_string()))?;
        let mut sequences = Vec::with_capacity(keys.len());
        let mut expected_part = None;
        for key in keys {
            if key % PARTS == 0 {
                sequences.push(u64::try_from(key / PARTS).unwrap_or(0));
            } else if Some(key) != expected_part {
                return Err(LoadError(format!(
                    "blob {} lacks the part before part {}",
                    key / PARTS,
                    key % PARTS
                )));
            }
            expected_part = key.checked_add(1);
        }
        Ok(sequences)
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        let first_key = first_key(sequence).map_err(|error| LoadError(error.to_string()))?;
        match self.parts(first_key) {
            Ok(Some(blob)) => Ok(blob),
            Ok(None) => Err(LoadError(format!("there is no blob {sequence}"))),
            Err(error) => Err(LoadError(format!("blob {sequence}: {error}"))),
        }
    }
}

/// Stands for a file that is not open.
pub(super) struct ClosedLoad(pub(super) StoreError);

impl Load for ClosedLoad {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Err(LoadError(self.0.to_string()))
    }

    fn read(&mut self, _sequence: u64) -> Result<Vec<u8>, LoadError> {
        Err(LoadError(self.0.to_string()))
    }
}
