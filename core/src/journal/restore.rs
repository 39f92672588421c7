//! From stored blobs back to a state.
//!
//! The last blob names the first blob of the last durable checkpoint. The checkpoint's
//! pieces are read first: they tell which bodies are alive, and what has changed about
//! them. Then all blobs are read in order: a body that the checkpoint expects is loaded
//! where it is found; from the checkpoint's first blob on, changes to what is covered are
//! made again.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::blob::{self, Header, Records};
use super::change::{Change, StoredMessage};
use super::checkpoint::{
    self, COPIED, CURSOR, Copied, Cursor, END, Ending, Expected, MARKERS, MESSAGES, QUEUE,
    StoredQueue,
};
use super::records::{self, CLOCK, Decoded, PUT};
use super::{Load, RestoreError, RestoreReport};
use crate::codec::Reader;
use crate::config::Config;
use crate::settings::Settings;
use crate::state::extents::{COPY, stored_size};
use crate::state::{Loaded, State, Touched};

/// A state as the journal tells it, and where the journal goes on.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) state: State,
    pub(crate) report: RestoreReport,
    pub(crate) checkpoint_start: u64,
    /// Bytes of the blobs from the checkpoint on.
    pub(crate) bytes_since: u64,
}

pub(crate) fn restore(config: &Config, load: &mut dyn Load) -> Result<Restored, RestoreError> {
    let sequences = load.sequences()?;
    let mut state = State::new(config);
    let Some(&last) = sequences.last() else {
        return Ok(Restored {
            state,
            report: RestoreReport::default(),
            checkpoint_start: 0,
            bytes_since: 0,
        });
    };
    let start = blob::open(last, &load.read(last)?)?.0.checkpoint;
    require_all(&sequences, start.max(1), last)?;
    let plan = if start == 0 {
        Plan::default()
    } else {
        read_checkpoint(load, start, last)?
    };
    if let Some(ending) = plan.ending {
        state.seed = ending.seed;
    }
    let mut walk = Walk::new(state, plan, start);
    let mut report = RestoreReport {
        last_sequence: last,
        ..RestoreReport::default()
    };
    let mut bytes_since = 0;
    for &sequence in &sequences {
        let bytes = load.read(sequence)?;
        report.blobs += 1;
        report.bytes += bytes.len() as u64;
        if sequence >= start {
            bytes_since += bytes.len() as u64;
        }
        walk.blob(sequence, &bytes, config.journal.extent_bytes)?;
    }
    let state = walk.finish(last)?;
    report.messages = state.messages;
    report.queues = state.queue_count();
    report.accounts = state.accounts.len() as u64;
    Ok(Restored {
        state,
        report,
        checkpoint_start: start,
        bytes_since,
    })
}

/// From the checkpoint on, every blob must be there.
fn require_all(sequences: &[u64], start: u64, last: u64) -> Result<(), RestoreError> {
    let from = sequences.partition_point(|&sequence| sequence < start);
    let mut wanted = start;
    for &sequence in sequences.get(from..).unwrap_or_default() {
        if sequence != wanted {
            return Err(RestoreError::Missing { sequence: wanted });
        }
        wanted += 1;
    }
    if wanted <= last {
        Err(RestoreError::Missing { sequence: wanted })
    } else {
        Ok(())
    }
}

/// What a checkpoint tells.
#[derive(Debug, Default)]
struct Plan {
    /// Ordered by home.
    expected: Vec<Expected>,
    queues: BTreeMap<u64, QueueEntry>,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct QueueEntry {
    account: String,
    name: String,
    settings: Option<Settings>,
}

fn read_checkpoint(load: &mut dyn Load, start: u64, last: u64) -> Result<Plan, RestoreError> {
    let mut plan = Plan::default();
    for sequence in start..=last {
        let bytes = load.read(sequence)?;
        let (header, mut records) = blob::open(sequence, &bytes)?;
        let mut clock = header.clock;
        while let Some((kind, payload)) = records.next()? {
            let understood = match kind {
                CLOCK => read_clock(payload, &mut clock),
                MESSAGES => checkpoint::read_messages(payload, clock, &mut plan.expected),
                QUEUE => checkpoint::read_queue(payload).map(|queue| plan.add_queue(queue)),
                END => checkpoint::read_end(payload).map(|ending| plan.ending = Some(ending)),
                _ => Some(()),
            };
            understood.ok_or_else(|| records.damaged("a record of a checkpoint cannot be read"))?;
            if plan.ending.is_some_and(|ending| ending.start == start) {
                plan.expected.sort_unstable_by_key(|expected| expected.home);
                return Ok(plan);
            }
        }
    }
    Err(RestoreError::Damaged {
        sequence: last,
        offset: 0,
        problem: "it names a checkpoint that is not complete",
    })
}

impl Plan {
    fn add_queue(&mut self, queue: StoredQueue<'_>) {
        let entry = QueueEntry {
            account: queue.account.into(),
            name: queue.name.into(),
            settings: queue.settings,
        };
        self.queues.insert(queue.number, entry);
    }
}

fn read_clock(payload: &[u8], clock: &mut u64) -> Option<()> {
    *clock = clock
        .checked_add(Reader::new(payload).varint()?)
        .filter(|&clock| clock < 1 << 62)?;
    Some(())
}

/// A walk over all blobs in order.
struct Walk {
    state: State,
    plan: Plan,
    /// The next expected bodies: those at their first home, and those that were copied.
    next_first: usize,
    next_copied: usize,
    start: u64,
    cursor: Cursor,
    /// The checkpoint's pieces are still to come, or being read.
    in_checkpoint: bool,
}

impl Walk {
    fn new(state: State, plan: Plan, start: u64) -> Self {
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
        }
    }

