//! A module that has trapped begins anew, whatever it was at.

use burrow_tests::crash::http::Request;

use crate::support::{Worker, behind_script, until};

/// A clock that traps once, when it is asked by what a timer calls.
const TRAPPING: &str = r#"
import * as worker from "index.js";
export { default } from "index.js";
export const { Account, Gateway, Queue, Root } = worker;

const { now } = Date;
const { setTimeout } = globalThis;
let timers = 0;
globalThis.setTimeout = (act, after) =>
  setTimeout(() => {
    timers += 1;
    if (timers === 2) {
      Date.now = () => {
        Date.now = now;
        throw new WebAssembly.RuntimeError("a trap");
      };
    }
    act();
  }, after);
"#;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_queue_goes_on_after_a_trap_of_what_a_timer_calls() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start_as(behind_script(folder.path(), TRAPPING), &[]);
    worker.expect(201, "PUT", "/v1.0/a/q/1", b"");
    let mut unlucky = worker.connect();
    unlucky.send(&[Request::new("PUT", "/v1.0/a/q/2")]).unwrap();
    until(&mut worker, |worker| {
        worker.server.logs().contains("Critical error")
    });
    worker.expect(201, "PUT", "/v1.0/a/q/3", b"");
    worker.expect(200, "GET", "/v1.0/a/q/1", b"");
    worker.expect(200, "GET", "/v1.0/a/q/3", b"");
}
