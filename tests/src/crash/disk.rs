//! Small disks that can be full or read-only.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

/// A file system in memory, taken away when this is dropped.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Needs the right to mount.
    pub fn new(mebibytes: u64) -> Result<Self, Errno> {
        let folder = tempfile::Builder::new()
            .prefix("burrow-disk-")
            .tempdir()
            .map_err(|_| Errno::last())?;
        let size = format!("size={mebibytes}m");
        mount(
            Some("tmpfs"),
            folder.path(),
            Some("tmpfs"),
            MsFlags::empty(),
            Some(size.as_str()),
        )?;
        Ok(Self { folder })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes so much room, until [`free`](Self::free).
    pub fn occupy(&self, bytes: usize) -> std::io::Result<()> {
        fs::write(self.filler(), vec![1; bytes])
    }

    pub fn free(&self) -> std::io::Result<()> {
        fs::remove_file(self.filler())
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }

    /// From now on nothing on it can be changed. No file may be open for writing.
    pub fn make_read_only(&self) -> Result<(), Errno> {
        mount(
            None::<&str>,
            self.path(),
            None::<&str>,
            MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY,
            None::<&str>,
        )
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = umount2(self.folder.path(), MntFlags::MNT_DETACH) {
            println!("{} is still mounted: {error}", self.folder.path().display());
        }
    }
}
