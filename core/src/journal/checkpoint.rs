//! A checkpoint, written piece by piece while the queue goes on.
//!
//! A walk over all queues in order of their numbers, and over their messages in order of
//! position, writes down what has changed about each since its body was stored: next to
//! nothing for most. The pieces go along with the blobs that are written anyway. What is
//! behind the walk's cursor is *covered*: the journal from there on tells all about it;
//! what is before it will be told by a later piece, so a restore passes over changes to it.
//!
//! Bodies stay where they are, but for those in extents that hold little else that is
//! alive: those are copied into the piece, and the extents can go.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::change::StoredMessage;
use super::records::{
    put_instant, put_message, put_record, put_settings, read_instant, read_message, read_settings,
};
use crate::codec::{Reader, put_bytes, put_varint};
use crate::settings::Settings;
use crate::state::{Block, Marker, Place, State, View, place_of};

pub(crate) const QUEUE: u8 = 32;
pub(crate) const MESSAGES: u8 = 33;
pub(crate) const COPIED: u8 = 34;
pub(crate) const MARKERS: u8 = 35;
pub(crate) const CURSOR: u8 = 36;
pub(crate) const END: u8 = 37;

/// What one piece may cost: steps of the walk, and bytes.
const PIECE_STEPS: usize = 4096;
const PIECE_BYTES: usize = 32 << 10;

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

#[derive(Debug)]
pub(crate) struct Checkpoint {
    start: u64,
    needless: Vec<RangeInclusive<u64>>,
    cursor: Cursor,
    /// The next marker to write, by its number, once all queues are covered.
    next_marker: u64,
    bytes: u64,
    written_by: Option<u64>,
}

