//! A message as it lies in a block: everything about it that seldom changes, packed.
//!
//! `[flags][position][id][expiry?][content type?][body]`, where position and
//! expiry are relative to the block's own, so that they take a byte or two.

use alloc::vec::Vec;

use crate::codec::{Reader, put_bytes, put_varint, unzigzag, zigzag};

/// The instant of things that never happen, in milliseconds.
pub(crate) const NEVER: u64 = u64::MAX;

const HAS_EXPIRY: u8 = 1;
const HAS_CONTENT_TYPE: u8 = 2;

/// What the record of a message says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) position: u64,
    /// Milliseconds since the epoch, or [`NEVER`].
    pub(crate) expires_at: u64,
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
}

/// What a block's records are relative to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    pub(crate) position: u64,
    pub(crate) expires_at: u64,
}

impl Base {
    /// The base of a block that begins with this record.
    pub(crate) fn of(first: &Record<'_>) -> Self {
        let expires_at = if first.expires_at == NEVER {
            0
        } else {
            first.expires_at
        };
        Self {
            position: first.position,
            expires_at,
        }
    }
}

impl<'a> Record<'a> {
    pub(crate) fn encode(&self, base: Base, out: &mut Vec<u8>) {
        let expires = self.expires_at != NEVER;
        let flags = if expires { HAS_EXPIRY } else { 0 }
            | if self.content_type.is_some() {
                HAS_CONTENT_TYPE
            } else {
                0
            };
        out.push(flags);
        put_varint(out, self.position - base.position);
        put_bytes(out, self.id);
        if expires {
            put_varint(
                out,
                zigzag(self.expires_at.wrapping_sub(base.expires_at) as i64),
            );
        }
        if let Some(content_type) = self.content_type {
            put_bytes(out, content_type);
        }
        put_bytes(out, self.body);
    }

    /// Bytes that `encode` adds, at the most.
    pub(crate) fn encoded_len(&self) -> usize {
        self.id.len()
            + self.body.len()
            + self.content_type.map_or(0, |text| text.len() + 2)
            + 1
            + 2
            + 10
            + 10
            + 5
    }

    /// Reads the record that starts at the start of `bytes`.
    pub(crate) fn decode(base: Base, bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let flags = reader.byte()?;
        let position = base.position + reader.varint()?;
        let id = reader.bytes()?;
        let expires_at = if flags & HAS_EXPIRY != 0 {
            base.expires_at
                .wrapping_add(unzigzag(reader.varint()?) as u64)
        } else {
            NEVER
        };
        let content_type = if flags & HAS_CONTENT_TYPE != 0 {
            Some(reader.bytes()?)
        } else {
            None
        };
        Some(Self {
            id,
            position,
            expires_at,
            content_type,
            body: reader.bytes()?,
        })
    }

    /// The id and the position of the record that starts at the start of `bytes`.
    #[inline]
    pub(crate) fn decode_head(base: Base, bytes: &'a [u8]) -> Option<(&'a [u8], u64)> {
        let mut reader = Reader::new(bytes.get(1..)?);
        let position = base.position + reader.varint()?;
        Some((reader.bytes()?, position))
    }
}
