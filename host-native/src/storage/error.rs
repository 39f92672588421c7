//! What can go wrong with stored data, and what the caller should do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a data folder could not be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "cannot create the data folder {path}: {source}; its parent folder must exist and be writable",
        path = .path.display()
    )]
    CreateFolder { path: PathBuf, source: io::Error },
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    Access {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("the data folder {path} is in use by another process; stop that one first", path = .path.display())]
    InUse { path: PathBuf },
    #[error("{path} was not written by Burrow; choose another data folder", path = .path.display())]
    NotOurs { path: PathBuf },
    #[error(
        "{path} has layout version {found}, this program reads up to {supported}; use a later Burrow",
        path = .path.display()
    )]
    Newer {
        path: PathBuf,
        found: i64,
        supported: i64,
    },
    #[error(
        "{path} is missing or empty, but the folder has held data; restore it from a backup, or remove the folder to start anew",
        path = .path.display()
    )]
    Missing { path: PathBuf },
    #[error(
        "{path} holds no data of Burrow; name the folder that a server keeps its data in",
        path = .path.display()
    )]
    NoData { path: PathBuf },
    #[error("{path} is damaged: {problem}; restore it from a backup", path = .path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error("cannot open {path}: {source}", path = .path.display())]
    Sqlite {
        path: PathBuf,
        source: rusqlite::Error,
    },
}

impl OpenError {
    pub(crate) fn access(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Access {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// What SQLite says when the file itself is at fault, apart from what it says when the
    /// machine is.
    pub(crate) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(NotADatabase) => Self::NotOurs { path },
            Some(DatabaseCorrupt) => Self::Damaged {
                path,
                problem: source.to_string(),
            },
            _ => Self::Sqlite { path, source },
        }
    }
}

/// The store did not do what it was asked to, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("no room: {0}")]
    NoRoom(String),
    #[error("{0}")]
    Failed(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::NoRoom(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// A batch was not stored, or it is not known whether it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing of it is stored or ever will be.
    #[error("{0}")]
    NotStored(StoreError),
    /// Only [`Storage::recover`](super::Storage::recover) can tell.
    #[error("{0}")]
    Unknown(StoreError),
}

impl From<StoreError> for AppendError {
    /// For what went wrong before anything was written.
    fn from(error: StoreError) -> Self {
        Self::NotStored(error)
    }
}

impl From<rusqlite::Error> for AppendError {
    /// An I/O error may hit the sync of a commit that is already written: nobody can say
    /// then what a crash would leave. Any other error is raised before the commit record
    /// is complete, so that even after a crash the transaction does not exist.
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, ConstraintViolation, DatabaseBusy, DatabaseCorrupt, DatabaseLocked,
            DiskFull, NotADatabase, OutOfMemory, PermissionDenied, ReadOnly, TooBig,
        };
        let certain = matches!(
            error.sqlite_error_code(),
            None | Some(
                CannotOpen
                    | ConstraintViolation
                    | DatabaseBusy
                    | DatabaseCorrupt
                    | DatabaseLocked
                    | DiskFull
                    | NotADatabase
                    | OutOfMemory
                    | PermissionDenied
                    | ReadOnly
                    | TooBig
            )
        );
        if certain {
            Self::NotStored(error.into())
        } else {
            Self::Unknown(error.into())
        }
    }
}
