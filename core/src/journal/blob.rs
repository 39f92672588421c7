//! The envelope of a blob: a header, records, a checksum.
//!
//! ```text
//! "BRW1"  sequence  clock  checkpoint  first home  first copy   records ...   CRC-32
//!   4        8        8        8           8           8                         4
//! ```
//! All integers are little-endian. A record is a kind byte, the length of its payload
//! (varint) and the payload. Fields are only ever added behind the last one of a payload,
//! and an absent field has its default, so what is stored stays readable; a change that an
//! old reader would misread gets a new magic.

use alloc::vec::Vec;

use super::RestoreError;
use crate::codec::Reader;
use crate::crc;

const MAGIC: &[u8; 4] = b"BRW1";
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
    if let Some(version) = content.strip_prefix(b"BRW").and_then(|rest| rest.first())
        && version != &MAGIC[3]
        && crc::hash(content).to_le_bytes() == checksum
    {
        return Err(RestoreError::Newer {
            sequence,
            version: u32::from(*version),
            supported: u32::from(MAGIC[3]),
        });
    }
    if !content.starts_with(MAGIC) {
        return Err(damaged(0, "it does not begin as a blob"));
    }
    if crc::hash(content).to_le_bytes() != checksum {
        return Err(damaged(
            content.len(),
            "its checksum does not match its content",
        ));
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
