//! Things under small numbers that are given again.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// What a thing is in that was taken out.
#[cfg(all(target_family = "wasm", feature = "small"))]
pub(crate) type Taken<T> = Box<T>;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Option<Box<T>>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    #[cfg(all(target_family = "wasm", feature = "small"))]
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let value = Some(Box::new(value));
        if let Some(place) = self.free.pop() {
            self.entries[place as usize] = value;
            place
        } else {
            self.entries.push(value);
            (self.entries.len() - 1) as u32
        }
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        self.entries.get(place as usize)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, place: u32) -> Option<&mut T> {
        self.entries.get_mut(place as usize)?.as_deref_mut()
    }

    /// Takes the value out; its number is not given again before [`release`](Self::release).
    pub(crate) fn take(&mut self, place: u32) -> Option<Box<T>> {
        self.entries.get_mut(place as usize)?.take()
    }

    pub(crate) fn release(&mut self, place: u32) {
        self.free.push(place);
    }

    pub(crate) fn remove(&mut self, place: u32) -> Option<Box<T>> {
        let value = self.take(place)?;
        self.release(place);
        Some(value)
    }
}

/// For places that the state itself keeps: one that is not there is a bug.
impl<T> core::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, place: u32) -> &T {
        self.entries[place as usize]
            .as_deref()
            .expect("a kept place is filled")
    }
}

impl<T> core::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, place: u32) -> &mut T {
        self.entries[place as usize]
            .as_deref_mut()
            .expect("a kept place is filled")
    }
}
