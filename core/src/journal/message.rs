//! Messages as they are stored, with their bodies.
//!
//! A message that is put is mostly like the one before: of the same queue, new, with the same
//! time to live. Then its record is a `PUT_AGAIN`, which has only an id and a body. An id of
//! a multiple of eight hexadecimal digits, as the node's own are, takes half of its bytes there
//! (`PUT_HEX`).

use alloc::vec::Vec;

use super::change::StoredMessage;
use super::records::{PUT, PUT_AGAIN, PUT_HEX};
use crate::codec::{Reader, put_bytes, put_varint, unzigzag, varint_len, zigzag};
use crate::config::MAX_ID_BYTES;
use crate::state::NEVER;

/// The kind of a record and its length, at the most.
const PUT_HEAD_BYTES: usize = 1 + 10;

const HAS_EXPIRY: u8 = 1;
const HAS_VISIBLE_AT: u8 = 2;
const HAS_CONTENT_TYPE: u8 = 4;

/// What the record of a message that is put has beside its id and its body. Times are relative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form<'a> {
    pub(super) number: u64,
    expiry: Option<u64>,
    visible: Option<u64>,
    content_type: Option<&'a [u8]>,
}

impl<'a> Form<'a> {
    pub(crate) fn of(number: u64, message: &StoredMessage<'a>, clock: u64) -> Self {
        let given = |at: u64, absent: u64| (at != absent).then(|| relative(at, clock));
        Self {
            number,
            expiry: given(message.expires_at, NEVER),
            visible: given(message.visible_at, 0),
            content_type: message.content_type,
        }
    }

    fn flags(&self) -> u8 {
        let flag = |condition: bool, flag: u8| if condition { flag } else { 0 };
        flag(self.expiry.is_some(), HAS_EXPIRY)
            | flag(self.visible.is_some(), HAS_VISIBLE_AT)
            | flag(self.content_type.is_some(), HAS_CONTENT_TYPE)
    }
}

/// The form of the last message that was put into the open blob.
#[derive(Debug, Default)]
pub(crate) struct LastForm {
    /// Without the content type.
    form: Option<Form<'static>>,
    has_content_type: bool,
    content_type: Vec<u8>,
}

impl LastForm {
    /// Another blob begins: nothing was put into it.
    pub(crate) fn clear(&mut self) {
        self.form = None;
    }

    /// Notes a form; true if it is that of the message before.
    fn repeats(&mut self, form: &Form<'_>) -> bool {
        let content_type = form.content_type;
        let bare = Form {
            content_type: None,
            number: form.number,
            expiry: form.expiry,
            visible: form.visible,
        };
        let same_type = match content_type {
            Some(content_type) => self.has_content_type && self.content_type == content_type,
            None => !self.has_content_type,
        };
        let same = self.form == Some(bare) && same_type;
        if !same {
            self.form = Some(bare);
            self.has_content_type = content_type.is_some();
            self.content_type.clear();
            self.content_type
                .extend_from_slice(content_type.unwrap_or_default());
        }
        same
    }
}

/// Appends a message that is put. A body is written straight to its place: it may be large.
pub(crate) fn encode_put(
    out: &mut Vec<u8>,
    number: u64,
    replaces: Option<u64>,
    message: &StoredMessage<'_>,
    clock: u64,
    last: &mut LastForm,
) {
    let form = Form::of(number, message, clock);
    let (id, body) = (message.id, message.body);
    if last.repeats(&form) && replaces.is_none() {
        return put_again(out, id, body);
    }
    let texts = text_len(id) + body.len();
    let replaces = replaces.unwrap_or(0);
    let length = varint_len(number)
        + varint_len(replaces)
        + form_len(&form)
        + texts
        + varint_len(body.len() as u64);
    out.reserve(length + PUT_HEAD_BYTES);
    out.push(PUT);
    put_varint(out, length as u64);
    put_varint(out, number);
    put_varint(out, replaces);
    put_with_form(out, message, &form);
}

fn put_again(out: &mut Vec<u8>, id: &[u8], body: &[u8]) {
    let record = out.len();
    let (eights, others) = id.as_chunks::<8>();
    if others.is_empty() {
        put_again_head(out, PUT_HEX, id.len() / 2, body.len());
        let is_hex = eights.iter().all(|digits| {
            let packed = pack(*digits);
            out.extend_from_slice(&packed.unwrap_or_default());
            packed.is_some()
        });
        if is_hex {
            return out.extend_from_slice(body);
        }
        out.truncate(record);
    }
    put_again_head(out, PUT_AGAIN, id.len(), body.len());
    out.extend_from_slice(id);
    out.extend_from_slice(body);
}

