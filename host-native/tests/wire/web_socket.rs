//! The wire protocol on a WebSocket, as it should be used and as it should not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use burrow_core::Reply;
use burrow_core::wire::{self, Answer, Failure, LEAST_FRAME_BYTES};
use burrow_tests::process::Server;
use burrow_tests::web_socket::WebSocket;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Wire, claim, list, matched, put};
use crate::support::{self, Answer as HttpAnswer, Client, PATIENCE, assert_serves, launch, server};

/// What asks for a WebSocket, up to the empty line.
const ASK: &str = "GET /wire HTTP/1.1\r\nhost: burrow\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn silent(server: &Server) -> Wire<WebSocket> {
    Wire::silent_web_socket(server)
}

fn connect(server: &Server) -> Wire<WebSocket> {
    Wire::web_socket(server)
}

/// What the server said last, by WebSocket.
fn closed(client: &mut Wire<WebSocket>) -> (CloseCode, String) {
    client.closed().expect("a reason")
}

/// A client that writes the bytes of the WebSocket by itself.
fn raw(server: &Server) -> TcpStream {
    let mut client = Client::connect(server.address());
    client.send(format!("{ASK}\r\n"));
    assert_eq!(client.answer().status, 101);
    client.stream
}

/// Frames of a client that masks with nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len())
        .ok()
        .filter(|length| *length < 126);
    let head = [first, 0x80 | length.expect("a short frame"), 0, 0, 0, 0];
    [&head[..], payload].concat()
}

#[test]
fn commands_go_and_answers_come() {
    let server = server(&[]);
    let mut client = connect(&server);
    assert_eq!(
        client.call(&put("1", b"job")),
        Ok(Reply::Put { created: true })
    );
    let wait = client.submit(&claim(60_000));
    match client.next() {
        Some(Answer::Outcome { id, outcome }) => assert_eq!((id, matched(&outcome)), (wait, 1)),
        other => panic!("{other:?}"),
    }
    let body = vec![b'x'; 1 << 20];
    assert_eq!(
        client.call(&put("2", &body)),
        Ok(Reply::Put { created: true })
    );
    let Ok(Reply::Messages(messages)) = client.call(&list(0)) else {
        panic!()
    };
    assert!(messages.iter().any(|message| message.body == body));
}

#[test]
fn who_goes_on_at_once_is_heard() {
    let server = server(&[]);
    let mut client = Client::connect(server.address());
    let mut hello = Vec::new();
    wire::encode_hello(&mut hello);
    let head = format!("{ASK}\r\n");
    client.send([head.as_bytes(), &frame(0x82, &hello)].concat());
    let mut said = Vec::new();
    while !said.ends_with(b"BURROW\n\x01") {
        let mut byte = [0];
        client.stream.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    assert!(said.starts_with(b"HTTP/1.1 101 "), "{said:?}");
}

#[test]
fn a_message_holds_whole_frames_in_both_directions() {
    let server = server(&[]);
    let mut client = connect(&server);
    let mut frames = Vec::new();
    wire::encode_request(
        &mut frames,
        1,
        &put("1", &[b'x'; 40_000]),
        LEAST_FRAME_BYTES,
    )
    .unwrap();
    for id in 2..20 {
        wire::encode_request(&mut frames, id, &list(0), LEAST_FRAME_BYTES).unwrap();
    }
    client.stream.write_all(&frames).unwrap();
    let mut answers = 0;
    while answers < 19 {
        let message = client.stream.message().unwrap().expect("an answer");
        client.decoder.received().extend_from_slice(&message);
        while client.decoder.next_frame().unwrap().is_some() {
            answers += 1;
        }
        assert_eq!(client.decoder.unread(), 0, "a message ended within a frame");
        assert!(message.len() < 128 << 10, "{}", message.len());
    }
    client.stream.write_all(&frames[..100]).unwrap();
    client.assert_goodbye(Failure::Protocol);
    assert_serves(&server);
}

#[test]
fn the_largest_frame_is_a_message_and_what_is_longer_is_not() {
    let server = server(&["--max-body-bytes=60KiB", "--max-request-bytes=100KiB"]);
    let mut client = silent(&server);
    let longest = client.greet().max_frame_bytes as usize;
    // Whole, and far from a command: only the request fails.
    let mut whole = u32::try_from(longest).unwrap().to_le_bytes().to_vec();
    whole.extend_from_slice(&[1, 1]);
    whole.resize(longest + 4, 0);
    client.stream.write_all(&whole).unwrap();
    match client.next() {
        Some(Answer::Outcome {
            id: 1,
            outcome: Err(_),
        }) => {}
        other => panic!("{other:?}"),
    }
    whole.push(0);
    client.stream.write_all(&whole).unwrap();
    assert_eq!(closed(&mut client).0, CloseCode::Size);
}

#[test]
fn text_is_refused_with_a_reason() {
    let server = server(&[]);
    let mut client = connect(&server);
    client.stream.send(Message::text("hello")).unwrap();
    let (code, reason) = closed(&mut client);
    assert_eq!(code, CloseCode::Unsupported);
    assert_eq!(reason, "The wire protocol is in binary messages");
}

#[test]
fn a_frame_without_a_mask_is_refused_with_a_reason() {
    let server = server(&[]);
    let mut client = raw(&server);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&[0x82, 1, b'B']).unwrap();
    let mut said = Vec::new();
    client.read_to_end(&mut said).unwrap();
    let [0x88, _, code @ ..] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert!(code.starts_with(&1002_u16.to_be_bytes()), "{said:?}");
}

