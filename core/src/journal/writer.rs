//! The blob that is being filled, and what is known of those that were handed out.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::Batch;
use super::blob::{self, Header};
use super::change::Change;
use super::checkpoint::Checkpoint;
use super::message::LastForm;
use super::records::{self, CLOCK};
use crate::codec::put_varint;
use crate::config::JournalConfig;
use crate::state::{State, stamp_of};

/// A checkpoint waits until the journal has grown by so many times the size of the last
/// one: what checkpoints add to what is written is at most the inverse.
const CHECKPOINT_SHARE: u64 = 4;
/// And by so many bytes for each message, each hidden one and each queue, for the time that a
/// walk over them takes, but by no more than so many times what it grows by at the least.
const BYTES_PER_MESSAGE: u64 = 8;
const BYTES_PER_HIDDEN: u64 = 128;
const BYTES_PER_QUEUE: u64 = 512;
const MOST_FOR_THE_WALK: u64 = 128;

/// What a batch has room for when it is begun.
const LEAST_RESERVED_BYTES: usize = 256;
const MOST_RESERVED_BYTES: usize = 64 << 10;

/// Claims may be answered before they are stored as long as their stamps are of so much time
/// after the last change that was: a restore takes it that all of these are given.
pub(super) const DEFERRAL_LEASE_MS: u64 = 60_000;

#[derive(Debug)]
pub(crate) struct Writer {
    config: JournalConfig,
    /// The open blob, empty until its first record.
    open: Vec<u8>,
    /// Bytes of the last batch: the next is often like it.
    last_bytes: usize,
    last_form: LastForm,
    /// Removals that are to be written next, with the number of their queue. Those that
    /// follow each other, as in a batch of acknowledgements, share a record.
    removed: Option<(u64, Vec<u64>)>,
    /// The open blob has something that a reply may depend on.
    dirty: bool,
    /// The instant of the last record.
    clock: u64,
    /// When the open blob is to be stored for the sake of deferred claims.
    deferred_until: Option<u64>,
    /// The last instant that the last batch tells of, and that is known to be stored.
    polled_clock: u64,
    stored_clock: u64,
    next_sequence: u64,
    durable: u64,
    /// The first blob of the last durable checkpoint.
    checkpoint_start: u64,
    checkpoint_bytes: u64,
    bytes_since_checkpoint: u64,
    checkpoint: Option<Checkpoint>,
    drops: Vec<RangeInclusive<u64>>,
}

impl Writer {
    pub(crate) fn new(config: JournalConfig) -> Self {
        Self {
            config,
            open: Vec::new(),
            last_bytes: 0,
            last_form: LastForm::default(),
            removed: None,
            dirty: false,
            clock: 0,
            deferred_until: None,
            polled_clock: 0,
            stored_clock: 0,
            next_sequence: 1,
            durable: 0,
            checkpoint_start: 0,
            checkpoint_bytes: 0,
            bytes_since_checkpoint: 0,
            checkpoint: None,
            drops: Vec::new(),
        }
    }

    /// Goes on behind the blob `last`, all of which are durable.
    /// `clock` is the last instant that they tell of.
    pub(crate) fn resume(
        &mut self,
        last: u64,
        clock: u64,
        checkpoint_start: u64,
        bytes_since_checkpoint: u64,
    ) {
        self.polled_clock = clock;
        self.stored_clock = clock;
        self.next_sequence = last + 1;
        self.durable = last;
        self.checkpoint_start = checkpoint_start;
        self.bytes_since_checkpoint = bytes_since_checkpoint;
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.config.enabled
    }

    pub(crate) fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    /// Bytes that the next batch has so far.
    pub(crate) fn open_bytes(&self) -> u64 {
        self.open.len() as u64
    }

    /// What must be durable before a reply may leave that was decided now.
    pub(crate) fn barrier(&self) -> u64 {
        if self.dirty {
            self.next_sequence
        } else {
            self.next_sequence - 1
        }
    }

    /// Writes down a change that the state is about to make. A `passive` one follows from
    /// what is stored already: it is in no hurry.
    pub(crate) fn append(&mut self, state: &State, change: &Change<'_>, passive: bool) {
        let number = match change {
            Change::QueueOpened { number, .. } => *number,
            Change::QueueClosed { queue }
            | Change::SettingsPut { queue, .. }
            | Change::SettingsCleared { queue }
            | Change::Put { queue, .. }
            | Change::Claimed { queue, .. }
            | Change::Unclaimed { queue, .. }
            | Change::Updated { queue, .. }
            | Change::Removed { queue, .. }
            | Change::Moved { queue, .. } => state.queue(*queue).number,
        };
        self.begin(state);
        if self.clock != state.clock {
            self.write_removed();
            let mut delta = Vec::new();
            put_varint(&mut delta, state.clock - self.clock);
            records::put_record(&mut self.open, CLOCK, &delta);
            self.clock = state.clock;
        }
        self.dirty |= !passive;
        if let Change::Removed { positions, .. } = change {
            if self
                .removed
                .as_ref()
                .is_some_and(|(queue, _)| *queue != number)
            {
                self.write_removed();
            }
            let (_, removed) = self.removed.get_or_insert((number, Vec::new()));
            removed.extend_from_slice(positions);
            return;
        }
        self.write_removed();
        records::encode(
            &mut self.open,
            change,
            number,
            self.clock,
            &mut self.last_form,
        );
    }