fn put_again_head(out: &mut Vec<u8>, kind: u8, id_bytes: usize, body_bytes: usize) {
    let length = varint_len(id_bytes as u64) + id_bytes + body_bytes;
    out.reserve(length + PUT_HEAD_BYTES);
    out.push(kind);
    put_varint(out, length as u64);
    put_varint(out, id_bytes as u64);
}

/// Eight hexadecimal digits as four bytes, all at once; `None` if they are not digits, or large
/// letters.
fn pack(digits: [u8; 8]) -> Option<[u8; 4]> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let digits = u64::from_le_bytes(digits);
    // A letter has the bit 64, and a low half of 1 for ten.
    let values = (digits & (15 * ONES)) + ((digits >> 6) & ONES) * 9;
    let letters = ((values + 6 * ONES) >> 4) & ONES;
    if values & (0xf0 * ONES) != 0 || values + 48 * ONES + letters * 39 != digits {
        return None;
    }
    let bytes = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    let [a, b, _, _, c, d, ..] = pairs.to_le_bytes();
    Some([a, b, c, d])
}

/// Room for an id that was written in another form than it has.
pub(crate) type IdRoom = [u8; MAX_ID_BYTES];

/// Writes an id of hexadecimal digits into the room for it.
fn read_hex<'s>(reader: &mut Reader<'_>, room: &'s mut IdRoom) -> Option<&'s [u8]> {
    let bytes = reader.bytes().filter(|bytes| !bytes.is_empty())?;
    let id = room.get_mut(..2 * bytes.len())?;
    let (pairs, _) = id.as_chunks_mut::<2>();
    for (pair, &byte) in pairs.iter_mut().zip(bytes) {
        *pair = [byte >> 4, byte & 15].map(|value| match value {
            0..10 => b'0' + value,
            _ => b'a' - 10 + value,
        });
    }
    Some(id)
}

fn text_len(bytes: &[u8]) -> usize {
    varint_len(bytes.len() as u64) + bytes.len()
}

fn form_len(form: &Form<'_>) -> usize {
    let instants = [form.expiry, form.visible].into_iter().flatten();
    1 + instants.map(varint_len).sum::<usize>() + form.content_type.map_or(0, text_len)
}

/// Appends a message with its times relative to `clock`.
pub(crate) fn put_message(out: &mut Vec<u8>, message: &StoredMessage<'_>, clock: u64) {
    put_with_form(out, message, &Form::of(0, message, clock));
}

fn put_with_form(out: &mut Vec<u8>, message: &StoredMessage<'_>, form: &Form<'_>) {
    out.push(form.flags());
    put_bytes(out, message.id);
    for instant in [form.expiry, form.visible].into_iter().flatten() {
        put_varint(out, instant);
    }
    if let Some(content_type) = form.content_type {
        put_bytes(out, content_type);
    }
    put_bytes(out, message.body);
}

pub(crate) fn read_message<'a>(reader: &mut Reader<'a>, clock: u64) -> Option<StoredMessage<'a>> {
    let flags = reader.byte()?;
    let id = read_id(reader)?;
    let mut instant = |flag: u8, absent: u64| {
        if flags & flag == 0 {
            Some(absent)
        } else {
            absolute(reader.varint()?, clock)
        }
    };
    let expires_at = instant(HAS_EXPIRY, NEVER)?;
    let visible_at = instant(HAS_VISIBLE_AT, 0)?;
    let content_type = if flags & HAS_CONTENT_TYPE == 0 {
        None
    } else {
        Some(reader.text()?.as_bytes())
    };
    Some(StoredMessage {
        id,
        body: reader.bytes()?,
        content_type,
        expires_at,
        visible_at,
    })
}

/// Reads a message of a `PUT_AGAIN` or a `PUT_HEX` behind one of this form. Its body is all
/// that is left.
pub(crate) fn read_again<'s, 'b: 's>(
    kind: u8,
    reader: &mut Reader<'b>,
    form: &Form<'b>,
    clock: u64,
    room: &'s mut IdRoom,
) -> Option<StoredMessage<'s>> {
    let instant = |relative: Option<u64>, absent: u64| match relative {
        None => Some(absent),
        Some(relative) => absolute(relative, clock),
    };
    Some(StoredMessage {
        id: if kind == PUT_HEX {
            read_hex(reader, room)?
        } else {
            read_id(reader)?
        },
        body: reader.rest(),
        content_type: form.content_type,
        expires_at: instant(form.expiry, NEVER)?,
        visible_at: instant(form.visible, 0)?,
    })
}

fn read_id<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let id = reader.text()?;
    (!id.is_empty() && id.len() <= MAX_ID_BYTES).then_some(id.as_bytes())
}

pub(super) fn relative(instant: u64, clock: u64) -> u64 {
    zigzag(instant.wrapping_sub(clock) as i64)
}

