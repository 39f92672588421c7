//! What comes from npm.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use crate::install::{cache_folder, debian_program};
use crate::run::{Failure, program};

/// Installs what a folder's lock file says into a folder of the cache, which is given. Nothing that is
/// installed gets to run, and what is for development is left out.
pub(crate) fn install(folder: &Path) -> Result<PathBuf, Failure> {
    install_into(folder, "npm", &["--omit=dev"])
}

/// The same with what is for development.
pub(crate) fn install_all(folder: &Path) -> Result<PathBuf, Failure> {
    install_into(folder, "npm-all", &[])
}

fn install_into(folder: &Path, name: &str, choice: &[&str]) -> Result<PathBuf, Failure> {
    let files = ["package.json", "package-lock.json"];
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(folder.join(file))
            .map_err(at(folder))?
            .hash(&mut hasher);
    }
    let installed = cache_folder()?.join(format!("{name}-{:016x}", hasher.finish()));
    if installed.is_dir() {
        return Ok(installed);
    }
    debian_program("npm", "npm")?;
    // Under another name until it is complete.
    let partial = installed.with_extension("partial");
    fs::create_dir_all(&partial).map_err(at(&partial))?;
    for file in files {
        fs::copy(folder.join(file), partial.join(file)).map_err(at(folder))?;
    }
    program("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .args(choice)
        .folder(&partial)
        .run()?;
    fs::rename(&partial, &installed).map_err(at(&installed))?;
    Ok(installed)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(format!("{}: {error}", path.display()))
}
