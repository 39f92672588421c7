//! What has changed about the messages of a block since they were put.
//!
//! Most messages have nothing here. Those that were claimed, hidden, replaced or given another
//! ttl have an [`Extra`], found by their slot.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Without entries, room for so many is kept.
const KEPT: usize = 16;
/// So few are looked through, one after the other.
const FEW: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct Extra {
    pub(super) slot: u16,
    pub(crate) attempts: u32,
    /// The fence of the current claim, 0 if there is none.
    pub(crate) fence: u64,
    /// When the message becomes visible, 0 if it is.
    pub(crate) visible_at: u64,
    pub(crate) expires_at: u64,
    /// Which stored body is this message's; the position, unless replaced or copied.
    pub(crate) home: u64,
    pub(crate) replacement: Option<Box<Replacement>>,
}

/// The body that took the place of the one in the record.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    pub(crate) body: Box<[u8]>,
    pub(crate) content_type: Option<Box<[u8]>>,
}

#[derive(Debug, Default)]
pub(super) struct Extras {
    /// For each slot the number of its entry, counted from 1; 0, or nothing, if it has none. Empty while there are few.
    numbers: Vec<u16>,
    entries: Vec<Extra>,
}

impl Extras {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A number for the sake of which the first must be fetched.
    pub(super) fn touch(&self) -> u8 {
        self.entries.first().map_or(0, |extra| extra.slot as u8)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    fn index(&self, slot: usize) -> Option<usize> {
        if self.numbers.is_empty() {
            return self.index_of_few(slot);
        }
        let number = self.numbers.get(slot).copied()?;
        usize::from(number).checked_sub(1)
    }

    #[inline(never)]
    fn index_of_few(&self, slot: usize) -> Option<usize> {
        let is_it = |extra: &Extra| usize::from(extra.slot) == slot;
        self.entries.iter().position(is_it)
    }

    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<&Extra> {
        self.entries.get(self.index(slot)?)
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Extra> {
        let index = self.index(slot)?;
        self.entries.get_mut(index)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Extra> {
        self.entries.iter_mut()
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, count: usize) {
        if self.entries.capacity() - self.entries.len() < count {
            // Not by half: there may be one for each message that is hidden.
            let least = if self.entries.is_empty() { 1 } else { 4 };
            self.entries
                .reserve_exact(count.max(self.entries.len() / 4).max(least));
        }
    }

    /// Adds the extra of a slot that has none; the block has so many slots.
    #[inline]
    pub(super) fn insert(&mut self, extra: Extra, slots: usize) {
        let slot = usize::from(extra.slot);
        self.reserve(1);
        self.entries.push(extra);
        if self.numbers.is_empty() {
            if self.entries.len() > FEW {
                self.number_all(slots);
            }
            return;
        }
        if slot >= self.numbers.len() {
            self.make_numbers(slots);
        }
        self.set_number(slot, self.entries.len() as u16);
    }

    #[cold]
    fn number_all(&mut self, slots: usize) {
        self.make_numbers(slots);
        for index in 0..self.entries.len() {
            let slot = self.entries[index].slot;
            self.set_number(slot.into(), index as u16 + 1);
        }
    }

    /// Room for a number for each of so many slots.
    #[cold]
    fn make_numbers(&mut self, slots: usize) {
        let more = slots.saturating_sub(self.numbers.len());
        if self.numbers.capacity() - self.numbers.len() < more {
            // A block that is being filled has a slot more each time.
            self.numbers.reserve_exact(more.max(self.numbers.len() / 4));
        }
        if more > 0 {
            self.numbers.resize(slots, 0);
        }
    }

    pub(super) fn remove(&mut self, slot: usize) {
        let Some(index) = self.index(slot) else {
            return;
        };
        self.entries.swap_remove(index);
        self.set_number(slot, 0);
        if let Some(moved) = self.entries.get(index) {
            self.set_number(usize::from(moved.slot), index as u16 + 1);
        }
        if self.entries.is_empty() {
            self.numbers.clear();
            if self.entries.capacity() > KEPT {
                *self = Self::default();
            }
        }
    }

    fn set_number(&mut self, slot: usize, number: u16) {
        if let Some(kept) = self.numbers.get_mut(slot) {
            *kept = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn extra(slot: u16, fence: u64) -> Extra {
        Extra {
            slot,
            attempts: 0,
            fence,
            visible_at: 0,
            expires_at: 0,
            home: 0,
            replacement: None,
        }
    }

    #[test]
    fn agrees_with_an_ordered_map() {
        let mut extras = Extras::default();
        let mut model = BTreeMap::new();
        let mut x = 1u32;
        for fence in 0..20_000 {
            x = x.wrapping_mul(1664525).wrapping_add(1013904223);
            let slot = (x >> 16) as u16 % 200;
            // Now more come than go, now fewer, down to none.
            let coming = x >> 8 & 3 < if fence % 4000 < 2000 { 3 } else { 1 };
            if coming && extras.get(slot.into()).is_none() {
                extras.insert(extra(slot, fence), 200);
                model.insert(slot, fence);
            } else if !coming {
                extras.remove(slot.into());
                model.remove(&slot);
            }
            assert_eq!(extras.is_empty(), model.is_empty());
            for slot in 0..200u16 {
                let found = extras.get(slot.into());
                assert_eq!(
                    found.map(|extra| (extra.slot, extra.fence)),
                    model.get(&slot).map(|&fence| (slot, fence))
                );
            }
        }
    }
}
