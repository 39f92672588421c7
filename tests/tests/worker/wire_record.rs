//! The wire protocol on a WebSocket to the Worker: what REST means, and the conversations on record.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use burrow_core::wire;
use burrow_tests::conformance::{WorkerWireHost, run_all};
use burrow_tests::web_socket::WebSocket;
use burrow_tests::wire_record::{Recorded, assert_holds, hex, recorded};
use burrow_tests::worker::launch_with_wire;
use tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(60);

/// Conversations on record that count on each command being answered before the next is read: the Worker
/// keeps an order only for the commands of one queue, and asks an object before it answers.
const ONE_BY_ONE: [&str; 5] = [
    "an export, imported elsewhere; last in, first out",
    "lists and deletes",
    "refusals: no more room, no such queue, what is missing or wrong",
    "stats",
    "an id that is not above the last ends the connection",
];

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn conformance_of_the_worker_on_a_web_socket() {
    let folder = tempfile::tempdir().unwrap();
    let worker = launch_with_wire(folder.path())
        .variable("CLOCK", "manual")
        .variable("COUNTERS", "true")
        .start()
        .unwrap();
    let report = run_all(&mut WorkerWireHost::connect(worker.address()).unwrap()).unwrap();
    assert!(
        report.failures.is_empty(),
        "\n{}\n{}",
        report.failures.join("\n\n"),
        worker.logs()
    );
    assert_eq!(report.skipped, 0);
    assert!(report.passed > 140, "only {} were held", report.passed);
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn the_record_holds_for_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let worker = launch_with_wire(folder.path())
        .variable("CLOCK", "manual")
        .variable("MAX_REQUEST_BYTES", "16777216")
        .variable("MAX_IN_FLIGHT", "1024")
        .start()
        .unwrap();
    for conversation in recorded() {
        let mut socket = WebSocket::connect(worker.address()).unwrap();
        socket.stream().set_read_timeout(Some(PATIENCE)).unwrap();
        if ONE_BY_ONE.contains(&conversation.title.as_str()) {
            assert_holds_one_by_one(&mut socket, &conversation);
            continue;
        }
        assert_holds(&mut socket, &conversation, |socket| {
            // A server that has closed already hears nothing more.
            let _ = socket.send(Message::Close(None));
        });
    }
}

/// Sends each request when the one before is answered.
fn assert_holds_one_by_one(socket: &mut WebSocket, recorded: &Recorded) {
    let (hello, requests) = recorded.sent.split_at(wire::HELLO_BYTES);
    let (welcome, answers) = recorded.received.split_at(wire::WELCOME_BYTES);
    let mut answers = frames(answers).into_iter();
    let mut exchange = |sent: &[u8], expected: &[u8]| {
        socket.write_all(sent).unwrap();
        let mut answered = vec![0; expected.len()];
        socket.read_exact(&mut answered).unwrap();
        assert!(answered == expected, "{}", hex(&answered));
    };
    exchange(hello, &[welcome, answers.next().unwrap()].concat());
    for request in frames(requests) {
        exchange(request, answers.next().unwrap());
    }
}

/// Each frame with its length.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(length) = bytes.first_chunk() {
        let (frame, rest) = bytes.split_at(4 + u32::from_le_bytes(*length) as usize);
        frames.push(frame);
        bytes = rest;
    }
    frames
}
