//! The conversations in `tests/conformance`, on a clock that stands still.

use burrow_tests::conformance::{WorkerHost, run_all};
use burrow_tests::worker::launch;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn conformance_of_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let worker = launch(folder.path())
        .variable("CLOCK", "manual")
        .variable("COUNTERS", "true")
        .start()
        .unwrap();
    let report = run_all(&mut WorkerHost::new(worker.address())).unwrap();
    assert!(
        report.failures.is_empty(),
        "\n{}\n{}",
        report.failures.join("\n\n"),
        worker.logs()
    );
    assert_eq!(report.skipped, 0);
    assert!(
        report.passed > 100,
        "only {} conversations were found",
        report.passed
    );
}
