//! Many at once: what an isolate has for all of them is 128 MB.

use burrow_tests::crash::http::{Connection, Request};

use crate::support::{Worker, batch};

const ISOLATE_BYTES: u64 = 128_000_000;
const MEGABYTE: usize = 1_000_000;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn large_requests_that_come_together_find_room_or_are_refused() {
    let mut worker = Worker::start(&[]);
    let body = batch(8, &"x".repeat(MEGABYTE));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let clients = (0..16).map(|number| {
            let (mut connection, body) = (worker.connect(), &body);
            scope.spawn(move || {
                let target = format!("/v1.0/a/q{number}");
                let request = Request::new("PUT", target).with_body(body.clone());
                connection.call(&request).unwrap().status
            })
        });
        let clients: Vec<_> = clients.collect();
        let statuses = clients.into_iter().map(|client| client.join().unwrap());
        statuses.collect()
    });
    let count = |status| statuses.iter().filter(|own| **own == status).count();
    assert_eq!(count(201) + count(429), 16, "{statuses:?}");
    assert!(count(201) > 0, "{statuses:?}");
    let bytes = worker.counter("most_bytes");
    println!("{} stored, {bytes} bytes at most", count(201));
    assert!(bytes < ISOLATE_BYTES, "{bytes} bytes");
    for (number, status) in statuses.iter().enumerate() {
        let wanted = if *status == 201 { 200 } else { 404 };
        worker.expect(wanted, "GET", &format!("/v1.0/a/q{number}?detail=id"), b"");
    }
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn large_answers_that_nobody_reads_are_bounded() {
    let mut worker = Worker::start(&[]);
    let bodies = batch(5, &"x".repeat(MEGABYTE));
    (0..3).for_each(|_| drop(worker.expect(201, "PUT", "/v1.0/a/q", &bodies)));
    let list = Request::new("GET", "/v1.0/a/q");
    let mut readers: Vec<Connection> = (0..16).map(|_| worker.connect()).collect();
    for reader in &mut readers {
        reader.send(std::slice::from_ref(&list)).unwrap();
    }
    // Whoever asks for no bodies is answered meanwhile.
    worker.expect(200, "GET", "/v1.0/a/q?detail=id", b"");
    let statuses: Vec<u16> = readers
        .iter_mut()
        .map(|reader| reader.receive().unwrap().status)
        .collect();
    assert!(
        statuses.iter().all(|status| [200, 429].contains(status)),
        "{statuses:?}"
    );
    assert_eq!(statuses[0], 200);
    let bytes = worker.counter("most_bytes");
    println!("{statuses:?}, {bytes} bytes at most");
    assert!(bytes < ISOLATE_BYTES, "{bytes} bytes");
    // Once they are read there is room again.
    let all = worker.expect(200, "GET", "/v1.0/a/q", b"");
    assert_eq!(all.as_array().unwrap().len(), 5, "4 MiB end with the fifth");
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn more_large_queues_than_memory_holds_take_turns() {
    let mut worker = Worker::start(&[]);
    let bodies = batch(5, &"x".repeat(MEGABYTE));
    for queue in 0..10 {
        for _ in 0..3 {
            worker.expect(201, "PUT", &format!("/v1.0/a/q{queue}?ttl=0"), &bodies);
        }
    }
    for queue in 0..10 {
        let target = format!("/v1.0/a/q{queue}?limit=1&detail=body");
        let first = worker.expect(200, "GET", &target, b"");
        assert_eq!(first[0].as_str().unwrap().len(), MEGABYTE);
    }
    let bytes = worker.counter("most_bytes");
    println!("{bytes} bytes at most");
    assert!(bytes < ISOLATE_BYTES, "{bytes} bytes");
}

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn messages_are_refused_while_memory_is_used_up() {
    // Waiting requests keep their nodes in memory.
    let mut worker = Worker::start(&[]);
    let bodies = batch(5, &"x".repeat(MEGABYTE));
    let mut waiting = Vec::new();
    let refused = (0..30).find_map(|number| {
        let queue = format!("/v1.0/a/q{}", number / 3);
        let answer = worker.call("PUT", &queue, &bodies);
        if answer.status == 201 {
            let mut waits = worker.connect();
            let ids = answer.json();
            let last = ids[4].as_str().unwrap();
            let wait = format!("{queue}?marker={last}&wait=3600");
            waits.send(&[Request::new("GET", wait)]).unwrap();
            waiting.push(waits);
        }
        (answer.status != 201).then_some((number, answer))
    });
    let (number, answer) = refused.expect("it takes everything");
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(number >= 6, "refused at {number}");
    // What makes room is done.
    worker.expect(204, "DELETE", "/v1.0/a/q0", b"");
    let bytes = worker.counter("most_bytes");
    assert!(bytes < ISOLATE_BYTES, "{bytes} bytes");
}
