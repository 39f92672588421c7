//! What servers send.

use alloc::vec::Vec;

use super::failure::{self, DecodeError, Failure};
use super::fields::end;
use super::frame::{Frame, Kind, put_frame};
use super::handshake::{self, Offer};
use super::reply;
use crate::codec::Reader;
use crate::reply::Reply;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its limits, before anything else.
    Hello(Offer),
    /// What became of a request.
    Outcome {
        id: u64,
        outcome: Result<Reply, Failure>,
    },
    /// It has read the ping of this id.
    Pong { id: u64 },
    /// It closes the connection, for this reason. What it has not answered may have
    /// happened or not.
    Goodbye(Failure),
}

/// Appends what became of a request.
pub fn encode_outcome(out: &mut Vec<u8>, id: u64, outcome: &Result<Reply, Failure>) {
    match outcome {
        Ok(reply) => encode_reply(out, id, reply),
        Err(failure) => encode_failure(out, id, failure),
    }
}

/// Appends a reply. One of more than 4 GiB, which no frame can hold, is told as an unknown
/// outcome.
pub fn encode_reply(out: &mut Vec<u8>, id: u64, reply: &Reply) {
    let put = |out: &mut Vec<u8>| reply::put(out, reply);
    if put_frame(out, (Kind::Reply, id), u32::MAX, put).is_err() {
        encode_failure(out, id, &Failure::OutcomeUnknown);
    }
}

/// Appends why a command was not carried out.
pub fn encode_failure(out: &mut Vec<u8>, id: u64, failure: &Failure) {
    // Failures and what follows are a few bytes, which are never too many.
    let put = |out: &mut Vec<u8>| failure::put(out, failure);
    let _ = put_frame(out, (Kind::Failure, id), u32::MAX, put);
}

/// Appends the answer to a ping.
pub fn encode_pong(out: &mut Vec<u8>, id: u64) {
    let _ = put_frame(out, (Kind::Pong, id), u32::MAX, |_| {});
}

/// Appends the last that a server says.
pub fn encode_goodbye(out: &mut Vec<u8>, failure: &Failure) {
    let put = |out: &mut Vec<u8>| failure::put(out, failure);
    let _ = put_frame(out, (Kind::Goodbye, 0), u32::MAX, put);
}

/// For a client: what a frame of a server says.
pub fn decode_answer(frame: &Frame<'_>) -> Result<Answer, DecodeError> {
    let mut reader = Reader::new(frame.payload);
    let id = frame.id;
    let answer = match frame.kind {
        Kind::Hello => return handshake::offer(frame.payload).map(Answer::Hello),
        Kind::Reply => Answer::Outcome {
            id,
            outcome: Ok(reply::read(&mut reader)?),
        },
        Kind::Failure => Answer::Outcome {
            id,
            outcome: Err(failure::read(&mut reader)?),
        },
        Kind::Pong => Answer::Pong { id },
        Kind::Goodbye => Answer::Goodbye(failure::read(&mut reader)?),
        Kind::Request | Kind::Cancel | Kind::Ping => return Err(DecodeError::UnknownKind),
    };
    end(&reader)?;
    Ok(answer)
}
