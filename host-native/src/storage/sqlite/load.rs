//! Reads what is stored.

use std::borrow::Cow;

use burrow_core::journal::{Load, LoadError};
use rusqlite::Connection;

use super::slots::{Slots, SlotsError, read_slot};
use crate::storage::error::StoreError;

/// Reads blobs through a connection.
#[derive(Debug)]
pub(crate) struct SqliteLoad<'c> {
    connection: &'c Connection,
    /// `None` until the rows were looked through.
    slots: Option<Cow<'c, Slots>>,
}

impl<'c> SqliteLoad<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            slots: None,
        }
    }

    /// For rows that were looked through already.
    pub(super) fn with_slots(connection: &'c Connection, slots: &'c Slots) -> Self {
        Self {
            connection,
            slots: Some(Cow::Borrowed(slots)),
        }
    }

    fn slots(&mut self) -> Result<&Slots, SlotsError> {
        let slots = match self.slots.take() {
            Some(slots) => slots,
            None => Cow::Owned(Slots::scan(self.connection)?),
        };
        Ok(self.slots.insert(slots))
    }

    fn blob(&mut self, sequence: u64) -> Result<Option<Vec<u8>>, SlotsError> {
        let connection = self.connection;
        let Some(runs) = self.slots()?.runs(sequence) else {
            return Ok(None);
        };
        let mut rows = connection
            .prepare_cached("SELECT slot, bytes FROM journal WHERE slot BETWEEN ?1 AND ?2")?;
        let count: usize = runs.iter().map(|run| run.clone().count()).sum();
        let mut blob = Vec::with_capacity(count * super::slots::FRAGMENT_BYTES);
        for run in runs {
            let mut rows = rows.query([run.start(), run.end()])?;
            while let Some(row) = rows.next()? {
                let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
                let own = read_slot(bytes, |fragment| {
                    if fragment.sequence == sequence {
                        blob.extend_from_slice(fragment.bytes);
                    }
                });
                if own.is_none() {
                    return Err(SlotsError::Slot(row.get(0)?));
                }
            }
        }
        Ok(Some(blob))
    }
}

impl Load for SqliteLoad<'_> {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        match self.slots() {
            Ok(slots) => Ok(slots.sequences()),
            Err(error) => Err(LoadError(error.to_string())),
        }
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        match self.blob(sequence) {
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
