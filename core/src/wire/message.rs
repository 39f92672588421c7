//! Messages to put, and what becomes of claimed ones.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::failure::DecodeError;
use super::fields::{
    Flags, bytes, claim, cow, number, put_claim, put_flags, put_optional, put_optional_text,
    put_text,
};
use crate::codec::{Reader, put_bytes, put_varint};
use crate::command::{NewMessage, SettleAction, Settlement, Update};
use crate::refusal::{LimitName, Refusal};

/// Bytes of the shortest message or settlement: flags and an empty body or id.
const LEAST_ITEM_BYTES: usize = 2;

pub(super) fn put_new(out: &mut Vec<u8>, message: &NewMessage<'_>) {
    let NewMessage {
        id,
        body,
        content_type,
        ttl_ms,
        hide_ms,
    } = message;
    put_flags(
        out,
        [
            id.is_some(),
            content_type.is_some(),
            ttl_ms.is_some(),
            hide_ms.is_some(),
        ],
    );
    put_optional_text(out, id.as_deref());
    put_optional_text(out, content_type.as_deref());
    put_optional(out, *ttl_ms);
    put_optional(out, *hide_ms);
    put_bytes(out, body);
}

pub(super) fn new<'a>(reader: &mut Reader<'a>) -> Result<NewMessage<'a>, DecodeError> {
    let flags = Flags::read(reader, 4)?;
    Ok(NewMessage {
        id: flags.optional(0, reader, cow)?,
        content_type: flags.optional(1, reader, cow)?,
        ttl_ms: flags.optional(2, reader, number)?,
        hide_ms: flags.optional(3, reader, number)?,
        body: Cow::Borrowed(bytes(reader)?),
    })
}

pub(super) fn put_settlement(out: &mut Vec<u8>, settlement: &Settlement<'_>) {
    let (is_update, update) = match settlement.action {
        SettleAction::Delete => (false, Update::default()),
        SettleAction::Update(update) => (true, update),
    };
    put_flags(
        out,
        [
            settlement.claim.is_some(),
            is_update,
            update.ttl_ms.is_some(),
            update.hide_ms.is_some(),
        ],
    );
    put_text(out, &settlement.id);
    if settlement.claim.is_some() {
        put_claim(out, settlement.claim);
    }
    put_optional(out, update.ttl_ms);
    put_optional(out, update.hide_ms);
}

pub(super) fn settlement<'a>(reader: &mut Reader<'a>) -> Result<Settlement<'a>, DecodeError> {
    let flags = Flags::read(reader, 4)?;
    let id = cow(reader)?;
    let claim = match flags.has(0) {
        true => Some(claim(reader)?.ok_or(DecodeError::Malformed)?),
        false => None,
    };
    let update = Update {
        ttl_ms: flags.optional(2, reader, number)?,
        hide_ms: flags.optional(3, reader, number)?,
    };
    let action = match (flags.has(1), update) {
        (true, update) => SettleAction::Update(update),
        (
            false,
            Update {
                ttl_ms: None,
                hide_ms: None,
            },
        ) => SettleAction::Delete,
        // A message that is removed has no times.
        (false, _) => return Err(DecodeError::Malformed),
    };
    Ok(Settlement { id, claim, action })
}

pub(super) fn put_items<T>(out: &mut Vec<u8>, items: &[T], put: fn(&mut Vec<u8>, &T)) {
    put_varint(out, items.len() as u64);
    items.iter().for_each(|item| put(out, item));
}

/// Reads items, of which there may be as many as a batch may have. An item is many times
/// larger in memory than the fewest bytes that say it.
pub(super) fn items<'a, T>(
    reader: &mut Reader<'a>,
    max_batch_messages: u64,
    read: fn(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = number(reader)?;
    if count > max_batch_messages {
        return Err(DecodeError::Refused(Refusal::TooLarge {
            limit: LimitName::BatchMessages,
            maximum: max_batch_messages,
        }));
    }
    let count = usize::try_from(count).map_err(|_| DecodeError::Malformed)?;
    let mut items = Vec::with_capacity(count.min(reader.remaining() / LEAST_ITEM_BYTES));
    for _ in 0..count {
        items.push(read(reader)?);
    }
    Ok(items)
}
