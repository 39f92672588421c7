//! Packages of npm, installed for this project alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::install::{cache_folder, debian_program};
use crate::run::{Failure, program, root};

/// Installs what a folder's package.json and its lock file name, and gives the `node_modules`.
pub(crate) fn install(folder: &str) -> Result<PathBuf, Failure> {
    debian_program("npm", "npm")?;
    let from = root().join(folder);
    let to = cache_folder()?.join(folder.replace('/', "-"));
    let lock = to.join("package-lock.json");
    let wanted = fs::read(from.join("package-lock.json")).map_err(at(&from))?;
    if fs::read(to.join("installed")).is_ok_and(|installed| installed == wanted) {
        return Ok(to.join("node_modules"));
    }
    fs::create_dir_all(&to).map_err(at(&to))?;
    fs::copy(from.join("package.json"), to.join("package.json")).map_err(at(&from))?;
    fs::write(&lock, &wanted).map_err(at(&lock))?;
    program("npm")
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .folder(&to)
        .run()?;
    // Last, so that an installation which is cut short is done again.
    fs::write(to.join("installed"), &wanted).map_err(at(&to))?;
    Ok(to.join("node_modules"))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure(format!("{}: {error}", path.display()))
}
