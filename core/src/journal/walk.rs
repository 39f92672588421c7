//! The walk of a restore over all blobs, in order.

use alloc::vec::Vec;

use super::RestoreError;
use super::blob;
use super::change::{Change, StoredMessage};
use super::message::{Form, IdRoom};
use super::pieces::{
    self, COPIED, CURSOR, Copied, Cursor, END, Ending, Expected, MARKERS, MESSAGES, NOT_KEPT, QUEUE,
};
use super::records::{self, CLOCK, Decoded, PUT, PUT_AGAIN, PUT_HEX};
use super::restore::{Plan, read_clock};
use super::writer::DEFERRAL_LEASE_MS;
use crate::config::MAX_ID_BYTES;
use crate::state::extents::{COPY, stored_size};
use crate::state::{Loaded, MAX_BLOCKS, State, Touched, stamp_of};

const UNREADABLE: &str = "a record cannot be read";

/// A walk over all blobs in order.
#[derive(Debug)]
pub(super) struct Walk {
    state: State,
    plan: Plan,
    /// The next expected bodies: those at their first home, and those that were copied.
    next_first: usize,
    next_copied: usize,
    start: u64,
    cursor: Cursor,
    /// The checkpoint's pieces are still to come, or being read.
    in_checkpoint: bool,
    /// The blob that is being read stays for the markers that this checkpoint told in it.
    told_markers: Option<u64>,
}

impl Walk {
    pub(super) fn new(state: State, plan: Plan, start: u64) -> Self {
        let next_copied = plan
            .expected
            .partition_point(|expected| expected.home & COPY == 0);
        let (cursor, in_checkpoint) = if start == 0 {
            (Cursor::END, false)
        } else {
            (Cursor::START, true)
        };
        Self {
            state,
            plan,
            next_first: 0,
            next_copied,
            start,
            cursor,
            in_checkpoint,
            told_markers: None,
        }
    }

    pub(super) fn blob(
        &mut self,
        sequence: u64,
        bytes: &[u8],
        extent_bytes: u64,
    ) -> Result<(), RestoreError> {
        let (header, mut records) = blob::open(sequence, bytes)?;
        let replaying = sequence >= self.start;
        self.state.next_position = self.state.next_position.max(header.first_home);
        self.state.next_copy = self.state.next_copy.max(header.first_copy);
        let mut place = Position {
            clock: header.clock,
            home: header.first_home,
            copy: header.first_copy,
            form: None,
        };
        if replaying {
            self.advance(header.clock);
        }
        while let Some((kind, payload)) = records.next()? {
            self.record(replaying, kind, payload, &mut place)
                .map_err(|problem| records.damaged(problem))?;
        }
        self.state.next_position = self.state.next_position.max(place.home);
        self.state.next_copy = self.state.next_copy.max(place.copy);
        self.state.extents.end_blob(
            sequence,
            place.home,
            place.copy,
            extent_bytes,
            sequence + 1 == self.start,
        );
        if let Some(checkpoint) = self.told_markers.take() {
            self.state.markers.end_saved(checkpoint, sequence);
        }
        Ok(())
    }

