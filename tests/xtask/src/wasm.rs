//! What is compiled to wasm.

use std::path::{Path, PathBuf};

use crate::debian_rust::DebianRust;
use crate::run::{Failure, cargo, program, target_folder};

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds a package of `crate-type` cdylib and gives the path of the module. `libraries` are those
/// of Rust that it uses.
pub(crate) fn build(package: &str, profile: &str, libraries: &str) -> Result<PathBuf, Failure> {
    build_with(package, "", profile, libraries)
}

/// The same with features of the package.
pub(crate) fn build_with(
    package: &str,
    features: &str,
    profile: &str,
    libraries: &str,
) -> Result<PathBuf, Failure> {
    // A folder of its own, as the compiler may be another one than for the rest.
    let folder = target_folder().join("wasm");
    let build = cargo(["build", "--lib", "--package", package, "--profile", profile])
        .args(["--features", features])
        .args(["--target", TARGET, "--target-dir"])
        .args([&folder])
        .args(["--config", &flags()]);
    let build = if has_target()? || rustup_adds_target() {
        build
    } else {
        DebianRust::get()?.compile_with(build, libraries)?
    };
    build.run()?;
    let output = if profile == "dev" { "debug" } else { profile };
    let module = format!("{}.wasm", package.replace('-', "_"));
    Ok(folder.join(TARGET).join(output).join(module))
}

/// What is shipped tells nobody where it was compiled, and is a little smaller.
fn flags() -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = home.unwrap_or_default().join("registry/src/");
    let remap = format!("--remap-path-prefix={}=", sources.display());
    format!("target.{TARGET}.rustflags=[{remap:?}]")
}

/// Builds the component and gives its path.
pub(crate) fn build_component() -> Result<PathBuf, Failure> {
    let module = build("burrow-component", "component", "core,alloc")?;
    let component = module.with_file_name("burrow.wasm");
    cargo([
        "run",
        "--quiet",
        "--package",
        "burrow-pack",
        "--",
        "component",
    ])
    .args([&module, &component])
    .run()?;
    Ok(component)
}

fn has_target() -> Result<bool, Failure> {
    let folder = program("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .read()?;
    Ok(Path::new(&folder).is_dir())
}

/// False where rustup is not to be asked (`XTASK_NO_RUSTUP`), not there or without network.
fn rustup_adds_target() -> bool {
    std::env::var_os("XTASK_NO_RUSTUP").is_none()
        && program("rustup")
            .args(["target", "add", TARGET])
            .run()
            .is_ok()
}
