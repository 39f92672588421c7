//! A server's side of one connection, without the connection.

use alloc::vec::Vec;

use super::answer::{encode_failure, encode_goodbye, encode_outcome, encode_pong};
use super::command::{Request, decode_request, may_be_small};
use super::failure::{DecodeError, Failure};
use super::frame::{Decoder, Kind};
use super::handshake::{Greeting, Offer, put_no_common_version, put_welcome, take_hello};
use crate::command::Command;
use crate::reply::Reply;

/// Follows what a client says, and keeps it to what was offered.
#[derive(Debug)]
pub struct Session {
    pub(super) offer: Offer,
    pub(super) decoder: Decoder,
    pub(super) state: State,
    /// The highest id of a request so far. The next must be above it, so that no two have
    /// the same.
    pub(super) last_id: Option<u64>,
    pub(super) in_flight: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Greeting,
    Serving,
    /// Requests are refused with `Stopping`.
    Stopping,
    Ended,
}

/// What the host is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Have the command carried out, and tell [`Session::answer`] what became of it.
    Submit { id: u64, command: Command<'a> },
    /// If this request is not answered yet: give it up, and answer it with
    /// [`Failure::Cancelled`].
    Cancel { id: u64 },
    /// Nothing: the session has answered by itself.
    Answered,
    /// Send what is written, and close the connection. Nothing more is read.
    End,
}

impl Session {
    /// A session with a client that has said nothing yet.
    pub fn new(offer: Offer) -> Self {
        Self {
            offer,
            decoder: Decoder::new(offer.max_frame_bytes),
            state: State::Greeting,
            last_id: None,
            in_flight: 0,
        }
    }

    /// What the client may rely on.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The buffer at whose end received bytes are to be appended.
    pub fn received(&mut self) -> &mut Vec<u8> {
        self.decoder.received()
    }

    /// Bytes received that were not read: once [`next`](Self::next) has given `None`, a part
    /// of what comes next.
    pub fn unread(&self) -> usize {
        self.decoder.unread()
    }

    /// Gives memory back that is not in use.
    pub fn release(&mut self) {
        self.decoder.release();
    }

    /// Requests that are to be answered.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Reads on in what was received; `None` when more is needed. What is to be said at once
    /// is appended to `out`.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Option<Event<'_>> {
        match self.state {
            State::Greeting => self.greet(out),
            State::Serving | State::Stopping => self.read(out),
            State::Ended => Some(Event::End),
        }
    }

    /// Reads on as long as small commands come, without a word in between, and appends these, up
    /// to `most` in all: [`Command::is_small`]. Each is to be submitted and answered as one of
    /// [`next`](Self::next), which goes on behind them. What comes by itself is left to that.
    pub fn next_small<'s>(&'s mut self, most: usize, commands: &mut Vec<(u64, Command<'s>)>) {
        let mut frames = self.decoder.frames();
        if !frames.goes_on() {
            return;
        }
        while self.state == State::Serving
            && self.in_flight < self.offer.max_in_flight
            && commands.len() < most
        {
            let Some(frame) = frames.peek().filter(may_be_small) else {
                break;
            };
            if self.last_id >= Some(frame.id) {
                break;
            }
            let request = decode_request(&frame, self.offer.max_batch_messages);
            let command = match request {
                Ok(Request::Submit(command)) if command.is_small() => command,
                _ => break,
            };
            // What was looked at can be taken.
            let _ = frames.next();
            self.last_id = Some(frame.id);
            self.in_flight += 1;
            commands.push((frame.id, command));
        }
    }

    /// The frame of the last event, with its length, for a host that passes it on. Nothing may have been
    /// received since.
    pub fn last_frame(&self) -> &[u8] {
        self.decoder.last_frame()
    }

    /// Appends what became of a request. To be told once for each [`Event::Submit`], in any
    /// order.
    pub fn answer(&mut self, id: u64, outcome: &Result<Reply, Failure>, out: &mut Vec<u8>) {
        self.pass_answer();
        encode_outcome(out, id, outcome);
    }

    /// As [`answer`](Self::answer), where the answer was written elsewhere and is sent as it is.
    pub fn pass_answer(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// For what comes in messages: once [`next`](Self::next) has given `None` and a message is
    /// over, no part of a frame may be left. Tells whether the session goes on.
    pub fn end_message(&mut self, out: &mut Vec<u8>) -> bool {
        if self.unread() > 0 {
            self.end(&Failure::Protocol, out);
        }
        self.state != State::Ended
    }

    /// From here on requests are refused, those that are under way are still answered.
    pub fn stop(&mut self) {
        if self.state == State::Serving {
            self.state = State::Stopping;
        }
    }

    /// Appends why the host closes the connection, and ends the session.
    pub fn end(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        match self.state {
            // A client that has not said which version it speaks would not understand.
            State::Greeting | State::Ended => {}
            State::Serving | State::Stopping => encode_goodbye(out, failure),
        }
        self.state = State::Ended;
    }

    fn greet(&mut self, out: &mut Vec<u8>) -> Option<Event<'_>> {
        match take_hello(&mut self.decoder)? {
            Greeting::Version(_) => {
                put_welcome(out, &self.offer);
                self.state = State::Serving;
                return Some(Event::Answered);
            }
            Greeting::NoCommonVersion => put_no_common_version(out),
            // It would not understand an answer either.
            Greeting::Foreign => {}
        }
        self.state = State::Ended;
        Some(Event::End)
    }

    fn read(&mut self, out: &mut Vec<u8>) -> Option<Event<'_>> {
        let frame = match self.decoder.next_frame() {
            Ok(frame) => frame?,
            Err(error) => return Some(end(&mut self.state, error, out)),
        };
        let id = frame.id;
        if frame.kind == Kind::Request {
            if self.last_id >= Some(id) {
                return Some(end(&mut self.state, DecodeError::UnknownKind, out));
            }
            self.last_id = Some(id);
        }
        let answer = match decode_request(&frame, self.offer.max_batch_messages) {
            Ok(Request::Cancel) => return Some(Event::Cancel { id }),
            Ok(Request::Ping) => {
                encode_pong(out, id);
                return Some(Event::Answered);
            }
            Ok(Request::Submit(_)) if self.state == State::Stopping => Failure::Stopping,
            Ok(Request::Submit(_)) if self.in_flight >= self.offer.max_in_flight => {
                Failure::TooManyInFlight {
                    maximum: self.offer.max_in_flight,
                }
            }
            Ok(Request::Submit(command)) => {
                self.in_flight += 1;
                return Some(Event::Submit { id, command });
            }
            // A request that cannot be read has an id to tell that to.
            Err(error) if frame.kind == Kind::Request => error.into(),
            Err(error) => return Some(end(&mut self.state, error, out)),
        };
        encode_failure(out, id, &answer);
        Some(Event::Answered)
    }
}

fn end<'a>(state: &mut State, error: DecodeError, out: &mut Vec<u8>) -> Event<'a> {
    encode_goodbye(out, &error.into());
    *state = State::Ended;
    Event::End
}
