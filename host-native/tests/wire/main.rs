//! The wire protocol as nobody should use it, over both kinds of sockets, and at the end of
//! a server.

#[path = "../support/mod.rs"]
mod support;
mod together;
mod web_socket;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use burrow_core::wire::{self, Answer, Failure};
use burrow_core::{Command, Detail, Reply, Selection};
use burrow_tests::process::Server;
use burrow_tests::wire_client as client;
use client::{Wire, claim, list, matched, put, queue};
use support::{PATIENCE, assert_serves, launch, server};

const WIRE: &str = "--listen-wire=127.0.0.1:0";

#[test]
fn a_unix_socket_serves_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("burrow.sock");
    // An earlier server was killed: its file is in the way of nobody.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = format!("--listen-wire=127.0.0.1:0,unix:{}", path.display());
    let server = server(&[&address]);
    assert!(server.first_line().contains(", wire on unix:"));
    let mut local = Wire::on(UnixStream::connect(&path).unwrap());
    local.greet();
    assert_eq!(
        local.call(&put("1", b"hello")),
        Ok(Reply::Put { created: true })
    );
    assert_eq!(matched(&Wire::connect(&server).call(&list(0))), 1);

    let second = launch().memory().argument(&address).start().unwrap_err();
    assert!(
        second.logs.contains("cannot listen on unix:"),
        "{}",
        second.logs
    );
    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    assert!(!path.exists());
}

#[test]
fn a_body_of_the_largest_size_and_one_larger() {
    let server = server(&[WIRE]);
    let mut client = Wire::connect(&server);
    let body = vec![b'x'; 1 << 20];
    assert_eq!(
        client.call(&put("1", &body)),
        Ok(Reply::Put { created: true })
    );
    let Ok(Reply::Messages(messages)) = client.call(&list(0)) else {
        panic!()
    };
    assert!(messages.iter().next().unwrap().body == body);
    let too_large = client.call(&put("2", &[b'x'; (1 << 20) + 1]));
    assert!(
        matches!(too_large, Err(Failure::Refused(_))),
        "{too_large:?}"
    );
    assert_serves(&server);
}

