//! A client of the wire protocol, and what it asks.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use burrow_core::wire::{self, Answer, Decoder, Failure, Offer};
use burrow_core::{Command, Detail, NewMessage, QueueName, Reply, Selection, Update};
use tungstenite::protocol::frame::coding::CloseCode;

use crate::process::Server;
use crate::web_socket::WebSocket;

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that sends what it is told to, and reads what comes. It panics where it cannot.
#[derive(Debug)]
pub struct Wire<S> {
    pub stream: S,
    pub decoder: Decoder,
    pub last_id: u64,
}

impl Wire<TcpStream> {
    pub fn connect(server: &Server) -> Self {
        let mut client = Self::silent(server);
        client.greet();
        client
    }

    /// Does not say hello.
    pub fn silent(server: &Server) -> Self {
        let stream = TcpStream::connect(server.wire_address().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self::on(stream)
    }
}

impl Wire<WebSocket> {
    pub fn web_socket(server: &Server) -> Self {
        let mut client = Self::silent_web_socket(server);
        client.greet();
        client
    }

    /// Does not say hello.
    pub fn silent_web_socket(server: &Server) -> Self {
        let socket = WebSocket::connect(server.address()).expect("the server upgrades");
        socket.stream().set_read_timeout(Some(PATIENCE)).unwrap();
        socket.stream().set_write_timeout(Some(PATIENCE)).unwrap();
        Self::on(socket)
    }

    /// What the server says when it closes.
    pub fn closed(&mut self) -> Option<(CloseCode, String)> {
        while self.stream.message().unwrap().is_some() {}
        let frame = self.stream.closed.as_ref()?;
        Some((frame.code, frame.reason.to_string()))
    }
}

impl<S: Read + Write> Wire<S> {
    pub fn on(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::new(u32::MAX),
            last_id: 0,
        }
    }

    pub fn greet(&mut self) -> Offer {
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello);
        self.stream.write_all(&hello).unwrap();
        while wire::take_welcome(&mut self.decoder).unwrap().is_none() {
            assert!(self.read());
        }
        match self.next() {
            Some(Answer::Hello(offer)) => offer,
            other => panic!("{other:?}"),
        }
    }

    pub fn submit(&mut self, command: &Command<'_>) -> u64 {
        self.last_id += 1;
        let mut frame = Vec::new();
        wire::encode_request(&mut frame, self.last_id, command, u32::MAX).unwrap();
        self.stream.write_all(&frame).unwrap();
        self.last_id
    }

    pub fn call(&mut self, command: &Command<'_>) -> Result<Reply, Failure> {
        let own = self.submit(command);
        match self.next() {
            Some(Answer::Outcome { id, outcome }) if id == own => outcome,
            other => panic!("{other:?}"),
        }
    }

    pub fn cancel(&mut self, id: u64) {
        let mut frame = Vec::new();
        wire::encode_cancel(&mut frame, id);
        self.stream.write_all(&frame).unwrap();
    }

    /// The next that the server says; `None` when it has closed.
    #[allow(
        clippy::should_implement_trait,
        reason = "it goes on after the end of a reading"
    )]
    pub fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(wire::decode_answer(&frame).unwrap());
            }
            if !self.read() {
                return None;
            }
        }
    }

    pub fn read(&mut self) -> bool {
        let mut chunk = [0; 64 << 10];
        let length = self.stream.read(&mut chunk).unwrap();
        self.decoder.received().extend_from_slice(&chunk[..length]);
        length > 0
    }

    pub fn assert_goodbye(&mut self, failure: Failure) {
        assert_eq!(self.next(), Some(Answer::Goodbye(failure)));
        assert_eq!(self.next(), None);
    }
}

pub fn queue() -> QueueName<'static> {
    QueueName {
        account: "shop".into(),
        queue: "jobs".into(),
    }
}

pub fn put(id: &'static str, body: &[u8]) -> Command<'static> {
    Command::Put {
        queue: queue(),
        message: NewMessage {
            id: Some(id.into()),
            body: body.to_vec().into(),
            ..NewMessage::default()
        },
    }
}

pub fn list(wait_ms: u64) -> Command<'static> {
    Command::ListMessages {
        queue: queue(),
        selection: Selection::default(),
        wait_ms,
        detail: Detail::Body,
    }
}

pub fn claim(wait_ms: u64) -> Command<'static> {
    Command::UpdateMessages {
        queue: queue(),
        selection: Selection {
            limit: Some(1),
            ..Selection::default()
        },
        update: Update {
            hide_ms: Some(3_600_000),
            ttl_ms: None,
        },
        wait_ms,
        detail: Detail::Id,
    }
}

pub fn matched(outcome: &Result<Reply, Failure>) -> u64 {
    match outcome {
        Ok(Reply::Messages(messages)) => messages.matched(),
        other => panic!("{other:?}"),
    }
}
