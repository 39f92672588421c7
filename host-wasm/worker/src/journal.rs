//! The journal of an object in its SQL storage: see [`Rows`] for what lies where.

use burrow_core::journal::{Batch, Load, LoadError};
use worker::{Error, Result, SqlStorage, SqlStorageValue, Storage};

use crate::rows::{Rows, Slot};
use crate::sql::{execute, has_table, number, query, text, transaction, whole};

/// A row may have 2 MB.
const PART_BYTES: usize = 1_900_000;
const CREATE: &str = "CREATE TABLE journal (slot INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, part INTEGER NOT NULL, free TEXT, blob BLOB NOT NULL)";
const OVERWRITE: &str =
    "UPDATE journal SET sequence = ?2, part = ?3, free = ?4, blob = ?5 WHERE slot = ?1";
const APPEND: &str =
    "INSERT INTO journal (slot, sequence, part, free, blob) VALUES (?1, ?2, ?3, ?4, ?5)";

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Journal {
    storage: Storage,
    sql: SqlStorage,
    rows: Rows,
    exists: bool,
}

impl Journal {
    pub(crate) fn open(storage: Storage) -> Result<Self> {
        let sql = storage.sql();
        let exists = has_table(&sql, "journal")?;
        let mut rows = Rows::default();
        if exists {
            let all = "SELECT slot, sequence FROM journal ORDER BY sequence, part";
            for row in query(&sql, all, vec![])? {
                rows.insert(whole(row.first())?, whole(row.get(1))?);
            }
            let newest =
                "SELECT free FROM journal WHERE free IS NOT NULL ORDER BY sequence DESC LIMIT 1";
            if let Some(row) = query(&sql, newest, vec![])?.first()
                && !rows.set_free(text(row.first())?)
            {
                return Err(Error::from("the list of free rows cannot be read"));
            }
        }
        Ok(Self {
            storage,
            sql,
            rows,
            exists,
        })
    }

    /// The number of the newest blob.
    pub(crate) fn newest(&self) -> u64 {
        self.rows.newest()
    }

    /// Stores a batch. If it fails, nothing was stored, and this journal is of no use any more.
    pub(crate) fn write(&mut self, batch: Batch) -> Result<()> {
        for range in batch.drops {
            self.rows.drop_blobs(range);
        }
        let parts = batch.blob.len().div_ceil(PART_BYTES).max(1);
        let slots = self.rows.take(batch.sequence, parts);
        let free = self.rows.free_text();
        transaction(&self.storage, || {
            if !self.exists {
                execute(&self.sql, CREATE, vec![])?;
            }
            let mut parts = batch.blob.chunks(PART_BYTES);
            for (index, slot) in slots.iter().enumerate() {
                let (slot, statement) = match slot {
                    Slot::Used(slot) => (*slot, OVERWRITE),
                    Slot::New(slot) => (*slot, APPEND),
                };
                let free = (index == 0).then(|| free.clone());
                let part = parts.next().unwrap_or_default().to_vec();
                let values = vec![
                    number(slot)?,
                    number(batch.sequence)?,
                    number(index as u64)?,
                    free.into(),
                    part.into(),
                ];
                execute(&self.sql, statement, values)?;
            }
            Ok(())
        })?;
        self.exists = true;
        for range in self.rows.trim() {
            let values = vec![number(*range.start())?, number(*range.end())?];
            let delete = "DELETE FROM journal WHERE sequence BETWEEN ? AND ?";
            execute(&self.sql, delete, values)?;
        }
        Ok(())
    }

    fn blob(&self, sequence: u64) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        let slots = self.rows.of(sequence);
        for slot in slots {
            let select = "SELECT blob FROM journal WHERE slot = ?";
            let row = query(&self.sql, select, vec![number(*slot)?])?;
            match row.into_iter().flatten().next() {
                Some(SqlStorageValue::Blob(part)) if slots.len() == 1 => return Ok(part),
                Some(SqlStorageValue::Blob(part)) => whole.extend_from_slice(&part),
                _ => return Err(Error::from("a row is missing")),
            }
        }
        Ok(whole)
    }
}

impl Load for Journal {
    fn sequences(&mut self) -> std::result::Result<Vec<u64>, LoadError> {
        Ok(self.rows.sequences())
    }

    fn read(&mut self, sequence: u64) -> std::result::Result<Vec<u8>, LoadError> {
        self.blob(sequence)
            .map_err(|error| LoadError(error.to_string()))
    }
}