    /// Goes over one record. An error says what is wrong with it.
    fn record<'a>(
        &mut self,
        replaying: bool,
        kind: u8,
        payload: &'a [u8],
        place: &mut Position<'a>,
    ) -> Result<(), &'static str> {
        match kind {
            CLOCK => {
                read_clock(payload, &mut place.clock).ok_or(UNREADABLE)?;
                if replaying {
                    self.advance(place.clock);
                }
                Ok(())
            }
            COPIED | MARKERS | CURSOR | QUEUE | END | MESSAGES => {
                self.of_checkpoint(replaying, kind, payload, place)
            }
            PUT | PUT_AGAIN | PUT_HEX if !replaying => {
                let mut room = [0; MAX_ID_BYTES];
                let decoded = place.decode(kind, payload, &mut room).ok_or(UNREADABLE)?;
                let home = place.home;
                place.home += 1;
                match decoded.change {
                    Change::Put { message, .. } => self.body(home, &message),
                    _ => Ok(()),
                }
            }
            _ if replaying => {
                let mut room = [0; MAX_ID_BYTES];
                let decoded = place.decode(kind, payload, &mut room).ok_or(UNREADABLE)?;
                self.replay(decoded, place)
            }
            _ => Ok(()),
        }
    }

    /// A record of a checkpoint's piece: of the one that is restored from, of an earlier one, or
    /// of one that was not completed, about which the changes tell all.
    fn of_checkpoint(
        &mut self,
        replaying: bool,
        kind: u8,
        payload: &[u8],
        place: &mut Position<'_>,
    ) -> Result<(), &'static str> {
        let is_told = replaying && self.in_checkpoint;
        match kind {
            COPIED => {
                let copied = pieces::read_copy(payload, place.clock).ok_or(UNREADABLE)?;
                let home = place.copy;
                place.copy += 1;
                if is_told {
                    self.load_copied(&copied, home)?;
                } else {
                    self.body(home, &copied.message)?;
                }
            }
            MARKERS if !replaying || is_told => {
                let each = |marker| self.state.load_marker(marker);
                let checkpoint = pieces::read_markers(payload, each).ok_or(UNREADABLE)?;
                if checkpoint != NOT_KEPT {
                    self.told_markers = Some(checkpoint);
                }
            }
            CURSOR => {
                let cursor = pieces::read_cursor(payload).ok_or(UNREADABLE)?;
                if is_told {
                    self.cursor = cursor;
                }
            }
            QUEUE => {
                let queue = pieces::read_queue(payload).ok_or(UNREADABLE)?;
                if is_told {
                    self.open_planned(queue.number)?;
                }
            }
            END => {
                let ending = pieces::read_end(payload).ok_or(UNREADABLE)?;
                if ending.start == self.start {
                    self.end_checkpoint(&ending);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn advance(&mut self, clock: u64) {
        // Queues that time empties are closed by records of their own.
        if self.state.pass(clock) {
            self.state.let_happen(&mut Touched::default());
        }
    }

    /// A body that was stored at `home`: loads it if the checkpoint expects it.
    fn body(&mut self, home: u64, message: &StoredMessage<'_>) -> Result<(), &'static str> {
        let next = if home & COPY == 0 {
            &mut self.next_first
        } else {
            &mut self.next_copied
        };
        let expected = self.plan.expected.get_mut(*next);
        let expected =
            expected.filter(|expected| expected.home <= home && (home ^ expected.home) & COPY == 0);
        let Some(expected) = expected else {
            self.state.extents.pass_dead(stored_size(message.size()));
            return Ok(());
        };
        if expected.home != home {
            return Err("a body that the checkpoint expects is missing before this one");
        }
        let found = expected.clone();
        expected.home += 1;
        expected.position += 1;
        expected.length -= 1;
        if expected.length == 0 {
            *next += 1;
        }
        self.load_expected(&found, message)
    }

    fn load_expected(
        &mut self,
        expected: &Expected,
        message: &StoredMessage<'_>,
    ) -> Result<(), &'static str> {
        let home = expected.home;
        let queue = self.open_planned(expected.queue)?;
        let mut message = *message;
        // A message that was hidden when it was put, and is not any more, is unchanged.
        message.visible_at = 0;
        let mut loaded = Loaded {
            home,
            changed: false,
            attempts: 0,
            fence: 0,
        };
        if let Some(changed) = &expected.changed {
            message.expires_at = changed.expires_at;
            message.visible_at = changed.visible_at;
            loaded = Loaded {
                home,
                changed: true,
                attempts: changed.attempts,
                fence: changed.fence,
            };
        }
        self.load(queue, expected.position, &message, &loaded)
    }

    fn load_copied(&mut self, copied: &Copied<'_>, home: u64) -> Result<(), &'static str> {
        let queue = self.open_planned(copied.queue)?;
        let loaded = Loaded {
            home,
            changed: true,
            attempts: copied.attempts,
            fence: copied.fence,
        };
        self.load(queue, copied.position, &copied.message, &loaded)
    }

    fn load(
        &mut self,
        queue: u32,
        position: u64,
        message: &StoredMessage<'_>,
        loaded: &Loaded,
    ) -> Result<(), &'static str> {
        if self.state.is_used(queue, position)
            || self.state.find_message(queue, message.id).is_some()
        {
            return Err("a message is there twice");
        }
        if self.state.block_count() + 3 > MAX_BLOCKS {
            return Err("there are more messages than can be told apart");
        }
        self.state.load(queue, position, message, loaded);
        Ok(())
    }

    /// The place of a queue of the checkpoint, which is opened when it is first met.
    fn open_planned(&mut self, number: u64) -> Result<u32, &'static str> {
        if let Some(&place) = self.state.by_number.get(&number) {
            return Ok(place);
        }
        let entry = self
            .plan
            .queues
            .remove(number)
            .ok_or("it names a queue that is not there")?;
        if self.state.find_queue(&entry.account, &entry.name).is_some() {
            return Err("a queue is there twice");
        }
        self.state.evolve(&Change::QueueOpened {
            number,
            account: entry.account.as_str().into(),
            name: entry.name.as_str().into(),
        });
        let place = *self
            .state
            .by_number
            .get(&number)
            .ok_or("it names a queue that is not there")?;
        if let Some(settings) = entry.settings {
            self.state.evolve(&Change::SettingsPut {
                queue: place,
                settings: alloc::borrow::Cow::Owned(settings),
            });
        }
        Ok(place)
    }

    fn end_checkpoint(&mut self, ending: &Ending) {
        self.in_checkpoint = false;
        self.cursor = Cursor::END;
        self.state.next_position = self.state.next_position.max(ending.next_position);
        self.state.pass_stamps(ending.stamps_from, 0);
        self.state.next_queue = self.state.next_queue.max(ending.next_queue);
    }

    /// Makes a change again, as far as it is to what is covered.
    fn replay(
        &mut self,
        decoded: Decoded<'_>,
        place: &mut Position<'_>,
    ) -> Result<(), &'static str> {
        let Decoded { number, mut change } = decoded;
        if let Change::QueueOpened { account, name, .. } = &change {
            self.state.next_queue = self.state.next_queue.max(number + 1);
            if !self.cursor.covers(number, 0) {
                return Ok(());
            }
            if self.state.by_number.contains_key(&number)
                || self.state.find_queue(account, name).is_some()
            {
                return Err("a queue is there twice");
            }
            self.state.evolve(&change);
            return Ok(());
        }
        if let Change::Claimed {
            fence, positions, ..
        } = &change
        {
            self.state.pass_stamps(*fence, positions.len() as u64);
        }
        if let Change::Moved {
            position, fence, ..
        } = &change
        {
            self.state.pass_stamps(*fence, 1);
            if !self.cursor.covers(number, *position) {
                return Ok(());
            }
        }
        if let Change::Put {
            replaces, message, ..
        } = &change
        {
            let home = place.home;
            place.home += 1;
            self.state.pass_id(message.id, place.clock);
            if !self.cursor.covers(number, replaces.unwrap_or(home)) {
                return self.body(home, message);
            }
            // A restore counts homes as it goes, whether or not it makes the change.
            self.state.next_position = home;
        } else if !self.cursor.covers(number, 0) {
            return Ok(());
        }
        let queue = *self
            .state
            .by_number
            .get(&number)
            .ok_or("it names a queue that is not there")?;
        set_queue(&mut change, queue);
        if let Change::Put {
            replaces, message, ..
        } = &change
        {
            let there = self.state.find_message(queue, message.id);
            let same = there.map(|place| self.state.position(place));
            if same != *replaces || replaces.is_none() && self.state.is_used(queue, place.home - 1)
            {
                return Err("a message is there twice, or the one to replace is not there");
            }
        }
        self.keep_covered(&mut change, number);
        self.state.evolve(&change);
        Ok(())
    }

    /// Leaves out what a later piece of the checkpoint will tell, where the cursor stands
    /// within the queue.
    fn keep_covered(&mut self, change: &mut Change<'_>, number: u64) {
        if self.cursor.queue != number || self.cursor.position == u64::MAX {
            return;
        }
        let cursor = self.cursor;
        if let Change::Claimed {
            queue,
            visible_at,
            fence,
            positions,
        } = change
        {
            for (&position, fence) in positions.iter().zip(*fence..) {
                if cursor.covers(number, position) {
                    let positions = alloc::vec![position].into();
                    self.state.evolve(&Change::Claimed {
                        queue: *queue,
                        visible_at: *visible_at,
                        fence,
                        positions,
                    });
                }
            }
            positions.to_mut().clear();
        }
        if let Change::Unclaimed { positions, .. }
        | Change::Updated { positions, .. }
        | Change::Removed { positions, .. } = change
        {
            positions
                .to_mut()
                .retain(|&position| cursor.covers(number, position));
        }
    }

    /// All blobs are read.
    pub(super) fn finish(mut self, last: u64) -> Result<State, RestoreError> {
        let first_end = self
            .plan
            .expected
            .partition_point(|expected| expected.home & COPY == 0);
        if self.next_first < first_end || self.next_copied < self.plan.expected.len() {
            let problem = "a body that its checkpoint expects is in no blob";
            return Err(RestoreError::Damaged {
                sequence: last,
                offset: 0,
                problem,
            });
        }
        let idle: Vec<u32> = self
            .state
            .by_number
            .values()
            .copied()
            .filter(|&queue| self.state.queue(queue).is_idle())
            .collect();
        for queue in idle {
            self.state.evolve(&Change::QueueClosed { queue });
        }
        // Tokens given in an earlier life, also ones that no blob tells of, stay stale.
        let untold_until = self.state.clock.saturating_add(DEFERRAL_LEASE_MS);
        self.state.pass_stamps(stamp_of(untold_until), 0);
        Ok(self.state)
    }
}

/// Where in the journal the walk is: the instant, the homes of the next bodies, and the form of
/// the last message that was put.
struct Position<'a> {
    clock: u64,
    home: u64,
    copy: u64,
    form: Option<Form<'a>>,
}

impl<'b> Position<'b> {
    fn decode<'s>(
        &mut self,
        kind: u8,
        payload: &'b [u8],
        room: &'s mut IdRoom,
    ) -> Option<Decoded<'s>>
    where
        'b: 's,
    {
        records::decode(kind, payload, self.clock, &mut self.form, room)
    }
}

fn set_queue(change: &mut Change<'_>, place: u32) {
    match change {
        Change::QueueOpened { .. } => {}
        Change::QueueClosed { queue }
        | Change::SettingsPut { queue, .. }
        | Change::SettingsCleared { queue }
        | Change::Put { queue, .. }
        | Change::Claimed { queue, .. }
        | Change::Unclaimed { queue, .. }
        | Change::Updated { queue, .. }
        | Change::Removed { queue, .. }
        | Change::Moved { queue, .. } => *queue = place,
    }
}
