//! Things under numbers of their own, in the order of these.
//!
//! The compiler makes an ordered map anew for each kind of key and value, and in a wasm module nothing is
//! larger. So there is one, and things lie beside it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use super::slab::Slab;

#[derive(Debug)]
pub(crate) struct Numbered<T> {
    places: BTreeMap<u64, u32>,
    things: Slab<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            things: Slab::new(),
        }
    }
}

impl<T> Numbered<T> {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.things.get(*self.places.get(&number)?)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.things.get_mut(*self.places.get(&number)?)
    }

    /// Adds a thing, in place of one that had its number.
    pub(crate) fn insert(&mut self, number: u64, thing: T) {
        let place = self.things.insert(thing);
        if let Some(former) = self.places.insert(number, place) {
            self.things.remove(former);
        }
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Box<T>> {
        self.things.remove(self.places.remove(&number)?)
    }

    pub(crate) fn first_number(&self) -> Option<u64> {
        self.places.first_key_value().map(|(&number, _)| number)
    }

    /// The things with this number or a later one, in order.
    pub(crate) fn iter_from(&self, number: u64) -> impl Iterator<Item = (u64, &T)> {
        let places = self.places.range(number..);
        places.filter_map(|(&number, &place)| Some((number, self.things.get(place)?)))
    }
}
