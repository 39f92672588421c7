//! Dead letters go from the object of one queue to that of another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use burrow_tests::crash::http::{Connection, Request};

use crate::support::{Worker, until};

const SETTINGS: &[u8] = br#"{"max_attempts":1,"dead_letter":"dead"}"#;
const CLAIM: &str = "/v1.0/a/q?limit=1&hide=60&detail=id";

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_dead_letter_is_in_its_queue_before_the_claimer_knows() {
    let mut worker = Worker::start(&[]);
    give_up(&mut worker, "1");
    worker.expect(404, "POST", CLAIM, b"");
    let dead = worker.expect(200, "GET", "/v1.0/a/dead", b"");
    assert_eq!(
        (&dead[0]["id"], &dead[0]["body"]),
        (&"1".into(), &"letter".into())
    );
    let queues = worker.expect(200, "GET", "/v1.0/a", b"");
    assert_eq!(queues, serde_json::json!(["dead", "q"]));
    let mut worker = worker.kill_and_restart();
    let dead = worker.expect(200, "GET", "/v1.0/a/dead?detail=id", b"");
    assert_eq!(dead, serde_json::json!(["1"]));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_dead_letter_that_finds_no_room_stays_and_goes_later() {
    let mut worker = Worker::start(&[("MAX_QUEUE_MESSAGES", "1")]);
    worker.expect(201, "PUT", "/v1.0/a/dead/first", b"in the way");
    give_up(&mut worker, "1");
    worker.expect(404, "POST", CLAIM, b"");
    // What is on its way is kept where it comes from, across a crash as well.
    let mut worker = worker.kill_and_restart();
    worker.expect(404, "GET", "/v1.0/a/q", b"");
    worker.expect(204, "DELETE", "/v1.0/a/dead/first", b"");
    let arrived = worker.expect(200, "GET", "/v1.0/a/dead?wait=60&detail=id", b"");
    assert_eq!(arrived, serde_json::json!(["1"]));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn each_dead_letter_arrives_once_while_more_are_given_up() {
    const CLIENTS: usize = 6;
    const MESSAGES: usize = 60;
    let mut worker = Worker::start(&[]);
    worker.expect(204, "PUT", "/v1.0/a/q?settings", SETTINGS);
    let is_over = AtomicBool::new(false);
    // What was given up, by who takes it away as soon as it arrives.
    let mut seen = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let mut connection = worker.connect();
                scope.spawn(move || {
                    for number in 0..MESSAGES {
                        let id = format!("{client}-{number}");
                        call(&mut connection, "PUT", &format!("/v1.0/a/q/{id}"));
                        let claimed = call(&mut connection, "POST", CLAIM);
                        for id in claimed.as_array().into_iter().flatten() {
                            let id = id.as_str().unwrap();
                            call(&mut connection, "POST", &format!("/v1.0/a/q/{id}?hide=0"));
                        }
                    }
                })
            })
            .collect();
        let (mut connection, is_over) = (worker.connect(), &is_over);
        let taker = scope.spawn(move || {
            let mut seen = BTreeMap::new();
            while !is_over.load(Ordering::Relaxed) {
                take(&mut connection, &mut seen);
            }
            seen
        });
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        taker.join().unwrap()
    });
    // The rest is given up now.
    let mut connection = worker.connect();
    call(
        &mut connection,
        "POST",
        "/v1.0/a/q?hide=0&match_hidden=true",
    );
    call(&mut connection, "POST", CLAIM);
    take(&mut connection, &mut seen);
    let left = worker.call("GET", "/v1.0/a/q?match_hidden=true&detail=id", b"");
    assert_eq!(left.status, 404, "{}", left.text());
    let again: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "came more than once: {again:?}");
    assert_eq!(seen.len(), CLIENTS * MESSAGES, "some are lost");
}

