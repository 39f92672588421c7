//! The alarm gives back what nobody needs any more. It may be late, come after a crash, and fail.

use std::error::Error;
use std::path::Path;

use serde_json::json;

use crate::support::{Worker, behind_script, column, databases, read, until};

const QUEUES: &str = "burrow-queue";
/// An alarm comes soon, and an idle queue leaves at its second.
const SOON: [(&str, &str); 2] = [("ALARM_SLACK_MS", "1000"), ("MARKER_RETENTION_MS", "1")];

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_queue_that_is_over_leaves_nothing_behind() {
    let mut worker = Worker::start(&SOON);
    worker.expect(201, "PUT", "/v1.0/a/q/1?ttl=0.5", b"");
    worker.expect(201, "PUT", "/v1.0/a/stays/1?ttl=0", b"");
    assert_eq!(in_use(worker.data.path()), 2);
    // The alarm is due while there is nobody whom it could call.
    let mut worker = worker.kill_and_restart();
    until(&mut worker, |worker| in_use(worker.data.path()) == 1);
    let listed = worker.expect(200, "GET", "/v1.0/a", b"");
    assert_eq!(listed, json!(["stays"]));
    assert_eq!(names(worker.data.path()).unwrap(), ["stays"]);
    // It can come again.
    worker.expect(201, "PUT", "/v1.0/a/q/2", b"");
    let listed = worker.expect(200, "GET", "/v1.0/a", b"");
    assert_eq!(listed, json!(["q", "stays"]));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn an_alarm_is_set_only_when_it_is_to_come_earlier() {
    let mut worker = Worker::start(&[("ALARM_SLACK_MS", "1000")]);
    for id in 0..50 {
        worker.expect(201, "PUT", &format!("/v1.0/a/q/{id}?ttl=600"), b"");
    }
    worker.expect(200, "POST", "/v1.0/a/q?limit=5&hide=700&claim=true", b"");
    assert_eq!(worker.counter("alarms"), 1);
    worker.expect(201, "PUT", "/v1.0/a/q/brief?ttl=60", b"");
    worker.expect(201, "PUT", "/v1.0/a/q/long?ttl=60000", b"");
    worker.expect(204, "DELETE", "/v1.0/a/q/brief", b"");
    assert_eq!(worker.counter("alarms"), 2);
}

/// The same Worker, whose queues cannot be read while their blobs have numbers that are not theirs.
fn renumbered(worker: Worker, by: i64) -> Worker {
    worker.restart_with(QUEUES, |database| {
        let change = "UPDATE journal SET sequence = sequence + ?";
        database.execute(change, [by]).unwrap();
    })
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn an_alarm_that_fails_comes_again() {
    let mut worker = Worker::start(&SOON);
    worker.expect(201, "PUT", "/v1.0/a/q/1?ttl=0.5", b"");
    let mut worker = renumbered(worker, 1000);
    // More often than the runtime tries by itself in that time.
    until(&mut worker, |worker| {
        let logs = worker.server.logs();
        logs.matches("an alarm is repeated after").count() >= 3
    });
    worker.expect(503, "GET", "/v1.0/a/q", b"");
    let mut worker = renumbered(worker, -1000);
    until(&mut worker, |worker| in_use(worker.data.path()) == 0);
    until(&mut worker, |worker| no_names(worker.data.path()));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_queue_that_was_interrupted_while_it_left_is_listed_again_or_leaves() {
    let mut worker = left_halfway(Worker::start(&[]), &[]);
    // Its account may have forgotten it.
    worker.expect(201, "PUT", "/v1.0/a/q/2?ttl=0", b"");
    let listed = worker.expect(200, "GET", "/v1.0/a", b"");
    assert_eq!(listed, json!(["q"]));
    worker.expect(204, "DELETE", "/v1.0/a/q", b"");
    // Or not.
    let mut worker = left_halfway(worker, &SOON);
    worker.expect(404, "GET", "/v1.0/a/q", b"");
    until(&mut worker, |worker| in_use(worker.data.path()) == 0);
    until(&mut worker, |worker| no_names(worker.data.path()));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn an_alarm_that_cannot_be_set_is_set_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start_as(behind_script(folder.path(), WITHOUT_ALARMS), &SOON);
    worker.expect(201, "PUT", "/v1.0/a/q/1?ttl=0.5", b"");
    until(&mut worker, |worker| in_use(worker.data.path()) == 0);
    until(&mut worker, |worker| no_names(worker.data.path()));
    let logs = worker.server.logs();
    let refusals = logs.matches("no alarm is set: Error: there is no alarm");
    assert_eq!(refusals.count(), 2, "{logs}");
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn an_alarm_that_fails_and_cannot_be_set_again_comes_again_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start(&SOON);
    worker.expect(201, "PUT", "/v1.0/a/q/1?ttl=0.5", b"");
    worker.config = behind_script(folder.path(), WITHOUT_ALARMS);
    let mut worker = renumbered(worker, 1000);
    // The runtime repeats what was thrown, and in the end an alarm can be set.
    until(&mut worker, |worker| {
        let logs = worker.server.logs();
        logs.matches("an alarm is repeated after").count() >= 3
    });
    let mut worker = renumbered(worker, -1000);
    until(&mut worker, |worker| in_use(worker.data.path()) == 0);
}

/// A storage between the Worker and that of the runtime, which sets no alarm at first: it throws at once, then
/// it rejects. All else is as it is.
const WITHOUT_ALARMS: &str = r#"
import * as worker from "index.js";
export { default } from "index.js";
export const { Account, Gateway, Root } = worker;

let refusals = 0;
export class Queue extends worker.Queue {
  constructor(ctx, env) {
    const { storage } = ctx;
    const setAlarm = storage.setAlarm.bind(storage);
    storage.setAlarm = (...told) => {
      refusals += 1;
      if (refusals === 1) throw new Error("there is no alarm");
      if (refusals === 2) return Promise.reject(new Error("there is no alarm"));
      return setAlarm(...told);
    };
    super(ctx, env);
  }
}
"#;

/// Restarts it, with other variables, with a queue that has written down that it leaves. Until then it has time.
fn left_halfway(mut worker: Worker, variables: &[(&'static str, &'static str)]) -> Worker {
    worker.expect(201, "PUT", "/v1.0/a/q/1", b"");
    worker.expect(204, "DELETE", "/v1.0/a/q/1", b"");
    worker.vary(variables);
    worker.restart_with(QUEUES, |database| {
        let leave = "UPDATE queue SET idle_at = -1";
        database.execute(leave, []).unwrap();
    })
}

/// How many queues have anything stored. The runtime takes away the file of an object that deletes all, and makes it
/// anew: what cannot be read at this moment counts, so that whoever waits for its end looks again.
fn in_use(data: &Path) -> usize {
    let paths = databases(data, QUEUES);
    let tables = paths.iter().map(|path| tables(path));
    tables.filter(|tables| !matches!(tables, Ok(0))).count()
}

/// How many tables of ours a database has.
fn tables(path: &Path) -> Result<u32, Box<dyn Error>> {
    let count = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";
    read(path, |database| {
        database.query_row(count, [], |row| row.get(0))
    })
}

fn no_names(data: &Path) -> bool {
    names(data).is_ok_and(|names| names.is_empty())
}

/// The names that the accounts know.
fn names(data: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let paths = databases(data, "burrow-account");
    let names = paths
        .iter()
        .map(|path| column(path, "SELECT name FROM names"));
    names
        .collect::<Result<Vec<_>, _>>()
        .map(|names| names.concat())
}
