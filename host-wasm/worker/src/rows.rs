//! Which row of an object's storage each blob lies in. What is paid for is rows written, so a
//! commit writes one: a blob takes over the row of one that nothing needs any more. Which rows
//! these are stands in the row of the newest blob.

use std::ops::RangeInclusive;

/// Free rows that are kept for blobs to come, beside as many as there are in use.
const SPARE_ROWS: u64 = 1_000;

/// See the [module](self).
#[derive(Debug)]
pub struct Rows {
    /// The rows of each blob, in order of its parts; by the number of the blob, ascending.
    slots: Vec<(u64, Vec<u64>)>,
    /// Blobs that nothing needs: their rows are free. In ascending order, and no blob in two of them.
    free: Vec<RangeInclusive<u64>>,
    free_rows: u64,
    rows: u64,
    next_slot: u64,
}

/// Where a part of a blob goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// This row is free, and is overwritten.
    Used(u64),
    New(u64),
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            free_rows: 0,
            rows: 0,
            next_slot: 1,
        }
    }
}

impl Rows {
    /// Takes note of a stored row. Blobs come in ascending order, their parts in theirs.
    pub fn insert(&mut self, slot: u64, sequence: u64) {
        match self.slots.last_mut() {
            Some((last, slots)) if *last == sequence => slots.push(slot),
            _ => self.slots.push((sequence, vec![slot])),
        }
        self.rows += 1;
        self.next_slot = self.next_slot.max(slot + 1);
    }

    /// The number of the newest blob, 0 if there is none.
    pub fn newest(&self) -> u64 {
        self.slots.last().map_or(0, |(newest, _)| *newest)
    }

    /// The numbers of the blobs that are needed, ascending.
    pub fn sequences(&self) -> Vec<u64> {
        let needed = |sequence: &u64| !self.free.iter().any(|range| range.contains(sequence));
        let sequences = self.slots.iter().map(|(sequence, _)| *sequence);
        sequences.filter(needed).collect()
    }

    /// The rows of a blob, in order of its parts.
    pub fn of(&self, sequence: u64) -> &[u64] {
        let found = self.slots.binary_search_by_key(&sequence, |(own, _)| *own);
        let blob = found.ok().and_then(|place| self.slots.get(place));
        blob.map_or(&[], |(_, slots)| slots)
    }

    /// Blobs that nothing needs any more, among them such as were dropped already.
    pub fn drop_blobs(&mut self, range: RangeInclusive<u64>) {
        let (mut first, mut last) = range.into_inner();
        if first > last {
            return;
        }
        let place = self.free.partition_point(|other| *other.end() < first);
        // Ranges that it shares blobs with become one with it, so that nothing counts twice.
        while let Some(other) = self.free.get(place).filter(|other| *other.start() <= last) {
            first = first.min(*other.start());
            last = last.max(*other.end());
            self.free_rows -= self.count(other);
            self.free.remove(place);
        }
        let range = first..=last;
        self.free_rows += self.count(&range);
        self.free.insert(place, range);
    }

    /// Rows for the parts of a new blob.
    pub fn take(&mut self, sequence: u64, parts: usize) -> Vec<Slot> {
        let taken: Vec<Slot> = (0..parts).map(|_| self.take_one()).collect();
        let slots = taken
            .iter()
            .map(|(Slot::Used(slot) | Slot::New(slot))| *slot);
        self.slots.push((sequence, slots.collect()));
        taken
    }

    fn take_one(&mut self) -> Slot {
        while let Some(range) = self.free.first_mut() {
            let (first, last) = (*range.start(), *range.end());
            let place = self
                .slots
                .partition_point(|(sequence, _)| *sequence < first);
            let Some((sequence, slots)) = self.slots.get_mut(place).filter(|(own, _)| *own <= last)
            else {
                self.free.remove(0);
                continue;
            };
            *range = *sequence..=last;
            let slot = (!slots.is_empty()).then(|| slots.remove(0));
            if slots.is_empty() {
                self.slots.remove(place);
            }
            if let Some(slot) = slot {
                self.free_rows -= 1;
                return Slot::Used(slot);
            }
        }
        self.rows += 1;
        self.next_slot += 1;
        Slot::New(self.next_slot - 1)
    }

    /// Ranges of blobs whose rows are to be deleted, because there are many more free rows than rows in
    /// use: many at once, and seldom. They count as gone.
    pub fn trim(&mut self) -> Vec<RangeInclusive<u64>> {
        if self.free_rows <= SPARE_ROWS + (self.rows - self.free_rows) {
            return Vec::new();
        }
        let trimmed = std::mem::take(&mut self.free);
        self.slots
            .retain(|(sequence, _)| !trimmed.iter().any(|range| range.contains(sequence)));
        self.rows -= self.free_rows;
        self.free_rows = 0;
        trimmed
    }

    /// The free blobs, as they are stored: a list of first and last ones, as JSON.
    pub fn free_text(&self) -> String {
        as_json(&self.free)
    }

