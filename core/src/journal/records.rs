//! Changes as records.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::change::Change;
use super::message::{
    Form, IdRoom, LastForm, absolute, encode_put, read_again, read_message, relative,
};
use crate::codec::{Reader, put_bytes, put_varint, unzigzag, zigzag};
use crate::settings::{Order, Settings};
use crate::state::{NEVER, stamp_of};

pub(crate) const CLOCK: u8 = 1;
pub(crate) const QUEUE_OPENED: u8 = 2;
pub(crate) const QUEUE_CLOSED: u8 = 3;
pub(crate) const SETTINGS_PUT: u8 = 4;
pub(crate) const SETTINGS_CLEARED: u8 = 5;
pub(crate) const PUT: u8 = 6;
pub(crate) const CLAIMED: u8 = 7;
pub(crate) const UNCLAIMED: u8 = 8;
pub(crate) const UPDATED: u8 = 9;
pub(crate) const REMOVED: u8 = 10;
pub(crate) const MOVED: u8 = 11;
pub(crate) const PUT_AGAIN: u8 = 12;
pub(crate) const PUT_HEX: u8 = 13;

/// Positions of one record, at the most; more are split over several.
const MAX_POSITIONS: usize = 1 << 20;

/// Appends a record with this payload.
pub(crate) fn put_record(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.push(kind);
    put_bytes(out, payload);
}

/// Appends a record with the payload that `write` appends. Most are short: their length
/// takes the byte that is left for it, a longer one pushes the payload on.
fn put_record_with(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let length_at = out.len();
    out.push(0);
    write(out);
    let length = out.len() - length_at - 1;
    if let (0..0x80, Some(byte)) = (length, out.get_mut(length_at)) {
        *byte = length as u8;
    } else {
        let mut encoded = Vec::with_capacity(10);
        put_varint(&mut encoded, length as u64);
        let (start, end) = (length_at + 1, out.len());
        out.resize(end + encoded.len() - 1, 0);
        out.copy_within(start..end, length_at + encoded.len());
        if let Some(place) = out.get_mut(length_at..length_at + encoded.len()) {
            place.copy_from_slice(&encoded);
        }
    }
}

/// Appends a change to the queue `number`, as of the instant `clock`.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    change: &Change<'_>,
    number: u64,
    clock: u64,
    last: &mut LastForm,
) {
    match change {
        Change::Put {
            replaces, message, ..
        } => encode_put(out, number, *replaces, message, clock, last),
        Change::Claimed {
            visible_at,
            fence,
            positions,
            ..
        } => encode_claimed(out, number, (*visible_at, *fence), positions, clock),
        Change::Unclaimed { positions, .. } => {
            put_lists(out, UNCLAIMED, number, &[], positions);
        }
        Change::Updated {
            expires_at,
            visible_at,
            positions,
            ..
        } => {
            let mut head = Vec::new();
            head.push(u8::from(expires_at.is_some()) | u8::from(visible_at.is_some()) << 1);
            for instant in [expires_at, visible_at].into_iter().flatten() {
                put_instant(&mut head, *instant, clock);
            }
            put_lists(out, UPDATED, number, &head, positions);
        }
        Change::Removed { positions, .. } => encode_removed(out, number, positions),
        Change::Moved {
            position,
            attempts,
            fence,
            ..
        } => put_record_with(out, MOVED, |out| {
            for field in [number, *position, u64::from(*attempts), *fence] {
                put_varint(out, field);
            }
        }),
        Change::QueueOpened { account, name, .. } => put_record_with(out, QUEUE_OPENED, |out| {
            put_varint(out, number);
            put_bytes(out, account.as_bytes());
            put_bytes(out, name.as_bytes());
        }),
        Change::QueueClosed { .. } => {
            put_record_with(out, QUEUE_CLOSED, |out| put_varint(out, number))
        }
        Change::SettingsPut { settings, .. } => put_record_with(out, SETTINGS_PUT, |out| {
            put_varint(out, number);
            put_settings(out, settings);
        }),
        Change::SettingsCleared { .. } => {
            put_record_with(out, SETTINGS_CLEARED, |out| put_varint(out, number))
        }
    }
}