    fn blob(&mut self, sequence: u64, bytes: &[u8], extent_bytes: u64) -> Result<(), RestoreError> {
        let (header, mut records) = blob::open(sequence, bytes)?;
        let replaying = sequence >= self.start;
        self.state.next_position = self.state.next_position.max(header.first_home);
        self.state.next_copy = self.state.next_copy.max(header.first_copy);
        let mut place = Position {
            clock: header.clock,
            home: header.first_home,
            copy: header.first_copy,
        };
        if replaying {
            self.advance(header.clock);
        }
        while let Some((kind, payload)) = records.next()? {
            self.record(&header, &records, replaying, kind, payload, &mut place)?;
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
        Ok(())
    }

    fn record(
        &mut self,
        header: &Header,
        records: &Records<'_>,
        replaying: bool,
        kind: u8,
        payload: &[u8],
        place: &mut Position,
    ) -> Result<(), RestoreError> {
        let unreadable = || records.damaged("a record cannot be read");
        match kind {
            CLOCK => {
                read_clock(payload, &mut place.clock).ok_or_else(unreadable)?;
                if replaying {
                    self.advance(place.clock);
                }
            }
            COPIED => {
                let copied = checkpoint::read_copy(payload, place.clock).ok_or_else(unreadable)?;
                let home = place.copy;
                place.copy += 1;
                if self.in_checkpoint && replaying {
                    self.load_copied(&copied, home)
                        .map_err(|problem| records.damaged(problem))?;
                } else {
                    self.body(home, &copied.message)
                        .map_err(|problem| records.damaged(problem))?;
                }
            }
            MARKERS if replaying && self.in_checkpoint => {
                let clock = self.state.clock;
                let markers = &mut self.state.markers;
                checkpoint::read_markers(payload, |marker| markers.insert(marker, clock))
                    .ok_or_else(unreadable)?;
            }
            CURSOR => {
                let cursor = checkpoint::read_cursor(payload).ok_or_else(unreadable)?;
                if replaying && self.in_checkpoint {
                    self.cursor = cursor;
                }
            }
            QUEUE => {
                let queue = checkpoint::read_queue(payload).ok_or_else(unreadable)?;
                if replaying && self.in_checkpoint {
                    self.open_planned(queue.number)
                        .map_err(|problem| records.damaged(problem))?;
                }
            }
            END => {
                let ending = checkpoint::read_end(payload).ok_or_else(unreadable)?;
                if ending.start == self.start {
                    self.end_checkpoint(&ending);
                }
            }
            MESSAGES | MARKERS => {}
            PUT if !replaying => {
                let decoded = records::decode(kind, payload, place.clock).ok_or_else(unreadable)?;
                let home = place.home;
                place.home += 1;
                if let Change::Put { message, .. } = decoded.change {
                    self.body(home, &message)
                        .map_err(|problem| records.damaged(problem))?;
                }
            }
            _ if replaying => {
                let decoded = records::decode(kind, payload, place.clock).ok_or_else(unreadable)?;
                self.replay(decoded, place)
                    .map_err(|problem| records.damaged(problem))?;
            }
            _ => {}
        }
        debug_assert!(header.sequence > 0);
        Ok(())
    }

    fn advance(&mut self, clock: u64) {
        // Queues that time empties are closed by records of their own.
        self.state.advance(clock, &mut Touched::default());
    }

    /// A body that was stored at `home`: loads it if the checkpoint expects it.
    fn body(&mut self, home: u64, message: &StoredMessage<'_>) -> Result<(), &'static str> {
        let next = if home & COPY == 0 {
            &mut self.next_first
        } else {
            &mut self.next_copied
        };
        let expected = self.plan.expected.get(*next);
        let expected =
            expected.filter(|expected| expected.home <= home && (home ^ expected.home) & COPY == 0);
        let Some(expected) = expected else {
            self.state.extents.pass_dead(stored_size(message.size()));
            return Ok(());
        };
        let index = home - expected.home;
        if index >= expected.length {
            return Err("a body that the checkpoint expects is missing before this one");
        }
        if index + 1 == expected.length {
            *next += 1;
        }
        let expected = expected.clone();
        self.load_expected(&expected, index, home, message)
    }

    fn load_expected(
        &mut self,
        expected: &Expected,
        index: u64,
        home: u64,
        message: &StoredMessage<'_>,
    ) -> Result<(), &'static str> {
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
        self.load(queue, expected.position + index, &message, &loaded)
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
            .remove(&number)
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
        self.state.next_fence = self.state.next_fence.max(ending.next_fence);
        self.state.next_queue = self.state.next_queue.max(ending.next_queue);
    }

    /// Makes a change again, as far as it is to what is covered.
    fn replay(&mut self, decoded: Decoded<'_>, place: &mut Position) -> Result<(), &'static str> {
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
            self.state.next_fence = self
                .state
                .next_fence
                .max(fence.saturating_add(positions.len() as u64));
        }
        if let Change::Put {
            replaces, message, ..
        } = &change
        {
            let home = place.home;
            place.home += 1;
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
    fn finish(mut self, last: u64) -> Result<State, RestoreError> {
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
        self.state.next_fence = ((self.state.next_fence >> 32) + 1) << 32;
        Ok(self.state)
    }
}

/// Where in the journal the walk is: the instant, and the homes of the next bodies.
struct Position {
    clock: u64,
    home: u64,
    copy: u64,
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
        | Change::Removed { queue, .. } => *queue = place,
    }
}
