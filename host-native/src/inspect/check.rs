//! Verifies stored data and says where it is damaged.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use burrow_core::journal::{Load, LoadError, RestoreError, RestoreReport};
use burrow_core::{Config, Node, Timestamp};
use rusqlite::Connection;

use crate::storage::{
    DataFolder, OpenError, SqliteLoad, open_read_only, structure_problems, verify_log,
};

/// Findings of SQLite's own check, at the most; further ones are consequences as a rule.
const MAX_FINDINGS: u32 = 100;

/// What [`check`] found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Blobs that could be read, and their bytes.
    pub blobs: u64,
    pub bytes: u64,
    /// What a server would restore; `None` if it would refuse to start.
    pub restored: Option<RestoreReport>,
    /// In the order in which it was found. Empty: the data is sound.
    pub damage: Vec<Damage>,
}

impl CheckReport {
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

/// One thing that is wrong with stored data, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A file is not what was written.
    File { path: PathBuf, problem: String },
    /// SQLite finds its structures damaged, in this page of the data file if it says so.
    /// Pages count from 1.
    Structure { page: Option<u64>, finding: String },
    /// A blob cannot be read.
    Unreadable { sequence: u64, problem: String },
    /// The journal cannot be restored; the error names blob and byte.
    Journal(RestoreError),
}

/// Checks the data in `dir`: SQLite's structures, that every blob can be read, and that
/// all of them together restore. Changes nothing, and makes no file.
///
/// Refuses when a server uses the folder, and keeps one from starting meanwhile.
pub fn check(dir: &Path) -> Result<CheckReport, OpenError> {
    let folder = DataFolder::open_read_only(dir)?;
    let mut report = CheckReport::default();
    note(verify_log(&folder), &mut report.damage)?;
    let Some(connection) = note(open_read_only(&folder), &mut report.damage)? else {
        return Ok(report);
    };
    check_structure(&connection, &mut report);
    check_blobs(&connection, &mut report);
    let config = Config::default();
    match Node::restore(config, now(), &mut SqliteLoad::new(&connection)) {
        Ok((_, restored)) => report.restored = Some(restored),
        Err(error) => {
            let damage = Damage::Journal(error);
            if !report.damage.contains(&damage) {
                report.damage.push(damage);
            }
        }
    }
    Ok(report)
}

/// Damage goes into the report; anything else ends the check.
fn note<T>(result: Result<T, OpenError>, damage: &mut Vec<Damage>) -> Result<Option<T>, OpenError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(OpenError::Damaged { path, problem }) => {
            damage.push(Damage::File { path, problem });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn check_structure(connection: &Connection, report: &mut CheckReport) {
    match structure_problems(connection, MAX_FINDINGS) {
        Ok(findings) => report.damage.extend(
            findings
                .into_iter()
                .flat_map(|finding| finding.lines().map(str::to_owned).collect::<Vec<_>>())
                .filter(|finding| !finding.starts_with("***"))
                .map(|finding| Damage::Structure {
                    page: page_in(&finding),
                    finding,
                }),
        ),
        Err(error) => report.damage.push(Damage::Structure {
            page: None,
            finding: error.to_string(),
        }),
    }
}

fn check_blobs(connection: &Connection, report: &mut CheckReport) {
    let mut load = SqliteLoad::new(connection);
    // If the list itself cannot be read, the restore says so.
    for sequence in load.sequences().unwrap_or_default() {
        match load.read(sequence) {
            Ok(blob) => {
                report.blobs += 1;
                report.bytes += blob.len() as u64;
                let alone = Alone { sequence, blob };
                if let Err(error) = alone.verify() {
                    report.damage.push(Damage::Journal(error));
                }
            }
            Err(error) => report.damage.push(Damage::Unreadable {
                sequence,
                problem: error.to_string(),
            }),
        }
    }
}

/// One blob, shown to the journal's reader as if it were the only one. So every blob is
/// looked at, also behind the first that is damaged.
struct Alone {
    sequence: u64,
    blob: Vec<u8>,
}

impl Alone {
    fn verify(mut self) -> Result<(), RestoreError> {
        match Node::restore(Config::default(), Timestamp::ZERO, &mut self) {
            // That the others are not there says nothing about this one.
            Ok(_) | Err(RestoreError::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Load for Alone {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(vec![self.sequence])
    }

    fn read(&mut self, _sequence: u64) -> Result<Vec<u8>, LoadError> {
        Ok(self.blob.clone())
    }
}

/// The page that a finding such as `Tree 2 page 17 cell 3: …` or `Page 9: …` is about.
fn page_in(finding: &str) -> Option<u64> {
    let mut words = finding.split([' ', ':']);
    words
        .by_ref()
        .find(|word| word.eq_ignore_ascii_case("page"))?;
    words.next()?.parse().ok()
}

pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, problem } => write!(f, "{}: {problem}", path.display()),
            Self::Structure {
                page: Some(page),
                finding,
            } => write!(f, "data file, page {page}: {finding}"),
            Self::Structure {
                page: None,
                finding,
            } => write!(f, "data file: {finding}"),
            Self::Unreadable { sequence, problem } => {
                write!(f, "journal blob {sequence} cannot be read: {problem}")
            }
            Self::Journal(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::page_in;

    #[test]
    fn the_page_of_a_finding_is_read() {
        assert_eq!(
            page_in("Tree 2 page 17 cell 3: Rowid 5 out of order"),
            Some(17)
        );
        assert_eq!(page_in("Page 9: never used"), Some(9));
        assert_eq!(page_in("Freelist: size is 3 but should be 4"), None);
        assert_eq!(page_in("page"), None);
    }
}
