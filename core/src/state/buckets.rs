//! A hash table of 32-bit places whose buckets are lines of a processor's cache: as a rule one look into memory
//! finds a place, or that there is none.
//!
//! A place lies in its home bucket, or, where that was full, in one of the next. Each bucket counts the places
//! that have passed it by, and a search goes on only where there are any; so nothing need mark what was removed.

use alloc::vec;
use alloc::vec::Vec;

/// Places of a bucket: with a byte of hash for each and the count they fill 64 bytes.
const PLACES: usize = 12;

/// The byte of hash where no place is.
const VACANT: u8 = 0;

#[derive(Debug)]
pub(crate) struct Buckets {
    /// A power of two, or none.
    buckets: Vec<Bucket>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Bucket {
    /// For each place some bits of its hash that the bucket's number does not tell.
    tags: [u8; PLACES],
    /// Places at home here or before that lie behind.
    passed: u32,
    places: [u32; PLACES],
}

/// Where a place lies.
#[derive(Clone, Copy)]
struct Spot {
    bucket: usize,
    slot: usize,
}

impl Buckets {
    pub(crate) const fn new() -> Self {
        Self {
            buckets: Vec::new(),
            len: 0,
        }
    }

    /// With room for so many.
    pub(crate) fn with_room(places: usize) -> Self {
        let mut buckets = Self::new();
        while buckets.room() < places {
            buckets.buckets.resize(buckets.larger(), Bucket::VACANT);
        }
        buckets
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn find(&self, hash: u64, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        self.spot(hash, &mut is_match).map(|(_, place)| place)
    }

    /// A number for the sake of which the home bucket must be fetched.
    pub(crate) fn touch(&self, hash: u64) -> u32 {
        let bucket = self.buckets.get(self.home(hash));
        bucket.map_or(0, |bucket| bucket.passed)
    }

    /// Adds a place that is not in it. Where there is no room, all places change theirs, for which the hash of
    /// each is asked.
    pub(crate) fn insert(&mut self, hash: u64, place: u32, hash_of: &dyn Fn(u32) -> u64) {
        if self.len >= self.room() {
            self.resize(self.larger(), hash_of);
        }
        self.put(hash, place);
    }

    /// Removes a place, if it is there.
    pub(crate) fn remove(&mut self, hash: u64, place: u32, hash_of: &dyn Fn(u32) -> u64) {
        let Some((spot, _)) = self.spot(hash, &mut |other| other == place) else {
            return;
        };
        let mut at = self.home(hash);
        while at != spot.bucket {
            self.buckets[at].passed -= 1;
            at = self.next(at);
        }
        self.buckets[at].tags[spot.slot] = VACANT;
        self.len -= 1;
        if self.len == 0 {
            self.buckets = Vec::new();
        } else if self.buckets.len() > 4 && self.len * 8 < self.room() {
            self.resize(self.buckets.len() / 4, hash_of);
        }
    }

    /// The first place goes for the other, which has the same hash.
    pub(crate) fn replace(&mut self, hash: u64, from: u32, to: u32) {
        if let Some((spot, _)) = self.spot(hash, &mut |other| other == from) {
            self.buckets[spot.bucket].places[spot.slot] = to;
        }
    }

    /// Takes out those whose hash goes elsewhere, with as much room. The others stay in the memory that they have:
    /// allocators find it hard to use again what was aligned.
    pub(crate) fn split_off(
        &mut self,
        hash_of: &dyn Fn(u32) -> u64,
        goes: &dyn Fn(u64) -> bool,
    ) -> Self {
        let places: Vec<u32> = self.iter().collect();
        let mut others = Self {
            buckets: vec![Bucket::VACANT; self.buckets.len()],
            len: 0,
        };
        self.buckets.fill(Bucket::VACANT);
        self.len = 0;
        for place in places {
            let hash = hash_of(place);
            let half = if goes(hash) { &mut others } else { &mut *self };
            half.put(hash, place);
        }
        others
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.buckets.iter().flat_map(Bucket::iter)
    }

    /// Places that fit in: seven of eight slots, as beyond that many would pass by their homes.
    fn room(&self) -> usize {
        self.buckets.len() * PLACES * 7 / 8
    }

    fn larger(&self) -> usize {
        (self.buckets.len() * 2).max(1)
    }

    fn home(&self, hash: u64) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
    }

    fn next(&self, bucket: usize) -> usize {
        (bucket + 1) & (self.buckets.len() - 1)
    }

    /// Where size matters, once for all; where time does, for each way to match.
    #[cfg_attr(not(all(target_family = "wasm", feature = "small")), inline(always))]
    #[cfg_attr(all(target_family = "wasm", feature = "small"), inline(never))]
    fn spot(&self, hash: u64, is_match: &mut dyn FnMut(u32) -> bool) -> Option<(Spot, u32)> {
        let mut bucket = self.home(hash);
        for _ in 0..self.buckets.len() {
            let own = self.buckets.get(bucket)?;
            for slot in own.with_tag(tag(hash)) {
                let place = own.places[slot];
                if is_match(place) {
                    return Some((Spot { bucket, slot }, place));
                }
            }
            if own.passed == 0 {
                return None;
            }
            bucket = self.next(bucket);
        }
        None
    }

