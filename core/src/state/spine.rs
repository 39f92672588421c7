//! Blocks of a queue by their first positions. Most queues have one at the most, which lies here without a map of its
//! own.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::ops::Bound;

#[derive(Debug, Default)]
pub(crate) enum Spine {
    #[default]
    Empty,
    One(u64, u32),
    /// Two or more.
    #[expect(
        clippy::box_collection,
        reason = "a third of the size, as there may be a million queues without"
    )]
    Many(Box<BTreeMap<u64, u32>>),
}

impl Spine {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Adds a block, in place of one that begins at the same position.
    pub(crate) fn insert(&mut self, base: u64, block: u32) {
        match self {
            Self::One(other, there) if *other != base => {
                let mut both = Box::<BTreeMap<u64, u32>>::default();
                both.insert(*other, *there);
                both.insert(base, block);
                *self = Self::Many(both);
            }
            Self::Empty | Self::One(..) => *self = Self::One(base, block),
            Self::Many(map) => {
                map.insert(base, block);
            }
        }
    }

    pub(crate) fn remove(&mut self, base: u64) {
        match self {
            Self::Empty => {}
            Self::One(only, _) => {
                if *only == base {
                    *self = Self::Empty;
                }
            }
            Self::Many(map) => {
                map.remove(&base);
                if map.len() == 1
                    && let Some((&base, &block)) = map.first_key_value()
                {
                    *self = Self::One(base, block);
                }
            }
        }
    }

    pub(crate) fn first(&self) -> Option<(u64, u32)> {
        match self {
            Self::Empty => None,
            Self::One(base, block) => Some((*base, *block)),
            Self::Many(map) => map.first_key_value().map(copied),
        }
    }

    pub(crate) fn last(&self) -> Option<(u64, u32)> {
        match self {
            Self::Empty => None,
            Self::One(base, block) => Some((*base, *block)),
            Self::Many(map) => map.last_key_value().map(copied),
        }
    }

    /// The last block that begins at this position or before it.
    #[cfg_attr(all(target_family = "wasm", feature = "small"), inline(never))]
    pub(crate) fn at(&self, position: u64) -> Option<(u64, u32)> {
        match self {
            Self::Empty => None,
            Self::One(base, block) => (*base <= position).then_some((*base, *block)),
            Self::Many(map) => map.range(..=position).next_back().map(copied),
        }
    }

    /// The first block that begins behind this position.
    #[cfg_attr(all(target_family = "wasm", feature = "small"), inline(never))]
    pub(crate) fn behind(&self, position: u64) -> Option<(u64, u32)> {
        match self {
            Self::Empty => None,
            Self::One(base, block) => (*base > position).then_some((*base, *block)),
            Self::Many(map) => {
                let behind = (Bound::Excluded(position), Bound::Unbounded);
                map.range::<u64, _>(behind).next().map(copied)
            }
        }
    }

    /// The last block that begins before this position.
    pub(crate) fn before(&self, position: u64) -> Option<(u64, u32)> {
        self.at(position.checked_sub(1)?)
    }

    /// This block and those behind it, in order.
    pub(crate) fn iter_from(&self, first: Option<(u64, u32)>) -> impl Iterator<Item = (u64, u32)> {
        core::iter::successors(first, |(base, _)| self.behind(*base))
    }
}

fn copied((base, block): (&u64, &u32)) -> (u64, u32) {
    (*base, *block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map() {
        let (mut spine, mut model) = (Spine::default(), BTreeMap::new());
        let mut random = fastrand::Rng::with_seed(7);
        for step in 0..50_000 {
            let draw = random.u64(..);
            // Mostly none, one or two, now and then more.
            let bases = if step / 1_000 % 5 == 0 { 20 } else { 3 };
            let base = (draw >> 33) % bases;
            if draw >> 62 == 0 {
                spine.insert(base, step);
                model.insert(base, step);
            } else {
                spine.remove(base);
                model.remove(&base);
            }
            let (from, to) = ((draw >> 40) % 20, (draw >> 50) % 20);
            assert_eq!(spine.is_empty(), model.is_empty());
            assert_eq!(spine.first(), model.first_key_value().map(copied));
            assert_eq!(spine.last(), model.last_key_value().map(copied));
            assert_eq!(spine.at(to), model.range(..=to).next_back().map(copied));
            assert!(spine.iter_from(spine.first()).eq(model.iter().map(copied)));
            let behind = model.iter().map(copied).find(|(base, _)| *base > from);
            assert_eq!(spine.behind(from), behind);
            let before = model.iter().map(copied).rfind(|(base, _)| *base < to);
            assert_eq!(spine.before(to), before);
        }
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Spine>(), 16);
    }
}
