//! A server that is killed under load, and one that hangs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use burrow_tests::conformance::{Host as _, Request};

use super::support::{Client, Cluster, header};

const QUEUES: usize = 12;
/// Long enough for anything; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened to one queue.
#[derive(Default)]
struct Tally {
    put: AtomicUsize,
    refused: AtomicUsize,
    acknowledged: Mutex<BTreeSet<String>>,
}

#[test]
fn a_killed_server_loses_nothing_and_disturbs_nobody_else() {
    let mut cluster = Cluster::start(3, &[]);
    let tallies: Vec<Arc<Tally>> = (0..QUEUES).map(|_| Arc::default()).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = tallies
        .iter()
        .enumerate()
        .map(|(number, tally)| {
            let (tally, is_over) = (Arc::clone(tally), Arc::clone(&is_over));
            let mut client = cluster.client();
            thread::spawn(move || write(&mut client, number, &tally, &is_over))
        })
        .collect();
    let all: Vec<usize> = (0..QUEUES).collect();
    wait_for(&tallies, &all, "the first puts", |tally| &tally.put, 20);
    let own = cluster.client_of(1).ids("/v1.0/load");
    let (hit, spared): (Vec<usize>, Vec<usize>) = all
        .iter()
        .partition(|number| own.contains(&format!("q{number}")));
    assert!(!hit.is_empty() && !spared.is_empty(), "{own:?}");

    cluster.kill(1);
    wait_for(&tallies, &hit, "refusals", |tally| &tally.refused, 3);
    wait_for(&tallies, &spared, "puts meanwhile", |tally| &tally.put, 50);
    let mut client = cluster.client();
    assert_eq!(client.get("/healthz").status, 200);
    assert_eq!(client.get("/v1.0/load").status, 503, "a part is not all");
    cluster.restart(1);
    wait_for(&tallies, &hit, "puts afterwards", |tally| &tally.put, 20);

    is_over.store(true, SeqCst);
    for writer in writers {
        writer.join().expect("every answer was right");
    }
    for number in spared {
        assert_eq!(tallies[number].refused.load(SeqCst), 0, "q{number}");
    }
    for (number, tally) in tallies.iter().enumerate() {
        let stored = client.ids(&format!("/v1.0/load/q{number}?detail=id"));
        let stored: BTreeSet<String> = stored.into_iter().collect();
        let acknowledged = tally.acknowledged.lock().unwrap();
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "q{number}: {lost:?}");
    }
}

/// Puts one message after another until it is over.
fn write(client: &mut Client, queue: usize, tally: &Tally, is_over: &AtomicBool) {
    for number in 0.. {
        if is_over.load(SeqCst) {
            return;
        }
        let id = format!("{number:08}");
        let put = client.ask("PUT", &format!("/v1.0/load/q{queue}/{id}"), "x");
        match put.status {
            201 => {
                tally.acknowledged.lock().unwrap().insert(id);
                tally.put.fetch_add(1, SeqCst);
            }
            503 => {
                assert_eq!(header(&put, "Retry-After"), Some("1"));
                tally.refused.fetch_add(1, SeqCst);
                thread::sleep(Duration::from_millis(5));
            }
            status => panic!("q{queue}: status {status}"),
        }
    }
}

/// Waits until so many more have happened to each of these queues.
fn wait_for(
    tallies: &[Arc<Tally>],
    queues: &[usize],
    what: &str,
    count: impl Fn(&Tally) -> &AtomicUsize,
    more: usize,
) {
    let before: BTreeMap<usize, usize> = queues
        .iter()
        .map(|queue| (*queue, count(&tallies[*queue]).load(SeqCst)))
        .collect();
    let started = Instant::now();
    while before
        .iter()
        .any(|(queue, before)| count(&tallies[*queue]).load(SeqCst) < before + more)
    {
        assert!(started.elapsed() < PATIENCE, "no {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A change that was on its way may have been made; nothing is sent twice.
#[test]
fn a_hanging_server_is_given_up_and_taken_back() {
    let cluster = Cluster::start(1, &["--check-interval=0.1", "--check-timeout=3"]);
    let mut client = cluster.client();
    assert_eq!(client.ask("PUT", "/v1.0/a/q/1", "x").status, 201);
    cluster.servers[0].pause();
    let mut other = cluster.client();
    let hanging = thread::spawn(move || other.ask("DELETE", "/v1.0/a/q?limit=1", ""));
    let answer = hanging.join().expect("it is answered");
    assert_eq!(answer.status, 503);
    let told = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(told.starts_with("Outcome unknown"), "{told}");
    let refused = client.ask("PUT", "/v1.0/a/q/2", "x");
    assert_eq!(refused.status, 503);
    assert!(refused.body.ends_with(b"nothing was done"), "{refused:?}");
    cluster.servers[0].resume();
    while client.get("/healthz").status != 200 {}
    // Taken by the pop that nobody was answered, or still there; certainly not put.
    assert_eq!(client.get("/v1.0/a/q/2").status, 404);
}

/// A client that asks for much and takes nothing has what it asked for left out.
#[test]
fn answers_that_nobody_takes_do_not_fill_the_memory() {
    const LISTS: usize = 200;
    const ANSWER: usize = 4 << 20;
    let cluster = Cluster::start(1, &[]);
    let mut client = cluster.client();
    for id in 0..4 {
        let put = client.ask("PUT", &format!("/v1.0/a/q/{id}"), &"x".repeat(ANSWER / 4));
        assert_eq!(put.status, 201);
    }
    let mut wire = cluster.wire();
    let list = Request {
        method: "GET".into(),
        target: "/v1.0/a/q?detail=all".into(),
        ..Request::default()
    };
    let calls: Vec<_> = (0..LISTS)
        .map(|_| wire.send(&list).expect("it is taken"))
        .collect();
    let shown = calls
        .into_iter()
        .filter_map(|call| wire.finish(call).ok())
        .count();
    assert!(shown > 10, "{shown}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", cluster.proxy.id()));
    let status = status.expect("the proxy runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
    let kilobytes: usize = kilobytes.expect("a number");
    assert!(kilobytes < (LISTS * ANSWER / 2) >> 10, "{kilobytes} KiB");
}
