//! Requests that wait: what they cost, and what becomes of clients that leave meanwhile.

mod support;

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use burrow_tests::process::Server;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::Signal;
use support::{Client, assert_serves, request, server};

const POP: &str = "/v1.0/a/q?wait=600&limit=1&detail=body";

/// A server in which one request may wait, so that it can be told from outside whether one does.
fn server_for_one() -> Server {
    server(&["--max-waiters=1"])
}

/// Waits until the only place to wait is taken, or until it is free.
fn await_place(server: &Server, taken: bool) {
    let mut client = Client::connect(server.address());
    loop {
        match client.request("GET", "/v1.0/other/queue?wait=0.001", "").status {
            429 if taken => return,
            404 if !taken => return,
            404 | 429 => {}
            other => panic!("unexpected answer {other}"),
        }
    }
}

/// After the waiting client has left, a message must go to the next one that asks.
fn assert_next_gets_it(server: &Server) {
    await_place(server, false);
    let mut client = Client::connect(server.address());
    assert_eq!(client.request("PUT", "/v1.0/a/q/m", "for the living").status, 201);
    let popped = client.request("DELETE", POP, "");
    assert!(popped.body.contains("for the living"), "{popped:?}");
    assert_serves(server);
}

#[test]
fn a_waiting_client_that_disconnects_claims_nothing() {
    let server = server_for_one();
    let client = {
        let mut client = Client::connect(server.address());
        client.send(request("DELETE", POP, ""));
        await_place(&server, true);
        client
    };
    drop(client);
    assert_next_gets_it(&server);
}

#[test]
fn a_waiting_client_that_closes_its_sending_side_counts_as_gone() {
    let server = server_for_one();
    let mut client = Client::connect(server.address());
    client.send(request("DELETE", POP, ""));
    await_place(&server, true);
    client.close_sending_side();
    assert_next_gets_it(&server);
    assert_eq!(client.try_answer(), None);
}

#[test]
fn a_waiting_client_that_resets_the_connection_claims_nothing() {
    let server = server_for_one();
    let mut client = Client::connect(server.address());
    client.send(request("DELETE", POP, ""));
    await_place(&server, true);
    socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_next_gets_it(&server);
}

#[test]
fn bytes_sent_behind_a_waiting_request_do_not_hide_that_the_client_has_left() {
    for behind in [request("GET", "/", ""), b"GET / HT".to_vec(), vec![b'x'; 10_000]] {
        let server = server_for_one();
        let mut client = Client::connect(server.address());
        client.send(request("DELETE", POP, ""));
        await_place(&server, true);
        client.stream.set_nonblocking(true).unwrap();
        let _ = client.try_send(behind);
        drop(client);
        assert_next_gets_it(&server);
    }
    let server = server_for_one();
    let mut client = Client::connect(server.address());
    client.send([request("DELETE", POP, ""), request("GET", "/", "")].concat());
    await_place(&server, true);
    drop(client);
    assert_next_gets_it(&server);
}

#[test]
fn a_request_sent_behind_a_waiting_one_is_answered_after_it() {
    let server = server_for_one();
    let mut client = Client::connect(server.address());
    client.send([request("DELETE", POP, ""), request("GET", "/", "")].concat());
    await_place(&server, true);
    let mut other = Client::connect(server.address());
    assert_eq!(other.request("PUT", "/v1.0/a/q/m", "woken").status, 201);
    assert!(client.answer().body.contains("woken"));
    assert_eq!(client.answer().body, r#"["v1.0"]"#);
}

#[test]
fn an_http_2_stream_that_is_reset_claims_nothing() {
    for close_connection in [false, true] {
        let server = server_for_one();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let waiting = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
            let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
            let (mut sender, connection) = handshake.await.unwrap();
            let connection = tokio::spawn(connection);
            let request = http::Request::builder().method("DELETE").uri(format!("http://burrow{POP}"));
            let answer = tokio::spawn(sender.send_request(request.body(Full::new(Bytes::new())).unwrap()));
            (sender, connection, answer)
        });
        await_place(&server, true);
        let (sender, connection, answer) = waiting;
        if close_connection { connection.abort() } else { answer.abort() }
        assert_next_gets_it(&server);
        drop(sender);
    }
}

#[test]
fn ten_thousand_requests_wait_at_little_cost() {
    // Each takes a descriptor here and one in the server, which has a limit of its own.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let count = usize::try_from(files.saturating_sub(500)).unwrap().min(10_000);
    let server = server(&[&format!("--max-waiters={count}")]);
    assert_serves(&server);
    let before = resident_bytes(&server);
    let mut waiting: Vec<Client> = (0..count)
        .map(|_| {
            let mut client = Client::connect(server.address());
            client.send(request("DELETE", POP, ""));
            client
        })
        .collect();
    await_place(&server, true);
    let each = (resident_bytes(&server) - before) / count;
    println!("{count} waiting requests, {each} resident bytes each");
    assert!(each < 16 << 10, "{each} bytes for a request that waits");
    let mut putter = Client::connect(server.address());
    assert_eq!(putter.request("PUT", "/v1.0/a/q/m", "for one").status, 201);
    server.signal(Signal::SIGTERM);
    let answers: Vec<_> = waiting.iter_mut().map(Client::answer).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "one message, one answer");
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 404)));
    assert_eq!(server.wait().status.code(), Some(0));
}

fn resident_bytes(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the resident set");
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}