/// What two objects give up in the same millisecond has the same numbers in each.
#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn letters_that_are_alike_but_for_their_queues_all_arrive() {
    let mut worker = Worker::start(&[("CLOCK", "manual")]);
    let queues = ["p", "q"].map(|queue| format!("/v1.0/a/{queue}"));
    for queue in &queues {
        worker.expect(204, "PUT", &format!("{queue}?settings"), SETTINGS);
        worker.expect(201, "PUT", &format!("{queue}/1"), b"letter");
        worker.expect(200, "POST", &format!("{queue}?hide=1&detail=id"), b"");
    }
    worker.expect(200, "POST", "/clock?advance=2s", b"");
    for queue in &queues {
        worker.expect(404, "POST", &format!("{queue}?hide=1"), b"");
    }
    worker.expect(200, "POST", "/clock?advance=1s", b"");
    let dead = worker.expect(200, "GET", "/v1.0/a/dead?detail=id", b"");
    assert_eq!(dead.as_array().map(Vec::len), Some(2), "{dead}");
}

/// Whoever moves the clock is told of all that it has brought about.
#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn what_is_given_up_when_the_clock_moves_has_arrived_when_it_is_told() {
    let mut worker = Worker::start(&[("CLOCK", "manual")]);
    worker.expect(201, "PUT", "/v1.0/a/dead/first?ttl=0", b"");
    worker.expect(204, "PUT", "/v1.0/a/q?settings", SETTINGS);
    for id in 0..20 {
        let message = format!("/v1.0/a/q/{id}?ttl=0");
        worker.expect(201, "PUT", &message, b"letter");
        worker.expect(200, "POST", "/v1.0/a/q?limit=1&hide=30&detail=id", b"");
        let mut waits = worker.connect();
        let claim = Request::new("POST", "/v1.0/a/q?limit=1&hide=60&wait=40&detail=id");
        waits.send(std::slice::from_ref(&claim)).unwrap();
        until(&mut worker, |worker| worker.counter("waiting") == 1);
        let told = worker.expect(200, "POST", "/clock?advance=30s", b"");
        let again = worker.expect(200, "GET", "/clock", b"");
        assert_eq!(told["digest"], again["digest"], "of message {id}");
        let dead = worker.expect(200, "GET", "/v1.0/a/dead?detail=id", b"");
        assert_eq!(dead.as_array().unwrap().len(), id + 2);
        worker.expect(200, "POST", "/clock?advance=10s", b"");
        assert_eq!(waits.receive().unwrap().status, 404);
    }
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_full_dead_letter_queue_is_not_asked_by_every_request() {
    let mut worker = Worker::start(&[("MAX_QUEUE_MESSAGES", "1")]);
    worker.expect(201, "PUT", "/v1.0/a/dead/first", b"in the way");
    give_up(&mut worker, "1");
    worker.expect(404, "POST", CLAIM, b"");
    let before = worker.counter("questions");
    for _ in 0..100 {
        worker.expect(201, "PUT", "/v1.0/a/q/2", b"");
        worker.expect(204, "DELETE", "/v1.0/a/q/2", b"");
    }
    let questions = worker.counter("questions") - before;
    assert!(questions <= 5, "{questions} questions");
}

fn call(connection: &mut Connection, method: &'static str, target: &str) -> serde_json::Value {
    let answer = connection.call(&Request::new(method, target)).unwrap();
    assert!(answer.status < 500, "{method} {target}: {}", answer.text());
    answer.json()
}

/// Takes all dead letters, and counts how often each has come.
fn take(connection: &mut Connection, seen: &mut BTreeMap<String, u32>) {
    let taken = call(connection, "DELETE", "/v1.0/a/dead?detail=id");
    for id in taken.as_array().into_iter().flatten() {
        *seen.entry(id.as_str().unwrap().to_owned()).or_default() += 1;
    }
}

/// Has a message claimed as often as its queue allows.
fn give_up(worker: &mut Worker, id: &str) {
    worker.expect(204, "PUT", "/v1.0/a/q?settings", SETTINGS);
    let message = format!("/v1.0/a/q/{id}");
    worker.expect(201, "PUT", &message, b"letter");
    worker.expect(200, "POST", CLAIM, b"");
    worker.expect(204, "POST", &format!("{message}?hide=0"), b"");
}
