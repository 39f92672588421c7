//! workerd, and the folder that it has for itself.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::run::{Failure, program};

const LOCK_FILE: &str = "lock";

/// Serves with a configuration, at a port of 127.0.0.1.
pub(crate) fn serve(
    workerd: &Path,
    config: &Path,
    port: u16,
    data: DataFolder,
) -> Result<(), Failure> {
    println!(
        "burrow serves on http://127.0.0.1:{port}, with its data in {}",
        data.path.display()
    );
    program(workerd)
        .args(["serve".as_ref(), config])
        .args([
            format!("--socket-addr=http=127.0.0.1:{port}"),
            format!("--directory-path=data={}", data.path.display()),
        ])
        // Not only this process has the lock, which may be killed and leave workerd behind.
        .input(data.lock)
        .run()
}

/// A folder with the data of objects, locked for as long as this lives, or who inherits the lock.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    lock: fs::File,
}

impl DataFolder {
    /// Creates the folder if it is missing, and takes it. workerd itself does not: a second one would
    /// write to the same files.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(path).map_err(at(path))?;
        // Programs are run at the root of the workspace, wherever this one is.
        let path = path.canonicalize().map_err(at(path))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock }),
            Err(TryLockError::WouldBlock) => Err(Failure(format!(
                "the data folder {} is in use by another process; stop that one first, or name another \
                 folder with --data",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(at(&lock_path)(error)),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder can be made")
    }

    #[test]
    fn a_folder_has_one_user() {
        let folder = folder();
        let first = DataFolder::open(folder.path()).expect("it is free");
        let refused = DataFolder::open(folder.path()).expect_err("it is taken").0;
        assert!(
            refused.contains("is in use by another process"),
            "{refused}"
        );
        assert!(
            refused.contains(&*first.path.to_string_lossy()),
            "{refused}"
        );
        drop(first);
        DataFolder::open(folder.path()).expect("it is free again");
    }
}
