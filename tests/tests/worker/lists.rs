//! Accounts and their queues are objects of their own, which ask each other.

use burrow_tests::conformance::{self, Host as _, ServerHost};
use burrow_tests::crash::http::Request;
use serde_json::{Value, json};

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

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_list_ends_when_the_answer_is_full_and_says_so() {
    // A name counts for 64 bytes more than it has.
    let mut worker = Worker::start(&[("MAX_ANSWER_BYTES", "100")]);
    for queue in ["q1", "q2", "q3"] {
        worker.expect(201, "PUT", &format!("/v1.0/a/{queue}/1"), b"");
        // One that is listed no more.
        worker.expect(201, "PUT", &format!("/v1.0/a/{queue}gone/1"), b"");
        worker.expect(204, "DELETE", &format!("/v1.0/a/{queue}gone/1"), b"");
    }
    for account in ["b", "c"] {
        worker.expect(201, "PUT", &format!("/v1.0/{account}/q/1"), b"");
    }
    let mut client = ServerHost::new(worker.server.address());
    for (method, target, names, has_more) in [
        ("GET", "/v1.0/a", json!(["q1", "q2"]), true),
        ("GET", "/v1.0/a?marker=q2", json!(["q3"]), false),
        ("GET", "/v1.0/a?marker=q1", json!(["q2", "q3"]), false),
        ("GET", "/v1.0/a?limit=2", json!(["q1", "q2"]), false),
        ("GET", "/v1.0", json!(["a", "b"]), true),
        (
            "DELETE",
            "/v1.0/a?detail=all",
            json!([{"id": "q1"}, {"id": "q2"}]),
            true,
        ),
        ("DELETE", "/v1.0/a?detail=all", json!([{"id": "q3"}]), false),
        (
            "DELETE",
            "/v1.0?detail=all",
            json!([{"id": "b"}, {"id": "c"}]),
            false,
        ),
    ] {
        let request = conformance::Request {
            method: method.into(),
            target: target.into(),
            ..conformance::Request::default()
        };
        let call = client.send(&request).unwrap();
        let answer = client.finish(call).unwrap();
        assert_eq!(answer.status, 200, "{method} {target}");
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        let mut headers = answer.headers.iter();
        let says_more = headers
            .any(|(name, value)| name.eq_ignore_ascii_case("Burrow-More") && value == "true");
        assert_eq!((told, says_more), (names, has_more), "{method} {target}");
    }
}