    /// Takes over what [`free_text`](Self::free_text) gave. False if it is not that.
    pub fn set_free(&mut self, text: &str) -> bool {
        let (mut numbers, mut number) = (Vec::new(), None);
        for byte in text.bytes() {
            if byte.is_ascii_digit() {
                let before = number.unwrap_or(0_u64).wrapping_mul(10);
                number = Some(before.wrapping_add(u64::from(byte - b'0')));
            } else {
                numbers.extend(number.take());
            }
        }
        let ranges = numbers.as_chunks().0.iter();
        let ranges: Vec<_> = ranges.map(|[first, last]| *first..=*last).collect();
        let is_list = as_json(&ranges) == text;
        if is_list {
            ranges.into_iter().for_each(|range| self.drop_blobs(range));
        }
        is_list
    }

    fn count(&self, range: &RangeInclusive<u64>) -> u64 {
        let place = self.slots.partition_point(|(own, _)| own < range.start());
        let blobs = self.slots.get(place..).unwrap_or_default().iter();
        let blobs = blobs.take_while(|(own, _)| own <= range.end());
        blobs.map(|(_, slots)| slots.len() as u64).sum()
    }
}

fn as_json(ranges: &[RangeInclusive<u64>]) -> String {
    let mut text = String::from("[");
    for range in ranges {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&format!("[{},{}]", range.start(), range.end()));
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_blobs(blobs: std::ops::RangeInclusive<u64>) -> Rows {
        let mut rows = Rows::default();
        for sequence in blobs {
            rows.take(sequence, 1);
        }
        rows
    }

    /// Counts anew what is counted as it goes.
    fn assert_counts(rows: &Rows) {
        let needed = rows.sequences();
        let (mut all, mut free) = (0, 0);
        for (sequence, slots) in &rows.slots {
            all += slots.len() as u64;
            if !needed.contains(sequence) {
                free += slots.len() as u64;
            }
        }
        assert_eq!((rows.rows, rows.free_rows), (all, free));
    }

    #[test]
    fn a_blob_takes_over_the_row_of_one_that_nothing_needs() {
        let mut rows = with_blobs(1..=3);
        rows.drop_blobs(1..=2);
        assert_eq!(rows.take(4, 1), [Slot::Used(1)]);
        assert_eq!(rows.take(5, 2), [Slot::Used(2), Slot::New(4)]);
        assert_eq!(rows.sequences(), [3, 4, 5]);
        assert_eq!(rows.of(5), [2, 4]);
        assert_eq!(rows.newest(), 5);
    }

    #[test]
    fn what_is_free_is_known_again() {
        let mut rows = with_blobs(1..=9);
        rows.drop_blobs(4..=5);
        rows.drop_blobs(1..=2);
        let mut again = with_blobs(1..=9);
        assert!(again.set_free(&rows.free_text()));
        assert_eq!(again.sequences(), rows.sequences());
        assert_eq!(again.take(10, 1), rows.take(10, 1));
        for bad in ["", "[", "[[1,x]]", "[[1,2],[3]]", "[[1,2],]", "[[01,2]]"] {
            assert!(!again.set_free(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_free_twice_is_known_again() {
        let mut rows = with_blobs(1..=9);
        rows.drop_blobs(4..=5);
        rows.drop_blobs(4..=7);
        assert_eq!(rows.free_text(), "[[4,7]]");
        for text in ["[[4,7]]", "[[4,7],[4,5]]", "[[4,5],[6,7],[5,6],[7,5]]"] {
            let mut again = with_blobs(1..=9);
            assert!(again.set_free(text), "{text}");
            assert_eq!(again.sequences(), rows.sequences(), "{text}");
            assert_counts(&again);
        }
    }

    #[test]
    fn what_is_free_twice_is_taken_once() {
        let mut rows = with_blobs(1..=9);
        for range in [4..=5, 4..=7, 1..=1, 7..=8, 3..=4] {
            rows.drop_blobs(range);
            assert_counts(&rows);
        }
        assert_eq!(rows.free_text(), "[[1,1],[3,8]]");
        let taken = rows.take(10, 8);
        let used = [1, 3, 4, 5, 6, 7, 8].map(Slot::Used);
        assert_eq!(taken[..7], used);
        assert_eq!(taken[7..], [Slot::New(10)]);
        assert_counts(&rows);
    }

    #[test]
    fn what_is_free_twice_is_given_back_once() {
        let mut rows = with_blobs(1..=1_500);
        rows.drop_blobs(1..=900);
        rows.drop_blobs(500..=1_000);
        // Not yet; if those in both ranges counted twice they would be given back.
        assert!(rows.trim().is_empty());
        rows.take(1_501, 100);
        rows.drop_blobs(1..=1_400);
        assert_counts(&rows);
        assert_eq!(rows.trim(), [1..=1_400]);
        assert_counts(&rows);
        assert_eq!(rows.take(1_502, 1), [Slot::New(1_501)]);
        assert_counts(&rows);
        // No more than there is, whatever the list says.
        assert!(rows.set_free("[[1,18446744073709551615],[0,1502]]"));
        assert_counts(&rows);
        assert!(rows.sequences().is_empty());
    }

    #[test]
    fn many_free_rows_are_given_back_at_once() {
        let mut rows = with_blobs(1..=1_200);
        rows.drop_blobs(1..=1_000);
        assert!(rows.trim().is_empty());
        rows.drop_blobs(1_001..=1_150);
        assert_eq!(rows.trim(), [1..=1_000, 1_001..=1_150]);
        assert_eq!(rows.sequences().len(), 50);
        assert_eq!(rows.take(1_201, 1), [Slot::New(1_201)]);
    }
}
