//! The conversations in `tests/conformance`, held with the real server over HTTP/1.1.
//! The variable `BURROW_BIN` names another program to hold them with.

use std::path::PathBuf;

use burrow_tests::conformance::{ServerHost, run_all};
use burrow_tests::process::{Launch, program};

#[test]
fn conformance_of_the_server_in_memory() {
    hold(&Launch::new(server_program()).memory());
}

#[test]
fn conformance_of_the_server_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    hold(&Launch::new(server_program()).data(folder.path()));
}

fn server_program() -> PathBuf {
    std::env::var_os("BURROW_BIN").map_or_else(|| program().to_owned(), PathBuf::from)
}

fn hold(launch: &Launch) {
    let server = launch.start().unwrap();
    let report = run_all(&mut ServerHost::new(server.address())).unwrap();
    assert!(
        report.failures.is_empty(),
        "\n{}",
        report.failures.join("\n\n")
    );
    assert!(
        report.passed > 100,
        "only {} conversations were found",
        report.passed
    );
    assert!(
        report.skipped < report.passed / 2,
        "{} conversations were left out",
        report.skipped
    );
}