    /// Adds a place where there is room.
    fn put(&mut self, hash: u64, place: u32) {
        let mut at = self.home(hash);
        let slot = loop {
            let bucket = &mut self.buckets[at];
            if let Some(slot) = bucket.with_tag(VACANT).next() {
                break slot;
            }
            bucket.passed += 1;
            at = self.next(at);
        };
        let bucket = &mut self.buckets[at];
        (bucket.tags[slot], bucket.places[slot]) = (tag(hash), place);
        self.len += 1;
    }

    fn resize(&mut self, buckets: usize, hash_of: &dyn Fn(u32) -> u64) {
        let old = core::mem::replace(
            self,
            Self {
                buckets: vec![Bucket::VACANT; buckets],
                len: 0,
            },
        );
        for place in old.iter() {
            self.put(hash_of(place), place);
        }
    }
}

impl Bucket {
    const VACANT: Self = Self {
        tags: [VACANT; PLACES],
        passed: 0,
        places: [0; PLACES],
    };

    /// The slots with this tag.
    fn with_tag(&self, tag: u8) -> Slots {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.tags;
        let first = equal(u64::from_le_bytes([a, b, c, d, e, f, g, h]), tag);
        let last = equal(
            u64::from_le_bytes([i, j, k, l, !tag, !tag, !tag, !tag]),
            tag,
        );
        Slots(first >> 7 | last >> 6)
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        let taken = self.tags.iter().zip(self.places);
        taken.filter_map(|(tag, place)| (*tag != VACANT).then_some(place))
    }
}

/// The highest bit of each byte that is `tag`.
fn equal(bytes: u64, tag: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differences = bytes ^ u64::from_le_bytes([tag; 8]);
    !(((differences & LOW) + LOW) | differences | LOW)
}

/// Slots: the lowest bits of eight bytes stand for the first eight, the bits beside them for what is behind.
struct Slots(u64);

impl Iterator for Slots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit / 8 + bit % 2 * 8)
    }
}

/// The topmost byte of a hash, which tells nothing of the bucket.
fn tag(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(VACANT + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    /// Few homes and few tags, so that most buckets are passed by.
    fn crowded(place: u32) -> u64 {
        let mixed = u64::from(place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (mixed % 3) | ((mixed % 5) << 56)
    }

    #[test]
    fn a_bucket_is_a_line_of_the_cache() {
        assert_eq!(size_of::<Bucket>(), 64);
    }

    #[test]
    fn it_holds_what_a_map_holds() {
        for hash in [crowded, |place: u32| {
            xxhash_rust::xxh3::xxh3_64(&place.to_le_bytes())
        }] {
            let (mut buckets, mut model) = (Buckets::new(), BTreeMap::new());
            let mut random = fastrand::Rng::with_seed(7);
            for step in 0..60_000u32 {
                let x = random.u64(..);
                let key = (x >> 33) as u32 % 600;
                let found = buckets.find(hash(key), |place| place == key || place == key + 1_000);
                assert_eq!(found, model.get(&key).copied());
                let grows = step % 20_000 < 10_000;
                match found {
                    Some(place) if !grows || x >> 60 == 0 => {
                        buckets.remove(hash(key), place, &|place| hash(place % 1_000));
                        model.remove(&key);
                    }
                    Some(place) if place == key => {
                        buckets.replace(hash(key), key, key + 1_000);
                        model.insert(key, key + 1_000);
                    }
                    None if grows => {
                        buckets.insert(hash(key), key, &|place| hash(place % 1_000));
                        model.insert(key, key);
                    }
                    _ => {}
                }
                assert_eq!(buckets.len(), model.len());
            }
            let mut all: Vec<u32> = buckets.iter().collect();
            all.sort_unstable();
            let mut expected: Vec<u32> = model.into_values().collect();
            expected.sort_unstable();
            assert_eq!(all, expected);
        }
    }

    #[test]
    fn nothing_passes_by_when_all_are_gone() {
        let mut buckets = Buckets::with_room(500);
        for place in 0..400 {
            buckets.insert(crowded(place), place, &crowded);
        }
        for place in 0..399 {
            buckets.remove(crowded(place), place, &crowded);
        }
        let passed: u32 = buckets.buckets.iter().map(|bucket| bucket.passed).sum();
        let home = buckets.home(crowded(399));
        let spot = buckets.spot(crowded(399), &mut |place| place == 399);
        let distance = spot.unwrap().0.bucket.abs_diff(home);
        assert_eq!(passed as usize, distance);
    }
}