fn encode_claimed(
    out: &mut Vec<u8>,
    number: u64,
    (visible_at, fence): (u64, u64),
    positions: &[u64],
    clock: u64,
) {
    let fences = (fence..).step_by(MAX_POSITIONS);
    for (part, fence) in positions.chunks(MAX_POSITIONS).zip(fences) {
        let mut head = Vec::new();
        put_instant(&mut head, visible_at, clock);
        put_varint(
            &mut head,
            zigzag(fence.wrapping_sub(stamp_of(clock)) as i64),
        );
        put_list(out, CLAIMED, number, &head, part);
    }
}

/// Appends the removal of the messages at these positions of the queue `number`.
pub(crate) fn encode_removed(out: &mut Vec<u8>, number: u64, positions: &[u64]) {
    put_lists(out, REMOVED, number, &[], positions);
}

/// An instant that may be `NEVER` (1) or 0 (0).
pub(crate) fn put_instant(out: &mut Vec<u8>, instant: u64, clock: u64) {
    match instant {
        0 => out.push(0),
        NEVER => out.push(1),
        _ => {
            out.push(2);
            put_varint(out, relative(instant, clock));
        }
    }
}

pub(crate) fn read_instant(reader: &mut Reader<'_>, clock: u64) -> Option<u64> {
    match reader.byte()? {
        0 => Some(0),
        1 => Some(NEVER),
        2 => absolute(reader.varint()?, clock),
        _ => None,
    }
}

fn put_lists(out: &mut Vec<u8>, kind: u8, number: u64, head: &[u8], positions: &[u64]) {
    for part in positions.chunks(MAX_POSITIONS) {
        put_list(out, kind, number, head, part);
    }
}

/// Positions as runs: what is claimed or removed is mostly one behind the other.
fn put_list(out: &mut Vec<u8>, kind: u8, number: u64, head: &[u8], positions: &[u64]) {
    put_record_with(out, kind, |out| {
        put_varint(out, number);
        out.extend_from_slice(head);
        let runs = positions.chunk_by(|a, b| a.checked_add(1) == Some(*b));
        put_varint(out, runs.clone().count() as u64);
        let mut expected = 0u64;
        for run in runs {
            let (Some(&first), Some(&last)) = (run.first(), run.last()) else {
                continue;
            };
            put_varint(out, zigzag(first.wrapping_sub(expected) as i64));
            put_varint(out, run.len() as u64);
            expected = last.wrapping_add(1);
        }
    });
}

fn read_positions(reader: &mut Reader<'_>) -> Option<Vec<u64>> {
    let runs = reader.varint()?;
    let mut positions = Vec::new();
    let mut expected = 0u64;
    for _ in 0..runs {
        let first = expected.wrapping_add(unzigzag(reader.varint()?) as u64);
        let length = usize::try_from(reader.varint()?).ok()?;
        if length == 0 || length > MAX_POSITIONS - positions.len() {
            return None;
        }
        expected = first.checked_add(length as u64)?;
        positions.extend(first..expected);
    }
    Some(positions)
}

pub(crate) fn put_settings(out: &mut Vec<u8>, settings: &Settings) {
    let optional = |out: &mut Vec<u8>, value: Option<u64>| match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put_varint(out, value);
        }
    };
    optional(out, settings.default_ttl_ms);
    optional(out, settings.default_hide_ms);
    optional(out, settings.max_attempts.map(u64::from));
    put_bytes(
        out,
        settings
            .dead_letter
            .as_deref()
            .unwrap_or_default()
            .as_bytes(),
    );
    optional(out, settings.max_messages);
    optional(out, settings.max_bytes);
    out.push(match settings.order {
        Order::Fifo => 0,
        Order::Lifo => 1,
    });
    optional(out, settings.marker_retention_ms);
}

