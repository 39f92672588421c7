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
//!
//! At last come the markers, as a rule only those that no checkpoint told before: a blob
//! with markers stays until hardly any of them is left.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::pieces::{CURSOR, Cursor, END, MarkerRuns, NOT_KEPT, Runs, write_copy, write_queue};
use super::records::put_record;
use crate::codec::put_varint;
use crate::state::{Block, Place, State, place_of};

/// Markers in one piece, at the most.
const PIECE_MARKERS: usize = 32 << 10;
/// A blob stays for its markers if the rest of it is smaller than they are, or than this.
const SMALL_BYTES: usize = 4 << 10;

/// What one piece may cost: steps of the walk, and bytes. A blob that is large anyway takes
/// a piece of a quarter of its size along, so that checkpoints keep up with the journal.
const PIECE_STEPS: usize = 4096;
const PIECE_BYTES: usize = 32 << 10;
const PIECE_SHARE: usize = 4;

#[derive(Debug)]
pub(crate) struct Checkpoint {
    start: u64,
    needless: Vec<RangeInclusive<u64>>,
    cursor: Cursor,
    /// The next marker to write, by its number, once all queues are covered.
    next_marker: u64,
    /// So far, the blobs with markers stay.
    keeps_markers: bool,
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
            keeps_markers: true,
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
        let bytes = PIECE_BYTES.max(before / PIECE_SHARE);
        let mut budget = Budget {
            steps: PIECE_STEPS.saturating_mul(bytes / PIECE_BYTES),
            bytes,
            end: before + bytes,
        };
        if self.cursor != Cursor::END {
            self.write_queues(state, out, clock, &mut budget);
            let mut payload = Vec::new();
            put_varint(&mut payload, self.cursor.queue);
            put_varint(&mut payload, self.cursor.position);
            put_record(out, CURSOR, &payload);
            if self.cursor == Cursor::END {
                self.turn_to_markers(state);
            }
        } else if self.write_markers(state, out, sequence) {
            let mut payload = Vec::new();
            for field in [
                self.start,
                state.next_position,
                state.stamps_from,
                state.next_queue,
                state.seed,
                state.markers.len(),
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
        let mut piece = QueuePiece {
            queue: self.cursor.queue,
            clock,
            out,
            runs: Runs::default(),
            copied: Vec::new(),
        };
        let mut reached = u64::MAX;
        for (number, block) in state.blocks_behind(queue, self.cursor.position) {
            if block.last_position() <= self.cursor.position {
                continue;
            }
            let (first, last) = (block.base_position(), block.last_position());
            if first > self.cursor.position
                && block.is_plain()
                && !state.extents.any_leaving(first, last)
            {
                piece.runs.plain(first, block.slots() as u64);
                budget.steps = budget.steps.saturating_sub(4);
            } else {
                let from = block.lower_bound(self.cursor.position.saturating_add(1));
                piece.add_block(state, number, block, from);
                budget.steps = budget.steps.saturating_sub(block.slots());
            }
            if !budget.is_left(piece.out) || piece.runs.len() > budget.bytes {
                reached = last;
                break;
            }
        }
        piece.runs.finish(piece.out, self.cursor.queue);
        self.cursor.position = reached;
        for place in piece.copied {
            state.rehome(place);
        }
    }

    fn turn_to_markers(&mut self, state: &mut State) {
        for blob in state.release_marker_blobs() {
            // One that an extent needs goes with the extent.
            if !state.extents.has_blob(blob) {
                self.needless.push(blob..=blob);
            }
        }
        self.next_marker = state.markers.saved_up_to();
    }

    /// True once all markers are written.
    fn write_markers(&mut self, state: &mut State, out: &mut Vec<u8>, sequence: u64) -> bool {
        let mut runs = MarkerRuns::default();
        let mut count = 0;
        for (number, marker) in state
            .markers
            .iter_from(self.next_marker)
            .take(PIECE_MARKERS)
        {
            runs.push(marker);
            self.next_marker = number + 1;
            count += 1;
        }
        if count == 0 {
            return true;
        }
        self.keeps_markers &= out.len() <= runs.len().max(SMALL_BYTES);
        if self.keeps_markers {
            state
                .markers
                .set_saved(self.start, sequence, self.next_marker, count);
            runs.finish(out, self.start);
        } else {
            runs.finish(out, NOT_KEPT);
        }
        state.markers.iter_from(self.next_marker).next().is_none()
    }
}

/// What one piece says of one queue's messages.
struct QueuePiece<'a> {
    queue: u64,
    clock: u64,
    out: &'a mut Vec<u8>,
    runs: Runs,
    /// Messages whose bodies were written: they have new homes once the walk lets go of them.
    copied: Vec<Place>,
}

impl QueuePiece<'_> {
    /// Writes down the messages of a block from a slot on, one by one.
    fn add_block(&mut self, state: &State, number: u32, block: &Block, from: usize) {
        let mut next = block.live().first_from(from);
        while let Some(slot) = next {
            let view = block.view(slot);
            if state.extents.is_leaving(view.home) {
                write_copy(&view, self.queue, self.out, self.clock);
                self.copied.push(place_of(number, slot));
            } else if block.is_changed(slot) {
                self.runs.changed(&view, self.clock);
            } else {
                self.runs.plain(view.position, 1);
            }
            next = block.live().first_from(slot + 1);
        }
    }
}

struct Budget {
    steps: usize,
    bytes: usize,
    end: usize,
}

impl Budget {
    fn is_left(&self, out: &[u8]) -> bool {
        self.steps > 0 && out.len() < self.end
    }
}
