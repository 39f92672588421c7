//! From stored blobs back to a state.
//!
//! The last blob names the first blob of the last durable checkpoint. The checkpoint's
//! pieces are read first: they tell which bodies are alive, and what has changed about
//! them. Then all blobs are read in order: a body that the checkpoint expects is loaded
//! where it is found; from the checkpoint's first blob on, changes to what is covered are
//! made again.

use alloc::string::String;
use alloc::vec::Vec;

use super::blob;
use super::pieces::{self, END, Ending, Expected, MESSAGES, QUEUE, StoredQueue};
use super::records::CLOCK;
use super::walk::Walk;
use super::{Load, RestoreError, RestoreReport};
use crate::codec::Reader;
use crate::config::Config;
use crate::settings::Settings;
use crate::sort::sort;
use crate::state::{Numbered, State};

/// Room is made in advance for no more messages and markers than these, about 75 MB: what is
/// read may be damaged.
const MOST_EXPECTED: u64 = 12 << 20;

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
    let header = blob::open(last, &load.read(last)?)?.0;
    let start = header.checkpoint;
    require_all(&sequences, start.max(1), last)?;
    let plan = if start == 0 {
        Plan::default()
    } else {
        read_checkpoint(load, start, last)?
    };
    if let Some(ending) = plan.ending {
        state.seed = ending.seed;
    }
    let bodies = plan.expected.iter().map(|expected| expected.length);
    let expected = match start {
        0 => header.first_home,
        _ => bodies.fold(0, u64::saturating_add),
    };
    let limits = &config.limits;
    let messages = expected.min(limits.max_messages);
    let markers = plan.ending.map_or(0, |ending| ending.markers);
    let markers = markers.min(limits.max_markers);
    state.expect(messages.saturating_add(markers).min(MOST_EXPECTED));
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
pub(super) struct Plan {
    /// Ordered by home.
    pub(super) expected: Vec<Expected>,
    pub(super) queues: Numbered<QueueEntry>,
    pub(super) ending: Option<Ending>,
}

#[derive(Debug)]
pub(super) struct QueueEntry {
    pub(super) account: String,
    pub(super) name: String,
    pub(super) settings: Option<Settings>,
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
                MESSAGES => pieces::read_messages(payload, clock, &mut plan.expected),
                QUEUE => pieces::read_queue(payload).map(|queue| plan.add_queue(queue)),
                END => pieces::read_end(payload).map(|ending| plan.ending = Some(ending)),
                _ => Some(()),
            };
            understood.ok_or_else(|| records.damaged("a record of a checkpoint cannot be read"))?;
            if plan.ending.is_some_and(|ending| ending.start == start) {
                plan.sort();
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

    /// Orders what is expected by home.
    fn sort(&mut self) {
        let homes = self.expected.iter().map(|expected| expected.home);
        let mut order: Vec<(u64, u64)> = homes.zip(0..).collect();
        sort(&mut order);
        let ordered = order.iter().filter_map(|&(_, place)| {
            let place = usize::try_from(place).ok()?;
            self.expected.get(place).cloned()
        });
        self.expected = ordered.collect();
    }
}

pub(super) fn read_clock(payload: &[u8], clock: &mut u64) -> Option<()> {
    *clock = clock
        .checked_add(Reader::new(payload).varint()?)
        .filter(|&clock| clock < 1 << 62)?;
    Some(())
}
