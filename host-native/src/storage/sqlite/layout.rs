//! How the data file is laid out, and whether a file is laid out like that.

use std::path::Path;

use rusqlite::Connection;

use super::wal;
use crate::storage::error::OpenError;
use crate::storage::folder::DataFolder;

/// "Brrw": marks the file as Burrow's in SQLite's own header.
const APPLICATION_ID: i64 = 0x4272_7277;
/// The layout of the tables. The blobs have versions of their own.
const LAYOUT_VERSION: i64 = 3;
pub(super) const PAGE_BYTES: usize = 1024;

/// Two keys of the table `notes`: that of the roll, and that of what a probe writes.
pub(super) const ROLL_KEY: i64 = 1;
pub(super) const PROBE_KEY: i64 = 2;

pub(crate) fn verify_log(folder: &DataFolder) -> Result<(), OpenError> {
    let path = folder.wal_file();
    match wal::verify(&path) {
        Ok(None) => Ok(()),
        Ok(Some(damage)) => Err(OpenError::Damaged {
            path,
            problem: damage.to_string(),
        }),
        Err(error) => Err(OpenError::access("read", &path, error)),
    }
}

/// True if a crash came between the making of the file and that of its table.
pub(super) fn is_blank(path: &Path, connection: &Connection) -> Result<bool, OpenError> {
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let objects = count("SELECT count(*) FROM sqlite_schema");
    let id = count("PRAGMA application_id");
    match (objects, id) {
        (Ok(objects), Ok(id)) => Ok(objects == 0 && id == 0),
        (Err(error), _) | (_, Err(error)) => Err(OpenError::sqlite(path, error)),
    }
}

pub(super) fn lay_out(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "page_size", PAGE_BYTES as i64)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL;
         BEGIN IMMEDIATE;
         CREATE TABLE journal (slot INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
         CREATE TABLE notes (key INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
         PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {LAYOUT_VERSION};
         COMMIT;"
    ))
}

pub(super) fn verify_identity(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let failed = |error| OpenError::sqlite(path, error);
    let number = |sql| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(failed)
    };
    if number("PRAGMA application_id")? != APPLICATION_ID {
        return Err(OpenError::NotOurs {
            path: path.to_owned(),
        });
    }
    let found = number("PRAGMA user_version")?;
    if found < LAYOUT_VERSION {
        return Err(damaged(
            path,
            format!("it has layout version {found}, which no release has written"),
        ));
    }
    if found > LAYOUT_VERSION {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            supported: LAYOUT_VERSION,
        });
    }
    Ok(())
}

/// Without its log SQLite would write in place, and sync otherwise than is relied on here.
pub(super) fn verify_mode(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let mode = connection
        .query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))
        .map_err(|error| OpenError::sqlite(path, error))?;
    if mode != "wal" {
        return Err(damaged(
            path,
            format!("its journal mode is {mode}, not wal"),
        ));
    }
    Ok(())
}

/// A page that SQLite takes for free although it is in use would be overwritten, and a
/// row that is not found any more would be missed by nobody if it is the last.
pub(super) fn verify_structure(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    match structure_problems(connection, 1) {
        Ok(problems) => match problems.into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(damaged(path, problem)),
        },
        Err(error) => Err(OpenError::sqlite(path, error)),
    }
}

/// What SQLite finds wrong with its own structures, at most `limit` findings.
pub(crate) fn structure_problems(
    connection: &Connection,
    limit: u32,
) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({limit})"))?;
    let findings = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut problems = findings.collect::<Result<Vec<_>, _>>()?;
    problems.retain(|finding| finding != "ok");
    Ok(problems)
}

fn damaged(path: &Path, problem: String) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        problem,
    }
}
