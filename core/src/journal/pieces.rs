//! The records of a checkpoint's pieces.

use alloc::vec::Vec;

use super::change::StoredMessage;
use super::message::{put_message, read_message};
use super::records::{put_instant, put_record, put_settings, read_instant, read_settings};
use crate::codec::{Reader, put_bytes, put_varint, unzigzag, zigzag};
use crate::settings::Settings;
use crate::state::{Marker, State, View};

pub(crate) const QUEUE: u8 = 32;
pub(crate) const MESSAGES: u8 = 33;
pub(crate) const COPIED: u8 = 34;
pub(crate) const MARKERS: u8 = 35;
pub(crate) const CURSOR: u8 = 36;
pub(crate) const END: u8 = 37;

/// A place in the walk: all queues with smaller numbers, and in this one all messages up
/// to the position, are covered. Position 0 is the queue itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    pub(crate) queue: u64,
    pub(crate) position: u64,
}

impl Cursor {
    pub(crate) const START: Self = Self {
        queue: 0,
        position: u64::MAX,
    };
    pub(crate) const END: Self = Self {
        queue: u64::MAX,
        position: u64::MAX,
    };

    pub(crate) fn covers(self, queue: u64, position: u64) -> bool {
        Self { queue, position } <= self
    }
}

pub(super) fn write_queue(state: &State, place: u32, out: &mut Vec<u8>) {
    let queue = state.queue(place);
    let mut payload = Vec::new();
    put_varint(&mut payload, queue.number);
    put_bytes(&mut payload, state.account_of(place).name.as_bytes());
    put_bytes(&mut payload, queue.name.as_bytes());
    payload.push(u8::from(queue.settings.is_some()));
    if let Some(settings) = &queue.settings {
        put_settings(&mut payload, &settings.given());
    }
    put_record(out, QUEUE, &payload);
}

/// A queue as a checkpoint tells it.
#[derive(Debug)]
pub(crate) struct StoredQueue<'a> {
    pub(crate) number: u64,
    pub(crate) account: &'a str,
    pub(crate) name: &'a str,
    pub(crate) settings: Option<Settings>,
}

pub(crate) fn read_queue(payload: &[u8]) -> Option<StoredQueue<'_>> {
    let mut reader = Reader::new(payload);
    let number = reader.varint().filter(|&number| number < 1 << 62)?;
    let account = reader.text().filter(|name| !name.is_empty())?;
    let name = reader.text().filter(|name| !name.is_empty())?;
    let settings = if reader.byte()? == 0 {
        None
    } else {
        Some(read_settings(&mut reader)?)
    };
    Some(StoredQueue {
        number,
        account,
        name,
        settings,
    })
}

pub(super) fn write_copy(view: &View<'_>, queue: u64, out: &mut Vec<u8>, clock: u64) {
    let mut payload = Vec::with_capacity(view.body.len() + view.id.len() + 64);
    put_varint(&mut payload, queue);
    put_varint(&mut payload, view.position);
    put_varint(&mut payload, u64::from(view.attempts));
    put_varint(&mut payload, view.fence);
    let message = StoredMessage {
        id: view.id,
        body: view.body,
        content_type: view.content_type,
        expires_at: view.expires_at,
        visible_at: view.visible_at,
    };
    put_message(&mut payload, &message, clock);
    put_record(out, COPIED, &payload);
}

/// A message that a checkpoint copied, body and all.
#[derive(Debug)]
pub(crate) struct Copied<'a> {
    pub(crate) queue: u64,
    pub(crate) position: u64,
    pub(crate) attempts: u32,
    pub(crate) fence: u64,
    pub(crate) message: StoredMessage<'a>,
}

pub(crate) fn read_copy(payload: &[u8], clock: u64) -> Option<Copied<'_>> {
    let mut reader = Reader::new(payload);
    Some(Copied {
        queue: reader.varint()?,
        position: reader
            .varint()
            .filter(|&position| position != 0 && position < 1 << 62)?,
        attempts: u32::try_from(reader.varint()?).ok()?,
        fence: reader.varint().filter(|&fence| fence < 1 << 62)?,
        message: read_message(&mut reader, clock)?,
    })
}

/// Messages of one queue whose bodies stay where they are: runs of unchanged ones, and
/// each changed one with all that has changed.
#[derive(Debug, Default)]
pub(super) struct Runs {
    items: Vec<u8>,
    /// The position behind the last item.
    expected: u64,
    first: u64,
    length: u64,
}

const CHANGED: u64 = 1;

impl Runs {
    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn plain(&mut self, position: u64, length: u64) {
        if self.length > 0 && self.first + self.length == position {
            self.length += length;
        } else {
            self.flush();
            (self.first, self.length) = (position, length);
        }
    }

    fn flush(&mut self) {
        if self.length > 0 {
            put_varint(&mut self.items, self.length << 1);
            put_varint(&mut self.items, self.first - self.expected);
            self.expected = self.first + self.length;
            self.length = 0;
        }
    }

    pub(super) fn changed(&mut self, view: &View<'_>, clock: u64) {
        self.flush();
        put_varint(&mut self.items, CHANGED);
        put_varint(&mut self.items, view.position - self.expected);
        self.expected = view.position + 1;
        put_varint(
            &mut self.items,
            if view.home == view.position {
                0
            } else {
                view.home
            },
        );
        put_instant(&mut self.items, view.expires_at, clock);
        put_instant(&mut self.items, view.visible_at, clock);
        put_varint(&mut self.items, u64::from(view.attempts));
        put_varint(&mut self.items, view.fence);
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>, queue: u64) {
        self.flush();
        if !self.items.is_empty() {
            let mut payload = Vec::with_capacity(self.items.len() + 10);
            put_varint(&mut payload, queue);
            payload.extend_from_slice(&self.items);
            put_record(out, MESSAGES, &payload);
        }
    }
}

