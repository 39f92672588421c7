//! How blobs lie in the rows of the table.
//!
//! Rows are *slots*: all of one size, one to a page, and never removed. A blob is cut into
//! fragments, which fill one slot after the other; the next blob goes on where it ended.
//!
//! ```text
//! slot:      fragment ...  zeros
//! fragment:  blob's sequence   part   parts   length   CRC-32 of these   bytes
//!                  8             4      4       2            4
//! ```
//! A slot is used again when all blobs in it were dropped. Nothing is written for that but
//! the *roll*, a row of another table: the blobs that were alive at the last drop.
//!
//! ```text
//! roll:      last blob    first and last of a run of living blobs ...   CRC-32
//!               8            8         8                                  4
//! ```
//! All integers are little-endian.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension};

use super::layout::{PAGE_BYTES, ROLL_KEY};

/// Bytes of a slot: the most that SQLite keeps within one page. Of a row it keeps the page's
/// size less 35 (its file format, section 1.6), and the row's own head takes 4. With one byte
/// more each slot would have a page of its own for what does not fit, and share another.
pub(super) const SLOT_BYTES: usize = PAGE_BYTES - 35 - 4;
pub(super) const FRAGMENT_HEADER_BYTES: usize = 22;
pub(super) const FRAGMENT_BYTES: usize = SLOT_BYTES - FRAGMENT_HEADER_BYTES;
const CHECKSUM_BYTES: usize = 4;

/// What is wrong with the rows.
#[derive(Debug, thiserror::Error)]
pub(super) enum SlotsError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("slot {0} is not as it was written")]
    Slot(i64),
    #[error("slot {0} is missing")]
    Missing(i64),
    #[error("the roll is not as it was written")]
    Roll,
    #[error("blob {0} is missing, or a part of it")]
    Incomplete(u64),
}

/// Neighbouring slots that hold parts of a blob, in order.
pub(super) type Run = RangeInclusive<u32>;

/// Which blobs there are, in which slots, and which slots are free.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    blobs: BTreeMap<u64, Vec<Run>>,
    /// How many living blobs a slot has, by its number less one.
    users: Vec<u16>,
    free: BTreeSet<u32>,
}

/// One part of a blob, as it lies in a slot.
pub(super) struct Fragment<'a> {
    pub(super) sequence: u64,
    pub(super) part: u32,
    pub(super) parts: u32,
    pub(super) bytes: &'a [u8],
}

