//! HTTP as nobody should use it. After each case the server answers others as before.

mod support;

use std::io::Read;
use std::time::{Duration, Instant};

use support::{Client, PATIENCE, assert_serves, request, server};

const HOST: &str = "host: burrow\r\n";

/// Timeouts short enough for a test to see them pass.
const SHORT: [&str; 4] = [
    "--header-timeout=0.3",
    "--body-timeout=0.3",
    "--write-timeout=0.5",
    "--idle-timeout=0.5",
];

/// Sends the bytes and returns everything that comes back until the server closes.
fn exchange(server: &burrow_tests::process::Server, bytes: impl AsRef<[u8]>) -> String {
    let mut client = Client::connect(server.address());
    let _ = client.try_send(bytes);
    let _ = client.stream.shutdown(std::net::Shutdown::Write);
    client.rest()
}

/// Sends the same bytes over and over until the server hangs up.
fn send_until_cut_off(client: &mut Client, bytes: impl AsRef<[u8]>) {
    let deadline = Instant::now() + PATIENCE;
    while let Ok(()) = client.try_send(&bytes) {
        assert!(Instant::now() < deadline, "the server goes on to listen");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(
        Instant::now() < deadline,
        "the server neither listens nor hangs up"
    );
}

fn statuses(answers: &str) -> Vec<u16> {
    answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| answer[..3].parse().expect("a status"))
        .collect()
}

#[test]
fn what_is_not_http_is_refused() {
    let server = server(&[]);
    let cases: [&[u8]; 12] = [
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: burrow\r\n\r\n",
        b"GET / HTTP/1.1\nhost burrow\n\n",
        b"GET / HTTP/1.1\r\n: empty\r\n\r\n",
        b"GET / HTTP/1.1\r\nna me: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nname: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"G\xffT / HTTP/1.1\r\nhost: burrow\r\n\r\n",
        b"GET /v1.0/\xff\xfe/q HTTP/1.1\r\nhost: burrow\r\n\r\n",
    ];
    for case in cases {
        let answers = exchange(&server, case);
        let refused = statuses(&answers)
            .iter()
            .all(|status| (400..=505).contains(status));
        assert!(refused, "{:?}: {answers}", String::from_utf8_lossy(case));
        assert_serves(&server);
    }
}

#[test]
fn no_request_is_smuggled_behind_another() {
    let server = server(&[]);
    let hidden = request("PUT", "/v1.0/smuggled/q/m", "x");
    let hidden = String::from_utf8(hidden).unwrap();
    let heads = [
        "content-length: 0\r\ntransfer-encoding: chunked\r\n".to_owned(),
        format!(
            "content-length: {}\r\ntransfer-encoding: chunked\r\n",
            hidden.len() + 5
        ),
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n".to_owned(),
        "content-length: 0\r\ncontent-length: 5\r\n".to_owned(),
        "content-length: 0, 5\r\n".to_owned(),
        "content-length: +0\r\n".to_owned(),
        "content-length: -1\r\n".to_owned(),
        "content-length: 0x0\r\n".to_owned(),
        "content-length: 18446744073709551616\r\n".to_owned(),
        "content-length : 0\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding: identity\r\n".to_owned(),
        "transfer-encoding : chunked\r\n".to_owned(),
        "transfer-encoding:\x0bchunked\r\n".to_owned(),
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n".to_owned(),
    ];
    for head in heads {
        let bytes = format!("PUT /v1.0/a/q/m HTTP/1.1\r\n{HOST}{head}\r\n0\r\n\r\n{hidden}");
        let answers = exchange(&server, bytes);
        let mut client = Client::connect(server.address());
        let smuggled = client.request("GET", "/v1.0/smuggled", "");
        assert_eq!(
            smuggled.status, 404,
            "{head:?} let a hidden request through: {answers}"
        );
        assert_serves(&server);
    }
}

#[test]
fn chunks_of_a_wrong_form_are_refused() {
    let server = server(&[]);
    let long_extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(100_000));
    let many_trailers = format!("0\r\n{}\r\n", "t: x\r\n".repeat(50_000));
    let bodies = [
        "x\r\n",
        "-1\r\nx\r\n",
        "ffffffffffffffff1\r\nx",
        "5\r\nhelloXX0\r\n\r\n",
        "1\nx\n0\n\n",
        "0\r\nbad trailer\r\n\r\n",
        &long_extension,
        &many_trailers,
    ];
    for body in bodies {
        let start =
            format!("PUT /v1.0/a/wrong/m HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n");
        exchange(&server, [start.as_bytes(), body.as_bytes()].concat());
        assert_serves(&server);
    }
}

#[test]
fn a_body_cut_short_stores_nothing() {
    let server = server(&[]);
    for head in [
        "content-length: 10\r\n\r\nhalf",
        "transfer-encoding: chunked\r\n\r\na\r\nhalf",
    ] {
        let answers = exchange(
            &server,
            format!("PUT /v1.0/a/cut/m HTTP/1.1\r\n{HOST}{head}"),
        );
        assert!(!answers.contains(" 201 "), "{answers}");
    }
    let mut client = Client::connect(server.address());
    assert_eq!(client.request("GET", "/v1.0/a/cut", "").status, 404);
    assert_serves(&server);
}

