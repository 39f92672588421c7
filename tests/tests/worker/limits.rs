//! An object refuses what is too much for it, and holds what it has taken.

use crate::support::{Worker, batch};

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_queue_that_is_full_says_so() {
    let mut worker = Worker::start(&[("MAX_QUEUE_MESSAGES", "3"), ("MAX_REQUEST_BYTES", "4000")]);
    worker.expect(201, "PUT", "/v1.0/a/q", &batch(3, ""));
    let refused = worker.call("PUT", "/v1.0/a/q/more", b"");
    assert_eq!(refused.status, 429, "{}", refused.text());
    let too_large = worker.call("PUT", "/v1.0/a/q/large", &[b'x'; 4001]);
    assert_eq!(too_large.status, 413, "{}", too_large.text());
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_queue_of_the_largest_size_comes_back() {
    let mut worker = Worker::start(&[]);
    // More in one step than a row may have.
    let body = "x".repeat(1_000_000);
    let mut stored = 0;
    let full = loop {
        let answer = worker.call("PUT", "/v1.0/a/q", &batch(5, &body));
        if answer.status != 201 {
            break answer;
        }
        stored += 5;
        assert!(stored < 100, "it takes everything");
    };
    assert_eq!(full.status, 429, "{}", full.text());
    assert!(stored >= 15, "only {stored} megabytes are taken");
    let mut worker = worker.kill_and_restart();
    let ids = worker.expect(200, "GET", "/v1.0/a/q?detail=id", b"");
    assert_eq!(ids.as_array().unwrap().len(), stored);
    let messages = worker.expect(200, "GET", "/v1.0/a/q?limit=3", b"");
    assert_eq!(messages[2]["body"], body.as_str());
    worker.expect(204, "DELETE", "/v1.0/a/q", b"");
    worker.expect(404, "GET", "/v1.0/a/q", b"");
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_variable_that_makes_no_sense_stops_the_worker() {
    let mut worker = Worker::start(&[("MAX_QUEUE_MESSAGES", "many")]);
    let answer = worker.call("GET", "/v1.0", b"");
    assert_eq!(answer.status, 500);
    // Once it has ended, all that it wrote has been read.
    let logs = worker.server.kill().logs;
    assert!(logs.contains("MAX_QUEUE_MESSAGES = many"), "{logs}");
}
