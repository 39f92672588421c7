//! How large the module is that every isolate loads.

use std::process::Command;

use burrow_tests::worker::config;

/// Wanted are 150,000. The queue itself is 78,000, with its maps; serde_json and base64 are 31,000; the objects, and what
/// binds them to promises, requests and storage, 50,000. The Worker's README has the rest.
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