#[test]
fn bytes_behind_the_body_are_another_request_or_nothing() {
    let server = server(&[]);
    let answers = exchange(
        &server,
        format!("PUT /v1.0/a/q/m HTTP/1.1\r\n{HOST}content-length: 2\r\n\r\nhello\r\n\r\n"),
    );
    assert_eq!(statuses(&answers)[0], 201);
    let mut client = Client::connect(server.address());
    assert_eq!(
        client.request("GET", "/v1.0/a/q/m?detail=body", "").body,
        "he"
    );
}

#[test]
fn a_body_beyond_the_limit_is_refused_whether_announced_or_not() {
    let server = server(&["--max-request-bytes=1MiB"]);
    let mut announced = Client::connect(server.address());
    announced.send(format!(
        "PUT /v1.0/a/q/m HTTP/1.1\r\n{HOST}content-length: 3000000\r\n\r\n"
    ));
    let answer = announced.answer();
    assert_eq!(answer.status, 413, "before anything is sent");
    let mut sent_anyway = Client::connect(server.address());
    sent_anyway.send(format!(
        "PUT /v1.0/a/q/m HTTP/1.1\r\n{HOST}content-length: 3000000\r\n\r\n"
    ));
    sent_anyway.send("x".repeat(3_000_000));
    assert_eq!(
        sent_anyway.answer().status,
        413,
        "a client that does not look sees it as well"
    );
    let mut endless = Client::connect(server.address());
    endless.send(format!(
        "PUT /v1.0/a/q/m HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n"
    ));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    (0..17).for_each(|_| endless.send(&chunk));
    assert_eq!(endless.answer().status, 413, "as soon as it is too much");
    send_until_cut_off(&mut endless, &chunk);
    assert_serves(&server);
}

#[test]
fn an_endless_body_that_is_announced_as_huge_takes_no_memory() {
    let server = server(&["--max-request-bytes=4GiB", "--max-arriving-bytes=1MiB"]);
    let mut client = Client::connect(server.address());
    client.send(format!(
        "PUT /v1.0/a/q/m HTTP/1.1\r\n{HOST}content-length: 4294967296\r\n\r\n"
    ));
    let _ = (0..64).try_for_each(|_| client.try_send("x".repeat(1 << 16)));
    let answers = client.rest();
    assert_eq!(statuses(&answers), [503], "{answers}");
    assert!(answers.contains("retry-after"), "{answers}");
    assert_serves(&server);
}

#[test]
fn huge_heads_are_refused() {
    let server = server(&[]);
    let long_target = format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "x".repeat(1 << 20));
    let long_header = format!(
        "GET / HTTP/1.1\r\n{HOST}long: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let many_headers = format!("GET / HTTP/1.1\r\n{HOST}{}\r\n", "h: x\r\n".repeat(101));
    let endless = format!("GET / HTTP/1.1\r\n{}", "header: value\r\n".repeat(100_000));
    for case in [long_target, long_header, many_headers, endless] {
        let mut client = Client::connect(server.address());
        let _ = client.try_send(&case);
        let answers = client.rest();
        assert!(
            matches!(statuses(&answers)[..], [414 | 431]),
            "{case:.40}: {answers}"
        );
        assert_serves(&server);
    }
}

#[test]
fn the_limits_of_heads_are_those_configured() {
    let server = server(&["--max-headers=10", "--max-header-bytes=8KiB"]);
    let head = |count: usize, bytes: usize| {
        format!(
            "GET / HTTP/1.1\r\n{}long: {}\r\n\r\n",
            "h: x\r\n".repeat(count - 1),
            "x".repeat(bytes)
        )
    };
    let mut client = Client::connect(server.address());
    client.send(head(10, 4000));
    assert_eq!(client.answer().status, 200);
    client.send(head(11, 10));
    assert_eq!(client.answer().status, 431);
    assert_eq!(statuses(&exchange(&server, head(2, 9000))), [431]);
}

#[test]
fn hostile_paths_and_queries_are_answered() {
    let server = server(&["--max-header-bytes=1MiB"]);
    let segments = "/x".repeat(30_000);
    let slashes = "/".repeat(60_000);
    let percents = "%".repeat(60_000);
    let pairs = "a=b&".repeat(15_000);
    let targets = [
        segments.as_str(),
        &slashes,
        &format!("/v1.0/{percents}"),
        &format!("/v1.0/a/q?{pairs}"),
        "/v1.0/%ff/q",
        "/v1.0/%/q",
        "/v1.0/%4/q",
        "/v1.0/%zz/q",
        "/v1.0/%c0%80/q",
        "/v1.0/a/q?marker=%ff",
        "/v1.0/a/q?limit=%00",
        "/v1.0/a/q?wait=1e9",
        "/v1.0/../../etc/passwd",
        "/v1.0/a/q/m/more",
        "//v1.0/a",
        "*",
        "http://elsewhere/v1.0/a",
    ];
    for target in targets {
        let mut client = Client::connect(server.address());
        client.send(format!("GET {target} HTTP/1.1\r\n{HOST}\r\n"));
        let answer = client.answer();
        assert!(
            (400..500).contains(&answer.status),
            "{target:.60}: {answer:?}"
        );
        assert_serves(&server);
    }
}