impl Slots {
    /// Reads all rows.
    pub(super) fn scan(connection: &Connection) -> Result<Self, SlotsError> {
        let roll = read_roll(connection)?;
        let mut slots = Self::default();
        let mut found: BTreeMap<u64, Found> = BTreeMap::new();
        let mut rows = connection.prepare("SELECT slot, bytes FROM journal ORDER BY slot")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0)?;
            let slot = u32::try_from(slots.users.len())
                .ok()
                .and_then(|slot| slot.checked_add(1))
                .filter(|slot| key == i64::from(*slot))
                .ok_or(SlotsError::Missing(slots.users.len() as i64 + 1))?;
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            slots.users.push(0);
            read_slot(bytes, |fragment| {
                if roll.is_alive(fragment.sequence) {
                    let blob = found.entry(fragment.sequence).or_default();
                    blob.parts.push((fragment.part, slot));
                    blob.expected = fragment.parts;
                }
            })
            .ok_or(SlotsError::Slot(key))?;
        }
        roll.find_missing(&found)?;
        for (sequence, blob) in found {
            slots.note(sequence, blob.into_runs(sequence)?);
        }
        let unused = (1..).zip(&slots.users).filter(|(_, users)| **users == 0);
        slots.free = unused.map(|(slot, _)| slot).collect();
        Ok(slots)
    }

    pub(super) fn sequences(&self) -> Vec<u64> {
        self.blobs.keys().copied().collect()
    }

    pub(super) fn runs(&self, sequence: u64) -> Option<&[Run]> {
        self.blobs.get(&sequence).map(Vec::as_slice)
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.blobs.last_key_value().map_or(0, |(last, _)| *last)
    }

    /// Slots to write to: free ones, the first of them first, and then new ones.
    pub(super) fn choose(&self, count: usize) -> Option<Vec<u32>> {
        let new = u32::try_from(self.users.len()).ok()?.checked_add(1)?..=u32::MAX;
        let chosen: Vec<u32> = self.free.iter().copied().chain(new).take(count).collect();
        (chosen.len() == count).then_some(chosen)
    }

    /// A blob was stored in these slots.
    pub(super) fn add(&mut self, sequence: u64, slots: &[u32]) {
        let mut runs: Vec<Run> = Vec::new();
        for &slot in slots {
            self.free.remove(&slot);
            push(&mut runs, slot);
        }
        let last = slots.iter().copied().max().unwrap_or(0) as usize;
        if self.users.len() < last {
            self.users.resize(last, 0);
        }
        self.note(sequence, runs);
    }

    fn note(&mut self, sequence: u64, runs: Vec<Run>) {
        for slot in runs.iter().cloned().flatten() {
            if let Some(users) = self.users.get_mut(slot as usize - 1) {
                *users += 1;
            }
        }
        self.blobs.insert(sequence, runs);
    }

    /// The blobs in this range were dropped.
    pub(super) fn remove(&mut self, range: &RangeInclusive<u64>) {
        let dropped: Vec<u64> = self
            .blobs
            .range(range.clone())
            .map(|(&sequence, _)| sequence)
            .collect();
        for sequence in dropped {
            let runs = self.blobs.remove(&sequence).unwrap_or_default();
            for slot in runs.into_iter().flatten() {
                let Some(users) = self.users.get_mut(slot as usize - 1) else {
                    continue;
                };
                *users -= 1;
                if *users == 0 {
                    self.free.insert(slot);
                }
            }
        }
    }

    pub(super) fn is_free(&self, slot: u32) -> bool {
        self.free.contains(&slot)
    }

    /// The roll once the blob `sequence` is stored and the blobs in `drops` are dropped.
    pub(super) fn roll_after(&self, sequence: u64, drops: &[RangeInclusive<u64>]) -> Vec<u8> {
        let living = self.blobs.keys().copied().chain([sequence]);
        let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
        for blob in living.filter(|blob| !drops.iter().any(|range| range.contains(blob))) {
            match runs.last_mut() {
                Some(run) if run.end().checked_add(1) == Some(blob) => *run = *run.start()..=blob,
                _ => runs.push(blob..=blob),
            }
        }
        let mut roll = sequence.to_le_bytes().to_vec();
        for run in runs {
            roll.extend_from_slice(&run.start().to_le_bytes());
            roll.extend_from_slice(&run.end().to_le_bytes());
        }
        let checksum = crc32fast::hash(&roll);
        roll.extend_from_slice(&checksum.to_le_bytes());
        roll
    }
}

/// The parts of a blob that were found, with their slots.
#[derive(Default)]
struct Found {
    parts: Vec<(u32, u32)>,
    expected: u32,
}

impl Found {
    fn into_runs(mut self, sequence: u64) -> Result<Vec<Run>, SlotsError> {
        self.parts.sort_unstable();
        let mut runs = Vec::new();
        for (expected, &(part, slot)) in (0..).zip(&self.parts) {
            if part != expected {
                return Err(SlotsError::Incomplete(sequence));
            }
            push(&mut runs, slot);
        }
        if self.parts.len() as u64 != u64::from(self.expected) {
            return Err(SlotsError::Incomplete(sequence));
        }
        Ok(runs)
    }
}

fn push(runs: &mut Vec<Run>, slot: u32) {
    match runs.last_mut() {
        Some(run) if run.end().checked_add(1) == Some(slot) => *run = *run.start()..=slot,
        _ => runs.push(slot..=slot),
    }
}

