//! The parts that several messages have.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::failure::DecodeError;
use crate::codec::{Reader, put_bytes, put_varint};
use crate::command::{Detail, Page, QueueName, Selection, Update};
use crate::settings::{Order, Settings};
use crate::token::ClaimToken;

type Read<T> = Result<T, DecodeError>;

/// Which optional fields follow: a bit each, in their order.
pub(super) struct Flags(u64);

impl Flags {
    /// Reads flags of which the lowest `known` bits have a meaning.
    pub(super) fn read(reader: &mut Reader<'_>, known: u32) -> Read<Self> {
        let bits = number(reader)?;
        if bits >> known != 0 {
            return Err(DecodeError::UnknownField);
        }
        Ok(Self(bits))
    }

    pub(super) fn has(&self, bit: u32) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// Reads the field of this bit, if it is there.
    pub(super) fn optional<'a, T>(
        &self,
        bit: u32,
        reader: &mut Reader<'a>,
        read: impl FnOnce(&mut Reader<'a>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.has(bit).then(|| read(reader)).transpose()
    }
}

/// Flags of the fields that are there, the first the lowest.
pub(super) fn put_flags<const N: usize>(out: &mut Vec<u8>, present: [bool; N]) {
    let bits = present
        .iter()
        .rev()
        .fold(0, |bits, &is_there| bits << 1 | u64::from(is_there));
    put_varint(out, bits);
}

pub(super) fn number(reader: &mut Reader<'_>) -> Read<u64> {
    reader.varint().ok_or(DecodeError::Malformed)
}

pub(super) fn number_u32(reader: &mut Reader<'_>) -> Read<u32> {
    u32::try_from(number(reader)?).map_err(|_| DecodeError::Malformed)
}

pub(super) fn bytes<'a>(reader: &mut Reader<'a>) -> Read<&'a [u8]> {
    reader.bytes().ok_or(DecodeError::Malformed)
}

pub(super) fn text<'a>(reader: &mut Reader<'a>) -> Read<&'a str> {
    reader.text().ok_or(DecodeError::Malformed)
}

pub(super) fn cow<'a>(reader: &mut Reader<'a>) -> Read<Cow<'a, str>> {
    text(reader).map(Cow::Borrowed)
}

pub(super) fn boxed(reader: &mut Reader<'_>) -> Read<Box<str>> {
    text(reader).map(Box::from)
}

pub(super) fn end(reader: &Reader<'_>) -> Read<()> {
    match reader.is_empty() {
        true => Ok(()),
        false => Err(DecodeError::UnknownField),
    }
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub(super) fn put_optional_text(out: &mut Vec<u8>, text: Option<&str>) {
    text.into_iter().for_each(|text| put_text(out, text));
}

pub(super) fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    value.into_iter().for_each(|value| put_varint(out, value));
}

/// A claim token is its number; 0, which is no token, stands for none.
pub(super) fn put_claim(out: &mut Vec<u8>, claim: Option<ClaimToken>) {
    put_varint(out, claim.map_or(0, |claim| claim.fence));
}

pub(super) fn claim(reader: &mut Reader<'_>) -> Read<Option<ClaimToken>> {
    let fence = number(reader)?;
    Ok((fence > 0).then_some(ClaimToken { fence }))
}

pub(super) fn put_queue(out: &mut Vec<u8>, name: &QueueName<'_>) {
    put_text(out, &name.account);
    put_text(out, &name.queue);
}

pub(super) fn queue<'a>(reader: &mut Reader<'a>) -> Read<QueueName<'a>> {
    Ok(QueueName {
        account: cow(reader)?,
        queue: cow(reader)?,
    })
}

pub(super) fn put_page(out: &mut Vec<u8>, page: &Page<'_>) {
    put_flags(out, [page.marker.is_some(), page.limit.is_some()]);
    put_optional_text(out, page.marker.as_deref());
    put_optional(out, page.limit);
}

