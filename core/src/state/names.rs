//! Places under names, in the order of these: lists in a list.
//!
//! An ordered map is made anew by the compiler for each kind of key, and this one is used so seldom that a list will
//! do as well, if none gets so long that it takes time to move.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A list that would be longer becomes two.
const MOST_NAMES: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Names {
    /// None is empty.
    lists: Vec<Vec<(Box<str>, u32)>>,
    len: usize,
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        let (list, found) = self.find(name);
        Some(self.lists.get(list)?.get(found.ok()?)?.1)
    }

    /// Adds a name, or gives it another place.
    pub(crate) fn insert(&mut self, name: &str, place: u32) {
        let (number, found) = self.find(name);
        if self.lists.is_empty() {
            self.lists.push(Vec::new());
        }
        let list = &mut self.lists[number];
        match found {
            Ok(at) => list[at].1 = place,
            Err(at) => {
                list.insert(at, (name.into(), place));
                self.len += 1;
            }
        }
        if list.len() > MOST_NAMES {
            let behind = list.split_off(MOST_NAMES / 2);
            self.lists.insert(number + 1, behind);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let (number, found) = self.find(name);
        let Ok(at) = found else {
            return;
        };
        let list = &mut self.lists[number];
        list.remove(at);
        self.len -= 1;
        if list.is_empty() {
            self.lists.remove(number);
        }
    }

    /// The names behind one, or all.
    pub(crate) fn iter_behind(&self, name: Option<&str>) -> impl Iterator<Item = (&Box<str>, u32)> {
        let (list, at) = match name.map(|name| self.find(name)) {
            None => (0, 0),
            Some((list, Ok(at))) => (list, at + 1),
            Some((list, Err(at))) => (list, at),
        };
        let mut lists = self.lists.iter().skip(list);
        let first = lists.next().and_then(|list| list.get(at..));
        let names = first.unwrap_or_default().iter().chain(lists.flatten());
        names.map(|(name, place)| (name, *place))
    }

    /// The list that has the name or would have it, and its place there.
    fn find(&self, name: &str) -> (usize, Result<usize, usize>) {
        let begins = |list: &Vec<(Box<str>, u32)>| list.first().is_some_and(|own| *own.0 <= *name);
        let list = self.lists.partition_point(begins).saturating_sub(1);
        let found = match self.lists.get(list) {
            Some(list) => list.binary_search_by(|own| (*own.0).cmp(name)),
            None => Err(0),
        };
        (list, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn names_are_like_a_map() {
        let (mut names, mut model) = (Names::default(), BTreeMap::<String, u32>::new());
        let mut random = fastrand::Rng::with_seed(7);
        for step in 0..20_000 {
            let draw = random.u64(..);
            // More come than go at first, and all go in the end.
            let is_added = (draw >> 40) % 20_000 > step;
            let name = format!("n{}", (draw >> 33) % 2_500);
            if is_added {
                names.insert(&name, step as u32);
                model.insert(name.clone(), step as u32);
            } else {
                names.remove(&name);
                model.remove(&name);
            }
            assert_eq!(names.len(), model.len());
            assert_eq!(names.get(&name), model.get(&name).copied());
            if step % 500 == 0 {
                let all: Vec<_> = names.iter_behind(None).collect();
                let expected = model.iter().map(|(name, place)| (&**name, *place));
                assert!(
                    all.iter()
                        .map(|(name, place)| (&***name, *place))
                        .eq(expected)
                );
                let behind = names.iter_behind(Some(&name)).map(|(name, _)| &**name);
                let expected = model.keys().filter(|own| **own > name);
                assert!(behind.eq(expected.map(String::as_str)));
            }
            assert!(
                names
                    .lists
                    .iter()
                    .all(|list| (1..=MOST_NAMES).contains(&list.len()))
            );
        }
        model.keys().for_each(|name| names.remove(name));
        assert!(names.is_empty() && names.lists.is_empty());
        assert_eq!(names.iter_behind(None).count(), 0);
    }
}
