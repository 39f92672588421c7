//! The durable store: one SQLite file.
//!
//! One table holds the blobs, in order; a commit is one row and, now and then, the
//! removal of a range of rows. What was chosen, and what it does to the bytes that reach
//! the disk, measured with commits of about 6 kB over a backlog of 6 MB (`write_bytes` of
//! `/proc/self/io`, which counts a block again each time it is written, per blob byte):
//!
//! - Pages of 1 kB: 2.4 against 4.1 for the usual 4 kB. Every commit writes at least the
//!   page that lists the free pages, the first page and a page of the table, and the last
//!   page of a blob is half empty. With 512 bytes it is 2.1, but a restart reads slower.
//! - A log of 64 MB before its pages are copied to the data file: with 32 MB it is 2.6.
//!   Most blobs of a queue that is being worked off are dropped before they are copied.
//! - No auto-vacuum: it costs 12 % more, and the pages of dropped blobs are used again.

mod checkpointer;
mod layout;
mod load;
mod read_only;
#[cfg(test)]
mod tests;
mod wal;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use burrow_core::journal::{Batch, Load};
use rusqlite::{Connection, OpenFlags, params};

use self::checkpointer::{Checkpointer, copy_log};
use self::layout::{PAGE_BYTES, PARTS, PROBE_KEY, first_key};
pub(crate) use self::layout::{structure_problems, verify_log};
use self::load::ClosedLoad;
pub(crate) use self::load::SqliteLoad;
pub(crate) use self::read_only::open_read_only;
use super::Storage;
use super::error::{AppendError, OpenError, StoreError};
use super::folder::DataFolder;

/// Pages of the log at which they are copied to the data file.
const LOG_PAGES: u32 = 64 << 10;

/// A blob is stored in parts of so many bytes: SQLite takes no value above 1 GB.
const PART_BYTES: usize = 512 << 20;

/// Blobs in a folder of their own, in a SQLite file with a write-ahead log. Every append
/// is one transaction and is synced before it returns.
#[derive(Debug)]
pub struct SqliteStore {
    /// `None` after a failure to open the file again, until [`Storage::recover`] succeeds.
    open: Option<Connections>,
    data_file: PathBuf,
    part_bytes: usize,
    log_pages: u32,
    // Last, so that the lock outlives the connections.
    _folder: DataFolder,
}

#[derive(Debug)]
struct Connections {
    checkpointer: Checkpointer,
    writer: Connection,
    /// Pages in the log after the last commit.
    logged: Arc<AtomicU32>,
}

impl SqliteStore {
    /// Opens the store in `dir`, or makes an empty one. The folder is made if it is
    /// missing, its parents are not.
    ///
    /// Reads the whole file once to see that SQLite's structures are sound.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_sized(dir, PART_BYTES, LOG_PAGES)
    }

    fn open_sized(dir: &Path, part_bytes: usize, log_pages: u32) -> Result<Self, OpenError> {
        let mut folder = DataFolder::open(dir)?;
        let data_file = folder.data_file();
        let has_data = folder.has_data()?;
        verify_log(&folder)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&data_file, flags)
            .map_err(|error| OpenError::sqlite(&data_file, error))
            .and_then(|writer| {
                if !has_data || (!folder.is_marked()? && layout::is_blank(&data_file, &writer)?) {
                    layout::lay_out(&writer)
                        .map_err(|error| OpenError::sqlite(&data_file, error))?;
                }
                layout::verify_identity(&data_file, &writer)?;
                layout::verify_mode(&data_file, &writer)?;
                layout::verify_structure(&data_file, &writer)?;
                Connections::new(writer, &data_file)
                    .map_err(|error| OpenError::sqlite(&data_file, error))
            });
        let open = opened.map_err(|error| folder.explain(error))?;
        folder.mark_data()?;
        Ok(Self {
            open: Some(open),
            data_file,
            part_bytes,
            log_pages,
            _folder: folder,
        })
    }

    fn writer(&self) -> Result<&Connection, StoreError> {
        match &self.open {
            Some(open) => Ok(&open.writer),
            None => Err(StoreError::Failed(format!(
                "{} is not open",
                self.data_file.display()
            ))),
        }
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        self.open = None;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let writer = Connection::open_with_flags(&self.data_file, flags)?;
        self.open = Some(Connections::new(writer, &self.data_file)?);
        Ok(())
    }

    /// Brings everything that is stored into the data file, syncs it and empties the log.
    /// Whatever a failed commit may have left in the log is gone then.
    fn settle(&mut self) -> Result<u64, StoreError> {
        if let Some(open) = &mut self.open {
            open.checkpointer.rest();
        }
        let writer = self.writer()?;
        if !writer.is_autocommit() {
            writer.execute_batch("ROLLBACK")?;
        }
        let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            row.get::<_, bool>(0)
        })?;
        if busy {
            return Err(StoreError::Failed("the log is in use".into()));
        }
        last_sequence(writer)
    }
}

