//! A message as it lies in a block: everything about it that seldom changes, packed.
//!
//! `[flags][position?][id][expiry?][content type?][body]`. The position is there only if it
//! is not the one that follows from the slot, and the expiry is relative to the block's own,
//! so that it takes a byte or two.

use alloc::vec::Vec;

use crate::codec::{Reader, put_bytes, put_varint, unzigzag, zigzag};

/// The instant of things that never happen, in milliseconds.
pub(crate) const NEVER: u64 = u64::MAX;

const HAS_EXPIRY: u8 = 1;
const HAS_CONTENT_TYPE: u8 = 2;
const HAS_POSITION: u8 = 4;

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
    pub(crate) fn encode(&self, base: Base, slot: usize, out: &mut Vec<u8>) {
        let expires = self.expires_at != NEVER;
        let gap = self.position - base.position.wrapping_add(slot as u64);
        let flag = |condition: bool, flag: u8| if condition { flag } else { 0 };
        out.push(
            flag(expires, HAS_EXPIRY)
                | flag(self.content_type.is_some(), HAS_CONTENT_TYPE)
                | flag(gap != 0, HAS_POSITION),
        );
        if gap != 0 {
            put_varint(out, gap);
        }
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

    /// Reads the record of a slot, which starts at the start of `bytes`.
    pub(crate) fn decode(base: Base, slot: usize, bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let flags = reader.byte()?;
        let position = read_position(&mut reader, flags, base, slot)?;
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

    /// The id and the position of the record of a slot.
    #[inline]
    pub(crate) fn decode_head(base: Base, slot: usize, bytes: &'a [u8]) -> Option<(&'a [u8], u64)> {
        let mut reader = Reader::new(bytes);
        let flags = reader.byte()?;
        let position = read_position(&mut reader, flags, base, slot)?;
        Some((reader.bytes()?, position))
    }
}

#[inline]
fn read_position(reader: &mut Reader<'_>, flags: u8, base: Base, slot: usize) -> Option<u64> {
    let gap = if flags & HAS_POSITION == 0 {
        0
    } else {
        reader.varint()?
    };
    Some(base.position + slot as u64 + gap)
}
