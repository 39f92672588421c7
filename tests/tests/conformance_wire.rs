//! The conversations in `tests/conformance`, held with the real server over the wire
//! protocol: the same commands, the same answers.

use burrow_tests::conformance::{WireHost, run_all};
use burrow_tests::process::{Launch, program};

#[test]
fn conformance_of_the_wire() {
    let launch = Launch::new(program()).memory().argument("--clock=manual");
    let server = launch
        .argument("--listen-wire=127.0.0.1:0")
        .start()
        .unwrap();
    let wire = server.wire_address().unwrap();
    let mut host = WireHost::connect(server.address(), wire).unwrap();
    let report = run_all(&mut host).unwrap();
    assert!(
        report.failures.is_empty(),
        "\n{}",
        report.failures.join("\n\n")
    );
    assert!(report.passed > 140, "only {} were held", report.passed);
    assert_eq!(report.skipped, 0);
}
