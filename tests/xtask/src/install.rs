//! What the tasks need from package managers.

use std::path::PathBuf;

use crate::run::{Failure, cargo, program};

/// True if there is a program of this name.
pub(crate) fn has(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// A subcommand of cargo, compiled from its registry if it is missing.
pub(crate) fn cargo_tool(name: &str) -> Result<(), Failure> {
    if has(name) {
        return Ok(());
    }
    cargo(["install", "--locked", name]).run()
}

/// A program, from Debian's package if it is missing.
pub(crate) fn debian_program(name: &str, package: &str) -> Result<(), Failure> {
    if has(name) {
        Ok(())
    } else {
        debian_packages(&[package])
    }
}

/// Debian's packages, installed for everybody.
pub(crate) fn debian_packages(packages: &[&str]) -> Result<(), Failure> {
    apt_get(["update", "-qq"])?;
    apt_get(
        ["install", "-qq", "-y", "--no-install-recommends"]
            .iter()
            .chain(packages),
    )
}

/// Runs apt-get as root.
pub(crate) fn apt_get<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
) -> Result<(), Failure> {
    if !has("apt-get") {
        return Err(Failure(
            "a package is missing and there is no apt-get to install it: see CONTRIBUTING.md"
                .into(),
        ));
    }
    let root = program("id").args(["-u"]).read()? == "0";
    let task = if root {
        program("apt-get")
    } else {
        program("sudo").args(["apt-get"])
    };
    task.args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
}

/// The folder for what is installed for this project alone.
pub(crate) fn cache_folder() -> Result<PathBuf, Failure> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let folder = cache
        .ok_or_else(|| Failure("neither HOME nor XDG_CACHE_HOME is set".into()))?
        .join("burrow");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
    Ok(folder)
}
