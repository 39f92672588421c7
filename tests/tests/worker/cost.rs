//! What the Worker costs: rows written, all of them, as the runtime counts them. Those of a new queue are
//! among them, and those of checkpoints and alarms, which are made to come often.

use burrow_tests::crash::http::Request;
use serde_json::{Value, json};

use crate::support::{Worker, batch, until};

const ALARMS_OFTEN: [(&str, &str); 2] = [("DEFAULT_TTL_MS", "10000"), ("ALARM_SLACK_MS", "1000")];
const CLAIM: &str = "/v1.0/a/q?limit=1&hide=60&claim=true";

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn single_messages_cost_less_than_three_rows() {
    let mut worker = start(&[("CHECKPOINT_BYTES", "65536")]);
    for _ in 0..1_000 {
        let id = put(&mut worker);
        let claimed = worker.expect(200, "POST", CLAIM, b"");
        assert_eq!(claimed[0]["id"], id);
        acknowledge(&mut worker, &claimed);
    }
    let per_message = rows_per_message(&mut worker, 1_000);
    assert!(per_message < 2.1, "{per_message} rows a message");
}

/// Whoever waits is given a message with the commit that stores it.
#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn long_work_on_what_was_waited_for_costs_no_more() {
    let mut worker = start(&[("CHECKPOINT_BYTES", "65536"), ("CLAIM_DELAY_MS", "1")]);
    let mut waits = worker.connect();
    for _ in 0..500 {
        let claim = format!("{CLAIM}&wait=60");
        waits.send(&[Request::new("POST", claim)]).unwrap();
        until(&mut worker, |worker| worker.counter("waiting") == 1);
        let id = put(&mut worker);
        let claimed = waits.receive().unwrap().json();
        assert_eq!(claimed[0]["id"], id);
        work_long(&mut worker);
        acknowledge(&mut worker, &claimed);
    }
    let per_message = rows_per_message(&mut worker, 500);
    assert!(per_message < 2.1, "{per_message} rows a message");
}

/// A claim of what was there already is written by itself if nothing else is until its delay is over.
#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn long_work_on_what_was_there_costs_a_row_more() {
    let mut worker = start(&[("CHECKPOINT_BYTES", "65536"), ("CLAIM_DELAY_MS", "1")]);
    for _ in 0..500 {
        put(&mut worker);
        let before = worker.counter("rows");
        let claimed = worker.expect(200, "POST", CLAIM, b"");
        until(&mut worker, |worker| worker.counter("rows") > before);
        acknowledge(&mut worker, &claimed);
    }
    let per_message = rows_per_message(&mut worker, 500);
    assert!(per_message < 3.1, "{per_message} rows a message");
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn messages_of_batches_cost_less_than_a_twentieth_of_a_row() {
    let mut worker = start(&[("CHECKPOINT_BYTES", "262144")]);
    for _ in 0..200 {
        let ids = worker.expect(201, "PUT", "/v1.0/a/q", &batch(100, "a body of some bytes"));
        assert_eq!(ids.as_array().unwrap().len(), 100);
        let claim = "/v1.0/a/q?limit=100&hide=60&claim=true";
        let claimed = worker.expect(200, "POST", claim, b"");
        let settle: Vec<Value> = claimed
            .as_array()
            .unwrap()
            .iter()
            .map(|message| json!({"id": message["id"], "claim": message["claim"], "delete": true}))
            .collect();
        let settle = serde_json::to_vec(&settle).unwrap();
        let settled = worker.expect(200, "POST", "/v1.0/a/q", &settle);
        let done = |result: &Value| result["status"] == 204;
        assert!(settled.as_array().unwrap().iter().all(done), "{settled}");
    }
    let per_message = rows_per_message(&mut worker, 20_000);
    assert!(per_message < 0.05, "{per_message} rows a message");
}

fn start(variables: &[(&'static str, &'static str)]) -> Worker {
    Worker::start(&[&ALARMS_OFTEN, variables].concat())
}

fn put(worker: &mut Worker) -> Value {
    let ids = worker.expect(201, "PUT", "/v1.0/a/q", &batch(1, "a body of some bytes"));
    ids[0].clone()
}

fn acknowledge(worker: &mut Worker, claimed: &Value) {
    let target = format!(
        "/v1.0/a/q/{}?claim={}",
        claimed[0]["id"].as_str().unwrap(),
        claimed[0]["claim"].as_str().unwrap()
    );
    worker.expect(204, "DELETE", &target, b"");
}

/// Longer than claims are deferred: the claim's object sees time pass, and has nothing to write.
fn work_long(worker: &mut Worker) {
    (0..5).for_each(|_| drop(worker.expect(200, "GET", "/v1.0/a/q?match_hidden=true", b"")));
}

/// All that this Worker has written since it began.
fn rows_per_message(worker: &mut Worker, messages: u32) -> f64 {
    let (rows, alarms) = (worker.counter("rows"), worker.counter("alarms"));
    let per_message = rows as f64 / f64::from(messages);
    println!(
        "{rows} rows, {alarms} of alarms, for {messages} messages: {per_message:.4} a message"
    );
    per_message
}
