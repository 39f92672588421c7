//! Every example runs, and prints what it should.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use burrow_tests::process::{Launch, program};

#[test]
fn in_process() {
    let output = Command::new(env!("CARGO_BIN_EXE_in_process"))
        .output()
        .expect("the example starts");
    assert_eq!(
        lines(&output),
        [
            "put 1: Ok(Put { created: true })",
            "put 2: Ok(Put { created: true })",
            "claimed 1 (attempt 1): send the invoice",
            "claimed 2 (attempt 1): send the reminder",
            "nothing to claim",
            "claimed 1 (attempt 2): send the invoice",
            "not acknowledged: Claim is not current",
            "acknowledged",
            "claimed 2 (attempt 2): send the reminder",
            "after 30000 ms: 2 (attempt 2): send the reminder",
        ]
    );
    assert!(output.status.success());
}

#[test]
fn durable() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_durable"))
            .arg(folder.path())
            .output()
            .expect("the example starts")
    };
    let put = |id| format!("put {id}: Ok(Put {{ created: true }})");

    let first = run();
    assert_eq!(
        lines(&first),
        [
            "restored 0 messages from 0 blobs".into(),
            put(1),
            put(2),
            put(3)
        ]
    );
    assert_eq!(first.status.code(), None, "it dies of a signal");

    let second = run();
    assert_eq!(
        lines(&second),
        [
            "restored 3 messages from 3 blobs",
            "took 1: work",
            "took 2: work",
            "took 3: work"
        ]
    );
    assert!(second.status.success());

    assert_eq!(lines(&run())[0], "restored 0 messages from 4 blobs");
}

#[test]
fn worker() {
    let server = Launch::new(program())
        .memory()
        .start()
        .expect("the server starts");
    let queue = format!("http://{}/v1.0/shop/jobs", server.address());
    for (id, body) in [("1", "print pack"), ("2", "ship")] {
        ureq::put(format!("{queue}/{id}"))
            .send(body)
            .expect("the message is put");
    }

    let worker = Command::new(env!("CARGO_BIN_EXE_worker"))
        .arg(&queue)
        .stdout(Stdio::piped())
        .spawn();
    let mut worker = worker.expect("the example starts");
    let printed = BufReader::new(worker.stdout.take().expect("standard output is piped")).lines();
    let printed: Vec<_> = printed
        .take(7)
        .map(|line| line.expect("it prints text"))
        .collect();
    worker
        .kill()
        .and_then(|()| worker.wait())
        .expect("it can be ended");
    assert_eq!(
        printed,
        [
            "1 (attempt 1): print pack",
            "  did print",
            "  did pack",
            "  done",
            "2 (attempt 1): ship",
            "  did ship",
            "  done"
        ]
    );

    let left = ureq::get(&queue).call();
    assert!(
        matches!(left, Err(ureq::Error::StatusCode(404))),
        "{left:?}"
    );
}

#[test]
fn client() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Launch::new(program())
        .memory()
        .argument("--listen-wire=127.0.0.1:0")
        .start()
        .expect("the server starts");
    let wire = server.wire_address().expect("it speaks the wire protocol");
    for place in [
        format!("http://{}", server.address()),
        format!("burrow://{wire}"),
        folder.path().join("data").display().to_string(),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_client"))
            .arg(&place)
            .output()
            .expect("the example starts");
        assert_eq!(
            lines(&output),
            [
                "3 to do",
                "did print the label",
                "did pack the parcel",
                "did call the courier"
            ],
            "{place}: {output:?}"
        );
        assert!(output.status.success());
    }
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}
