//! What stands in the order of its numbers.

use std::collections::VecDeque;

/// So many places of what was taken stay among the others.
const MOST_EMPTY: usize = 32;

/// Values by numbers that grow, and that are mostly taken in the order in which they came: a
/// map that is a queue. Nothing is hashed, and neighbours lie together.
#[derive(Debug)]
pub(crate) struct NumberRow<V> {
    /// In the order of the numbers. The first is not empty.
    places: VecDeque<(u64, Option<V>)>,
    len: usize,
}

impl<V> Default for NumberRow<V> {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            len: 0,
        }
    }
}

impl<V> NumberRow<V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Quick if the number is above all others.
    pub(crate) fn insert(&mut self, number: u64, value: V) {
        if self.places.back().is_none_or(|(last, _)| *last < number) {
            self.places.push_back((number, Some(value)));
            self.len += 1;
            return;
        }
        let former = match self.find(number) {
            Ok(place) => self.places.get_mut(place),
            Err(place) => {
                self.places.insert(place, (number, None));
                self.places.get_mut(place)
            }
        };
        if former.is_some_and(|(_, former)| former.replace(value).is_none()) {
            self.len += 1;
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&V> {
        let place = self.find(number).ok()?;
        self.places.get(place)?.1.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut V> {
        let place = self.find(number).ok()?;
        self.places.get_mut(place)?.1.as_mut()
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<V> {
        let place = self.find(number).ok()?;
        let value = self.places.get_mut(place)?.1.take()?;
        self.len -= 1;
        while self
            .places
            .pop_front_if(|(_, value)| value.is_none())
            .is_some()
        {}
        // One that stays for long does not keep the places of all that come after it.
        if self.places.len() > 2 * self.len + MOST_EMPTY {
            self.places.retain(|(_, value)| value.is_some());
        }
        Some(value)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut V)> {
        let places = self.places.iter_mut();
        places.filter_map(|(number, value)| Some((*number, value.as_mut()?)))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.places.iter().filter_map(|(_, value)| value.as_ref())
    }

    /// Takes all.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (u64, V)> + use<V> {
        let places = std::mem::take(self).places.into_iter();
        places.filter_map(|(number, value)| Some((number, value?)))
    }

    /// The place of the number, or that where it would be.
    fn find(&self, number: u64) -> Result<usize, usize> {
        // As a rule the numbers have no gaps.
        let (first, _) = self.places.front().ok_or(0_usize)?;
        let guess = number.checked_sub(*first).ok_or(0_usize)?;
        if let Ok(guess) = usize::try_from(guess)
            && matches!(self.places.get(guess), Some((own, _)) if *own == number)
        {
            return Ok(guess);
        }
        self.places.binary_search_by_key(&number, |(own, _)| *own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_row_is_a_map() {
        for seed in 0..100 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut row, mut map) = (NumberRow::default(), BTreeMap::new());
            let mut last = 0;
            for step in 0..1000 {
                match random.u8(..9) {
                    0..3 => {
                        last += random.u64(1..3);
                        row.insert(last, step);
                        map.insert(last, step);
                    }
                    3 => {
                        let number = random.u64(..=last);
                        row.insert(number, step);
                        map.insert(number, step);
                    }
                    4..6 => {
                        let first = map.keys().next().copied().unwrap_or_default();
                        assert_eq!(row.remove(first), map.remove(&first));
                    }
                    6..8 => {
                        let number = random.u64(..=last);
                        assert_eq!(row.remove(number), map.remove(&number), "seed {seed}");
                    }
                    _ => {
                        let number = random.u64(..=last);
                        assert_eq!(row.get(number), map.get(&number));
                        assert_eq!(row.get_mut(number), map.get_mut(&number));
                    }
                }
                assert_eq!((row.len(), row.is_empty()), (map.len(), map.is_empty()));
                assert!(row.places.len() <= 2 * row.len() + MOST_EMPTY);
            }
            assert!(row.values().eq(map.values()));
            assert!(
                row.iter_mut()
                    .map(|(number, value)| (number, *value))
                    .eq(map.clone())
            );
            assert!(row.take_all().eq(map));
            assert!(row.is_empty());
        }
    }

    #[test]
    fn one_that_stays_does_not_keep_the_places_of_others() {
        let mut row = NumberRow::default();
        row.insert(0, ());
        for number in 1..10_000 {
            row.insert(number, ());
            assert_eq!(row.remove(number), Some(()));
        }
        assert!(row.places.len() <= 2 + MOST_EMPTY);
    }
}
