//! On the way to an object the runtime takes `.` and `..` out of a path, which names something else then.

use serde_json::json;

use crate::support::Worker;

fn assert_nothing_goes_astray(variables: &[(&'static str, &'static str)]) {
    let mut worker = Worker::start(variables);
    let batch = br#"[{"id":"1","body":"one"}]"#;
    for target in [
        "/v1.0/./a/q",
        "/v1.0/a/./q",
        "/v1.0/../v1.0/a/q",
        "/v1.0/a/q/.",
        "/v1.0/a/q/..",
        "/v1.0/a/q/.?ttl=60",
    ] {
        worker.expect(404, "PUT", target, batch);
    }
    worker.expect(404, "GET", "/v1.0", b"");

    // So written they get there, and dots elsewhere do no harm.
    worker.expect(201, "PUT", "/v1.0/a/%2e%2e/%2e", b"");
    worker.expect(201, "PUT", "/v1.0/a/..b/c.?ttl=60&x=/../", b"");
    let queues = worker.expect(200, "GET", "/v1.0/a", b"");
    assert_eq!(queues, json!(["..", "..b"]));
    let ids = worker.expect(200, "GET", "/v1.0/a/%2E%2e?detail=id", b"");
    assert_eq!(ids, json!(["."]));
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn what_is_put_under_a_path_with_dots_goes_nowhere_else() {
    assert_nothing_goes_astray(&[]);
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn nor_does_it_where_the_clock_is_manual() {
    assert_nothing_goes_astray(&[("CLOCK", "manual")]);
}
