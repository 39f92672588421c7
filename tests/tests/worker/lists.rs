//! Accounts and their queues are objects of their own, which ask each other.

use burrow_tests::crash::http::Request;
use serde_json::json;

use crate::support::Worker;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_busy_queue_is_listed_and_removed() {
    let mut worker = Worker::start(&[]);
    let mut others: Vec<_> = (0..4).map(|_| worker.connect()).collect();
    for round in 0..40 {
        worker.expect(201, "PUT", "/v1.0/a/q/first", b"");
        for (number, other) in others.iter_mut().enumerate() {
            let target = format!("/v1.0/a/q/{number}");
            other.send(&[Request::new("PUT", target)]).unwrap();
        }
        if round % 2 == 0 {
            let listed = worker.expect(200, "GET", "/v1.0/a", b"");
            assert_eq!(listed, json!(["q"]), "in round {round}");
        }
        worker.expect(204, "DELETE", "/v1.0/a", b"");
        for other in &mut others {
            let status = other.receive().unwrap().status;
            assert!([201, 204].contains(&status), "{status}");
        }
        worker.call("DELETE", "/v1.0/a", b"");
    }
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_poll_of_an_empty_queue_asks_few_others() {
    let mut worker = Worker::start(&[]);
    for number in 0..100 {
        let message = format!("/v1.0/a/q{number:03}/1");
        worker.expect(201, "PUT", &message, b"");
        worker.expect(204, "DELETE", &message, b"");
    }
    let mut poll = |wanted: &str| {
        let before = worker.counter("questions");
        let answer = worker.call("POST", "/v1.0/a/idle?limit=1&hide=60", b"");
        assert_eq!((answer.status, answer.text().as_str()), (404, wanted));
        worker.counter("questions") - before
    };
    let questions = poll("Account not found");
    assert!(questions <= 65, "{questions} questions");
    let mut worker = worker.kill_and_restart();
    worker.expect(201, "PUT", "/v1.0/a/q050/1", b"");
    let mut poll = |wanted: &str| {
        let before = worker.counter("questions");
        let answer = worker.call("POST", "/v1.0/a/idle?limit=1&hide=60", b"");
        assert_eq!((answer.status, answer.text().as_str()), (404, wanted));
        worker.counter("questions") - before
    };
    poll("Queue not found");
    // By now it knows whom to ask.
    assert_eq!(poll("Queue not found"), 2);
}
