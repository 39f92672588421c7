//! A message as it lies in a block: everything about it that seldom changes, packed.
//!
//! `[flags][length of the id][id][position?][expiry?][content type?][body]`. The position is
//! there only if it is not the one that follows from the slot, and the expiry is relative to
//! the block's own, so that it takes a byte or two. The body goes to the end of the record,
//! which is where the next one begins.

use alloc::vec::Vec;
use core::ops::Range;

use crate::codec::{Reader, put_bytes, put_varint, unzigzag, zigzag};

/// The instant of things that never happen, in milliseconds.
pub(crate) const NEVER: u64 = u64::MAX;

const HAS_EXPIRY: u8 = 1;
const HAS_CONTENT_TYPE: u8 = 2;
const HAS_POSITION: u8 = 4;

/// Bytes before the id.
const HEAD_BYTES: usize = 2;

/// What the record of a message says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// At most [`MAX_ID_BYTES`](crate::config::MAX_ID_BYTES).
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
        out.reserve(self.encoded_len());
        let flags = flag(expires, HAS_EXPIRY)
            | flag(self.content_type.is_some(), HAS_CONTENT_TYPE)
            | flag(gap != 0, HAS_POSITION);
        out.extend_from_slice(&[flags, self.id.len() as u8]);
        out.extend_from_slice(self.id);
        if gap != 0 {
            put_varint(out, gap);
        }
        if expires {
            put_varint(
                out,
                zigzag(self.expires_at.wrapping_sub(base.expires_at) as i64),
            );
        }
        if let Some(content_type) = self.content_type {
            put_bytes(out, content_type);
        }
        out.extend_from_slice(self.body);
    }

    /// Bytes that `encode` adds, at the most.
    pub(crate) fn encoded_len(&self) -> usize {
        HEAD_BYTES
            + self.id.len()
            + self.body.len()
            + self.content_type.map_or(0, |text| text.len() + 2)
            + 10
            + 10
    }

    /// Reads the record of a slot.
    #[inline]
    pub(crate) fn decode(base: Base, slot: usize, bytes: &'a [u8]) -> Option<Self> {
        let (&[flags, length], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let (id, rest) = rest.split_at_checked(usize::from(length))?;
        let mut reader = Reader::new(rest);
        let mut position = base.position.wrapping_add(slot as u64);
        if flags & HAS_POSITION != 0 {
            position = position.wrapping_add(reader.varint()?);
        }
        let mut expires_at = NEVER;
        if flags & HAS_EXPIRY != 0 {
            expires_at = base
                .expires_at
                .wrapping_add(unzigzag(reader.varint()?) as u64);
        }
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
            body: reader.rest(),
        })
    }

    /// The id in a record.
    #[inline]
    pub(crate) fn id_in(bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[_, length], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        rest.get(..usize::from(length))
    }

    /// Makes the record at `range` one that tells its position and nothing else, moves it to `to`, which is before it or
    /// where it begins, and gives its length.
    pub(crate) fn retire(bytes: &mut [u8], range: Range<usize>, to: usize) -> usize {
        let record = bytes.get(range.clone()).unwrap_or_default();
        let Some((&[flags, length], rest)) = record.split_first_chunk::<HEAD_BYTES>() else {
            return 0;
        };
        let mut position_bytes = 0;
        if flags & HAS_POSITION != 0 {
            let behind_id = rest.get(usize::from(length)..).unwrap_or_default();
            let is_last = |byte: &u8| byte & 0x80 == 0;
            position_bytes = behind_id.iter().position(is_last).map_or(0, |at| at + 1);
        }
        let from = range.start + HEAD_BYTES + usize::from(length);
        bytes.copy_within(from..from + position_bytes, to + HEAD_BYTES);
        bytes[to] = flags & HAS_POSITION;
        bytes[to + 1] = 0;
        HEAD_BYTES + position_bytes
    }

    /// The position of the record of a slot.
    #[inline]
    pub(crate) fn position_in(base: Base, slot: usize, bytes: &'a [u8]) -> Option<u64> {
        let (&[flags, length], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let mut gap = 0;
        if flags & HAS_POSITION != 0 {
            gap = Reader::new(rest.get(usize::from(length)..)?).varint()?;
        }
        Some(base.position.wrapping_add(slot as u64).wrapping_add(gap))
    }
}
