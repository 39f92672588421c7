//! The conversations in `tests/conformance`, held with the real server over the wire
//! protocol, on TCP and on a WebSocket: the same commands, the same answers.

use burrow_tests::conformance::{WireHost, run_all};
use burrow_tests::process::{Launch, Server, program};

fn server() -> Server {
    let launch = Launch::new(program()).memory().argument("--clock=manual");
    let launch = launch.argument("--listen-wire=127.0.0.1:0");
    launch.start().unwrap()
}

fn assert_conforms(mut host: WireHost) {
    let report = run_all(&mut host).unwrap();
    assert!(
        report.failures.is_empty(),
        "\n{}",
        report.failures.join("\n\n")
    );
    assert!(report.passed > 140, "only {} were held", report.passed);
    assert_eq!(report.skipped, 0);
}

#[test]
fn conformance_of_the_wire() {
    let server = server();
    let wire = server.wire_address().unwrap();
    assert_conforms(WireHost::connect(server.address(), wire).unwrap());
}

#[test]
fn conformance_of_the_wire_on_a_web_socket() {
    let server = server();
    assert_conforms(WireHost::web_socket(server.address()).unwrap());
}