impl Storage for SqliteStore {
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        let writer = self.writer()?;
        let stored = write(writer, batch, self.part_bytes);
        if stored.is_err() && !writer.is_autocommit() {
            // If even this fails, `recover` tries again before anything else is done.
            let _ = writer.execute_batch("ROLLBACK");
        }
        stored
    }

    fn recover(&mut self) -> Result<u64, StoreError> {
        match self.settle() {
            Ok(last) => Ok(last),
            // With a full disk a file that is closed may not open again.
            Err(error @ StoreError::NoRoom(_)) if self.open.is_some() => Err(error),
            // A file handle may have gone bad.
            Err(_) => {
                self.reopen()?;
                self.settle()
            }
        }
    }

    fn probe(&mut self, bytes: usize) -> Result<(), StoreError> {
        let writer = self.writer()?;
        let bytes = i64::try_from(bytes.min(self.part_bytes)).unwrap_or(i64::MAX);
        writer.execute(
            "INSERT OR REPLACE INTO journal VALUES (?1, zeroblob(?2))",
            params![PROBE_KEY, bytes],
        )?;
        writer.execute("DELETE FROM journal WHERE key = ?1", [PROBE_KEY])?;
        Ok(())
    }

    fn load(&mut self) -> Box<dyn Load + '_> {
        match self.writer() {
            Ok(connection) => Box::new(SqliteLoad::new(connection)),
            Err(error) => Box::new(ClosedLoad(error)),
        }
    }

    fn maintain(&mut self) {
        if let Some(open) = &mut self.open {
            let logged = open.logged.load(Relaxed);
            if open.checkpointer.advance(logged, self.log_pages) {
                // What was logged meanwhile is little. Now that the log is copied to its
                // end, the next commit starts it anew.
                let _ = copy_log(&open.writer);
            }
        }
    }

    fn close(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.open.is_none() {
            return Ok(());
        }
        let settled = self.settle();
        self.open = None;
        settled.map(|_| ())
    }
}

impl Connections {
    fn new(mut writer: Connection, data_file: &Path) -> Result<Self, rusqlite::Error> {
        writer.set_prepared_statement_cache_capacity(8);
        writer.execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA secure_delete = OFF;
             PRAGMA cell_size_check = ON;
             PRAGMA cache_size = -2048;
             PRAGMA temp_store = MEMORY;",
        )?;
        let limit = 2 * i64::from(LOG_PAGES) * PAGE_BYTES as i64;
        writer.pragma_update_and_check(None, "journal_size_limit", limit, |_| Ok(()))?;
        writer.execute("DELETE FROM journal WHERE key = ?1", [PROBE_KEY])?;
        let logged = Arc::new(AtomicU32::new(0));
        let hook = {
            let logged = Arc::clone(&logged);
            move |_: &mut rusqlite::hooks::Wal, pages| {
                logged.store(u32::try_from(pages).unwrap_or(0), Relaxed);
                Ok(())
            }
        };
        writer.wal_hook(Some(hook))?;
        Ok(Self {
            checkpointer: Checkpointer::new(data_file.to_owned()),
            writer,
            logged,
        })
    }
}

fn write(writer: &Connection, batch: &Batch, part_bytes: usize) -> Result<(), AppendError> {
    let first_key = first_key(batch.sequence)?;
    let parts = batch.blob.len().div_ceil(part_bytes).max(1);
    if i64::try_from(parts).is_ok_and(|parts| parts > PARTS) {
        return Err(AppendError::NotStored(StoreError::Failed(format!(
            "a blob of {} bytes is too large",
            batch.blob.len()
        ))));
    }
    writer.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut insert = writer.prepare_cached("INSERT INTO journal VALUES (?1, ?2)")?;
    if batch.blob.is_empty() {
        insert.execute(params![first_key, batch.blob])?;
    }
    for (key, part) in (first_key..).zip(batch.blob.chunks(part_bytes)) {
        insert.execute(params![key, part])?;
    }
    let mut delete = writer.prepare_cached("DELETE FROM journal WHERE key BETWEEN ?1 AND ?2")?;
    for range in &batch.drops {
        let last = self::layout::first_key(*range.end())?.saturating_add(PARTS - 1);
        delete.execute(params![self::layout::first_key(*range.start())?, last])?;
    }
    writer.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

fn last_sequence(connection: &Connection) -> Result<u64, StoreError> {
    let key = connection
        .query_row("SELECT max(key) FROM journal", [], |row| {
            row.get::<_, Option<i64>>(0)
        })?
        .unwrap_or(0);
    Ok(u64::try_from(key / PARTS).unwrap_or(0))
}
