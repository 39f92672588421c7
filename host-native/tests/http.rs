//! HTTP as well-behaved clients use it.

mod support;

use std::io::Write;
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use nix::sys::signal::Signal;
use support::{Client, PATIENCE, assert_serves, launch, request, resident_bytes, server};

#[test]
fn one_connection_serves_many_requests() {
    let server = server(&[]);
    let mut client = Client::connect(server.address());
    assert_eq!(client.request("PUT", "/v1.0/a/q/m", "body").status, 201);
    let list = client.request("GET", "/v1.0/a/q", "");
    assert_eq!(
        list.header("content-type"),
        Some("application/json; charset=UTF-8")
    );
    assert!(list.body.contains(r#""body":"body""#), "{list:?}");
    let deleted = client.request("DELETE", "/v1.0/a/q/m", "");
    assert_eq!(
        (deleted.status, deleted.header("content-length")),
        (204, None)
    );
    assert_eq!(
        client.request("GET", "/v1.0/a/q", "").body,
        "Account not found"
    );
}

#[test]
fn a_body_may_come_in_chunks_of_any_size_and_is_kept_to_the_byte() {
    let server = server(&[]);
    let mut client = Client::connect(server.address());
    let body: String = (0..200_000)
        .map(|n| char::from(b'a' + (n % 26) as u8))
        .collect();
    client.send("PUT /v1.0/a/q/m HTTP/1.1\r\nhost: burrow\r\ntransfer-encoding: chunked\r\n\r\n");
    for (number, chunk) in body.as_bytes().chunks(7_919).enumerate() {
        let extension = if number == 1 { ";name=value" } else { "" };
        client.send(format!("{:x}{extension}\r\n", chunk.len()));
        client.send(chunk);
        client.send("\r\n");
    }
    client.send("0\r\ntrailer: ignored\r\n\r\n");
    assert_eq!(client.answer().status, 201);
    assert!(client.request("GET", "/v1.0/a/q/m?detail=body", "").body == body);
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_order() {
    for arguments in [["--threads=1"].as_slice(), &["--threads=2"]] {
        let server = server(arguments);
        let mut client = Client::connect(server.address());
        let put = |n: u32| request("PUT", &format!("/v1.0/a/q/{n}"), n.to_string());
        let get = |n: u32| request("GET", &format!("/v1.0/a/q/{n}?detail=body"), "");
        let all: Vec<u8> = (0..1000).flat_map(|n| [put(n), get(n)].concat()).collect();
        let mut sender = client.stream.try_clone().unwrap();
        let sending = thread::spawn(move || sender.write_all(&all).unwrap());
        for n in 0..1000 {
            assert_eq!(client.answer().status, 201, "{n}");
            assert_eq!(client.answer().body, n.to_string());
        }
        sending.join().unwrap();
    }
}

/// Whoever serves them: what is plain is answered by another part of the server than the rest.
#[test]
fn requests_of_every_kind_are_answered_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch().data(folder.path()).start().unwrap();
    let chunked = "PUT /v1.0/a/q/second HTTP/1.1\r\nhost: burrow\r\n\
        transfer-encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n";
    let body = |id: &str| request("GET", &format!("/v1.0/a/q/{id}?detail=body"), "");
    let behind = [
        request("PUT", "/v1.0/a/q/third", "third"),
        b"HEAD /v1.0/a/q/third?detail=body HTTP/1.1\r\nhost: burrow\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: burrow\r\nconnection: close\r\n\r\n".to_vec(),
    ];
    let all = [
        request("PUT", "/v1.0/a/q/first", "first"),
        body("first"),
        request("GET", "/nowhere", ""),
        body("second"),
        chunked.into(),
        body("second"),
        behind.concat(),
    ]
    .concat();
    for cut in [all.len(), all.len() / 2, 3] {
        let mut client = Client::connect(server.address());
        client.request("DELETE", "/v1.0/a", "");
        client.send(&all[..cut]);
        client.send(&all[cut..]);
        let answers: Vec<_> = (0..7).map(|_| client.answer()).collect();
        let told: Vec<_> = answers
            .iter()
            .map(|answer| (answer.status, answer.body.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (201, ""),
                (200, "first"),
                (404, "Not found"),
                (404, "Message not found"),
                (201, ""),
                (200, "second"),
                (201, "")
            ]
        );
        let rest = client.rest();
        assert!(rest.contains("content-length: 5\r\n"), "{rest}");
        assert!(rest.ends_with(r#"["v1.0"]"#), "{rest}");
    }
}

#[test]
fn an_answer_is_not_kept_back_by_what_was_sent_behind_its_request() {
    let server = server(&[]);
    let put = request("PUT", "/v1.0/a/q/m", "x");
    let wait = request("GET", "/v1.0/a/other?wait=600", "");
    for behind in [
        b"GET / HT".to_vec(),
        b"\0\0\r\n\r\n".to_vec(),
        [wait, put.clone()].concat(),
    ] {
        let mut client = Client::connect(server.address());
        client.send([put.clone(), behind].concat());
        assert!(matches!(client.answer().status, 201 | 204));
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = server(&[]);
    let mut client = Client::connect(server.address());
    client.request("PUT", "/v1.0/a/q/m", "12345");
    client.send("HEAD /v1.0/a/q/m?detail=body HTTP/1.1\r\nhost: burrow\r\n\r\nGET / HTTP/1.1\r\nhost: burrow\r\nconnection: close\r\n\r\n");
    let answers = client.rest();
    let (head, get) = answers.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("content-length: 5"),
        "{head}"
    );
    assert!(
        get.starts_with("HTTP/1.1 200") && get.ends_with(r#"["v1.0"]"#),
        "{get}"
    );
}

#[test]
fn a_client_that_expects_100_continue_gets_it_before_it_sends() {
    let server = server(&[]);
    let mut client = Client::connect(server.address());
    client.send("PUT /v1.0/a/q/m HTTP/1.1\r\nhost: burrow\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    client.send("hello");
    assert_eq!(client.answer().status, 201);
}

#[test]
fn a_client_that_expects_100_continue_is_not_asked_for_what_is_too_large() {
    let server = server(&["--max-request-bytes=1KiB", "--max-body-bytes=1KiB"]);
    let mut client = Client::connect(server.address());
    client.send("PUT /v1.0/a/q/m HTTP/1.1\r\nhost: burrow\r\ncontent-length: 1025\r\nexpect: 100-continue\r\n\r\n");
    let answer = client.answer();
    assert_eq!(answer.status, 413, "and no 100 before it: {answer:?}");
    assert!(answer.body.contains("1024"), "{answer:?}");
    assert_serves(&server);
}

#[test]
fn http_1_0_and_connection_close_end_the_connection_after_the_answer() {
    let server = server(&[]);
    for head in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: burrow\r\nconnection: close\r\n\r\n",
    ] {
        let mut client = Client::connect(server.address());
        client.send(head);
        assert_eq!(client.answer().body, r#"["v1.0"]"#);
        assert_eq!(client.try_answer(), None);
    }
}

#[test]
fn a_client_that_closes_its_sending_side_still_gets_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch().data(folder.path()).start().unwrap();
    for round in 0..20 {
        let mut client = Client::connect(server.address());
        client.send(request("PUT", &format!("/v1.0/a/q/{round}"), "durable"));
        client.close_sending_side();
        assert_eq!(client.answer().status, 201);
        assert_eq!(client.try_answer(), None);
    }
}

#[test]
fn what_stands_behind_large_answers_is_not_forgotten() {
    let server = server(&[]);
    let mut client = Client::connect(server.address());
    let large = "x".repeat(900_000);
    for (id, body) in [("large", &*large), ("small", "s")] {
        let target = format!("/v1.0/a/q/{id}");
        assert_eq!(client.request("PUT", &target, body).status, 201);
    }
    // A connection that has not sent anything large.
    let mut client = Client::connect(server.address());
    let get = |id: &str| request("GET", &format!("/v1.0/a/q/{id}?detail=body"), "");
    let order = ["large", "small", "small", "large", "small"];
    let requests = order.map(get).concat();
    for is_closing in [false, true] {
        client.send(&requests);
        if is_closing {
            client.close_sending_side();
        }
        for id in order {
            let length = if id == "large" { large.len() } else { 1 };
            assert_eq!(client.answer().body.len(), length);
        }
    }
    assert_eq!(client.try_answer(), None);
}

#[test]
fn many_large_answers_are_made_as_they_are_taken() {
    const ANSWERS: usize = 250;
    let server = server(&[]);
    let mut client = Client::connect(server.address());
    let body = "x".repeat(1_000_000);
    assert_eq!(client.request("PUT", "/v1.0/a/q/m", &body).status, 201);
    let before = resident_bytes(&server);
    // A connection that has not sent anything large.
    let mut client = Client::connect(server.address());
    // The first is small, so that there is something to send while the others are made.
    let first = request("GET", "/v1.0/a/q/m?detail=id", "");
    let others = request("GET", "/v1.0/a/q/m?detail=body", "").repeat(ANSWERS);
    client.send([first, others].concat());
    // It has answered as far as it goes once an answer is read.
    client.answer();
    let grown = resident_bytes(&server).saturating_sub(before);
    assert!(
        grown < 64 << 20,
        "{grown} bytes for answers that nobody takes"
    );
    for _ in 0..ANSWERS {
        assert_eq!(client.answer().body.len(), body.len());
    }
}

#[test]
fn who_leaves_a_wait_still_gets_the_answers_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch().data(folder.path()).start().unwrap();
    for round in 0..20 {
        let mut client = Client::connect(server.address());
        let put = request("PUT", &format!("/v1.0/a/other/{round}"), "durable");
        let wait = request("POST", "/v1.0/a/q?limit=1&hide=60&wait=30", "");
        client.send([put, wait].concat());
        client.close_sending_side();
        assert_eq!(client.answer().status, 201);
        assert_eq!(client.try_answer(), None, "the wait has nobody left");
    }
}

#[test]
fn health_is_ok_and_knows_its_methods() {
    let server = server(&[]);
    let mut client = Client::connect(server.address());
    let answer = client.request("GET", "/healthz", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    assert_eq!(client.request("GET", "/healthz?verbose", "").status, 200);
    let answer = client.request("DELETE", "/healthz", "");
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(client.request("GET", "/healthz/", "").status, 404);
}

#[test]
fn a_configured_origin_is_granted() {
    let server = server(&["--cors-origin=https://example.org"]);
    let mut client = Client::connect(server.address());
    client.send("GET / HTTP/1.1\r\nhost: burrow\r\norigin: https://example.org\r\n\r\n");
    assert_eq!(
        client.answer().header("access-control-allow-origin"),
        Some("https://example.org")
    );
}

/// The answers to these requests, all sent at once on one HTTP/2 connection.
fn over_h2(
    server: &burrow_tests::process::Server,
    requests: &[(&str, &str, &str)],
) -> Vec<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let exchange = async {
        let stream = tokio::net::TcpStream::connect(server.address())
            .await
            .unwrap();
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2 by prior knowledge");
        let connection = tokio::spawn(connection);
        let mut answers = Vec::new();
        for &(method, target, body) in requests {
            let uri = format!("http://burrow{target}");
            let request = http::Request::builder().method(method).uri(uri);
            let request = request
                .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
                .unwrap();
            sender.ready().await.unwrap();
            answers.push(sender.send_request(request));
        }
        let mut collected = Vec::new();
        for answer in answers {
            let answer = answer.await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            collected.push((status, String::from_utf8_lossy(&body).into_owned()));
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        collected
    };
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, exchange).await })
        .expect("answers in time")
}

#[test]
fn http_2_by_prior_knowledge_answers_the_same() {
    let server = server(&[]);
    let large = "x".repeat(900_000);
    let puts = [
        ("PUT", "/v1.0/a/q/m", "hello"),
        ("PUT", "/v1.0/a/q/large", large.as_str()),
    ];
    assert!(
        over_h2(&server, &puts)
            .iter()
            .all(|(status, _)| *status == 201)
    );
    let answers = over_h2(
        &server,
        &[
            ("GET", "/v1.0/a/q/m?detail=body", ""),
            ("GET", "/v1.0/a/q/large?detail=body", ""),
            ("HEAD", "/v1.0/a/q/m?detail=body", ""),
            ("GET", "/v1.0/a/none", ""),
            ("GET", "/healthz", ""),
        ],
    );
    assert_eq!(answers[0], (200, "hello".to_owned()));
    assert!(answers[1] == (200, large));
    assert_eq!(answers[2], (200, String::new()));
    assert_eq!(answers[3], (404, "Queue not found".to_owned()));
    assert_eq!(answers[4], (200, "ok".to_owned()));
}

#[test]
fn http_2_requests_do_not_wait_for_each_other() {
    let server = server(&[]);
    let answers = over_h2(
        &server,
        &[
            ("DELETE", "/v1.0/a/q?wait=60&detail=body", ""),
            ("PUT", "/v1.0/a/q/m", "woken"),
        ],
    );
    assert_eq!(answers[0].0, 200);
    assert!(answers[0].1.contains("woken"), "{answers:?}");
    assert_eq!(answers[1].0, 201);
}

#[test]
fn an_http_2_body_that_is_too_large_is_refused() {
    let server = server(&["--max-request-bytes=1KiB", "--max-body-bytes=1KiB"]);
    let large = "x".repeat(1025);
    let answers = over_h2(&server, &[("PUT", "/v1.0/a/q/m", &large)]);
    assert_eq!(answers[0].0, 413);
    assert_serves(&server);
}

#[test]
fn a_stop_answers_those_who_wait_and_lets_nobody_hang() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch().data(folder.path()).start().unwrap();
    let address = server.address();
    let mut idle = Client::connect(address);
    assert_eq!(idle.request("GET", "/", "").status, 200);
    let mut waiting: Vec<Client> = (0..20).map(|_| Client::connect(address)).collect();
    for client in &mut waiting {
        client.send(request("DELETE", "/v1.0/a/q?wait=600&detail=all", ""));
    }
    let mut stuck_in_head = Client::connect(address);
    stuck_in_head.send("GET / HT");
    let mut stuck_in_body = Client::connect(address);
    stuck_in_body
        .send("PUT /v1.0/a/q2/m HTTP/1.1\r\nhost: burrow\r\ncontent-length: 10\r\n\r\nhalf");
    // The server has seen all of that once a later request is answered: sockets that were
    // ready earlier are served earlier, at the latest by the first release of waiters.
    assert_serves(&server);
    server.signal(Signal::SIGTERM);
    for client in &mut waiting {
        let answer = client.answer();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(client.try_answer(), None);
    }
    idle.wait_for_end();
    let ended = server.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.logs);
    stuck_in_head.wait_for_end();
    stuck_in_body.wait_for_end();
    launch()
        .data(folder.path())
        .start()
        .expect("the data is free again");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = server(&[]);
    let mut stuck = Client::connect(server.address());
    stuck.send("PUT /v1.0/a/q/m HTTP/1.1\r\nhost: burrow\r\ncontent-length: 10\r\n\r\nhalf");
    assert_serves(&server);
    server.signal(Signal::SIGTERM);
    server.assert_logs("stopping");
    server.signal(Signal::SIGINT);
    let status = server.wait_at_most(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(1), "{}", server.logs());
}
