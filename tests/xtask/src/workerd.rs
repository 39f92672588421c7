//! A workerd that serves the Worker.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::run::{Failure, Running, program};

const LOCK_FILE: &str = "lock";

/// One that serves, until this is dropped.
#[derive(Debug)]
pub(crate) struct Workerd {
    running: Running,
    port: u16,
    data: PathBuf,
}

impl Workerd {
    /// Starts the program with a configuration, at a port of 127.0.0.1, and waits until it serves there.
    pub(crate) fn start(
        workerd: &Path,
        config: &Path,
        port: u16,
        data: DataFolder,
    ) -> Result<Self, Failure> {
        let mut running = program(workerd)
            .args(["serve".as_ref(), config])
            .args([
                format!("--socket-addr=http=127.0.0.1:{port}"),
                format!("--directory-path=data={}", data.path.display()),
                // To its standard output it writes a line as soon as it listens.
                "--control-fd=1".into(),
            ])
            // Not only this process has the lock, which may be killed and leave workerd behind.
            .input(data.lock)
            .start()?;
        loop {
            let Some(line) = running.line() else {
                running.wait()?;
                return Err(Failure("workerd has ended before it served".into()));
            };
            match port_in(&line) {
                Some(port) => {
                    return Ok(Self {
                        running,
                        port,
                        data: data.path,
                    });
                }
                None => println!("{line}"),
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Shows what it writes until it ends.
    pub(crate) fn wait(self) -> Result<(), Failure> {
        self.running.wait()
    }
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

/// The port in `{"event":"listen","socket":"http","port":8080}`.
fn port_in(line: &str) -> Option<u16> {
    let event = line.strip_prefix(r#"{"event":"listen","#)?;
    let (_, port) = event.split_once(r#""port":"#)?;
    port.strip_suffix('}')?.parse().ok()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::net::TcpStream;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder can be made")
    }

    fn start(port: u16, data: &Path) -> Result<Workerd, Failure> {
        let workerd = env::var_os("BURROW_WORKERD").expect("BURROW_WORKERD names workerd");
        let config = crate::run::root().join("host-wasm/worker/workerd.capnp");
        Workerd::start(Path::new(&workerd), &config, port, DataFolder::open(data)?)
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

    #[test]
    #[ignore = "needs the built Worker and workerd, which `cargo xtask worker test` brings"]
    fn a_workerd_has_its_folder_and_its_port_for_itself() {
        let (folder, other) = (folder(), folder());
        let first = start(0, folder.path()).expect("both are free");
        TcpStream::connect(("127.0.0.1", first.port())).expect("it serves already");

        let refused = start(0, folder.path()).expect_err("the folder is taken").0;
        assert!(
            refused.contains("is in use by another process"),
            "{refused}"
        );
        let refused = start(first.port(), other.path())
            .expect_err("the port is taken")
            .0;
        assert!(refused.contains("workerd serve"), "{refused}");

        let second = start(0, other.path()).expect("both are free");
        assert_ne!(second.port(), first.port());
        drop(first);
        start(0, folder.path()).expect("the folder is free again");
    }
}
