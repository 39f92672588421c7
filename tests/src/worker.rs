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

/// The same with the wire protocol. The variable `BURROW_WORKER_WITH_WIRE` names the folder of that build.
///
/// # Panics
/// If a variable is not set.
pub fn launch_with_wire(data: &Path) -> Launch {
    launch_as(&config_with_wire(), data)
}

/// The same with another configuration.
///
/// # Panics
/// If the variable `BURROW_WORKERD` is not set.
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

/// The same of the build with the wire protocol.
///
/// # Panics
/// If the variable `BURROW_WORKER_WITH_WIRE` is not set.
pub fn config_with_wire() -> PathBuf {
    let folder = std::env::var_os("BURROW_WORKER_WITH_WIRE");
    let folder =
        folder.expect("BURROW_WORKER_WITH_WIRE names what was built with the wire protocol");
    Path::new(&folder).join("workerd.capnp")
}