impl Checkpoint {
    /// A checkpoint whose first piece is in the blob `start`, and which makes these blobs needless.
    pub(crate) fn new(start: u64, needless: Vec<RangeInclusive<u64>>) -> Self {
        Self {
            start,
            needless,
            cursor: Cursor::START,
            next_marker: 0,
            bytes: 0,
            written_by: None,
        }
    }

    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written_by.is_some()
    }

    /// The blob that has the last piece.
    pub(crate) fn written_by(&self) -> Option<u64> {
        self.written_by
    }

    pub(crate) fn into_needless(self) -> Vec<RangeInclusive<u64>> {
        self.needless
    }

    /// Appends the next piece to the blob `sequence`, behind all its changes.
    pub(crate) fn write_piece(
        &mut self,
        state: &mut State,
        out: &mut Vec<u8>,
        clock: u64,
        sequence: u64,
    ) {
        if self.is_written() || sequence < self.start {
            return;
        }
        let before = out.len();
        let mut budget = Budget {
            steps: PIECE_STEPS,
            end: before + PIECE_BYTES,
        };
        if self.cursor != Cursor::END {
            self.write_queues(state, out, clock, &mut budget);
            let mut payload = Vec::new();
            put_varint(&mut payload, self.cursor.queue);
            put_varint(&mut payload, self.cursor.position);
            put_record(out, CURSOR, &payload);
        } else if self.write_markers(state, out, &mut budget) {
            let mut payload = Vec::new();
            for field in [
                self.start,
                state.next_position,
                state.next_fence,
                state.next_queue,
                state.seed,
            ] {
                put_varint(&mut payload, field);
            }
            put_record(out, END, &payload);
            self.written_by = Some(sequence);
        }
        self.bytes += (out.len() - before) as u64;
    }

    fn write_queues(
        &mut self,
        state: &mut State,
        out: &mut Vec<u8>,
        clock: u64,
        budget: &mut Budget,
    ) {
        while budget.is_left(out) {
            if self.cursor.position == u64::MAX {
                let Some(next) = self.cursor.queue.checked_add(1) else {
                    break;
                };
                let Some((&number, &place)) = state.by_number.range(next..).next() else {
                    self.cursor = Cursor::END;
                    break;
                };
                write_queue(state, place, out);
                budget.steps = budget.steps.saturating_sub(8);
                self.cursor = Cursor {
                    queue: number,
                    position: 0,
                };
            }
            match state.by_number.get(&self.cursor.queue) {
                Some(&place) => self.write_messages(state, place, out, clock, budget),
                None => self.cursor.position = u64::MAX,
            }
        }
    }

    fn write_messages(
        &mut self,
        state: &mut State,
        queue: u32,
        out: &mut Vec<u8>,
        clock: u64,
        budget: &mut Budget,
    ) {
        let mut runs = Runs::default();
        let mut copied: Vec<Place> = Vec::new();
        let mut reached = u64::MAX;
        for (number, block) in state.blocks_behind(queue, self.cursor.position) {
            if block.last_position() <= self.cursor.position {
                continue;
            }
            if block.base_position() > self.cursor.position
                && block.is_plain()
                && !state
                    .extents
                    .any_leaving(block.base_position(), block.last_position())
            {
                runs.plain(block.base_position(), block.slots() as u64);
                budget.steps = budget.steps.saturating_sub(4);
            } else {
                let from = block.lower_bound(self.cursor.position.saturating_add(1));
                self.write_block(
                    state,
                    (number, block),
                    from,
                    &mut runs,
                    out,
                    clock,
                    &mut copied,
                );
                budget.steps = budget.steps.saturating_sub(block.slots());
            }
            if !budget.is_left(out) || runs.items.len() > PIECE_BYTES {
                reached = block.last_position();
                break;
            }
        }
        runs.finish(out, self.cursor.queue);
        self.cursor.position = reached;
        for place in copied {
            state.rehome(place);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn write_block(
        &self,
        state: &State,
        (number, block): (u32, &Block),
        from: usize,
        runs: &mut Runs,
        out: &mut Vec<u8>,
        clock: u64,
        copied: &mut Vec<Place>,
    ) {
        let mut next = block.live().first_from(from);
        while let Some(slot) = next {
            let view = block.view(slot);
            if state.extents.is_leaving(view.home) {
                write_copy(&view, self.cursor.queue, out, clock);
                copied.push(place_of(number, slot));
            } else if block.is_changed(slot) {
                runs.changed(&view, clock);
            } else {
                runs.plain(view.position, 1);
            }
            next = block.live().first_from(slot + 1);
        }
    }

    /// True once all markers are written.
    fn write_markers(&mut self, state: &State, out: &mut Vec<u8>, budget: &mut Budget) -> bool {
        let mut payload = Vec::new();
        let mut complete = true;
        for (number, marker) in state.markers.iter_from(self.next_marker) {
            if payload.len() >= PIECE_BYTES || budget.steps == 0 {
                complete = false;
                break;
            }
            budget.steps -= 1;
            payload.extend_from_slice(&marker.queue.to_le_bytes());
            payload.extend_from_slice(&marker.key.to_le_bytes());
            put_varint(&mut payload, marker.position);
            put_varint(&mut payload, marker.keep_until);
            self.next_marker = number + 1;
        }
        if !payload.is_empty() {
            put_record(out, MARKERS, &payload);
        }
        complete
    }
}

struct Budget {
    steps: usize,
    end: usize,
}

impl Budget {
    fn is_left(&self, out: &[u8]) -> bool {
        self.steps > 0 && out.len() < self.end
    }
}

fn write_queue(state: &State, place: u32, out: &mut Vec<u8>) {
    let queue = state.queue(place);
    let mut payload = Vec::new();
    put_varint(&mut payload, queue.number);
    put_bytes(&mut payload, state.account_of(place).name.as_bytes());
    put_bytes(&mut payload, queue.name.as_bytes());
    payload.push(u8::from(queue.settings.is_some()));
    if let Some(settings) = &queue.settings {
        put_settings(&mut payload, settings);
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

fn write_copy(view: &View<'_>, queue: u64, out: &mut Vec<u8>, clock: u64) {
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
struct Runs {
    items: Vec<u8>,
    /// The position behind the last item.
    expected: u64,
    first: u64,
    length: u64,
}

const CHANGED: u64 = 1;

impl Runs {
    fn plain(&mut self, position: u64, length: u64) {
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

    fn changed(&mut self, view: &View<'_>, clock: u64) {
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

    fn finish(mut self, out: &mut Vec<u8>, queue: u64) {
        self.flush();
        if !self.items.is_empty() {
            let mut payload = Vec::with_capacity(self.items.len() + 10);
            put_varint(&mut payload, queue);
            payload.extend_from_slice(&self.items);
            put_record(out, MESSAGES, &payload);
        }
    }
}

/// Messages whose bodies a restore will come across.
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

pub(crate) fn read_markers(payload: &[u8], mut each: impl FnMut(Marker)) -> Option<()> {
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        each(Marker {
            queue: reader.u64()?,
            key: reader.u64()?,
            position: reader.varint()?,
            keep_until: reader.varint()?,
        });
    }
    Some(())
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
    pub(crate) next_fence: u64,
    pub(crate) next_queue: u64,
    pub(crate) seed: u64,
}

pub(crate) fn read_end(payload: &[u8]) -> Option<Ending> {
    let mut reader = Reader::new(payload);
    Some(Ending {
        start: reader.varint()?,
        next_position: reader.varint().filter(|&n| n < 1 << 62)?,
        next_fence: reader.varint().filter(|&n| n < 1 << 62)?,
        next_queue: reader.varint().filter(|&n| n < 1 << 62)?,
        seed: reader.varint()?,
    })
}
