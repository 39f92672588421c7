//! What the Worker costs: rows written, all of them, as the runtime counts them.

use serde_json::{Value, json};

use crate::support::{Worker, batch};

/// Rounds that are not counted: the objects appear and fill their first rows.
const WARM_UP: usize = 20;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn single_messages_cost_less_than_three_rows() {
    // Small, so that checkpoints and what they drop are counted as well.
    let mut worker = Worker::start(&[("CHECKPOINT_BYTES", "65536")]);
    let life = |worker: &mut Worker| {
        let ids = worker.expect(201, "PUT", "/v1.0/a/q", &batch(1, "a body of some bytes"));
        let claimed = worker.expect(200, "POST", "/v1.0/a/q?limit=1&hide=60&claim=true", b"");
        assert_eq!(claimed[0]["id"], ids[0]);
        let target = format!(
            "/v1.0/a/q/{}?claim={}",
            ids[0].as_str().unwrap(),
            claimed[0]["claim"].as_str().unwrap()
        );
        worker.expect(204, "DELETE", &target, b"");
    };
    let per_message = rows_per_message(&mut worker, 1_000, 1, life);
    assert!(per_message < 3.0, "{per_message} rows a message");
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn messages_of_batches_cost_less_than_a_twentieth_of_a_row() {
    let mut worker = Worker::start(&[("CHECKPOINT_BYTES", "262144")]);
    let life = |worker: &mut Worker| {
        let ids = worker.expect(201, "PUT", "/v1.0/a/q", &batch(100, "a body of some bytes"));
        assert_eq!(ids.as_array().unwrap().len(), 100);
        let claimed = worker.expect(200, "POST", "/v1.0/a/q?limit=100&hide=60&claim=true", b"");
        let settle: Vec<Value> = claimed
            .as_array()
            .unwrap()
            .iter()
            .map(|message| json!({"id": message["id"], "claim": message["claim"], "delete": true}))
            .collect();
        let settled = worker.expect(
            200,
            "POST",
            "/v1.0/a/q",
            &serde_json::to_vec(&settle).unwrap(),
        );
        let done = |result: &Value| result["status"] == 204;
        assert!(settled.as_array().unwrap().iter().all(done), "{settled}");
    };
    let per_message = rows_per_message(&mut worker, 200, 100, life);
    assert!(per_message < 0.05, "{per_message} rows a message");
}

fn rows_per_message(
    worker: &mut Worker,
    rounds: usize,
    messages: usize,
    mut life: impl FnMut(&mut Worker),
) -> f64 {
    (0..WARM_UP).for_each(|_| life(worker));
    let before = worker.counter("rows");
    (0..rounds).for_each(|_| life(worker));
    let rows = worker.counter("rows") - before;
    let per_message = rows as f64 / (rounds * messages) as f64;
    println!(
        "{rows} rows for {} messages in batches of {messages}: {per_message:.4} a message",
        rounds * messages
    );
    per_message
}
