//! The conversations in `tests/conformance`, held with the machine and its REST front-end
//! in this process.

use burrow_tests::conformance::{PureHost, run_all};

#[test]
fn conformance_of_the_machine() {
    let report = run_all(&mut PureHost::new()).unwrap();
    assert!(
        report.failures.is_empty(),
        "\n{}",
        report.failures.join("\n\n")
    );
    assert_eq!(report.skipped, 0);
    assert!(
        report.passed > 100,
        "only {} conversations were found",
        report.passed
    );
}
