//! Any bytes to a session of the wire protocol, with the machine behind it, and to a client.

use std::collections::BTreeMap;

use burrow_core::wire::{
    self, Answer, Decoder, Event, Failure, LEAST_FRAME_BYTES, Offer, Session, VERSION,
};
use burrow_core::{Command, Node, Ticket, Timestamp};

use crate::host::{Stored, config};

/// Holds a conversation over the wire: whatever comes, each request gets one answer, in
/// frames that a client can read; what is decoded says the same when it is encoded again;
/// and it does not matter where the stream is cut.
///
/// The first byte of the input tells into pieces of how many bytes the rest is cut, and
/// whether the client's hello is put before it.
pub fn wire(input: &[u8]) {
    let Some((first, stream)) = input.split_first() else {
        return;
    };
    read_as_client(stream);
    let mut server = Server::new();
    if first & 1 == 0 {
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello);
        server.feed(&hello);
    }
    for piece in stream.chunks(usize::from(*first / 2).max(1)) {
        server.feed(piece);
    }
    server.end();
}

const OFFER: Offer = Offer {
    max_frame_bytes: LEAST_FRAME_BYTES,
    max_in_flight: 4,
    max_batch_messages: 20,
};

struct Server {
    session: Session,
    node: Node,
    stored: Stored,
    now: Timestamp,
    out: Vec<u8>,
    waiting: BTreeMap<Ticket, u64>,
    submitted: u64,
    is_ended: bool,
}

impl Server {
    fn new() -> Self {
        Self {
            session: Session::new(OFFER),
            node: Node::new(config()),
            stored: Stored::default(),
            now: Timestamp::MANUAL_START,
            out: Vec::new(),
            waiting: BTreeMap::new(),
            submitted: 0,
            is_ended: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        if self.is_ended {
            return;
        }
        self.session.received().extend_from_slice(bytes);
        loop {
            self.take_small();
            match self.session.next(&mut self.out) {
                None => break,
                Some(Event::Answered) => {}
                Some(Event::End) => {
                    self.is_ended = true;
                    break;
                }
                Some(Event::Submit { id, command }) => {
                    says_the_same(&command);
                    self.submitted += 1;
                    let ticket = self.node.submit(self.now, command);
                    self.waiting.insert(ticket, id);
                }
                Some(Event::Cancel { id }) => self.cancel(id),
            }
            self.now = self.now.after_ms(1);
            self.answer();
        }
        assert_eq!(self.waiting.len(), self.session.in_flight() as usize);
        assert!(self.session.in_flight() <= OFFER.max_in_flight);
        assert!(self.session.unread() <= OFFER.max_frame_bytes as usize + 4);
    }

    /// What a host submits together.
    fn take_small(&mut self) {
        let mut commands = Vec::new();
        self.session.next_small(3, &mut commands);
        self.node
            .expect(commands.iter().map(|(_, command)| command));
        for (id, command) in commands {
            assert!(command.is_small(), "{command:?}");
            says_the_same(&command);
            self.submitted += 1;
            let ticket = self.node.submit(self.now, command);
            self.waiting.insert(ticket, id);
            self.now = self.now.after_ms(1);
        }
        self.answer();
    }

    fn cancel(&mut self, id: u64) {
        let found = self.waiting.iter().find(|(_, waiting)| **waiting == id);
        if let Some(ticket) = found.map(|(ticket, _)| *ticket) {
            self.waiting.remove(&ticket);
            self.node.cancel(ticket);
            self.session
                .answer(id, &Err(Failure::Cancelled), &mut self.out);
        }
    }

    fn answer(&mut self) {
        self.stored.store(&mut self.node);
        while let Some((ticket, outcome)) = self.node.poll_reply() {
            if let Some(id) = self.waiting.remove(&ticket) {
                let outcome = outcome.map_err(Failure::Refused);
                self.session.answer(id, &outcome, &mut self.out);
            }
        }
    }

    /// All that was said can be read, and every request that was taken was answered once.
    fn end(mut self) {
        self.node.release_waiters();
        self.answer();
        assert!(self.waiting.is_empty());
        let mut client = Decoder::new(u32::MAX);
        client.received().extend_from_slice(&self.out);
        if !self.out.is_empty() && wire::take_welcome(&mut client) != Ok(Some(VERSION)) {
            assert!(self.is_ended);
            return;
        }
        let mut answered = Vec::new();
        let mut is_over = false;
        while let Some(frame) = client.next_frame().expect("a server's frames are sound") {
            let answer = wire::decode_answer(&frame).expect("a server's answers can be read");
            match &answer {
                Answer::Outcome { id, outcome } => {
                    answered.push(*id);
                    let mut again = Vec::new();
                    wire::encode_outcome(&mut again, *id, outcome);
                    assert!(again.ends_with(frame.payload), "{answer:?}");
                }
                Answer::Goodbye(_) => is_over = true,
                Answer::Hello(_) | Answer::Pong { .. } => assert!(!is_over),
            }
        }
        assert_eq!(client.unread(), 0);
        assert!(answered.len() as u64 >= self.submitted);
        let count = answered.len();
        answered.sort_unstable();
        answered.dedup();
        assert_eq!(answered.len(), count, "an id is answered once");
    }
}

fn says_the_same(command: &Command<'_>) {
    let mut bytes = Vec::new();
    wire::encode_request(&mut bytes, 7, command, u32::MAX).expect("it was shorter than that");
    let mut decoder = Decoder::new(u32::MAX);
    *decoder.received() = bytes;
    let frame = decoder
        .next_frame()
        .expect("a sound frame")
        .expect("all of it");
    let again = wire::decode_request(&frame, OFFER.max_batch_messages);
    assert_eq!(again, Ok(wire::Request::Submit(command.clone())));
}

/// A client survives any server.
fn read_as_client(stream: &[u8]) {
    let mut decoder = Decoder::new(LEAST_FRAME_BYTES);
    decoder.received().extend_from_slice(stream);
    while let Ok(Some(frame)) = decoder.next_frame() {
        if let Ok(Answer::Outcome { id, outcome }) = wire::decode_answer(&frame) {
            let mut again = Vec::new();
            wire::encode_outcome(&mut again, id, &outcome);
            let mut second = Decoder::new(u32::MAX);
            *second.received() = again;
            let frame = second
                .next_frame()
                .expect("a sound frame")
                .expect("all of it");
            let repeated = wire::decode_answer(&frame).expect("it was read before");
            assert_eq!(repeated, Answer::Outcome { id, outcome });
        }
    }
}