    fn write_removed(&mut self) {
        if let Some((number, positions)) = self.removed.take() {
            records::encode_removed(&mut self.open, number, &positions);
        }
    }

    /// As [`append`](Self::append), for the changes that make a claim.
    pub(crate) fn append_claim(&mut self, state: &State, change: &Change<'_>) {
        let delay_ms = self.config.claim_delay_ms;
        let leased = stamp_of(self.stored_clock.saturating_add(DEFERRAL_LEASE_MS));
        let is_leased = match change {
            Change::Claimed {
                fence, positions, ..
            } => fence.saturating_add(positions.len() as u64) <= leased,
            _ => false,
        };
        let deferred = delay_ms > 0 && is_leased && state.is_stamped();
        self.append(state, change, deferred);
        if deferred {
            self.deferred_until
                .get_or_insert(state.clock.saturating_add(delay_ms));
        }
    }

    /// When a claim has been deferred for long enough.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.deferred_until
    }

    pub(crate) fn advance(&mut self, clock: u64) {
        if self
            .deferred_until
            .take_if(|until| *until <= clock)
            .is_some()
        {
            self.dirty = true;
        }
    }

    fn begin(&mut self, state: &State) {
        if !self.open.is_empty() {
            return;
        }
        let header = Header {
            sequence: self.next_sequence,
            clock: state.clock,
            checkpoint: self.checkpoint_start,
            first_home: state.next_position,
            first_copy: state.next_copy,
        };
        let like_last = self
            .last_bytes
            .clamp(LEAST_RESERVED_BYTES, MOST_RESERVED_BYTES);
        self.open.reserve(like_last);
        header.encode(&mut self.open);
        self.last_form.clear();
        self.clock = state.clock;
    }

    /// The next batch, if there is anything to store. While a checkpoint is under way each
    /// batch takes a piece of it along, and one without anything else is made whenever the
    /// storage has nothing to do.
    pub(crate) fn poll(&mut self, state: &mut State) -> Option<Batch> {
        let idle = self.durable == self.last_sequence();
        let working = self
            .checkpoint
            .as_ref()
            .is_some_and(|checkpoint| !checkpoint.is_written());
        if !self.dirty && !(idle && (working || !self.drops.is_empty())) {
            return None;
        }
        self.begin(state);
        self.write_removed();
        let sequence = self.next_sequence;
        self.bytes_since_checkpoint += self.open.len() as u64;
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.write_piece(state, &mut self.open, self.clock, sequence);
        }
        blob::seal(&mut self.open);
        let begins = self.checkpoint.is_none()
            && self.drops.is_empty()
            && self.bytes_since_checkpoint >= self.threshold(state);
        state.extents.end_blob(
            sequence,
            state.next_position,
            state.next_copy,
            self.config.extent_bytes,
            begins,
        );
        if begins {
            self.checkpoint = Some(Checkpoint::new(
                sequence + 1,
                state.extents.begin_checkpoint(),
            ));
            self.bytes_since_checkpoint = 0;
        }
        self.next_sequence += 1;
        self.last_bytes = self.open.len();
        self.dirty = false;
        self.deferred_until = None;
        self.polled_clock = self.clock;
        Some(Batch {
            sequence,
            blob: core::mem::take(&mut self.open),
            drops: core::mem::take(&mut self.drops),
        })
    }

    fn threshold(&self, state: &State) -> u64 {
        let least = self.config.checkpoint_bytes;
        let messages = state.messages.saturating_mul(BYTES_PER_MESSAGE);
        let hidden = state.hidden.saturating_mul(BYTES_PER_HIDDEN);
        let queues = state.queue_count().saturating_mul(BYTES_PER_QUEUE);
        let walk = messages.saturating_add(hidden).saturating_add(queues);
        least
            .max(self.checkpoint_bytes.saturating_mul(CHECKPOINT_SHARE))
            .max(walk.min(least.saturating_mul(MOST_FOR_THE_WALK)))
    }

    /// All blobs up to `sequence` are stored.
    pub(crate) fn handle_durable(&mut self, state: &mut State, sequence: u64) {
        self.durable = self.durable.max(sequence.min(self.last_sequence()));
        if self.durable == self.last_sequence() {
            self.stored_clock = self.polled_clock;
        }
        let done = |checkpoint: &mut Checkpoint| {
            checkpoint
                .written_by()
                .is_some_and(|end| end <= self.durable)
        };
        if let Some(checkpoint) = self.checkpoint.take_if(done) {
            self.checkpoint_start = checkpoint.start();
            self.checkpoint_bytes = checkpoint.bytes();
            blob::set_checkpoint(&mut self.open, self.checkpoint_start);
            self.drops = state.markers.without_kept(checkpoint.into_needless());
            state.extents.finish_checkpoint();
        }
    }
}