#[test]
fn more_in_flight_than_offered_fails_and_nothing_else_does() {
    let server = server(&[WIRE, "--max-in-flight=20"]);
    let mut client = Wire::silent(&server);
    assert_eq!(client.greet().max_in_flight, 20);
    for _ in 0..25 {
        client.submit(&list(60_000));
    }
    for id in 21..=25 {
        let outcome = Err(Failure::TooManyInFlight { maximum: 20 });
        assert_eq!(client.next(), Some(Answer::Outcome { id, outcome }));
    }
    client.cancel(7);
    client.cancel(7);
    let outcome = Err(Failure::Cancelled);
    assert_eq!(client.next(), Some(Answer::Outcome { id: 7, outcome }));
    client.submit(&put("1", b"open"));
    let mut answered: Vec<u64> = (0..20)
        .map(|_| match client.next() {
            Some(Answer::Outcome { id, outcome: Ok(_) }) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    answered.sort_unstable();
    let expected: Vec<u64> = (1..=20).filter(|id| *id != 7).chain([26]).collect();
    assert_eq!(answered, expected);
}

#[test]
fn whoever_leaves_gets_nothing_that_others_wait_for() {
    let server = server(&[WIRE]);
    let mut leaver = Wire::connect(&server);
    leaver.submit(&claim(60_000));
    let mut pong = Vec::new();
    wire::encode_ping(&mut pong, 1);
    leaver.stream.write_all(&pong).unwrap();
    assert_eq!(leaver.next(), Some(Answer::Pong { id: 1 }));
    let mut stayer = Wire::connect(&server);
    leaver.stream.shutdown(Shutdown::Write).unwrap();
    // The server hangs up when it has seen that.
    assert_eq!(leaver.next(), None);
    assert_eq!(
        stayer.call(&put("1", b"job")),
        Ok(Reply::Put { created: true })
    );
    assert_eq!(matched(&stayer.call(&claim(0))), 1);
}

#[test]
fn the_slow_and_the_silent_are_cut_off() {
    let server = server(&[WIRE, "--header-timeout=0.3", "--idle-timeout=0.5"]);
    // Says nothing; says half a hello; sends half a frame, drop by drop.
    let mut silent = Wire::silent(&server);
    assert_eq!(silent.stream.read(&mut [0]).unwrap(), 0);
    let mut half = Wire::silent(&server);
    half.stream.write_all(b"BURR").unwrap();
    assert_eq!(half.stream.read(&mut [0]).unwrap(), 0);
    let mut dripping = Wire::connect(&server);
    dripping.stream.write_all(&[100, 0, 0, 0]).unwrap();
    while dripping.stream.write_all(&[1]).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Wire::connect(&server).assert_goodbye(Failure::TooSlow);
    // A wait is no silence.
    let mut waiting = Wire::connect(&server);
    assert!(waiting.call(&list(1_500)).is_err());
    assert_serves(&server);
}

#[test]
fn a_client_that_takes_no_answers_is_not_read_and_then_cut_off() {
    let server = server(&[WIRE, "--write-timeout=0.5"]);
    let mut client = Wire::connect(&server);
    client.call(&put("1", &[b'x'; 1 << 20])).unwrap();
    let started = std::time::Instant::now();
    let mut frame = Vec::new();
    loop {
        client.last_id += 1;
        frame.clear();
        wire::encode_request(&mut frame, client.last_id, &list(0), u32::MAX).unwrap();
        if client.stream.write_all(&frame).is_err() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "the server goes on to listen");
    }
    assert_serves(&server);
}

/// A few bytes ask for much: what is not taken is not made.
#[test]
fn many_large_answers_are_made_one_after_the_other() {
    const LISTS: u64 = 100;
    const ANSWER: usize = 4 << 20;
    let server = server(&[WIRE]);
    let mut client = Wire::connect(&server);
    for id in ["1", "2", "3", "4"] {
        client.call(&put(id, &[b'x'; ANSWER / 4])).unwrap();
    }
    let mut frames = Vec::new();
    for _ in 0..LISTS {
        client.last_id += 1;
        wire::encode_request(&mut frames, client.last_id, &list(0), u32::MAX).unwrap();
    }
    client.stream.write_all(&frames).unwrap();
    for _ in 0..LISTS {
        match client.next() {
            Some(Answer::Outcome { outcome, .. }) => assert_eq!(matched(&outcome), 4),
            other => panic!("{other:?}"),
        }
    }
    let peak = peak_bytes(&server);
    assert!(peak < 25 * ANSWER, "{} MiB", peak >> 20);
}

/// The most memory that the server ever had.
fn peak_bytes(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() << 10
}

#[test]
fn one_connection_too_many_is_told() {
    let server = server(&[WIRE, "--max-connections=1"]);
    let mut first = Wire::connect(&server);
    let mut second = Wire::silent(&server);
    second.greet();
    second.assert_goodbye(Failure::Busy);
    assert_eq!(first.call(&put("1", b"")), Ok(Reply::Put { created: true }));
}

#[test]
fn a_server_that_stops_answers_what_waits_and_says_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch()
        .data(folder.path())
        .argument(WIRE)
        .start()
        .expect("the server starts");
    let mut client = Wire::connect(&server);
    let stored = client.call(&put("1", b"kept"));
    assert_eq!(stored, Ok(Reply::Put { created: true }));
    let mut other = queue();
    other.queue = "empty".into();
    let wait = client.submit(&Command::ListMessages {
        queue: other,
        selection: Selection::default(),
        wait_ms: 60_000,
        detail: Detail::Id,
    });
    // Commands are taken in order: now that this one is answered, that one waits.
    assert_eq!(
        client.call(&put("2", b"")),
        Ok(Reply::Put { created: true })
    );
    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    match client.next() {
        Some(Answer::Outcome {
            id,
            outcome: Err(Failure::Stopping),
        }) => assert_eq!(id, wait),
        other => panic!("{other:?}"),
    }
    client.assert_goodbye(Failure::Stopping);
}
