//! The durable store: one SQLite file.
//!
//! One table holds the blobs, cut into rows of one size that are used again and again; see
//! [`slots`]. A commit writes the pages of such rows and nothing else: none of the tree, none
//! of SQLite's lists. So a page of the log is a page of journal, and what has died before
//! the log is copied to the data file was overwritten in the log, and is not copied.
//!
//! Pages have 1 kB: a commit ends in the middle of one, which the next writes again if it is
//! small, or has room there for what does not fill a page.
//! The log grows to 64 MB before its pages are copied to the data file: a restart reads it
//! twice.

mod checkpointer;
mod layout;
mod load;
mod opening;
mod read_only;
mod slots;
#[cfg(test)]
mod tests;
mod wal;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use burrow_core::journal::{Batch, Load};
use rusqlite::{Connection, OpenFlags, Statement, params};

use self::checkpointer::{Checkpointer, copy_log};
use self::layout::{PAGE_BYTES, PROBE_KEY, ROLL_KEY};
pub(crate) use self::layout::{structure_problems, verify_log};
use self::load::ClosedLoad;
pub(crate) use self::load::SqliteLoad;
use self::opening::Check;
pub use self::opening::Opening;
pub(crate) use self::read_only::open_read_only;
use self::slots::{
    FRAGMENT_BYTES, FRAGMENT_HEADER_BYTES, Fragment, SLOT_BYTES, Slots, SlotsError, put_fragment,
};
use super::Storage;
use super::error::{AppendError, OpenError, StoreError};
use super::folder::DataFolder;

/// Pages of the log at which they are copied to the data file.
const LOG_PAGES: u32 = 64 << 10;

/// A blob begins in the last slot if at least so many of its bytes fit there.
const LEAST_FRAGMENT_BYTES: usize = 64;
/// A blob that fills so many slots begins in a new one if that spares the writing of a page:
/// what is left free in the last slot is little beside it.
const LARGE_BLOB_SLOTS: usize = 3;
/// A probe is one value; SQLite takes none above 1 GB.
const LARGEST_PROBE_BYTES: usize = 512 << 20;

/// Blobs in a folder of their own, in a SQLite file with a write-ahead log. Every append
/// is one transaction and is synced before it returns.
#[derive(Debug)]
pub struct SqliteStore {
    /// `None` after a failure to open the file again, until [`Storage::recover`] succeeds.
    open: Option<Connections>,
    data_file: PathBuf,
    /// `None` while it is not certain what is stored.
    slots: Option<Slots>,
    tail: Option<Tail>,
    /// Nothing failed since it was last made certain what is stored.
    settled: bool,
    log_pages: u32,
    // Last, so that the lock outlives the connections.
    folder: DataFolder,
}

/// The slot in which the last blob ends, as far as it is filled.
#[derive(Debug)]
struct Tail {
    slot: u32,
    bytes: Vec<u8>,
}

impl Tail {
    /// Bytes of a fragment that fit behind what is there.
    fn room(&self) -> usize {
        SLOT_BYTES.saturating_sub(self.bytes.len() + FRAGMENT_HEADER_BYTES)
    }

