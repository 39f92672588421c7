//! The journal of an object in its SQL storage: see [`Rows`] for what lies where.

use burrow_core::journal::{Batch, Load, LoadError};
use wasm_bindgen::JsValue;
use worker::worker_sys::{DurableObjectStorage, SqlStorage};

use crate::error::{Error, Result};
use crate::rows::{Rows, Slot};
use crate::sql::{blob, bytes, execute, has_table, number, query, text, transaction, whole};

/// A row may have 2 MB.
const PART_BYTES: usize = 1_900_000;
const CREATE: &str = "CREATE TABLE journal (slot INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, part INTEGER NOT NULL, free TEXT, blob BLOB NOT NULL)";
const OVERWRITE: &str =
    "UPDATE journal SET sequence = ?2, part = ?3, free = ?4, blob = ?5 WHERE slot = ?1";
const APPEND: &str =
    "INSERT INTO journal (slot, sequence, part, free, blob) VALUES (?1, ?2, ?3, ?4, ?5)";

/// See the [module](self).
pub(crate) struct Journal {
    storage: DurableObjectStorage,
    sql: SqlStorage,
    rows: Rows,
    exists: bool,
}

impl Journal {
    pub(crate) fn open(storage: DurableObjectStorage) -> Result<Self> {
        let sql = storage.sql();
        let exists = has_table(&sql, "journal")?;
        let mut rows = Rows::default();
        if exists {
            let all = "SELECT slot, sequence FROM journal ORDER BY sequence, part";
            for row in query(&sql, all, &[])? {
                rows.insert(whole(&row, 0)?, whole(&row, 1)?);
            }
            let newest =
                "SELECT free FROM journal WHERE free IS NOT NULL ORDER BY sequence DESC LIMIT 1";
            if let Some(row) = query(&sql, newest, &[])?.first()
                && !rows.set_free(&text(row, 0)?)
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
        let write = || {
            if !self.exists {
                execute(&self.sql, CREATE, &[])?;
            }
            let mut parts = batch.blob.chunks(PART_BYTES);
            for (index, slot) in slots.iter().enumerate() {
                let (slot, statement) = match slot {
                    Slot::Used(slot) => (*slot, OVERWRITE),
                    Slot::New(slot) => (*slot, APPEND),
                };
                let free = (index == 0).then_some(free.as_str());
                let part = parts.next().unwrap_or_default();
                let values = [
                    number(slot)?,
                    number(batch.sequence)?,
                    number(index as u64)?,
                    free.map_or(JsValue::NULL, JsValue::from_str),
                    bytes(part),
                ];
                execute(&self.sql, statement, &values)?;
            }
            Ok(())
        };
        // A row alone is written wholly or not at all.
        match slots.len() {
            1 if self.exists => write()?,
            _ => transaction(&self.storage, write)?,
        }
        self.exists = true;
        for range in self.rows.trim() {
            let values = [number(*range.start())?, number(*range.end())?];
            let delete = "DELETE FROM journal WHERE sequence BETWEEN ? AND ?";
            execute(&self.sql, delete, &values)?;
        }
        Ok(())
    }

    fn blob(&self, sequence: u64) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        let slots = self.rows.of(sequence);
        for slot in slots {
            let select = "SELECT blob FROM journal WHERE slot = ?";
            let rows = query(&self.sql, select, &[number(*slot)?])?;
            let row = rows.first().ok_or("a row is missing")?;
            let part = blob(row, 0)?;
            if slots.len() == 1 {
                return Ok(part);
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole)
    }
}

impl Load for Journal {
    fn sequences(&mut self) -> std::result::Result<Vec<u64>, LoadError> {
        Ok(self.rows.sequences())
    }

    fn read(&mut self, sequence: u64) -> std::result::Result<Vec<u8>, LoadError> {
        self.blob(sequence).map_err(|error| LoadError(error.text()))
    }
}
