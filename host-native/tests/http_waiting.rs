//! Requests that wait: what they cost, and what becomes of clients that leave meanwhile.

mod support;

use std::time::{Duration, Instant};

use burrow_tests::process::Server;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::Signal;
use support::{Client, PATIENCE, assert_serves, request, resident_bytes, server};

const POP: &str = "/v1.0/a/q?wait=600&limit=1&detail=body";

/// A server in which one request may wait, so that it can be told from outside whether one does.
fn server_for_one() -> Server {
    server(&["--max-waiters=1"])
}

/// True if no further request may wait. Takes a place for a moment if there is one.
fn is_full(server: &Server) -> bool {
    match Client::connect(server.address())
        .request("GET", "/v1.0/other/queue?wait=0.001", "")
        .status
    {
        429 => true,
        404 => false,
        other => panic!("unexpected answer {other}"),
    }
}

/// A client that waits, with these bytes sent behind its request.
fn waiting_client(server: &Server, behind: &[u8]) -> Client {
    let send = |client: &mut Client| client.send([&request("DELETE", POP, ""), behind].concat());
    let mut clients = [Client::connect(server.address())];
    send(&mut clients[0]);
    await_full(server, &mut clients, |client| {
        *client = Client::connect(server.address());
        send(client);
    });
    let [client] = clients;
    client
}

/// Waits until all places are taken by these clients. A place that a look at the server
/// took away from one of them is asked for again.
fn await_full(server: &Server, clients: &mut [Client], again: impl Fn(&mut Client)) {
    let deadline = Instant::now() + PATIENCE;
    while !is_full(server) {
        assert!(Instant::now() < deadline, "the clients do not get to wait");
        clients
            .iter_mut()
            .filter(|client| client.has_answer())
            .for_each(&again);
    }
}

/// After the waiting client has left, a message must go to the next one that asks.
fn assert_next_gets_it(server: &Server) {
    let deadline = Instant::now() + PATIENCE;
    while is_full(server) {
        assert!(
            Instant::now() < deadline,
            "the server does not see that the client has left"
        );
    }
    let mut client = Client::connect(server.address());
    assert_eq!(
        client
            .request("PUT", "/v1.0/a/q/m", "for the living")
            .status,
        201
    );
    let popped = client.request("DELETE", POP, "");
    assert!(popped.body.contains("for the living"), "{popped:?}");
    assert_serves(server);
}

#[test]
fn a_waiting_client_that_disconnects_claims_nothing() {
    let server = server_for_one();
    drop(waiting_client(&server, b""));
    assert_next_gets_it(&server);
}

#[test]
fn a_waiting_client_that_closes_its_sending_side_counts_as_gone() {
    let server = server_for_one();
    let mut client = waiting_client(&server, b"");
    client.close_sending_side();
    assert_next_gets_it(&server);
    assert_eq!(client.try_answer(), None);
}

#[test]
fn a_waiting_client_that_resets_the_connection_claims_nothing() {
    let server = server_for_one();
    let client = waiting_client(&server, b"");
    socket2::SockRef::from(&client.stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    assert_next_gets_it(&server);
}

#[test]
fn bytes_sent_behind_a_waiting_request_do_not_hide_that_the_client_has_left() {
    for behind in [
        request("GET", "/", ""),
        b"GET / HT".to_vec(),
        vec![b'x'; 10_000],
    ] {
        let server = server_for_one();
        drop(waiting_client(&server, &behind));
        assert_next_gets_it(&server);
        let mut client = waiting_client(&server, b"");
        client.send(&behind);
        drop(client);
        assert_next_gets_it(&server);
    }
}

#[test]
fn a_request_sent_behind_a_waiting_one_is_answered_after_it() {
    let server = server_for_one();
    let mut client = waiting_client(&server, &request("GET", "/", ""));
    let mut other = Client::connect(server.address());
    assert_eq!(other.request("PUT", "/v1.0/a/q/m", "woken").status, 201);
    assert!(client.answer().body.contains("woken"));
    assert_eq!(client.answer().body, r#"["v1.0"]"#);
}

#[test]
fn an_http_2_request_that_is_reset_or_whose_connection_ends_claims_nothing() {
    for close_connection in [false, true] {
        let server = server_for_one();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let wait = || {
            let address = server.address();
            runtime.spawn(async move {
                let stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
                let (mut sender, connection) = handshake.await.unwrap();
                tokio::spawn(connection);
                let request = http::Request::builder()
                    .method("DELETE")
                    .uri(format!("http://burrow{POP}"));
                let answer = sender.send_request(request.body(Full::new(Bytes::new())).unwrap());
                // A second handle keeps the connection open when the request is given up.
                std::mem::forget(sender.clone());
                let _ = answer.await;
            })
        };
        let mut waiting = wait();
        while !is_full(&server) {
            if waiting.is_finished() {
                waiting = wait();
            }
        }
        if close_connection {
            runtime.shutdown_background();
        } else {
            waiting.abort();
        }
        assert_next_gets_it(&server);
    }
}

#[test]
fn ten_thousand_requests_wait_at_little_cost() {
    // Each takes a descriptor here and one in the server, which has a limit of its own.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let count = usize::try_from(files.saturating_sub(500))
        .unwrap()
        .min(10_000);
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
    await_full(&server, &mut waiting, |client| {
        assert_eq!(client.answer().status, 429);
        client.send(request("DELETE", POP, ""));
    });
    let each = (resident_bytes(&server) - before) / count;
    println!("{count} waiting requests, {each} resident bytes each");
    assert!(each < 4 << 10, "{each} bytes for a request that waits");
    let mut putter = Client::connect(server.address());
    assert_eq!(putter.request("PUT", "/v1.0/a/q/m", "for one").status, 201);
    server.signal(Signal::SIGTERM);
    let answers: Vec<_> = waiting.iter_mut().map(Client::answer).collect();
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1,
        "one message, one answer"
    );
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.status, 200 | 503))
    );
    assert_eq!(server.wait().status.code(), Some(0));
}
