//! Packages of Python, installed for this project alone.

use std::fs;
use std::path::PathBuf;

use crate::install::{cache_folder, debian_packages, debian_program, has};
use crate::run::{Failure, program, root};

/// A Python of our own that has what a requirements file names; gives its path.
pub(crate) fn with_packages(requirements: &str) -> Result<PathBuf, Failure> {
    debian_program("python3", "python3")?;
    let file = root().join(requirements);
    let failed = |error| Failure(format!("{}: {error}", file.display()));
    let wanted = fs::read(&file).map_err(failed)?;
    let folder = cache_folder()?.join("python");
    let python = folder.join("bin/python");
    let installed = folder.join("installed");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let make = || {
        program("python3")
            .args(["-m", "venv", "--clear"])
            .args([&folder])
            .run()
    };
    // Debian has `venv` in a package of its own.
    make().or_else(|failure| {
        if !has("apt-get") {
            return Err(failure);
        }
        debian_packages(&["python3-venv"])?;
        make()
    })?;
    program(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .args([&file])
        .run()?;
    fs::write(&installed, &wanted).map_err(failed)?;
    Ok(python)
}
