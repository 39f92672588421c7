//! The conversations in `tests/conformance`, held with a proxy.

use std::thread;

use burrow_tests::conformance::{Report, ServerHost, run_all};

use super::support::Cluster;

/// At the same time, as most of it is waiting.
#[test]
fn conformance_of_a_proxy_with_one_and_with_three_servers() {
    let one = thread::spawn(|| hold(1));
    let mut three = hold(3);
    // An account that has no queue on the server that is asked is not there.
    three.failures.retain(|failure| {
        !(failure.contains("< Queue not found") && failure.contains("< Account not found"))
    });
    for report in [one.join().expect("no panic"), three] {
        assert!(
            report.failures.is_empty(),
            "\n{}",
            report.failures.join("\n\n")
        );
        assert!(report.passed > 100, "only {} were held", report.passed);
    }
}

fn hold(servers: usize) -> Report {
    let cluster = Cluster::start(servers, &[]);
    run_all(&mut ServerHost::new(cluster.proxy.address())).expect("the proxy answers")
}
