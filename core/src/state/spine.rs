//! Blocks of a queue by their first positions. Most queues have one at the most, which lies here without a map of its
//! own.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) enum Spine {
    #[default]
    Empty,
    One(u64, u32),
    /// Two or more.
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
                let both = BTreeMap::from([(*other, *there), (base, block)]);
                *self = Self::Many(Box::new(both));
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
                    && let Some((base, block)) = map.pop_first()
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
    pub(crate) fn at(&self, position: u64) -> Option<(u64, u32)> {
        match self {
            Self::Empty => None,
            Self::One(base, block) => (*base <= position).then_some((*base, *block)),
            Self::Many(map) => map.range(..=position).next_back().map(copied),
        }
    }

    /// The blocks that begin at a position from `first` to `last`, in order.
    pub(crate) fn range(
        &self,
        first: u64,
        last: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, u32)> {
        let (one, many) = match self {
            Self::Many(map) if first <= last => (None, Some(map.range(first..=last))),
            Self::One(base, block) => (Some((*base, *block)), None),
            _ => (None, None),
        };
        let one = one.filter(|(base, _)| (first..=last).contains(base));
        one.into_iter()
            .chain(many.into_iter().flatten().map(copied))
    }

    /// All blocks, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, u32)> {
        self.range(0, u64::MAX)
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
        let mut draw = 1_u64;
        for step in 0..50_000 {
            draw = draw
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
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
            assert!(spine.iter().eq(model.iter().map(copied)));
            let between = model.iter().map(copied);
            let between = between.filter(|(base, _)| (from..=to).contains(base));
            assert!(spine.range(from, to).eq(between.clone()));
            assert!(spine.range(from, to).rev().eq(between.rev()));
        }
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Spine>(), 16);
    }
}