pub(crate) fn read_settings(reader: &mut Reader<'_>) -> Option<Settings> {
    fn optional(reader: &mut Reader<'_>) -> Option<Option<u64>> {
        match reader.byte()? {
            0 => Some(None),
            1 => Some(Some(reader.varint()?)),
            _ => None,
        }
    }
    Some(Settings {
        default_ttl_ms: optional(reader)?,
        default_hide_ms: optional(reader)?,
        max_attempts: match optional(reader)? {
            None => None,
            Some(attempts) => Some(u32::try_from(attempts).ok()?),
        },
        dead_letter: Some(reader.text()?)
            .filter(|name| !name.is_empty())
            .map(Into::into),
        max_messages: optional(reader)?,
        max_bytes: optional(reader)?,
        order: match reader.byte()? {
            0 => Order::Fifo,
            1 => Order::Lifo,
            _ => return None,
        },
        marker_retention_ms: optional(reader)?,
    })
}

/// A change as it was read: its queue is still a number, and its queue place is 0.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    pub(crate) number: u64,
    pub(crate) change: Change<'a>,
}

/// Reads a change; `None` if the payload is not one. Kinds that are no change are the
/// caller's. `form` is that of the blob's last put so far, and is kept up to date.
pub(crate) fn decode<'s, 'b: 's>(
    kind: u8,
    payload: &'b [u8],
    clock: u64,
    form: &mut Option<Form<'b>>,
    room: &'s mut IdRoom,
) -> Option<Decoded<'s>> {
    let mut reader = Reader::new(payload);
    if let PUT_AGAIN | PUT_HEX = kind {
        let form = (*form)?;
        let change = Change::Put {
            queue: 0,
            replaces: None,
            message: read_again(kind, &mut reader, &form, clock, room)?,
        };
        let number = form.number;
        return Some(Decoded { number, change });
    }
    let number = reader.varint().filter(|&number| number < 1 << 62)?;
    let queue = 0;
    let change = match kind {
        QUEUE_OPENED => decode_opened(&mut reader, number)?,
        QUEUE_CLOSED => Change::QueueClosed { queue },
        SETTINGS_PUT => Change::SettingsPut {
            queue,
            settings: Cow::Owned(read_settings(&mut reader)?),
        },
        SETTINGS_CLEARED => Change::SettingsCleared { queue },
        PUT => {
            let replaces = Some(reader.varint()?).filter(|&position| position != 0);
            let message = read_message(&mut reader, clock)?;
            *form = Some(Form::of(number, &message, clock));
            Change::Put {
                queue,
                replaces,
                message,
            }
        }
        CLAIMED => decode_claimed(&mut reader, clock)?,
        UNCLAIMED => Change::Unclaimed {
            queue,
            positions: read_positions(&mut reader)?.into(),
        },
        UPDATED => decode_updated(&mut reader, clock)?,
        MOVED => Change::Moved {
            queue,
            position: reader.varint()?,
            attempts: u32::try_from(reader.varint()?).ok()?,
            fence: reader.varint().filter(|&fence| fence < 1 << 62)?,
        },
        REMOVED => Change::Removed {
            queue,
            positions: read_positions(&mut reader)?.into(),
        },
        _ => return None,
    };
    Some(Decoded { number, change })
}

fn decode_opened<'a>(reader: &mut Reader<'a>, number: u64) -> Option<Change<'a>> {
    let mut name = || reader.text().filter(|name| !name.is_empty());
    Some(Change::QueueOpened {
        number,
        account: name()?.into(),
        name: name()?.into(),
    })
}

fn decode_claimed<'a>(reader: &mut Reader<'a>, clock: u64) -> Option<Change<'a>> {
    let visible_at = read_instant(reader, clock)?;
    let fence = stamp_of(clock)
        .checked_add_signed(unzigzag(reader.varint()?))
        .filter(|&fence| fence != 0 && fence < 1 << 62)?;
    Some(Change::Claimed {
        queue: 0,
        visible_at,
        fence,
        positions: read_positions(reader)?.into(),
    })
}

fn decode_updated<'a>(reader: &mut Reader<'a>, clock: u64) -> Option<Change<'a>> {
    let flags = reader.byte()?;
    let mut instant = |flag: u8| {
        Some(if flags & flag == 0 {
            None
        } else {
            Some(read_instant(reader, clock)?)
        })
    };
    Some(Change::Updated {
        queue: 0,
        expires_at: instant(1)?,
        visible_at: instant(2)?,
        positions: read_positions(reader)?.into(),
    })
}
