//! A client of the wire protocol, and what it asks.

use std::io::{Read, Write};
use std::net::TcpStream;

use burrow_core::wire::{self, Answer, Decoder, Failure, Offer};
use burrow_core::{Command, Detail, NewMessage, QueueName, Reply, Selection, Update};
use burrow_tests::process::Server;

use crate::support::PATIENCE;

/// A client that sends what it is told to, and reads what comes.
pub(crate) struct Wire<S> {
    pub(crate) stream: S,
    pub(crate) decoder: Decoder,
    pub(crate) last_id: u64,
}

impl Wire<TcpStream> {
    pub(crate) fn connect(server: &Server) -> Self {
        let mut client = Self::silent(server);
        client.greet();
        client
    }

    /// Does not say hello.
    pub(crate) fn silent(server: &Server) -> Self {
        let stream = TcpStream::connect(server.wire_address().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self::on(stream)
    }
}

impl<S: Read + Write> Wire<S> {
    pub(crate) fn on(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::new(u32::MAX),
            last_id: 0,
        }
    }

    pub(crate) fn greet(&mut self) -> Offer {
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

    pub(crate) fn submit(&mut self, command: &Command<'_>) -> u64 {
        self.last_id += 1;
        let mut frame = Vec::new();
        wire::encode_request(&mut frame, self.last_id, command, u32::MAX).unwrap();
        self.stream.write_all(&frame).unwrap();
        self.last_id
    }

    pub(crate) fn call(&mut self, command: &Command<'_>) -> Result<Reply, Failure> {
        let own = self.submit(command);
        match self.next() {
            Some(Answer::Outcome { id, outcome }) if id == own => outcome,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn cancel(&mut self, id: u64) {
        let mut frame = Vec::new();
        wire::encode_cancel(&mut frame, id);
        self.stream.write_all(&frame).unwrap();
    }

    /// The next that the server says; `None` when it has closed.
    pub(crate) fn next(&mut self) -> Option<Answer> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(wire::decode_answer(&frame).unwrap());
            }
            if !self.read() {
                return None;
            }
        }
    }

    pub(crate) fn read(&mut self) -> bool {
        let mut chunk = [0; 64 << 10];
        let length = self.stream.read(&mut chunk).unwrap();
        self.decoder.received().extend_from_slice(&chunk[..length]);
        length > 0
    }

    pub(crate) fn assert_goodbye(&mut self, failure: Failure) {
        assert_eq!(self.next(), Some(Answer::Goodbye(failure)));
        assert_eq!(self.next(), None);
    }
}

pub(crate) fn queue() -> QueueName<'static> {
    QueueName {
        account: "shop".into(),
        queue: "jobs".into(),
    }
}

pub(crate) fn put(id: &'static str, body: &[u8]) -> Command<'static> {
    Command::Put {
        queue: queue(),
        message: NewMessage {
            id: Some(id.into()),
            body: body.to_vec().into(),
            ..NewMessage::default()
        },
    }
}

pub(crate) fn list(wait_ms: u64) -> Command<'static> {
    Command::ListMessages {
        queue: queue(),
        selection: Selection::default(),
        wait_ms,
        detail: Detail::Body,
    }
}

pub(crate) fn claim(wait_ms: u64) -> Command<'static> {
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

pub(crate) fn matched(outcome: &Result<Reply, Failure>) -> u64 {
    match outcome {
        Ok(Reply::Messages(messages)) => messages.matched(),
        other => panic!("{other:?}"),
    }
}
