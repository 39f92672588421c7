//! Objects ask each other by requests. No client can.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;

use crate::support::Worker;

/// Sends a request with the headers and the host of one object that asks another to remove all it has, of which
/// names are told that are not the target's.
fn ask(worker: &Worker, line: &str) -> String {
    let mut stream = TcpStream::connect(worker.server.address()).unwrap();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: object\r\nConnection: close\r\nContent-Length: 0\r\n\
         Burrow-Ask: remove\r\nBurrow-Account: other\r\nBurrow-Queue: other\r\nBurrow-Now: 1\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn assert_asks_nothing(variables: &[(&'static str, &'static str)]) {
    let mut worker = Worker::start(variables);
    worker.expect(201, "PUT", "/v1.0/a/q/1", b"");
    for (line, status) in [
        ("GET /v1.0/a/q/1", "200"),
        ("PUT /v1.0/a/q/2", "201"),
        ("GET /v1.0/a", "200"),
        ("GET /v1.0", "200"),
        ("POST /ask", "404"),
        // The runtime takes the dots out on the way to an object.
        ("POST /v1.0/../ask", "404"),
        ("PUT /v1.0/../ask/1", "404"),
    ] {
        let answer = ask(&worker, line);
        let is_so = answer.starts_with(&format!("HTTP/1.1 {status}"));
        assert!(is_so, "{line}: {answer}");
    }
    let ids = worker.expect(200, "GET", "/v1.0/a/q?detail=id", b"");
    assert_eq!(ids, json!(["1", "2"]));
    assert_eq!(worker.expect(200, "GET", "/v1.0", b""), json!(["a"]));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_client_asks_nothing_of_objects() {
    assert_asks_nothing(&[]);
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_client_asks_nothing_of_objects_whose_clock_is_manual() {
    assert_asks_nothing(&[("CLOCK", "manual")]);
}
