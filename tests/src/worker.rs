//! The Worker on workerd, run by tests.

use std::path::{Path, PathBuf};

use crate::process::Launch;

/// The Worker with its data in a folder. The variable `BURROW_WORKERD` names the program.
///
/// # Panics
/// If the variable is not set.
pub fn launch(data: &Path) -> Launch {
    launch_as(&config(), data)
}

/// The same with another configuration.
///
/// # Panics
/// If the variable is not set.
pub fn launch_as(config: &Path, data: &Path) -> Launch {
    let program = std::env::var_os("BURROW_WORKERD").expect("BURROW_WORKERD names workerd");
    let mut folder = std::ffi::OsString::from("--directory-path=data=");
    folder.push(data);
    Launch::workerd(program, config).argument(folder)
}

/// Where the Worker's configuration for workerd is.
pub fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host-wasm/worker/workerd.capnp")
}