#[derive(Default)]
struct Roll {
    last: u64,
    living: Vec<RangeInclusive<u64>>,
}

impl Roll {
    fn is_alive(&self, sequence: u64) -> bool {
        let behind = self.living.partition_point(|run| *run.start() <= sequence);
        sequence > self.last
            || behind
                .checked_sub(1)
                .and_then(|place| self.living.get(place))
                .is_some_and(|run| run.contains(&sequence))
    }

    fn find_missing(&self, found: &BTreeMap<u64, Found>) -> Result<(), SlotsError> {
        for run in &self.living {
            let mut wanted = *run.start();
            for &sequence in found.range(run.clone()).map(|(sequence, _)| sequence) {
                if sequence != wanted {
                    break;
                }
                wanted += 1;
            }
            if wanted <= *run.end() {
                return Err(SlotsError::Incomplete(wanted));
            }
        }
        Ok(())
    }
}

fn read_roll(connection: &Connection) -> Result<Roll, SlotsError> {
    let bytes = connection
        .query_row(
            "SELECT bytes FROM notes WHERE key = ?1",
            [ROLL_KEY],
            |row| row.get::<_, Vec<u8>>(0),
        )
        .optional()?;
    match bytes {
        None => Ok(Roll::default()),
        Some(bytes) => decode_roll(&bytes).ok_or(SlotsError::Roll),
    }
}

fn decode_roll(bytes: &[u8]) -> Option<Roll> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    if crc32fast::hash(content).to_le_bytes() != checksum {
        return None;
    }
    let (words, []) = content.as_chunks::<8>() else {
        return None;
    };
    let (last, runs) = words.split_first()?;
    let (runs, []) = runs.as_chunks::<2>() else {
        return None;
    };
    let run = |[first, last]: &[[u8; 8]; 2]| u64::from_le_bytes(*first)..=u64::from_le_bytes(*last);
    Some(Roll {
        last: u64::from_le_bytes(*last),
        living: runs.iter().map(run).collect(),
    })
}

/// Appends a fragment to what a slot holds; there must be room.
pub(super) fn put_fragment(slot: &mut Vec<u8>, fragment: &Fragment<'_>) {
    let start = slot.len();
    slot.extend_from_slice(&fragment.sequence.to_le_bytes());
    slot.extend_from_slice(&fragment.part.to_le_bytes());
    slot.extend_from_slice(&fragment.parts.to_le_bytes());
    slot.extend_from_slice(&(fragment.bytes.len() as u16).to_le_bytes());
    let checksum = crc32fast::hash(slot.get(start..).unwrap_or_default());
    slot.extend_from_slice(&checksum.to_le_bytes());
    slot.extend_from_slice(fragment.bytes);
}

/// Gives each fragment of a slot; `None` if it is not what was written.
pub(super) fn read_slot<'a>(mut rest: &'a [u8], mut each: impl FnMut(Fragment<'a>)) -> Option<()> {
    if rest.len() != SLOT_BYTES {
        return None;
    }
    while let Some((header, behind)) = rest.split_first_chunk::<FRAGMENT_HEADER_BYTES>() {
        if *header == [0; FRAGMENT_HEADER_BYTES] {
            break;
        }
        let (fields, checksum) = header.split_at_checked(FRAGMENT_HEADER_BYTES - CHECKSUM_BYTES)?;
        if crc32fast::hash(fields).to_le_bytes() != checksum {
            return None;
        }
        let (sequence, fields) = fields.split_first_chunk()?;
        let (part, fields) = fields.split_first_chunk()?;
        let (parts, fields) = fields.split_first_chunk()?;
        let length = u16::from_le_bytes(fields.try_into().ok()?);
        let (bytes, behind) = behind.split_at_checked(usize::from(length))?;
        each(Fragment {
            sequence: u64::from_le_bytes(*sequence),
            part: u32::from_le_bytes(*part),
            parts: u32::from_le_bytes(*parts),
            bytes,
        });
        rest = behind;
    }
    Some(())
}
