//! Which blobs of the journal hold which markers.
//!
//! A marker is written once, by the first checkpoint after it came to be. The blobs with
//! markers stay until hardly any of their markers is left.

use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use crate::sort::sort;

/// Markers that one checkpoint wrote.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The first blob of that checkpoint.
    checkpoint: u64,
    pub(super) blobs: Vec<u64>,
    /// The numbers of the markers.
    pub(super) numbers: Range<u64>,
    live: u64,
}

/// An old unit is given up when it holds at most so many markers, and a quarter of what it
/// held: these are written again.
const FEW: u64 = 16_384;

#[derive(Debug, Default)]
pub(super) struct Saved {
    /// In the order of their numbers, which do not overlap.
    units: Vec<Unit>,
    /// All markers with smaller numbers are in some blob.
    pub(super) up_to: u64,
}

impl Saved {
    /// The markers before `up_to` that were not saved yet are in this blob, or in an earlier
    /// one of the same checkpoint.
    pub(super) fn add(&mut self, checkpoint: u64, blob: u64, up_to: u64, live: u64) {
        let up_to = up_to.max(self.up_to);
        match self.units.last_mut() {
            Some(unit) if unit.checkpoint == checkpoint => {
                unit.blobs.push(blob);
                unit.numbers.end = up_to;
                unit.live += live;
            }
            _ => self.units.push(Unit {
                checkpoint,
                blobs: [blob].into(),
                numbers: self.up_to..up_to,
                live,
            }),
        }
        self.up_to = up_to;
    }

    /// The marker with this number is gone.
    pub(super) fn count_down(&mut self, number: u64) {
        if number >= self.up_to {
            return;
        }
        let place = self
            .units
            .partition_point(|unit| unit.numbers.end <= number);
        if let Some(unit) = self.units.get_mut(place)
            && unit.numbers.contains(&number)
        {
            unit.live = unit.live.saturating_sub(1);
        }
    }

    /// Takes out a unit of which little is left, among those all of whose markers have
    /// numbers before `first`.
    pub(super) fn take_spent(&mut self, first: u64) -> Option<Unit> {
        let spent = |unit: &Unit| {
            let held = unit.numbers.end - unit.numbers.start;
            unit.live <= (held / 4).min(FEW)
        };
        let old = self.units.partition_point(|unit| unit.numbers.end <= first);
        let place = self.units.iter().take(old).position(spent)?;
        Some(self.units.remove(place))
    }

    /// Leaves out the blobs of all units.
    pub(super) fn subtract_blobs(
        &self,
        ranges: Vec<RangeInclusive<u64>>,
    ) -> Vec<RangeInclusive<u64>> {
        let mut kept: Vec<(u64, u64)> = self
            .units
            .iter()
            .flat_map(|unit| unit.blobs.iter().map(|&blob| (blob, blob)))
            .collect();
        sort(&mut kept);
        let mut left = Vec::with_capacity(ranges.len());
        for range in ranges {
            let (mut first, last) = range.into_inner();
            let place = kept.partition_point(|&(from, _)| from < first);
            for &(from, to) in kept.get(place..).unwrap_or_default() {
                if from > last {
                    break;
                }
                if first < from {
                    left.push(first..=from - 1);
                }
                first = to + 1;
            }
            if first <= last {
                left.push(first..=last);
            }
        }
        left
    }
}
