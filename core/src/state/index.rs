//! A hash index from keys that are kept elsewhere to 32-bit places.
//!
//! Many small tables under a directory (extendible hashing), so that growing never moves
//! more than one small table at once: no pause however many entries there are. The tables
//! of one directory fill evenly, and so would all split at about the same time, half empty
//! afterwards. Hence several directories with unequal shares of the hashes: at any time
//! some have just split and others are full, and memory and time go evenly with the entries.

use alloc::vec;
use alloc::vec::Vec;

use super::buckets::Buckets;

/// Entries of a table that make it split: 7/8 of those of 256 buckets, where it would have to grow. Larger tables are
/// fewer, and what leads to them stays in the nearest cache.
const SPLIT_AT: usize = 2_688;

/// Tables of 16 KiB each that are likely to be in a cache near the processor.
const TABLES_IN_CACHE: usize = 16;

/// Directory bits are taken from here up; the tables use the lowest and the topmost eight.
const DIRECTORY_SHIFT: u32 = 32;
const MAX_DEPTH: u32 = 24;

/// What each directory has of 256 parts of the hashes: from one to the next by the
/// sixteenth root of two.
const SHARES: [u8; 16] = [
    11, 12, 12, 13, 13, 14, 15, 15, 16, 17, 17, 18, 19, 20, 21, 23,
];
/// The bits that choose the directory; neither it nor its tables use them.
const SHARE_SHIFT: u32 = 20;
const DIRECTORIES: [u8; 256] = directories();

#[derive(Debug)]
pub(crate) struct Index {
    directories: Vec<Directory>,
    /// True while all of it is likely to be in a cache near the processor.
    is_near: bool,
}

#[derive(Debug)]
struct Directory {
    /// Tables by the lowest `depth` directory bits of a hash.
    directory: Vec<u32>,
    depth: u32,
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    /// Directory bits that all entries of this table share.
    depth: u32,
    entries: Buckets,
}

/// Where the keys are kept.
pub(crate) trait Keys {
    /// The hash of an entry's key.
    fn hash(&self, place: u32) -> u64;

    /// Has the key fetched into the cache, if that is likely to take long: some byte of it.
    /// Before a table is split, all its keys are asked for, and a processor fetches many at a
    /// time if there is little to do with each.
    fn touch(&self, place: u32) -> u8 {
        self.hash(place) as u8
    }
}

impl<F: Fn(u32) -> u64> Keys for F {
    fn hash(&self, place: u32) -> u64 {
        self(place)
    }
}

const fn directories() -> [u8; 256] {
    let mut directories = [0; 256];
    let (mut directory, mut part) = (0, 0);
    while directory < SHARES.len() {
        let mut left = SHARES[directory];
        while left > 0 {
            directories[part] = directory as u8;
            part += 1;
            left -= 1;
        }
        directory += 1;
    }
    assert!(part == directories.len());
    directories
}

impl Index {
    pub(crate) fn new() -> Self {
        Self {
            directories: SHARES.iter().map(|_| Directory::new()).collect(),
            is_near: true,
        }
    }

    fn count_tables(&mut self) {
        let tables: usize = self.directories.iter().map(|one| one.tables.len()).sum();
        self.is_near = tables <= TABLES_IN_CACHE;
    }

    /// Makes room for so many entries at once, in an index that is empty. Only a hint: with
    /// more or fewer it grows and shrinks as ever.
    pub(crate) fn reserve(&mut self, entries: usize) {
        let parts = DIRECTORIES.len();
        for (directory, share) in self.directories.iter_mut().zip(SHARES) {
            directory.reserve(entries.div_ceil(parts) * usize::from(share));
        }
        self.count_tables();
    }

    fn directory(hash: u64) -> usize {
        usize::from(DIRECTORIES[usize::from((hash >> SHARE_SHIFT) as u8)])
    }

    pub(crate) fn find(&self, hash: u64, mut is_match: impl FnMut(u32) -> bool) -> Option<u32> {
        self.look(hash, &mut is_match)
    }

    #[cfg_attr(not(all(target_family = "wasm", feature = "small")), inline(always))]
    #[cfg_attr(all(target_family = "wasm", feature = "small"), inline(never))]
    fn look(&self, hash: u64, is_match: &mut dyn FnMut(u32) -> bool) -> Option<u32> {
        self.directories[Self::directory(hash)].find(hash, is_match)
    }

    /// Has what [`find`](Self::find) would look at for these fetched into the cache. To touch
    /// many before the first is looked for takes little longer than to wait for one, as a
    /// processor fetches many at a time if there is little to do with each.
    pub(crate) fn touch(&self, hashes: impl Iterator<Item = u64>) {
        if self.is_near() {
            return;
        }
        let mut seen = 0;
        for hash in hashes {
            seen ^= self.directories[Self::directory(hash)].touch(hash);
        }
        core::hint::black_box(seen);
    }

    /// True while all of it is likely to be in a cache near the processor.
    pub(crate) fn is_near(&self) -> bool {
        // Modules that are to be small do not hold much.
        cfg!(all(target_family = "wasm", feature = "small")) || self.is_near
    }

    /// Adds an entry whose key is not in the index.
    pub(crate) fn insert(&mut self, hash: u64, place: u32, keys: impl Keys) {
        let is_split = self.directories[Self::directory(hash)].insert(hash, place, &keys);
        if is_split {
            self.count_tables();
        }
    }

    /// Removes the entry `place`, which is there.
    pub(crate) fn remove(&mut self, hash: u64, place: u32, keys: impl Keys) {
        self.directories[Self::directory(hash)].remove(hash, place, &keys);
    }

