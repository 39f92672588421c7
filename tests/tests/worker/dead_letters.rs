//! Dead letters go from the object of one queue to that of another.

use crate::support::Worker;

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

/// Has a message claimed as often as its queue allows.
fn give_up(worker: &mut Worker, id: &str) {
    let settings = br#"{"max_attempts":1,"dead_letter":"dead"}"#;
    worker.expect(204, "PUT", "/v1.0/a/q?settings", settings);
    let message = format!("/v1.0/a/q/{id}");
    worker.expect(201, "PUT", &message, b"letter");
    worker.expect(200, "POST", CLAIM, b"");
    worker.expect(204, "POST", &format!("{message}?hide=0"), b"");
}