#[test]
fn a_hundred_thousand_segments_are_refused() {
    let server = server(&["--max-header-bytes=1MiB"]);
    let answers = exchange(
        &server,
        format!("GET {} HTTP/1.1\r\n{HOST}\r\n", "/x".repeat(100_000)),
    );
    assert_eq!(statuses(&answers), [414], "{answers}");
    assert_serves(&server);
}

#[test]
fn other_methods_are_refused() {
    let server = server(&[]);
    for method in ["TRACE", "PATCH", "OPTIONS", "BREW", "get"] {
        let mut client = Client::connect(server.address());
        let answer = client.request(method, "/v1.0/a/q", "");
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
    }
    let answers = exchange(
        &server,
        "CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere:443\r\n\r\n",
    );
    assert!(
        statuses(&answers).iter().all(|status| *status >= 400),
        "{answers}"
    );
    let upgrade = format!("GET / HTTP/1.1\r\n{HOST}connection: upgrade\r\nupgrade: h2c\r\n\r\n");
    assert!(!exchange(&server, upgrade).contains(" 101 "));
    assert_serves(&server);
}

#[test]
fn broken_http_2_is_refused() {
    let server = server(&SHORT);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let frames: [&[u8]; 5] = [
        b"",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x00\x00\x00\x00\x00\x00\x00\x00\x01",
        b"\x00\x00\x04\x01\x04\x00\x00\x00\x01\xff\xff\xff\xff",
        b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff",
    ];
    for frame in frames {
        let mut client = Client::connect(server.address());
        let _ = client.try_send([preface, frame].concat());
        client.wait_for_end();
        assert_serves(&server);
    }
}

#[test]
fn slow_clients_are_let_go() {
    let server = server(&SHORT);
    for start in [
        "",
        "G",
        "GET / HTTP/1.1\r\nhost: bur",
        "PRI * HTTP/2.0\r\n\r\nSM",
    ] {
        let mut client = Client::connect(server.address());
        client.send(start);
        client.wait_for_end();
    }
    let mut idle = Client::connect(server.address());
    assert_eq!(idle.request("GET", "/", "").status, 200);
    idle.wait_for_end();
    let mut in_next_head = Client::connect(server.address());
    assert_eq!(in_next_head.request("GET", "/", "").status, 200);
    in_next_head.send("GET / HT");
    in_next_head.wait_for_end();
    let mut in_body = Client::connect(server.address());
    in_body.send(format!(
        "PUT /v1.0/a/q/m HTTP/1.1\r\n{HOST}content-length: 10\r\n\r\nhalf"
    ));
    assert_eq!(in_body.answer().status, 408);
    in_body.wait_for_end();
    assert_serves(&server);
}

#[test]
fn a_client_that_trickles_is_let_go_all_the_same() {
    let server = server(&SHORT);
    for (start, more) in [
        ("GET / HTTP/1.1\r\n", "h: x\r\n"),
        (
            "PUT /v1.0/a/q/m HTTP/1.1\r\nhost: b\r\ncontent-length: 1000000\r\n\r\n",
            "x",
        ),
    ] {
        let mut client = Client::connect(server.address());
        client.send(start);
        send_until_cut_off(&mut client, more);
    }
    assert_serves(&server);
}

#[test]
fn a_client_that_takes_no_answers_is_let_go() {
    let server = server(&SHORT);
    let mut client = Client::connect(server.address());
    assert_eq!(
        client
            .request("PUT", "/v1.0/a/q/m", "x".repeat(1 << 20))
            .status,
        201
    );
    let get = request("GET", "/v1.0/a/q/m?detail=body", "");
    // The server stops reading when its answers are stuck, and hangs up in the end.
    send_until_cut_off(&mut client, &get);
    assert_serves(&server);
    let mut unread = Vec::new();
    let _ = client.stream.read_to_end(&mut unread);
}

#[test]
fn a_connection_too_many_is_told_so() {
    let server = server(&["--max-connections=3"]);
    let mut first: Vec<Client> = (0..3).map(|_| Client::connect(server.address())).collect();
    for client in &mut first {
        assert_eq!(client.request("GET", "/", "").status, 200);
    }
    let mut refused = Client::connect(server.address());
    refused.send(request("PUT", "/v1.0/a/q/m", "x"));
    let answer = refused.answer();
    assert_eq!(
        (answer.status, answer.header("connection")),
        (503, Some("close")),
        "{answer:?}"
    );
    assert_eq!(refused.try_answer(), None);
    assert_eq!(
        first[0].request("GET", "/v1.0/a/q/m", "").status,
        404,
        "and nothing was done"
    );
    drop(first);
    // The places become free when the server has seen the clients go.
    loop {
        let mut client = Client::connect(server.address());
        client.send(request("GET", "/", ""));
        if client.answer().status == 200 {
            break;
        }
    }
    assert_serves(&server);
}