pub(super) fn page<'a>(reader: &mut Reader<'a>) -> Read<Page<'a>> {
    let flags = Flags::read(reader, 2)?;
    Ok(Page {
        marker: flags.optional(0, reader, cow)?,
        limit: flags.optional(1, reader, number)?,
    })
}

pub(super) fn put_selection(out: &mut Vec<u8>, selection: &Selection<'_>) {
    let Selection {
        marker,
        limit,
        match_hidden,
    } = selection;
    put_flags(out, [marker.is_some(), limit.is_some(), *match_hidden]);
    put_optional_text(out, marker.as_deref());
    put_optional(out, *limit);
}

pub(super) fn selection<'a>(reader: &mut Reader<'a>) -> Read<Selection<'a>> {
    let flags = Flags::read(reader, 3)?;
    Ok(Selection {
        marker: flags.optional(0, reader, cow)?,
        limit: flags.optional(1, reader, number)?,
        match_hidden: flags.has(2),
    })
}

pub(super) fn put_update(out: &mut Vec<u8>, update: &Update) {
    put_flags(out, [update.ttl_ms.is_some(), update.hide_ms.is_some()]);
    put_optional(out, update.ttl_ms);
    put_optional(out, update.hide_ms);
}

pub(super) fn update(reader: &mut Reader<'_>) -> Read<Update> {
    let flags = Flags::read(reader, 2)?;
    Ok(Update {
        ttl_ms: flags.optional(0, reader, number)?,
        hide_ms: flags.optional(1, reader, number)?,
    })
}

pub(super) fn put_detail(out: &mut Vec<u8>, detail: Detail) {
    out.push(match detail {
        Detail::None => 0,
        Detail::Id => 1,
        Detail::Attributes => 2,
        Detail::Body => 3,
        Detail::All => 4,
    });
}

pub(super) fn detail(reader: &mut Reader<'_>) -> Read<Detail> {
    match reader.byte() {
        Some(0) => Ok(Detail::None),
        Some(1) => Ok(Detail::Id),
        Some(2) => Ok(Detail::Attributes),
        Some(3) => Ok(Detail::Body),
        Some(4) => Ok(Detail::All),
        _ => Err(DecodeError::Malformed),
    }
}

pub(super) fn put_settings(out: &mut Vec<u8>, settings: &Settings) {
    let Settings {
        default_ttl_ms,
        default_hide_ms,
        max_attempts,
        dead_letter,
        max_messages,
        max_bytes,
        order,
        marker_retention_ms,
    } = settings;
    put_flags(
        out,
        [
            default_ttl_ms.is_some(),
            default_hide_ms.is_some(),
            max_attempts.is_some(),
            dead_letter.is_some(),
            max_messages.is_some(),
            max_bytes.is_some(),
            marker_retention_ms.is_some(),
            *order == Order::Lifo,
        ],
    );
    put_optional(out, *default_ttl_ms);
    put_optional(out, *default_hide_ms);
    put_optional(out, max_attempts.map(u64::from));
    put_optional_text(out, dead_letter.as_deref());
    put_optional(out, *max_messages);
    put_optional(out, *max_bytes);
    put_optional(out, *marker_retention_ms);
}

pub(super) fn settings(reader: &mut Reader<'_>) -> Read<Settings> {
    let flags = Flags::read(reader, 8)?;
    Ok(Settings {
        default_ttl_ms: flags.optional(0, reader, number)?,
        default_hide_ms: flags.optional(1, reader, number)?,
        max_attempts: flags.optional(2, reader, number_u32)?,
        dead_letter: flags.optional(3, reader, boxed)?,
        max_messages: flags.optional(4, reader, number)?,
        max_bytes: flags.optional(5, reader, number)?,
        marker_retention_ms: flags.optional(6, reader, number)?,
        order: if flags.has(7) {
            Order::Lifo
        } else {
            Order::Fifo
        },
    })
}