    /// The key of the entry `from` has moved to `to`.
    pub(crate) fn relocate(&mut self, hash: u64, from: u32, to: u32) {
        self.directories[Self::directory(hash)].relocate(hash, from, to);
    }
}

impl Directory {
    fn new() -> Self {
        Self {
            directory: vec![0],
            depth: 0,
            tables: vec![Table {
                depth: 0,
                entries: Buckets::new(),
            }],
        }
    }

    /// Splits what is empty until tables would be about as full as after a split of their own.
    fn reserve(&mut self, entries: usize) {
        let tables = entries.div_ceil(SPLIT_AT).next_power_of_two();
        if tables == 1 || self.tables.iter().any(|table| table.entries.len() > 0) {
            return;
        }
        self.depth = tables.ilog2().min(MAX_DEPTH);
        let tables = 0..1u32 << self.depth;
        self.tables = tables
            .clone()
            .map(|_| Table {
                depth: self.depth,
                entries: Buckets::with_room(SPLIT_AT),
            })
            .collect();
        self.directory = tables.collect();
    }

    fn table(&self, hash: u64) -> usize {
        self.directory[bits(hash, self.depth)] as usize
    }

    fn find(&self, hash: u64, is_match: &mut dyn FnMut(u32) -> bool) -> Option<u32> {
        self.tables[self.table(hash)].entries.find(hash, is_match)
    }

    fn touch(&self, hash: u64) -> u32 {
        self.tables[self.table(hash)].entries.touch(hash)
    }

    /// True if a table was split for it.
    fn insert(&mut self, hash: u64, place: u32, keys: &dyn Keys) -> bool {
        let mut table = self.table(hash);
        let tables = self.tables.len();
        while self.tables[table].entries.len() >= SPLIT_AT && self.tables[table].depth < MAX_DEPTH {
            self.split(table, hash, keys);
            table = self.table(hash);
        }
        self.tables[table]
            .entries
            .insert(hash, place, &|place| keys.hash(place));
        self.tables.len() > tables
    }

    fn remove(&mut self, hash: u64, place: u32, keys: &dyn Keys) {
        let table = self.table(hash);
        let entries = &mut self.tables[table].entries;
        entries.remove(hash, place, &|place| keys.hash(place));
    }

    fn relocate(&mut self, hash: u64, from: u32, to: u32) {
        let table = self.table(hash);
        self.tables[table].entries.replace(hash, from, to);
    }

    /// Splits `table`, which is the one for `hash`.
    fn split(&mut self, table: usize, hash: u64, keys: &dyn Keys) {
        let depth = self.tables[table].depth;
        if depth == self.depth {
            self.directory.extend_from_within(..);
            self.depth += 1;
        }
        let twin = self.tables.len() as u32;
        let entries = &mut self.tables[table].entries;
        if !cfg!(all(target_family = "wasm", feature = "small")) {
            let touched = entries.iter().fold(0, |all, place| all ^ keys.touch(place));
            core::hint::black_box(touched);
        }
        let high = entries.split_off(&|place| keys.hash(place), &|hash| {
            bits(hash, depth + 1) >> depth == 1
        });
        self.tables[table].depth = depth + 1;
        self.tables.push(Table {
            depth: depth + 1,
            entries: high,
        });
        let first = bits(hash, depth) | 1 << depth;
        for slot in self.directory.iter_mut().skip(first).step_by(2 << depth) {
            *slot = twin;
        }
    }
}

fn bits(hash: u64, count: u32) -> usize {
    (hash >> DIRECTORY_SHIFT) as usize & ((1 << count) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use xxhash_rust::xxh3::xxh3_64;

    fn hash(place: u32) -> u64 {
        xxh3_64(&place.to_le_bytes())
    }

    #[test]
    fn finds_what_is_in_it_and_nothing_else() {
        works(Index::new());
        for entries in [0, 1, 300, 5_000, 1_000_000] {
            let mut index = Index::new();
            index.reserve(entries);
            works(index);
        }
    }

    #[test]
    fn what_has_room_is_not_split() {
        let tables = |index: &Index| {
            let tables = index.directories.iter().map(|one| one.tables.len());
            tables.sum::<usize>()
        };
        let mut index = Index::new();
        index.reserve(300_000);
        let before = tables(&index);
        for place in 0..300_000 {
            index.insert(hash(place), place, hash);
        }
        assert!(
            tables(&index) - before < before / 10,
            "{before} tables were {} in the end",
            tables(&index)
        );
    }

    fn works(mut index: Index) {
        let mut model = BTreeSet::new();
        let mut random = fastrand::Rng::with_seed(7);
        for step in 0..600_000u32 {
            let x = random.u64(..);
            let key = (x >> 33) as u32 % 120_000;
            let growing = step % 300_000 < 180_000;
            if model.contains(&key) {
                assert_eq!(index.find(hash(key), |place| place == key), Some(key));
                if !growing || x >> 20 & 3 == 0 {
                    index.remove(hash(key), key, hash);
                    model.remove(&key);
                }
            } else {
                assert_eq!(index.find(hash(key), |place| place == key), None);
                if growing {
                    index.insert(hash(key), key, hash);
                    model.insert(key);
                }
            }
        }
        assert!(
            index
                .directories
                .iter()
                .all(|directory| directory.tables.len() > 1),
            "the index never split"
        );
        for &key in &model {
            index.relocate(hash(key), key, key + 1_000_000);
            assert_eq!(
                index.find(hash(key), |place| place == key + 1_000_000),
                Some(key + 1_000_000)
            );
        }
    }
}