    /// Whether the blob should begin here: the whole slot is written again.
    fn is_for(&self, blob: &[u8]) -> bool {
        let room = self.room();
        let alone = blob.len().div_ceil(FRAGMENT_BYTES);
        let with_this = 1 + blob.len().saturating_sub(room).div_ceil(FRAGMENT_BYTES);
        room >= LEAST_FRAGMENT_BYTES.min(blob.len().max(1))
            && (alone < LARGE_BLOB_SLOTS || with_this <= alone)
    }
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
        Self::begin_open(dir)?.finish()
    }

    /// As [`open`](Self::open), for a caller who has something to do meanwhile.
    pub fn begin_open(dir: &Path) -> Result<Opening, OpenError> {
        Self::begin_open_sized(dir, LOG_PAGES)
    }

    fn begin_open_sized(dir: &Path, log_pages: u32) -> Result<Opening, OpenError> {
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
                let check = Check::start(&data_file)?;
                let open = Connections::new(writer, &data_file)
                    .map_err(|error| OpenError::sqlite(&data_file, error))?;
                Ok((check, open))
            });
        let (check, open) = opened.map_err(|error| folder.explain(error))?;
        let slots = match Slots::scan(&open.writer) {
            Ok(slots) => slots,
            Err(error) => {
                check.finish().map_err(|error| folder.explain(error))?;
                return Err(match error {
                    SlotsError::Sqlite(error) => OpenError::sqlite(&data_file, error),
                    error => OpenError::Damaged {
                        path: data_file,
                        problem: error.to_string(),
                    },
                });
            }
        };
        folder.mark_data()?;
        let store = Self {
            open: Some(open),
            data_file,
            slots: Some(slots),
            tail: None,
            settled: true,
            log_pages,
            folder,
        };
        Ok(Opening { check, store })
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
        self.slots = None;
        self.settled = false;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let writer = Connection::open_with_flags(&self.data_file, flags)?;
        let open = self.open.insert(Connections::new(writer, &self.data_file)?);
        open.remove_probe()?;
        Ok(())
    }

    /// Makes certain what is stored, with hardly any room. A commit that failed may have
    /// left frames in the log that a later start would take for a commit, above all when
    /// only its sync failed. The next commit is written over them, so one that changes
    /// nothing that anybody reads does away with them, and syncs all before it.
    fn settle(&mut self) -> Result<u64, StoreError> {
        self.tail = None;
        if let Some(open) = &mut self.open {
            open.checkpointer.rest();
        }
        let writer = self.writer()?;
        if !writer.is_autocommit() {
            writer.execute_batch("ROLLBACK")?;
        }
        if !self.settled {
            // Something new each time: SQLite does not write a page that stays the same.
            writer.execute(
                "REPLACE INTO notes VALUES (?1, randomblob(16))",
                [PROBE_KEY],
            )?;
            self.settled = true;
        }
        if self.slots.is_none() {
            self.slots = Some(Slots::scan(self.writer()?)?);
        }
        Ok(self.slots.as_ref().map_or(0, Slots::last_sequence))
    }

    /// Brings everything that is stored into the data file, syncs it and empties the log.
    fn empty_log(&mut self) -> Result<(), StoreError> {
        if let Some(open) = &mut self.open {
            open.checkpointer.rest();
        }
        let busy = self
            .writer()?
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, bool>(0)
            })?;
        if busy {
            return Err(StoreError::Failed("the log is in use".into()));
        }
        Ok(())
    }

    /// Writes the batch, and gives the slots it lies in, and the last of them.
    fn write(&self, batch: &Batch) -> Result<(Vec<u32>, Tail), AppendError> {
        let writer = self.writer()?;
        let slots = self.slots.as_ref().ok_or_else(|| self.uncertain())?;
        if batch.sequence <= slots.last_sequence() {
            return Err(AppendError::NotStored(StoreError::Failed(format!(
                "there is a blob {} already",
                batch.sequence
            ))));
        }
        let tail = self.tail.as_ref().filter(|tail| tail.is_for(&batch.blob));
        let room = tail.map_or(FRAGMENT_BYTES, Tail::room);
        let (head, rest) = batch.blob.split_at(room.min(batch.blob.len()));
        let count = 1 + rest.len().div_ceil(FRAGMENT_BYTES);
        let chosen = slots.choose(count - usize::from(tail.is_some()));
        let (Some(chosen), Ok(parts)) = (chosen, u32::try_from(count)) else {
            return Err(AppendError::NotStored(StoreError::Failed(
                "there are too many rows".into(),
            )));
        };
        let chosen: Vec<u32> = tail
            .map(|tail| tail.slot)
            .into_iter()
            .chain(chosen)
            .collect();

        writer.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut put = writer.prepare_cached("REPLACE INTO journal VALUES (?1, ?2)")?;
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(tail.map_or(&[], |tail| &tail.bytes));
        let mut slot = 0;
        let pieces = std::iter::once(head).chain(rest.chunks(FRAGMENT_BYTES));
        for ((part, piece), chosen) in (0..).zip(pieces).zip(&chosen) {
            if part > 0 {
                bytes.clear();
            }
            let fragment = Fragment {
                sequence: batch.sequence,
                part,
                parts,
                bytes: piece,
            };
            put_fragment(&mut bytes, &fragment);
            slot = *chosen;
            put_slot(&mut put, slot, &mut bytes)?;
        }
        if !batch.drops.is_empty() {
            let roll = slots.roll_after(batch.sequence, &batch.drops);
            writer
                .prepare_cached("REPLACE INTO notes VALUES (?1, ?2)")?
                .execute(params![ROLL_KEY, roll])?;
        }
        writer.prepare_cached("COMMIT")?.execute([])?;
        Ok((chosen, Tail { slot, bytes }))
    }

    fn uncertain(&self) -> StoreError {
        StoreError::Failed("it is not certain what is stored".into())
    }
}

impl Storage for SqliteStore {
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        match self.write(batch) {
            Ok((chosen, tail)) => {
                self.tail = Some(tail);
                let Some(slots) = &mut self.slots else {
                    return Ok(());
                };
                slots.add(batch.sequence, &chosen);
                for range in &batch.drops {
                    slots.remove(range);
                }
                self.tail.take_if(|tail| slots.is_free(tail.slot));
                Ok(())
            }
            Err(error) => {
                self.settled = false;
                if matches!(error, AppendError::Unknown(_)) {
                    self.slots = None;
                }
                if let Some(open) = self
                    .open
                    .as_ref()
                    .filter(|open| !open.writer.is_autocommit())
                {
                    // If even this fails, `recover` tries again before anything else is done.
                    let _ = open.writer.execute_batch("ROLLBACK");
                }
                Err(error)
            }
        }
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
        let bytes = i64::try_from(bytes.min(LARGEST_PROBE_BYTES)).unwrap_or(i64::MAX);
        writer.execute(
            "REPLACE INTO notes VALUES (?1, zeroblob(?2))",
            params![PROBE_KEY, bytes],
        )?;
        writer.execute("DELETE FROM notes WHERE key = ?1", [PROBE_KEY])?;
        Ok(())
    }

    fn load(&mut self) -> Box<dyn Load + '_> {
        match (self.writer(), &self.slots) {
            (Ok(connection), Some(slots)) => Box::new(SqliteLoad::with_slots(connection, slots)),
            (Ok(connection), None) => Box::new(SqliteLoad::new(connection)),
            (Err(error), _) => Box::new(ClosedLoad(error)),
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
        let emptied = self.empty_log();
        self.open = None;
        emptied
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

    /// Removes what a probe left that was cut short.
    fn remove_probe(&self) -> Result<(), rusqlite::Error> {
        self.writer
            .execute("DELETE FROM notes WHERE key = ?1", [PROBE_KEY])
            .map(drop)
    }
}

/// Stores what a slot holds, with zeros behind it.
fn put_slot(
    put: &mut Statement<'_>,
    slot: u32,
    bytes: &mut Vec<u8>,
) -> Result<(), rusqlite::Error> {
    let filled = bytes.len();
    bytes.resize(SLOT_BYTES, 0);
    put.execute(params![slot, bytes.as_slice()])?;
    bytes.truncate(filled);
    Ok(())
}

impl From<SlotsError> for StoreError {
    fn from(error: SlotsError) -> Self {
        match error {
            SlotsError::Sqlite(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}