/// Messages whose bodies a restore will come across, in this order: homes and positions
/// both ascend by one.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) home: u64,
    pub(crate) length: u64,
    pub(crate) queue: u64,
    pub(crate) position: u64,
    pub(crate) changed: Option<Changed>,
}

/// What has changed about an [`Expected`] message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    pub(crate) expires_at: u64,
    pub(crate) visible_at: u64,
    pub(crate) attempts: u32,
    pub(crate) fence: u64,
}

pub(crate) fn read_messages(payload: &[u8], clock: u64, into: &mut Vec<Expected>) -> Option<()> {
    let mut reader = Reader::new(payload);
    let queue = reader.varint()?;
    let mut behind = 0u64;
    while !reader.is_empty() {
        let tag = reader.varint()?;
        let position = behind
            .checked_add(reader.varint()?)
            .filter(|&position| position != 0 && position < 1 << 62)?;
        let length = if tag == CHANGED { 1 } else { tag >> 1 };
        behind = position.checked_add(length)?;
        let mut expected = Expected {
            home: position,
            length,
            queue,
            position,
            changed: None,
        };
        if tag == CHANGED {
            let home = reader.varint()?;
            expected.home = if home == 0 { position } else { home };
            expected.changed = Some(Changed {
                expires_at: read_instant(&mut reader, clock)?,
                visible_at: read_instant(&mut reader, clock)?,
                attempts: u32::try_from(reader.varint()?).ok()?,
                fence: reader.varint().filter(|&fence| fence < 1 << 62)?,
            });
        } else if tag & 1 == 1 || length == 0 {
            return None;
        }
        into.push(expected);
    }
    Some(())
}

/// Markers as runs of one queue each. They come in the order of removal, so a marker is
/// told by its key and by what little separates it from the one before.
#[derive(Debug, Default)]
pub(super) struct MarkerRuns {
    payload: Vec<u8>,
    queue: u64,
    run: Vec<u8>,
    length: u64,
    last: Before,
}

/// Position and time of the marker before.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    position: u64,
    keep_until: u64,
}

/// In place of the checkpoint's first blob, where a blob does not stay for its markers.
pub(crate) const NOT_KEPT: u64 = 0;

impl MarkerRuns {
    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.payload.len() + self.run.len()
    }

    pub(super) fn push(&mut self, marker: &Marker) {
        if self.queue != marker.queue {
            self.flush();
            self.queue = marker.queue;
        }
        self.length += 1;
        self.run.extend_from_slice(&marker.key.to_le_bytes());
        for (value, last) in [
            (marker.position, &mut self.last.position),
            (marker.keep_until, &mut self.last.keep_until),
        ] {
            put_varint(&mut self.run, zigzag(value.wrapping_sub(*last) as i64));
            *last = value;
        }
    }

    fn flush(&mut self) {
        if self.length > 0 {
            self.payload.extend_from_slice(&self.queue.to_le_bytes());
            put_varint(&mut self.payload, self.length);
            self.payload.append(&mut self.run);
            self.length = 0;
        }
    }

    /// `checkpoint`: the first blob of the checkpoint that tells them, or [`NOT_KEPT`].
    pub(super) fn finish(mut self, out: &mut Vec<u8>, checkpoint: u64) {
        self.flush();
        let mut payload = Vec::with_capacity(self.payload.len() + 10);
        put_varint(&mut payload, checkpoint);
        payload.append(&mut self.payload);
        put_record(out, MARKERS, &payload);
    }
}

/// Gives the first blob of the checkpoint that told these markers, or [`NOT_KEPT`].
pub(crate) fn read_markers(payload: &[u8], mut each: impl FnMut(Marker)) -> Option<u64> {
    let mut reader = Reader::new(payload);
    let checkpoint = reader.varint()?;
    let mut last = Before::default();
    while !reader.is_empty() {
        let queue = reader.u64()?;
        for _ in 0..reader.varint()? {
            let key = reader.u64()?;
            for value in [&mut last.position, &mut last.keep_until] {
                *value = value.wrapping_add(unzigzag(reader.varint()?) as u64);
            }
            each(Marker {
                queue,
                key,
                position: last.position,
                keep_until: last.keep_until,
            });
        }
    }
    Some(checkpoint)
}

pub(crate) fn read_cursor(payload: &[u8]) -> Option<Cursor> {
    let mut reader = Reader::new(payload);
    Some(Cursor {
        queue: reader.varint()?,
        position: reader.varint()?,
    })
}

/// The last words of a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) start: u64,
    pub(crate) next_position: u64,
    pub(crate) stamps_from: u64,
    pub(crate) next_queue: u64,
    pub(crate) seed: u64,
    /// How many there were, 0 if it was not told.
    pub(crate) markers: u64,
}

pub(crate) fn read_end(payload: &[u8]) -> Option<Ending> {
    let mut reader = Reader::new(payload);
    Some(Ending {
        start: reader.varint()?,
        next_position: reader.varint().filter(|&n| n < 1 << 62)?,
        stamps_from: reader.varint().filter(|&n| n < 1 << 62)?,
        next_queue: reader.varint().filter(|&n| n < 1 << 62)?,
        seed: reader.varint()?,
        markers: match reader.is_empty() {
            true => 0,
            false => reader.varint()?,
        },
    })
}
