//! The conversations in `tests/conformance`, held with a proxy, over HTTP and over the wire.

use std::thread;

use burrow_tests::conformance::{Host, Report, ServerHost, WireHost, run_all};
use burrow_tests::process::Server;

use super::support::Cluster;

/// At the same time, as most of it is waiting.
#[test]
fn conformance_of_a_proxy_with_one_and_with_three_servers() {
    let one = thread::spawn(|| hold(1, http));
    let wired = thread::spawn(|| hold(3, wire));
    let three = hold(3, http);
    let reports = [
        one.join().expect("no panic"),
        wired.join().expect("no panic"),
        three,
    ];
    for report in reports {
        assert!(
            report.failures.is_empty(),
            "\n{}",
            report.failures.join("\n\n")
        );
        assert!(report.passed > 100, "only {} were held", report.passed);
    }
}

fn http(proxy: &Server) -> ServerHost {
    ServerHost::new(proxy.address())
}

fn wire(proxy: &Server) -> WireHost {
    let wire = proxy.wire_address().expect("it speaks the wire protocol");
    let host = WireHost::connect(proxy.address(), wire).expect("it accepts");
    host.on_real_clock()
}

fn hold<H: Host>(servers: usize, host: fn(&Server) -> H) -> Report {
    let cluster = Cluster::start(servers, &[]);
    run_all(&mut host(&cluster.proxy)).expect("the proxy answers")
}
