//! The wire protocol: commands and replies come out as they went in, and the conversations
//! on record are held to the byte, with the pure session and with the real server.

use std::fmt::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use burrow_core::wire::{self, Answer, Decoder, Offer, Session};
use burrow_core::{Command, Reply};
use burrow_tests::process::{Launch, Server, program};
use burrow_tests::web_socket::WebSocket;
use burrow_tests::wire::{PureServer, any_command};
use burrow_tests::wire_record::{Recorded, assert_holds, hex, recorded};
use fastrand::Rng;
use tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_command_comes_out_as_it_went_in() {
    let mut rng = Rng::with_seed(1);
    let mut server = PureServer::new(Offer::default());
    let mut hello = Vec::new();
    wire::encode_hello(&mut hello);
    server.feed(&hello, |_| ());
    for id in 1..5_000 {
        let command = any_command(&mut rng);
        let mut bytes = Vec::new();
        wire::encode_request(&mut bytes, id, &command, u32::MAX).unwrap();
        let mut seen = 0;
        // Cut anywhere, the last byte apart: only then is there a command.
        let (start, last) = bytes.split_at(bytes.len() - 1);
        let (one, two) = start.split_at(rng.usize(..=start.len()));
        for part in [one, two] {
            server.feed(part, |_| seen += 1);
        }
        assert_eq!(seen, 0, "{command:?}");
        server.feed(last, |decoded| {
            seen += 1;
            assert_eq!(*decoded, command);
        });
        assert_eq!(seen, 1, "{command:?}");
        server.advance(rng.u64(..1_000));
    }
    assert!(!server.is_ended);
}

#[test]
fn every_reply_comes_out_as_it_went_in() {
    let mut rng = Rng::with_seed(2);
    let mut server = PureServer::new(Offer::default());
    let mut kinds = [0; 11];
    for _ in 0..20_000 {
        let command = any_command(&mut rng);
        server.node.submit(server.now, command);
        while let Some((_, outcome)) = server.node.poll_reply() {
            let place = match &outcome {
                Ok(Reply::Names(_)) => 0,
                Ok(Reply::Messages(_)) => 1,
                Ok(Reply::Put { .. }) => 2,
                Ok(Reply::PutBatch(_)) => 3,
                Ok(Reply::Settled(_)) => 4,
                Ok(Reply::Settings(_)) => 5,
                Ok(Reply::Exported { .. }) => 6,
                Ok(Reply::Imported { .. }) => 7,
                Ok(Reply::Done) => 8,
                Err(_) => 9,
                Ok(Reply::Stats(_)) => 10,
            };
            kinds[place] += 1;
            if let Ok(Reply::Exported { piece, .. }) = &outcome {
                let queue = burrow_core::QueueName {
                    account: "a".into(),
                    queue: "b".into(),
                };
                let piece = piece.clone().into();
                server
                    .node
                    .submit(server.now, Command::Import { queue, piece });
            }
            let outcome = outcome.map_err(wire::Failure::Refused);
            let mut bytes = Vec::new();
            wire::encode_outcome(&mut bytes, 1, &outcome);
            let mut decoder = Decoder::new(u32::MAX);
            decoder.received().extend_from_slice(&bytes);
            let frame = decoder.next_frame().unwrap().unwrap();
            let decoded = wire::decode_answer(&frame).unwrap();
            assert_eq!(decoded, Answer::Outcome { id: 1, outcome });
        }
        server.now = server.now.after_ms(rng.u64(..20));
    }
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

#[test]
fn the_record_holds_for_the_pure_session() {
    let mut server = PureServer::new(Offer::default());
    let mut failures = String::new();
    for Recorded {
        title,
        sent,
        received,
    } in recorded()
    {
        server.reconnect(Offer::default());
        // Where the stream is cut makes no difference.
        for byte in &sent {
            server.feed(&[*byte], |_| ());
        }
        if server.out != received {
            write!(failures, "== {title}\n{}", hex(&server.out)).unwrap();
        }
    }
    assert!(failures.is_empty(), "answered:\n{failures}");
}

#[test]
fn the_record_holds_for_a_session_that_falls_asleep_after_each_byte() {
    let mut server = PureServer::new(Offer::default());
    for Recorded {
        title,
        sent,
        received,
    } in recorded()
    {
        server.reconnect(Offer::default());
        for byte in &sent {
            server.feed(&[*byte], |_| ());
            server.session = Session::wake(&server.session.keep()).unwrap();
        }
        assert!(server.out == received, "== {title}\n{}", hex(&server.out));
    }
}

fn server() -> Server {
    let launch = Launch::new(program()).memory().argument("--clock=manual");
    let launch = launch.argument("--listen-wire=127.0.0.1:0");
    launch.start().unwrap()
}

#[test]
fn the_record_holds_for_the_server() {
    let server = server();
    for conversation in recorded() {
        let mut stream = TcpStream::connect(server.wire_address().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_holds(&mut stream, &conversation, |stream| {
            stream.shutdown(Shutdown::Write).unwrap();
        });
    }
}

#[test]
fn the_record_holds_on_a_web_socket() {
    let server = server();
    for conversation in recorded() {
        let mut socket = WebSocket::connect(server.address()).unwrap();
        socket.stream().set_read_timeout(Some(PATIENCE)).unwrap();
        assert_holds(&mut socket, &conversation, |socket| {
            // A server that has closed already hears nothing more.
            let _ = socket.send(Message::Close(None));
        });
    }
}
