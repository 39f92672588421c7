//! A queue on its way from one node to another, in pieces.
//!
//! ```text
//! "BRX1"   records ...   CRC-32
//! ```
//! A record is a kind byte, the length of its payload (varint) and the payload, as in a
//! blob. Instants are absolute: a moved message expires when it would have expired. Only a
//! single dead letter, which may be sent by somebody who knows no node's clock, has the time
//! that remains.

use alloc::vec::Vec;

use super::change::StoredMessage;
use super::message::{put_message, read_message};
use super::records::{put_record, put_settings, read_settings};
use crate::codec::{Reader, put_varint};
use crate::crc;
use crate::reply::MessageRef;
use crate::settings::Settings;
use crate::state::{NEVER, View, fence_of};
use crate::time::MAX_SPAN_MS;

const MAGIC: &[u8; 4] = b"BRX1";
const CHECKSUM_BYTES: usize = 4;
/// Fences from elsewhere are below this: those that are given after them are still below what the
/// journal can tell.
const MOST_FENCE: u64 = 1 << 61;
const SETTINGS: u8 = 1;
const MESSAGE: u8 = 2;
const LETTER: u8 = 3;

/// Writes one piece.
#[derive(Debug)]
pub(crate) struct PieceWriter {
    bytes: Vec<u8>,
}

/// One piece, as it was read.
#[derive(Debug, Default)]
pub(crate) struct Piece<'a> {
    pub(crate) settings: Option<Settings>,
    pub(crate) messages: Vec<Moved<'a>>,
}

/// A message with all that had become of it.
#[derive(Debug)]
pub(crate) struct Moved<'a> {
    pub(crate) message: StoredMessage<'a>,
    pub(crate) attempts: u32,
    pub(crate) fence: u64,
}

impl Moved<'_> {
    /// Only a dead letter has a fence without an attempt.
    pub(crate) fn is_dead_letter(&self) -> bool {
        self.attempts == 0 && self.fence != 0
    }
}

impl PieceWriter {
    pub(crate) fn new(settings: Option<&Settings>) -> Self {
        let mut bytes = MAGIC.to_vec();
        if let Some(settings) = settings {
            let mut payload = Vec::new();
            put_settings(&mut payload, settings);
            put_record(&mut bytes, SETTINGS, &payload);
        }
        Self { bytes }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + CHECKSUM_BYTES
    }

    pub(crate) fn add(&mut self, view: &View<'_>) {
        let mut payload = Vec::with_capacity(view.id.len() + view.body.len() + 64);
        put_varint(&mut payload, u64::from(view.attempts));
        put_varint(&mut payload, view.fence);
        let message = StoredMessage {
            id: view.id,
            body: view.body,
            content_type: view.content_type,
            expires_at: view.expires_at,
            visible_at: view.visible_at,
        };
        put_message(&mut payload, &message, 0);
        put_record(&mut self.bytes, MESSAGE, &payload);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let checksum = crc::hash(&self.bytes);
        self.bytes.extend_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}

/// A piece with a dead letter, for [`Command::Import`](crate::Command::Import) by the node where
/// its queue lives. It takes the place of no other message there; one that comes twice from the
/// node of the name `from` is there once. `None` if the message does not show the claim that tells it from others.
pub fn dead_letter(message: &MessageRef<'_>, from: &str) -> Option<Vec<u8>> {
    let mut payload = Vec::with_capacity(message.id.len() + message.body.len() + 64);
    put_varint(
        &mut payload,
        fence_of(message.claim?.fence, from.as_bytes()),
    );
    put_varint(&mut payload, message.ttl_ms);
    let stored = StoredMessage {
        id: message.id.as_bytes(),
        body: message.body,
        content_type: message.content_type.map(str::as_bytes),
        expires_at: NEVER,
        visible_at: 0,
    };
    put_message(&mut payload, &stored, 0);
    let mut piece = PieceWriter::new(None);
    put_record(&mut piece.bytes, LETTER, &payload);
    Some(piece.finish())
}

fn read_letter<'a>(payload: &mut Reader<'a>, now: u64) -> Option<Moved<'a>> {
    let fence = payload
        .varint()
        .filter(|&fence| fence != 0 && fence < MOST_FENCE)?;
    let ttl_ms = payload.varint().filter(|&ttl_ms| ttl_ms <= MAX_SPAN_MS)?;
    let mut message = read_message(payload, 0)?;
    message.expires_at = match ttl_ms {
        0 => NEVER,
        ttl_ms => now.saturating_add(ttl_ms),
    };
    Some(Moved {
        message,
        attempts: 0,
        fence,
    })
}

/// Reads a piece that arrives at the instant `now`; `None` if it is not one, or damaged.
pub(crate) fn read_piece(bytes: &[u8], now: u64) -> Option<Piece<'_>> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if crc::hash(content).to_le_bytes() != checksum {
        return None;
    }
    let mut reader = Reader::new(content.strip_prefix(MAGIC)?);
    let mut piece = Piece::default();
    while !reader.is_empty() {
        let kind = reader.byte()?;
        let mut payload = Reader::new(reader.bytes()?);
        match kind {
            SETTINGS => piece.settings = Some(read_settings(&mut payload)?),
            MESSAGE => piece.messages.push(Moved {
                attempts: u32::try_from(payload.varint()?).ok()?,
                fence: payload.varint().filter(|&fence| fence < MOST_FENCE)?,
                message: read_message(&mut payload, 0)?,
            }),
            LETTER => piece.messages.push(read_letter(&mut payload, now)?),
            _ => return None,
        }
    }
    Some(piece)
}
