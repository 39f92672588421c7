//! How large the modules are that every isolate loads.

use std::path::Path;
use std::process::Command;

use burrow_tests::worker::{config, config_with_wire};

/// Wanted are 150,000 at the most. The Worker's README says what takes how much.
const MOST_BYTES: usize = 150_000;
const MOST_BYTES_WITH_WIRE: usize = 171_000;
/// What every path of a dependency's source begins with on the machine where it is compiled.
const REGISTRY: &[u8] = b"registry/src/";

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn the_module_is_small() {
    assert_below(MOST_BYTES, &config());
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn the_module_with_the_wire_protocol_is_small() {
    assert_below(MOST_BYTES_WITH_WIRE, &config_with_wire());
}

fn assert_below(most_bytes: usize, config: &Path) {
    let module = config.with_file_name("build/index_bg.wasm");
    // Nor does it tell where it was compiled.
    let content = std::fs::read(&module).unwrap();
    let mut windows = content.windows(REGISTRY.len());
    assert!(windows.all(|window| window != REGISTRY));
    let packed = Command::new("gzip")
        .args(["-9", "-c"])
        .arg(&module)
        .output()
        .unwrap();
    assert!(packed.status.success(), "{packed:?}");
    let bytes = packed.stdout.len();
    println!("{bytes} bytes, gzipped");
    assert!(bytes < most_bytes, "{bytes} bytes");
}
