//! The JavaScript package and the log that all hosts answer alike.

use std::path::Path;

use burrow_tests::parity::{HttpReplica, replay, the_log};
use burrow_tests::process::Launch;

#[test]
#[ignore = "needs node and the built package, which `cargo xtask js` brings"]
fn parity_of_the_package() {
    let data = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host-wasm/js/tests/server.js");
    let launch = Launch::other("node").argument(script).argument(data.path());
    let mut package = HttpReplica::start(launch);
    replay(&the_log(), &mut package).unwrap_or_else(|difference| panic!("{difference}"));
}
