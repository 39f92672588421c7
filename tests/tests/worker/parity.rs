//! The Worker and the log that all hosts answer alike.

use burrow_tests::parity::{HttpReplica, WireReplica, replay, the_log};
use burrow_tests::process::Launch;
use burrow_tests::worker;

#[test]
#[ignore = "needs workerd, which `cargo xtask worker test` installs"]
fn parity_of_the_worker() {
    let data = tempfile::tempdir().unwrap();
    let mut worker = HttpReplica::start(configured(worker::launch(data.path())));
    replay(&the_log(), &mut worker).unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
#[ignore = "needs workerd, which `cargo xtask worker test` installs"]
fn parity_of_the_worker_on_a_web_socket() {
    let data = tempfile::tempdir().unwrap();
    let mut worker = WireReplica::web_socket(configured(worker::launch_with_wire(data.path())));
    replay(&the_log(), &mut worker).unwrap_or_else(|difference| panic!("{difference}"));
}

fn configured(worker: Launch) -> Launch {
    worker
        .variable("CLOCK", "manual")
        // A claim that is not yet stored is lost with its object, as the README of the Worker says.
        .variable("CLAIM_DELAY_MS", "0")
        .variable("MAX_REQUEST_BYTES", "16777216")
}