#[test]
fn who_does_not_ask_for_a_web_socket_is_told_to() {
    let server = server(&[]);
    let ask = |text: &str| -> HttpAnswer {
        let mut client = Client::connect(server.address());
        client.send(text);
        client.answer()
    };
    let plain = ask("GET /wire HTTP/1.1\r\nhost: burrow\r\n\r\n");
    assert_eq!(plain.status, 426);
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    let old = ask(&format!("{ASK}\r\n").replace("version: 13", "version: 8"));
    assert_eq!(
        (old.status, old.header("sec-websocket-version")),
        (426, Some("13"))
    );
    let posted = ask(&format!("{ASK}\r\n").replace("GET", "POST"));
    assert_eq!(posted.status, 426);
    assert_serves(&server);
}

#[test]
fn a_page_of_another_origin_is_refused_unless_it_is_permitted() {
    let ask = |server: &Server, origin: &str| {
        let mut client = Client::connect(server.address());
        client.send(format!("{ASK}origin: {origin}\r\n\r\n"));
        client.answer().status
    };
    assert_eq!(ask(&server(&[]), "http://a"), 403);
    let permitting = server(&["--cors-origin=http://a"]);
    assert_eq!(ask(&permitting, "http://b"), 403);
    assert_eq!(ask(&permitting, "http://a"), 101);
}

#[test]
fn whoever_leaves_gets_nothing_that_others_wait_for() {
    let server = server(&[]);
    let mut leaver = connect(&server);
    leaver.submit(&claim(60_000));
    leaver.stream.send(Message::Close(None)).unwrap();
    // The server hangs up when it has seen that.
    assert_eq!(leaver.next(), None);
    let mut stayer = connect(&server);
    assert_eq!(
        stayer.call(&put("1", b"job")),
        Ok(Reply::Put { created: true })
    );
    assert_eq!(matched(&stayer.call(&claim(0))), 1);
}

#[test]
fn it_counts_as_a_connection() {
    let server = server(&["--max-connections=1"]);
    let mut first = connect(&server);
    let mut second = Client::connect(server.address());
    second.send(support::request("GET", "/healthz", ""));
    assert_eq!(second.answer().status, 503);
    first.stream.send(Message::Close(None)).unwrap();
    assert_eq!(first.next(), None);
    drop(first);
    let started = Instant::now();
    while WebSocket::connect(server.address()).is_err() {
        assert!(started.elapsed() < PATIENCE, "its place is not free again");
    }
}

#[test]
fn the_slow_and_the_silent_are_cut_off() {
    let server = server(&["--header-timeout=0.3", "--idle-timeout=0.5"]);
    let mut silent = silent(&server);
    assert_eq!(silent.next(), None);
    let mut dripping = raw(&server);
    dripping
        .write_all(&[0x82, 0xfe, 0x40, 0, 0, 0, 0, 0])
        .unwrap();
    while dripping.write_all(b"B").is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    connect(&server).assert_goodbye(Failure::TooSlow);
    // A wait is no silence, and neither are pings.
    let mut waiting = connect(&server);
    assert!(waiting.call(&list(1_500)).is_err());
    for _ in 0..15 {
        waiting
            .stream
            .send(Message::Ping("still here".into()))
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(waiting.call(&list(0)).is_err());
    assert_serves(&server);
}

#[test]
fn whoever_takes_neither_answers_nor_pongs_is_cut_off() {
    let server = server(&["--write-timeout=0.5"]);
    let assert_cut_off = |stream: &mut TcpStream, bytes: &[u8]| {
        let started = Instant::now();
        while stream.write_all(bytes).is_ok() {
            assert!(started.elapsed() < PATIENCE, "the server goes on to listen");
        }
    };
    let pings = frame(0x89, &[b'x'; 125]).repeat(1000);
    assert_cut_off(&mut raw(&server), &pings);

    let mut client = connect(&server);
    client.call(&put("1", &[b'x'; 1 << 20])).unwrap();
    let started = Instant::now();
    loop {
        client.last_id += 1;
        let mut frame = Vec::new();
        wire::encode_request(&mut frame, client.last_id, &list(0), u32::MAX).unwrap();
        if client.stream.write_all(&frame).is_err() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "the server goes on to listen");
    }
    assert_serves(&server);
}

#[test]
fn a_server_that_stops_answers_what_waits_and_says_goodbye() {
    let server = launch().memory().start().expect("the server starts");
    let mut client = connect(&server);
    let wait = client.submit(&list(60_000));
    let mut ping = Vec::new();
    wire::encode_ping(&mut ping, 1);
    client.stream.write_all(&ping).unwrap();
    assert_eq!(client.next(), Some(Answer::Pong { id: 1 }));
    let stopping = std::thread::spawn(move || server.terminate());
    match client.next() {
        Some(Answer::Outcome {
            id,
            outcome: Err(Failure::Stopping),
        }) => assert_eq!(id, wait),
        other => panic!("{other:?}"),
    }
    client.assert_goodbye(Failure::Stopping);
    assert!(stopping.join().unwrap().status.success());
}
