//! The Worker and the log that all hosts answer alike.

use burrow_tests::parity::{HttpReplica, replay, the_log};
use burrow_tests::worker::launch;

#[test]
#[ignore = "needs workerd, which `cargo xtask worker test` installs"]
fn parity_of_the_worker() {
    let data = tempfile::tempdir().unwrap();
    let launch = launch(data.path())
        .variable("CLOCK", "manual")
        // A claim that is not yet stored is lost with its object, as the README of the Worker says.
        .variable("CLAIM_DELAY_MS", "0")
        .variable("MAX_REQUEST_BYTES", "16777216");
    let mut worker = HttpReplica::start(launch);
    replay(&the_log(), &mut worker).unwrap_or_else(|difference| panic!("{difference}"));
}
