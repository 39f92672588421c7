//! The envelope of a blob: a header, records, a checksum.
//!
//! ```text
//! "BRW2"  sequence  clock  checkpoint  first home  first copy   records ...   CRC-32
//!   4        8        8        8           8           8                         4
//! ```
//! All integers are little-endian. A record is a kind byte, the length of its payload
//! (varint) and the payload. Fields are only ever added behind the last one of a payload,
//! and an absent field has its default, so what is stored stays readable; a change that an
//! old reader would misread gets a new magic: an earlier one, "BRW1", had no records of
//! messages that are like the one before (`PUT_AGAIN`, `PUT_HEX`).

use alloc::vec::Vec;

use super::RestoreError;
use crate::codec::Reader;
use crate::crc;

const MAGIC: &[u8; 4] = b"BRW2";
/// The last byte of the magic tells the version.
const VERSION_AT: usize = 3;
const OLDEST_VERSION: u8 = b'1';
const VERSION: u8 = MAGIC[VERSION_AT];
const HEADER_BYTES: usize = 44;
const CHECKPOINT_AT: usize = 20;
const CHECKSUM_BYTES: usize = 4;
/// Counters beyond this are not of our making; it leaves room for sums.
const MAX_COUNTER: u64 = 1 << 62;

/// What every blob begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) sequence: u64,
    /// The instant of the first record.
    pub(crate) clock: u64,
    /// The first blob of the last durable checkpoint when this blob was begun, 0 for none.
    pub(crate) checkpoint: u64,
    /// The home of the blob's first body.
    pub(crate) first_home: u64,
    /// The home of the first body that a checkpoint copied into the blob.
    pub(crate) first_copy: u64,
}

impl Header {
    /// Begins a blob.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        for field in [
            self.sequence,
            self.clock,
            self.checkpoint,
            self.first_home,
            self.first_copy,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }
}

/// Corrects the checkpoint in a blob that is not sealed yet.
pub(crate) fn set_checkpoint(blob: &mut [u8], checkpoint: u64) {
    if let Some(field) = blob.get_mut(CHECKPOINT_AT..CHECKPOINT_AT + 8) {
        field.copy_from_slice(&checkpoint.to_le_bytes());
    }
}

/// Ends a blob.
pub(crate) fn seal(blob: &mut Vec<u8>) {
    let checksum = crc::hash(blob);
    blob.extend_from_slice(&checksum.to_le_bytes());
}

/// Checks a blob's envelope, and gives its header and a reader over its records.
pub(crate) fn open(sequence: u64, blob: &[u8]) -> Result<(Header, Records<'_>), RestoreError> {
    let damaged = |offset, problem| RestoreError::Damaged {
        sequence,
        offset,
        problem,
    };
    let (content, checksum) = blob
        .split_at_checked(blob.len().saturating_sub(CHECKSUM_BYTES))
        .filter(|(content, _)| content.len() >= HEADER_BYTES)
        .ok_or(damaged(blob.len(), "it ends within the header"))?;
    let version = content
        .strip_prefix(&MAGIC[..VERSION_AT])
        .and_then(|rest| rest.first().copied());
    let is_known = version.is_some_and(|version| (OLDEST_VERSION..=VERSION).contains(&version));
    let is_whole = crc::hash(content).to_le_bytes() == checksum;
    match version {
        Some(version) if is_whole && !is_known => {
            return Err(RestoreError::Newer {
                sequence,
                version: u32::from(version),
                supported: u32::from(VERSION),
            });
        }
        _ if !is_known => return Err(damaged(0, "it does not begin as a blob")),
        _ if !is_whole => {
            let problem = "its checksum does not match its content";
            return Err(damaged(content.len(), problem));
        }
        _ => {}
    }
    let mut reader = Reader::new(content.get(MAGIC.len()..).unwrap_or_default());
    let mut field = || reader.u64().unwrap_or_default();
    let header = Header {
        sequence: field(),
        clock: field(),
        checkpoint: field(),
        first_home: field(),
        first_copy: field(),
    };
    if header.sequence != sequence {
        return Err(damaged(
            MAGIC.len(),
            "it is stored under another blob's sequence number",
        ));
    }
    let copies = header.first_copy ^ crate::state::extents::COPY;
    if [
        header.sequence,
        header.clock,
        header.checkpoint,
        header.first_home,
        copies,
    ]
    .iter()
    .any(|&n| n > MAX_COUNTER)
    {
        return Err(damaged(
            MAGIC.len(),
            "a counter of the header is out of range",
        ));
    }
    Ok((
        header,
        Records {
            reader,
            start: MAGIC.len(),
            sequence,
        },
    ))
}

/// The records of a blob.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a> {
    reader: Reader<'a>,
    start: usize,
    sequence: u64,
}

impl<'a> Records<'a> {
    /// The next record's kind and payload.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, RestoreError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let damaged = self.damaged("a record ends early");
        let kind = self.reader.byte().ok_or(damaged.clone())?;
        let payload = self.reader.bytes().ok_or(damaged)?;
        Ok(Some((kind, payload)))
    }

    /// The error for a record that is not as it should be.
    pub(crate) fn damaged(&self, problem: &'static str) -> RestoreError {
        RestoreError::Damaged {
            sequence: self.sequence,
            offset: self.start + self.reader.offset(),
            problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(version: u8) -> Vec<u8> {
        let header = Header {
            sequence: 7,
            clock: 1,
            checkpoint: 0,
            first_home: 1,
            first_copy: crate::state::extents::COPY,
        };
        let mut blob = Vec::new();
        header.encode(&mut blob);
        blob[VERSION_AT] = version;
        seal(&mut blob);
        blob
    }

    #[test]
    fn earlier_versions_are_read_and_later_ones_named() {
        for version in [b'1', b'2'] {
            assert_eq!(open(7, &stored(version)).unwrap().0.sequence, 7);
        }
        let newer = RestoreError::Newer {
            sequence: 7,
            version: u32::from(b'3'),
            supported: u32::from(b'2'),
        };
        assert_eq!(open(7, &stored(b'3')).err(), Some(newer));
        let mut bad = stored(b'3');
        bad[10] ^= 1;
        let is_damage = matches!(open(7, &bad), Err(RestoreError::Damaged { offset: 0, .. }));
        assert!(is_damage, "a version that is not certain");
    }
}
