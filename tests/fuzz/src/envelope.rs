//! Just enough of a blob's form to damage what is inside: a header, records of a kind, a
//! length and a payload, and a checksum.

use std::ops::Range;

const SEQUENCE: Range<usize> = 4..12;
const HEADER_BYTES: usize = 44;
const CHECKSUM_BYTES: usize = 4;

/// Puts `number` in the place of a byte of a record's payload, and lets the record's length
/// fit. Does nothing if the blob has no such record.
pub(crate) fn put_number(blob: &mut Vec<u8>, record: usize, at: usize, number: u64) {
    let mut start = HEADER_BYTES;
    for _ in 0..record {
        match payload(blob, start) {
            Some((_, end)) => start = end,
            None => return,
        }
    }
    let Some((begin, end)) = payload(blob, start) else {
        return;
    };
    let place = begin + at % (end - begin).max(1);
    let number: Vec<u8> = varint(number).collect();
    let length = end - begin + number.len() - usize::from(place < end);
    blob.splice(place..end.min(place + 1), number);
    blob.splice(start + 1..begin, varint(length as u64));
}

/// Makes a blob pass as the one with this sequence number, whatever is in it.
pub(crate) fn mend(blob: &mut [u8], sequence: u64) {
    if let Some(field) = blob.get_mut(SEQUENCE) {
        field.copy_from_slice(&sequence.to_le_bytes());
    }
    if let Some((content, checksum)) = blob.split_last_chunk_mut::<CHECKSUM_BYTES>() {
        *checksum = crc32fast::hash(content).to_le_bytes();
    }
}

/// Where the payload of the record that starts at `start` begins and ends.
fn payload(blob: &[u8], start: usize) -> Option<(usize, usize)> {
    let content = blob.get(..blob.len().checked_sub(CHECKSUM_BYTES)?)?;
    let encoded = content.get(start + 1..)?;
    let bytes = encoded.iter().position(|byte| byte & 0x80 == 0)? + 1;
    let digits = encoded.iter().take(bytes.min(9)).enumerate();
    let length = digits.fold(0, |length, (index, byte)| {
        length | usize::from(byte & 0x7f) << (7 * index)
    });
    let begin = start + 1 + bytes;
    let end = begin.checked_add(length)?;
    (end <= content.len()).then_some((begin, end))
}

/// Seven bits a byte, the lowest first; all bytes but the last have the eighth bit.
fn varint(number: u64) -> impl Iterator<Item = u8> {
    let bytes = (64 - number.leading_zeros()).div_ceil(7).max(1);
    (0..bytes).map(move |index| {
        let [low, ..] = (number >> (7 * index)).to_le_bytes();
        if index + 1 < bytes {
            low | 0x80
        } else {
            low & 0x7f
        }
    })
}
