//! How large the module is that every isolate loads.

use std::process::Command;

use burrow_tests::worker::config;

/// Wanted are 150,000. More than half is the queue itself; the rest is what binds Rust to promises, requests and storage.
const MOST_BYTES: usize = 206_000;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn the_module_is_small() {
    let module = config().with_file_name("build/index_bg.wasm");
    let packed = Command::new("gzip")
        .args(["-9", "-c"])
        .arg(module)
        .output()
        .unwrap();
    assert!(packed.status.success(), "{packed:?}");
    let bytes = packed.stdout.len();
    println!("{bytes} bytes, gzipped");
    assert!(bytes < MOST_BYTES, "{bytes} bytes");
}