pub(super) fn absolute(relative: u64, clock: u64) -> Option<u64> {
    let instant = clock.checked_add_signed(unzigzag(relative))?;
    (instant != NEVER && instant != 0).then_some(instant)
}

#[cfg(test)]
mod tests {
    use super::super::change::Change;
    use super::super::records::{self, PUT};
    use super::*;

    const CLOCK: u64 = 1_000_000;

    fn message(id: &'static str, body: &'static [u8], ttl_ms: u64) -> StoredMessage<'static> {
        StoredMessage {
            id: id.as_bytes(),
            body,
            content_type: None,
            expires_at: CLOCK + ttl_ms,
            visible_at: 0,
        }
    }

    #[test]
    fn messages_like_the_one_before_take_only_id_and_body_and_are_read_as_they_were() {
        let plain = message("m1", b"body", 5_000);
        let typed = StoredMessage {
            content_type: Some(b"text/plain"),
            ..plain
        };
        let puts: [(u64, Option<u64>, StoredMessage<'_>, u64, u8); 13] = [
            (1, None, plain, CLOCK, PUT),
            (1, None, message("m2", b"", 5_000), CLOCK, PUT_AGAIN),
            (1, None, message("00af09bc", b"", 5_000), CLOCK, PUT_HEX),
            (1, None, message("00aF09bc", b"x", 5_000), CLOCK, PUT_AGAIN),
            // A later one with the same time to live.
            (
                1,
                None,
                message("m3", &[7; 300], 5_003),
                CLOCK + 3,
                PUT_AGAIN,
            ),
            (1, None, message("m4", b"4", 6_000), CLOCK + 3, PUT),
            (2, None, message("m4", b"4", 6_000), CLOCK + 3, PUT),
            (2, None, typed, CLOCK, PUT),
            (2, None, typed, CLOCK, PUT_AGAIN),
            // One that replaces another tells so, and is the one before all the same.
            (2, Some(9), typed, CLOCK, PUT),
            (2, None, typed, CLOCK, PUT_AGAIN),
            (
                2,
                None,
                StoredMessage {
                    visible_at: CLOCK + 1,
                    ..typed
                },
                CLOCK,
                PUT,
            ),
            (
                2,
                None,
                StoredMessage {
                    expires_at: NEVER,
                    ..plain
                },
                CLOCK,
                PUT,
            ),
        ];
        let mut last = LastForm::default();
        let mut form = None;
        for (number, replaces, message, clock, kind) in puts {
            let mut record = Vec::new();
            encode_put(&mut record, number, replaces, &message, clock, &mut last);
            let mut reader = Reader::new(&record);
            assert_eq!(reader.byte(), Some(kind));
            // What is borrowed from the blob outlives the record here.
            let payload: &'static [u8] = reader.bytes().unwrap().to_vec().leak();
            assert!(reader.is_empty());
            let mut room = [0; MAX_ID_BYTES];
            let decoded = records::decode(kind, payload, clock, &mut form, &mut room).unwrap();
            assert_eq!(decoded.number, number);
            let Change::Put {
                replaces: read_replaces,
                message: read,
                ..
            } = decoded.change
            else {
                panic!("{decoded:?}");
            };
            assert_eq!(read_replaces, replaces);
            assert_eq!(read.id, message.id);
            assert_eq!(read.body, message.body);
            assert_eq!(read.content_type, message.content_type);
            assert_eq!(
                (read.expires_at, read.visible_at),
                (message.expires_at, message.visible_at)
            );
        }
    }

    #[test]
    fn eight_digits_are_packed_and_nothing_else_is() {
        assert_eq!(pack(*b"0189abef"), Some([0x01, 0x89, 0xab, 0xef]));
        assert_eq!(pack(*b"00000000"), Some([0; 4]));
        assert_eq!(pack(*b"ffffffff"), Some([0xff; 4]));
        for place in 0..8 {
            for byte in 0..=255 {
                let mut digits = *b"0189abef";
                digits[place] = byte;
                let is_digit = matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                assert_eq!(pack(digits).is_some(), is_digit, "{digits:?}");
            }
        }
    }

    #[test]
    fn what_no_writer_makes_is_no_message() {
        let read = |kind, payload, mut form| {
            let mut room = [0; MAX_ID_BYTES];
            records::decode(kind, payload, CLOCK, &mut form, &mut room).is_some()
        };
        let form = Some(Form::of(1, &message("m", b"", 1), CLOCK));
        assert!(read(PUT_AGAIN, b"\x02m1body", form));
        assert!(!read(PUT_AGAIN, b"\x02m1body", None), "the first of a blob");
        assert!(read(PUT_HEX, &[127; 128], form));
        assert!(!read(PUT_HEX, &[128; 300], form), "an id of 256 bytes");
        assert!(!read(PUT_HEX, b"\0body", form), "an empty id");
    }
}
