//! One log of commands on several hosts: the same answers and the same state.
//! The Worker and the component are held to it by their own tests.

use std::path::Path;

use burrow_tests::parity::{
    HttpReplica, ProxyReplica, Step, WireReplica, replay, the_log, the_log_without_dead_letters,
};
use burrow_tests::process::{Launch, program};

#[test]
fn a_log_is_eventful_and_follows_from_its_seed() {
    let log = the_log();
    assert!(log.commands() >= 20_000);
    assert_eq!(log.to_json_lines(), the_log().to_json_lines());
    let exchanges = || {
        log.steps.iter().filter_map(|step| match step {
            Step::Exchange(exchange) => Some(exchange),
            _ => None,
        })
    };
    for status in [200, 201, 204, 400, 404, 405, 409, 429] {
        let count = exchanges()
            .filter(|exchange| exchange.answer.status == status)
            .count();
        assert!(count >= 20, "{count} answers have status {status}");
    }
    assert!(log.restarts >= 5, "{} restarts", log.restarts);
    for (aspect, status) in [("?export", 200), ("?import", 204)] {
        let moved = exchanges().filter(|exchange| {
            exchange.request.target.contains(aspect) && exchange.answer.status == status
        });
        let count = moved.count();
        assert!(
            count >= 50,
            "{count} answers to {aspect} have status {status}"
        );
    }
    let dead = exchanges().filter(|exchange| exchange.answer.body.starts_with(b"[{\"id\""));
    assert!(dead.count() > 1_000, "lists with messages");
}

#[test]
fn in_the_log_requests_wait_and_are_answered_by_all_that_can_end_a_wait() {
    let log = the_log();
    let mut waiting = 0_u32;
    let (mut by_clients, mut by_time, mut over, mut left, mut lost) = (0, 0, 0, 0, 0);
    let mut most = 0;
    let mut last = None;
    for step in &log.steps {
        match step {
            Step::Exchange(exchange) => last = Some(&exchange.request),
            Step::Start { .. } => waiting += 1,
            Step::Answer { answer, .. } => {
                waiting -= 1;
                let is_moved = last.is_some_and(|last| last.target.starts_with("/clock"));
                let count = match (answer.status, is_moved) {
                    (404, _) => &mut over,
                    (_, true) => &mut by_time,
                    (_, false) => &mut by_clients,
                };
                *count += 1;
            }
            Step::Leave { .. } => {
                waiting -= 1;
                left += 1;
            }
            Step::Restart { .. } => {
                lost += waiting;
                waiting = 0;
            }
        }
        most = most.max(waiting);
    }
    for (what, count, least) in [
        ("were answered as something came", by_clients, 100),
        ("were answered as time passed", by_time, 30),
        ("waited until their time was over", over, 100),
        ("left", left, 30),
        ("were lost with their host", lost, 5),
        ("waited at a time", most, 4),
    ] {
        assert!(count >= least, "{count} {what}");
    }
}

/// The server with its data in a folder, on a clock that the log moves.
fn native(folder: &Path) -> Launch {
    Launch::new(program())
        .data(folder.join("data"))
        .argument("--clock=manual")
}

#[test]
fn the_native_server_answers_as_the_machine() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut native = HttpReplica::start(native(folder.path()));
    replay(&the_log(), &mut native).unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn the_wire_protocol_answers_as_the_machine() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut wire = WireReplica::start(native(folder.path()));
    replay(&the_log(), &mut wire).unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn a_proxy_answers_as_the_machine() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = format!("unix:{}", folder.path().join("wire").display());
    let server = native(folder.path()).argument(format!("--listen-wire={socket}"));
    let proxy = Launch::proxy(program(), &[socket]);
    let mut proxied = ProxyReplica::start(vec![server], &proxy);
    replay(&the_log(), &mut proxied).unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn a_proxy_makes_three_servers_answer_and_hold_what_one_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = |number: u32| folder.path().join(number.to_string());
    let socket = |number| format!("unix:{}", place(number).join("wire").display());
    let server = |number| {
        std::fs::create_dir(place(number)).expect("the folder can be made");
        native(&place(number)).argument(format!("--listen-wire={}", socket(number)))
    };
    let servers = (0..3).map(server).collect();
    let sockets: Vec<String> = (0..3).map(socket).collect();
    let mut cluster = ProxyReplica::start(servers, &Launch::proxy(program(), &sockets));
    let log = the_log_without_dead_letters();
    replay(&log, &mut cluster).unwrap_or_else(|difference| panic!("{difference}"));
}
