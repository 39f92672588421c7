//! The data folder: its files, and the lock that keeps a second process out.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::error::OpenError;

const DATA_FILE: &str = "journal.db";
const WAL_FILE: &str = "journal.db-wal";
const LOCK_FILE: &str = "lock";

/// The least that a SQLite file with anything in it has.
const SQLITE_HEADER_BYTES: u64 = 512;

/// What the lock file holds once the folder has data. With it a data file that vanished
/// is told from one that never was.
const HOLDS_DATA: &[u8] = b"This folder holds the data of a Burrow server.\n";

/// A data folder, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    lock: Option<File>,
}

impl DataFolder {
    /// Creates the folder if it is missing (not its parents: a mistyped path should be
    /// noticed) and takes it for this process alone.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        create(path)?;
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&lock_path)
            .map_err(|error| OpenError::access("open", &lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                lock: Some(lock),
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(OpenError::access("lock", &lock_path, error)),
        }
    }

    /// For a reader that changes nothing: keeps a server from starting meanwhile, but not
    /// another reader. A folder without a lock file (a copy of the data file alone) is
    /// not locked.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        std::fs::read_dir(path).map_err(|error| OpenError::access("read", path, error))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = match File::open(&lock_path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self {
                    path: path.to_owned(),
                    lock: None,
                });
            }
            Err(error) => return Err(OpenError::access("open", &lock_path, error)),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                lock: Some(lock),
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(OpenError::access("lock", &lock_path, error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn data_file(&self) -> PathBuf {
        self.path.join(DATA_FILE)
    }

    pub(crate) fn wal_file(&self) -> PathBuf {
        self.path.join(WAL_FILE)
    }

    /// True if a data file with at least one byte is there.
    ///
    /// Fails with `Missing` if the folder has held data that is not there any more, and if
    /// the file is too short for SQLite's header: SQLite would take it for an empty one.
    pub(crate) fn has_data(&self) -> Result<bool, OpenError> {
        let data_file = self.data_file();
        match file_len(&data_file)? {
            0 => {}
            1..SQLITE_HEADER_BYTES => {
                return Err(self.explain(OpenError::NotOurs { path: data_file }));
            }
            _ => return Ok(true),
        }
        if self.is_marked()? || self.has_log()? {
            return Err(OpenError::Missing { path: data_file });
        }
        Ok(false)
    }

    /// True if there is a log that is not folded into the data file.
    pub(crate) fn has_log(&self) -> Result<bool, OpenError> {
        Ok(file_len(&self.wal_file())? > 0)
    }

    /// A file that is not recognised is damaged if it once was.
    pub(crate) fn explain(&self, error: OpenError) -> OpenError {
        match error {
            OpenError::NotOurs { path } if self.is_marked().unwrap_or(false) => {
                OpenError::Damaged {
                    path,
                    problem: "its header is not that of a Burrow data file".into(),
                }
            }
            other => other,
        }
    }

    /// True if the folder holds data, or has held data.
    pub(crate) fn is_marked(&self) -> Result<bool, OpenError> {
        Ok(file_len(&self.path.join(LOCK_FILE))? > 0)
    }

    /// From now on a missing data file is an error. Call it when the data file is complete.
    pub(crate) fn mark_data(&mut self) -> Result<(), OpenError> {
        if self.is_marked()? {
            return Ok(());
        }
        if let Some(lock) = &mut self.lock {
            lock.write_all(HOLDS_DATA)
                .and_then(|()| lock.sync_all())
                .map_err(|error| OpenError::access("write", &self.path.join(LOCK_FILE), error))?;
        }
        sync_folder(&self.path)
    }
}

fn create(path: &Path) -> Result<(), OpenError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Ok(()) => match path.parent() {
            Some(parent) if parent != Path::new("") => sync_folder(parent),
            _ => sync_folder(Path::new(".")),
        },
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(OpenError::CreateFolder {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Makes new names in a folder durable. Only Unix can, and only Unix needs to.
fn sync_folder(path: &Path) -> Result<(), OpenError> {
    if cfg!(unix) {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| OpenError::access("sync", path, error))?;
    }
    Ok(())
}

/// The length of a file, 0 if there is none.
fn file_len(path: &Path) -> Result<u64, OpenError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(OpenError::access("read", path, error)),
    }
}
