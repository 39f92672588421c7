//! A queue on its way from one node to another, in pieces.
//!
//! ```text
//! "BRX1"   records ...   CRC-32
//! ```
//! A record is a kind byte, the length of its payload (varint) and the payload, as in a
//! blob. Instants are absolute: a moved message expires when it would have expired.

use alloc::vec::Vec;

use super::change::StoredMessage;
use super::records::{put_message, put_record, put_settings, read_message, read_settings};
use crate::codec::{Reader, put_varint};
use crate::crc;
use crate::settings::Settings;
use crate::state::View;

const MAGIC: &[u8; 4] = b"BRX1";
const CHECKSUM_BYTES: usize = 4;
const SETTINGS: u8 = 1;
const MESSAGE: u8 = 2;

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

/// Reads a piece; `None` if it is not one, or damaged.
pub(crate) fn read_piece(bytes: &[u8]) -> Option<Piece<'_>> {
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
                fence: payload.varint().filter(|&fence| fence < 1 << 62)?,
                message: read_message(&mut payload, 0)?,
            }),
            _ => return None,
        }
    }
    Some(piece)
}
