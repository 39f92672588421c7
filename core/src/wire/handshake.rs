//! How a conversation begins.

use alloc::vec::Vec;

use super::failure::DecodeError;
use super::fields::{end, number_u32};
use super::frame::{Decoder, Kind, PREFIX_BYTES, put_frame};
use crate::codec::{Reader, put_varint};

/// The version of the protocol that is spoken here.
pub const VERSION: u8 = 1;
/// Bytes with which a client begins: the mark, the lowest and the highest version it speaks.
pub const HELLO_BYTES: usize = MARK.len() + 2;
/// Bytes with which a server begins: the mark, and the version that is spoken from here on.
pub const WELCOME_BYTES: usize = MARK.len() + 1;
/// Every server takes frames of so many bytes. A client that has not read the server's
/// [`Offer`] yet may rely on it.
pub const LEAST_FRAME_BYTES: u32 = 64 << 10;
/// Every server takes so many requests at a time.
pub const LEAST_IN_FLIGHT: u32 = 16;

/// A line that no other protocol begins with.
const MARK: &[u8; 7] = b"BURROW\n";

/// What a server allows on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Bytes of a frame behind its length.
    pub max_frame_bytes: u32,
    /// Requests that are not answered yet.
    pub max_in_flight: u32,
    /// Messages of one batch, and settlements of one settle.
    pub max_batch_messages: u64,
}

impl Offer {
    /// Bytes of a message that holds the longest frame with its length.
    pub fn max_message_bytes(&self) -> usize {
        usize::try_from(self.max_frame_bytes)
            .unwrap_or(usize::MAX)
            .saturating_add(PREFIX_BYTES)
    }
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            max_frame_bytes: 16 << 20,
            max_in_flight: 1024,
            max_batch_messages: crate::config::Limits::default().max_batch_messages,
        }
    }
}

/// Appends what a client says first. Requests may follow at once.
pub fn encode_hello(out: &mut Vec<u8>) {
    out.extend_from_slice(MARK);
    out.extend_from_slice(&[VERSION, VERSION]);
}

/// What a server makes of a client's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    Version(u8),
    /// It is another version of this protocol.
    NoCommonVersion,
    /// It is another protocol.
    Foreign,
}

/// Reads a client's first bytes, once all are there or a wrong one is.
pub(super) fn take_hello(decoder: &mut Decoder) -> Option<Greeting> {
    if let Some(hello) = decoder.take(HELLO_BYTES) {
        return Some(match hello.strip_prefix(MARK) {
            Some(&[lowest, highest]) if (lowest..=highest).contains(&VERSION) => {
                Greeting::Version(VERSION)
            }
            Some(_) => Greeting::NoCommonVersion,
            None => Greeting::Foreign,
        });
    }
    let is_foreign = MARK
        .iter()
        .zip(decoder.peek())
        .any(|(mark, byte)| mark != byte);
    is_foreign.then_some(Greeting::Foreign)
}

/// Appends what a server says first: the version, and its limits.
pub(super) fn put_welcome(out: &mut Vec<u8>, offer: &Offer) {
    out.extend_from_slice(MARK);
    out.push(VERSION);
    let put = |out: &mut Vec<u8>| {
        put_varint(out, offer.max_frame_bytes.into());
        put_varint(out, offer.max_in_flight.into());
        put_varint(out, offer.max_batch_messages);
    };
    // A few bytes are never too many.
    let _ = put_frame(out, (Kind::Hello, 0), u32::MAX, put);
}

/// Appends what a server says, before it closes, to a client whose versions it does not
/// speak: version 0, and the one that it does speak.
pub(super) fn put_no_common_version(out: &mut Vec<u8>) {
    out.extend_from_slice(MARK);
    out.extend_from_slice(&[0, VERSION]);
}

/// For a client: takes the version that the server has chosen; `None` if it is not all
/// there yet.
pub fn take_welcome(decoder: &mut Decoder) -> Result<Option<u8>, DecodeError> {
    let Some(welcome) = decoder.take(WELCOME_BYTES) else {
        return Ok(None);
    };
    match welcome.strip_prefix(MARK) {
        Some(&[VERSION]) => Ok(Some(VERSION)),
        Some(_) => Err(DecodeError::NoCommonVersion),
        None => Err(DecodeError::NotBurrow),
    }
}

pub(super) fn offer(payload: &[u8]) -> Result<Offer, DecodeError> {
    let mut reader = Reader::new(payload);
    let offer = Offer {
        max_frame_bytes: number_u32(&mut reader)?,
        max_in_flight: number_u32(&mut reader)?,
        max_batch_messages: super::fields::number(&mut reader)?,
    };
    end(&reader)?;
    Ok(offer)
}
