//! Which stretches of the journal still hold the body of a living message.
//!
//! Every body that is stored has a number, its home. An extent is a run of blobs, and the
//! homes in them; it knows how many of those are alive. One without any can be dropped at
//! the next checkpoint, one with few is copied forward then.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// Bytes that an extent is charged with for a message of `size` bytes: its record has a
/// head, too.
pub(crate) const fn stored_size(size: u64) -> u64 {
    size + 16
}

/// Homes of bodies that were copied by a checkpoint; the others are positions.
pub(crate) const COPY: u64 = 1 << 63;

#[derive(Clone, Debug, Default)]
pub(crate) struct Extent {
    /// The first home, and the first copied home, that may be in the extent.
    first_home: u64,
    first_copy: u64,
    first_blob: u64,
    last_blob: u64,
    live: u64,
    live_bytes: u64,
    bytes: u64,
    /// Its bodies are being copied forward.
    leaving: bool,
}

#[derive(Debug)]
pub(crate) struct Extents {
    list: VecDeque<Extent>,
    /// The extent that was last asked for: the next is often the same.
    hint: usize,
}

impl Extents {
    pub(crate) fn new() -> Self {
        Self {
            list: VecDeque::from([Extent {
                first_home: 0,
                first_copy: COPY,
                first_blob: 1,
                ..Extent::default()
            }]),
            hint: 0,
        }
    }

    fn place(&self, home: u64) -> usize {
        let begins = |extent: &Extent| {
            if home & COPY == 0 {
                extent.first_home
            } else {
                extent.first_copy
            }
        };
        if let Some(extent) = self.list.get(self.hint)
            && begins(extent) <= home
            && self
                .list
                .get(self.hint + 1)
                .is_none_or(|next| begins(next) > home)
        {
            return self.hint;
        }
        self.list
            .partition_point(|extent| begins(extent) <= home)
            .saturating_sub(1)
    }

    pub(crate) fn add(&mut self, home: u64, bytes: u64) {
        self.hint = self.place(home);
        if let Some(extent) = self.list.get_mut(self.hint) {
            extent.live += 1;
            extent.live_bytes += bytes;
            extent.bytes += bytes;
        }
    }

    /// A restore has come past a body that is not alive.
    pub(crate) fn pass_dead(&mut self, bytes: u64) {
        if let Some(last) = self.list.back_mut() {
            last.bytes += bytes;
        }
    }

    pub(crate) fn remove(&mut self, home: u64, bytes: u64) {
        self.hint = self.place(home);
        if let Some(extent) = self.list.get_mut(self.hint) {
            extent.live = extent.live.saturating_sub(1);
            extent.live_bytes = extent.live_bytes.saturating_sub(bytes);
        }
    }

    /// The blob `sequence` is complete; the next body will have one of these homes.
    /// Begins a new extent if this one is large enough, or at any rate if `cut`.
    pub(crate) fn end_blob(
        &mut self,
        sequence: u64,
        next_home: u64,
        next_copy: u64,
        extent_bytes: u64,
        cut: bool,
    ) {
        let Some(last) = self.list.back_mut() else {
            return;
        };
        last.last_blob = sequence;
        if cut || last.bytes >= extent_bytes {
            self.list.push_back(Extent {
                first_home: next_home,
                first_copy: next_copy,
                first_blob: sequence + 1,
                ..Extent::default()
            });
        }
    }

    /// True if the blob belongs to an extent that is not gone.
    pub(crate) fn has_blob(&self, blob: u64) -> bool {
        let behind = self
            .list
            .partition_point(|extent| extent.first_blob <= blob);
        behind
            .checked_sub(1)
            .and_then(|place| self.list.get(place))
            .is_some_and(|extent| blob <= extent.last_blob)
    }

    /// A checkpoint begins behind the last complete blob: gives the blobs that will be
    /// needless once it is durable, if every body whose home [`is_leaving`](Self::is_leaving)
    /// is copied.
    pub(crate) fn begin_checkpoint(&mut self) -> Vec<RangeInclusive<u64>> {
        let mut needless: Vec<RangeInclusive<u64>> = Vec::new();
        let complete = self.list.len().saturating_sub(1);
        for extent in self.list.iter_mut().take(complete) {
            extent.leaving = extent.live_bytes * 4 <= extent.bytes;
            if !extent.leaving || extent.first_blob > extent.last_blob {
                continue;
            }
            match needless.last_mut() {
                Some(range) if *range.end() + 1 == extent.first_blob => {
                    *range = *range.start()..=extent.last_blob;
                }
                _ => needless.push(extent.first_blob..=extent.last_blob),
            }
        }
        needless
    }

    pub(crate) fn is_leaving(&self, home: u64) -> bool {
        self.list
            .get(self.place(home))
            .is_some_and(|extent| extent.leaving)
    }

    /// True if a body with a home in this range may be leaving.
    pub(crate) fn any_leaving(&self, first: u64, last: u64) -> bool {
        (self.place(first)..=self.place(last))
            .any(|place| self.list.get(place).is_some_and(|extent| extent.leaving))
    }

    /// The checkpoint is durable: the extents that were leaving are gone.
    pub(crate) fn finish_checkpoint(&mut self) {
        self.list.retain(|extent| !extent.leaving);
        self.hint = 0;
    }
}
