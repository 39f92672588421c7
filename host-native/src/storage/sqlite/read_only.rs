//! Opens stored data for a reader that leaves no trace in the folder.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::layout::verify_identity;
use crate::storage::error::OpenError;
use crate::storage::folder::DataFolder;

/// A connection that reads everything that is committed, also what a killed server left
/// in the log, and neither writes to a file nor makes one. Of the log it takes what
/// SQLite takes: see [`verify_log`](super::verify_log).
///
/// The folder's lock stands in for SQLite's own locks.
pub(crate) fn open_read_only(folder: &DataFolder) -> Result<Connection, OpenError> {
    let data_file = folder.data_file();
    if !folder.has_data()? {
        return Err(OpenError::NoData {
            path: folder.path().to_owned(),
        });
    }
    open(folder, &data_file).map_err(|error| folder.explain(error))
}

fn open(folder: &DataFolder, data_file: &Path) -> Result<Connection, OpenError> {
    verify_mode_bytes(data_file)?;
    let failed = |error| OpenError::sqlite(data_file, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = if folder.has_log()? {
        // A file system without locks, and an index of the log that is kept in memory:
        // the usual ones make files. On closing, the log stays where it is.
        let vfs = if cfg!(windows) {
            c"win32-none"
        } else {
            c"unix-none"
        };
        let connection = Connection::open_with_flags_and_vfs(uri(data_file, "mode=ro"), flags, vfs)
            .map_err(failed)?;
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .map_err(failed)?;
        connection
            .pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))
            .map_err(failed)?;
        connection
    } else {
        Connection::open_with_flags(uri(data_file, "immutable=1"), flags).map_err(failed)?
    };
    connection
        .execute_batch("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;")
        .map_err(failed)?;
    verify_identity(data_file, &connection)?;
    Ok(connection)
}

/// A reader that writes nothing does not notice if the file's header says that it is not
/// to be written to, or not with a log. A server would.
fn verify_mode_bytes(data_file: &Path) -> Result<(), OpenError> {
    let mut header = [0; 20];
    File::open(data_file)
        .and_then(|mut file| file.read_exact(&mut header))
        .map_err(|error| OpenError::access("read", data_file, error))?;
    if header.starts_with(b"SQLite format 3\0") && header[18..] != [2, 2] {
        let problem = format!(
            "its header has the file versions {} and {}, not 2",
            header[18], header[19]
        );
        return Err(OpenError::Damaged {
            path: data_file.to_owned(),
            problem,
        });
    }
    Ok(())
}

/// The path in SQLite's URI form, in which some characters have a meaning of their own.
fn uri(path: &Path, parameters: &str) -> PathBuf {
    let mut uri = OsString::from("file:");
    let path = path.as_os_str();
    match path.to_str() {
        Some(text) => {
            let escaped = text
                .replace('%', "%25")
                .replace('?', "%3f")
                .replace('#', "%23");
            uri.push(if cfg!(windows) {
                escaped.replace('\\', "/")
            } else {
                escaped
            });
        }
        None => uri.push(path),
    }
    uri.push("?");
    uri.push(parameters);
    uri.into()
}
